//! What the command line does on the database itself.

use crate::harness::Service;
use domain::ids::TenantId;
use goalpost_goals::Error;
use goalpost_goals::bootstrap::{Role, Table, api_key, issued, operator_key, revoke, tenant, write_token};
use pg::Db;
use serde_json::json;
use tokio::runtime::Handle;
use web::secret::{Prefix, mint};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_and_its_credentials_are_made_and_work() {
    let service = Service::start().await;
    let db = Db::connect(&service.database.settings("goals"), "goals", Handle::current()).unwrap();
    let demo = TenantId::parse("demo").unwrap();
    assert!(tenant(&db, &demo, Some("Demo")).await.unwrap());
    assert!(!tenant(&db, &demo, Some("Demo")).await.unwrap());
    let admin = api_key(&db, &demo, Role::Admin, None).await.unwrap();
    let operator = operator_key(&db, None).await.unwrap();
    let token = write_token(&db, &demo, None).await.unwrap();
    assert!(admin.created && operator.created && token.created);
    service.client(&admin.secret).show("/api/v1/tenants/demo").await;
    service.client(&operator.secret).make("/api/v1/tenants", json!({"tenant_id": "other"})).await;
    let listed = service.client(&admin.secret).show("/api/v1/tenants/demo/write-tokens").await;
    assert_eq!(listed["items"][0]["id"], token.id);
    let audited = "SELECT count(*) FROM goals.audit WHERE tenant_id = 'demo' AND actor = 'bootstrap'";
    assert_eq!(service.number(audited).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_secrets_may_be_given_again_and_again() {
    let service = Service::start().await;
    let db = Db::connect(&service.database.settings("goals"), "goals", Handle::current()).unwrap();
    let a = TenantId::parse("a").unwrap();
    let (key, token, operator) = (mint(Prefix::ApiKey).text, mint(Prefix::WriteToken).text, mint(Prefix::ApiKey).text);
    for created in [true, false, false] {
        assert_eq!(api_key(&db, &a, Role::Editor, Some(&key)).await.unwrap().created, created);
        assert_eq!(write_token(&db, &a, Some(&token)).await.unwrap().created, created);
        let issued = operator_key(&db, Some(&operator)).await.unwrap();
        assert_eq!((issued.created, &issued.secret), (created, &operator));
    }
    service.client(&key).make("/api/v1/workflows", json!({"name": "x"})).await;
    service.client(&operator).make("/api/v1/tenants", json!({"tenant_id": "x"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_secrets_of_somebody_else_are_refused() {
    let service = Service::start().await;
    let db = Db::connect(&service.database.settings("goals"), "goals", Handle::current()).unwrap();
    let [a, b, nobody] = ["a", "b", "nobody"].map(|id| TenantId::parse(id).unwrap());
    let key = mint(Prefix::ApiKey).text;
    api_key(&db, &a, Role::Editor, Some(&key)).await.unwrap();
    let code = |refused: Result<_, Error>| refused.err().map(|error| error.code());
    let taken = Some("credential_taken");
    assert_eq!(code(api_key(&db, &b, Role::Editor, Some(&key)).await), taken, "another tenant");
    assert_eq!(code(api_key(&db, &a, Role::Admin, Some(&key)).await), taken, "another role");
    assert_eq!(code(operator_key(&db, Some(&key)).await), taken);
    let invalid = Some("invalid_secret");
    assert_eq!(code(write_token(&db, &a, Some(&key)).await), invalid);
    assert_eq!(code(api_key(&db, &a, Role::Viewer, Some("gpk_x")).await), invalid);
    assert_eq!(code(api_key(&db, &a, Role::Operator, None).await), invalid);
    assert_eq!(code(api_key(&db, &nobody, Role::Viewer, None).await), Some("not_found"));
    write_token(&db, &a, None).await.unwrap();
    assert_eq!(code(write_token(&db, &a, None).await), Some("too_many_live_tokens"));
    // Once revoked, a known secret does not come back.
    let path = format!("/api/v1/tenants/a/api-keys/{}", &key[4..16]);
    service.admin().delete(&path).await.nothing();
    assert_eq!(code(api_key(&db, &a, Role::Editor, Some(&key)).await), taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_listed_and_revoked() {
    let service = Service::start().await;
    let db = Db::connect(&service.database.settings("goals"), "goals", Handle::current()).unwrap();
    let a = TenantId::parse("a").unwrap();
    // One page and one more.
    service
        .execute(
            "INSERT INTO platform.api_keys (id, tenant_id, role, secret_hash, created_by)
             SELECT 'k' || n, 'a', 'viewer', sha256('x'), 'x' FROM generate_series(1, 198) n",
        )
        .await;
    let keys = issued(&db, &a, Table::ApiKeys).await.unwrap();
    assert_eq!(keys.len(), 201);
    let tokens = issued(&db, &a, Table::WriteTokens).await.unwrap();
    assert_eq!((tokens.len(), tokens[0].grants.word()), (1, "server"));
    for _ in 0..2 {
        revoke(&db, &a, Table::WriteTokens, &tokens[0].id).await.unwrap();
    }
    let tokens = issued(&db, &a, Table::WriteTokens).await.unwrap();
    assert!(tokens[0].revoked_at.is_some());
    let unknown = revoke(&db, &a, Table::ApiKeys, &tokens[0].id).await.unwrap_err();
    assert_eq!(unknown.code(), "not_found");
    let nobody = TenantId::parse("nobody").unwrap();
    let unknown = issued(&db, &nobody, Table::ApiKeys).await.unwrap_err();
    assert_eq!(unknown.code(), "not_found");
    let audited = "SELECT count(*) FROM goals.audit WHERE action = 'write_token.revoked' AND actor = 'bootstrap'";
    assert_eq!(service.number(audited).await, 1);
}
