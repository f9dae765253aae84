//! Tenants: made by the operator, configured by their admins.

use crate::harness::{Service, parsed, table};
use serde_json::json;

const TENANTS: &str = "/api/v1/tenants";

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_makes_a_tenant_once() {
    let service = Service::start().await;
    let operator = service.operator();
    let body = json!({"tenant_id": "new-1", "name": "New One", "settings": {"default_currency": "EUR"}});
    let made = operator.make(TENANTS, body.clone()).await;
    assert_eq!(made["tenant_id"], "new-1");
    assert_eq!(made["name"], "New One");
    let settings = json!({"taxonomy": "open", "default_currency": "EUR", "max_properties_bytes": 2048, "time_zone": "UTC",
        "retention": {"events_days": {"default": 396, "widget": 90}, "sessions_days": 365, "daily": null},
        "redaction": {"mode": "redact", "deny": [], "allow": []}});
    assert_eq!(made["settings"], settings);
    assert!(made.get("content_key").is_none(), "{made}");
    assert_eq!(operator.show("/api/v1/tenants/new-1").await, made);

    operator.post(TENANTS, body).await.refused(409, "tenant_exists");
    let kept = "SELECT count(*) FROM platform.tenants t JOIN goals.epochs e USING (tenant_id)
         WHERE tenant_id = 'new-1' AND length(content_key) = 32 AND epoch = 1";
    assert_eq!(service.number(kept).await, 1);
    let audited = "SELECT count(*) FROM goals.audit WHERE tenant_id = 'new-1' AND action = 'tenant.created'
         AND object_id = 'new-1' AND before IS NULL AND after ->> 'name' = 'New One' AND actor LIKE 'key:%'";
    assert_eq!(service.number(audited).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_keys_differ_and_are_audited_nowhere() {
    let service = Service::start().await;
    for id in ["n1", "n2"] {
        service.operator().make(TENANTS, json!({"tenant_id": id})).await;
    }
    let different = "SELECT least(count(DISTINCT content_key), count(DISTINCT id_salt)) FROM platform.tenants WHERE tenant_id IN ('n1', 'n2')";
    assert_eq!(service.number(different).await, 2);
    let leaked = "SELECT count(*) FROM goals.audit a JOIN platform.tenants t USING (tenant_id)
         WHERE a.after::text ~ 'content_key|id_salt' OR a.after::text LIKE '%' || encode(t.content_key, 'hex') || '%'
         OR a.after::text LIKE '%' || encode(t.id_salt, 'hex') || '%'";
    assert_eq!(service.number(leaked).await, 0);
}

const BAD: &str = r#"
    {"tenant_id": "a b"}                                         | invalid_value | /tenant_id
    {"tenant_id": ""}                                            | placeholder_id | /tenant_id
    {"name": "x"}                                                | missing_field | /tenant_id
    {"tenant_id": "x", "name": ""}                               | invalid_value | /name
    {"tenant_id": "x", "name": "a\u0007"}                        | invalid_value | /name
    {"tenant_id": "x", "colour": 1}                              | unknown_field | /colour
    {"tenant_id": "x", "settings": {"taxonomy": "loose"}}        | invalid_value | /settings/taxonomy
    {"tenant_id": "x", "settings": {"default_currency": "usd"}}  | invalid_value | /settings/default_currency
    {"tenant_id": "x", "settings": {"default_currency": "EURO"}} | invalid_value | /settings/default_currency
    {"tenant_id": "x", "settings": {"max_properties_bytes": 255}}   | invalid_value | /settings/max_properties_bytes
    {"tenant_id": "x", "settings": {"max_properties_bytes": 32769}} | invalid_value | /settings/max_properties_bytes
    {"tenant_id": "x", "settings": {"max_properties_bytes": "2k"}}  | invalid_type  | /settings/max_properties_bytes
    {"tenant_id": "x", "settings": {"colour": "UTC"}}            | unknown_field | /settings/colour
    {"tenant_id": "x", "settings": {"time_zone": "Mars/Olympus"}} | invalid_value | /settings/time_zone
    {"tenant_id": "x", "settings": {"time_zone": "posix/UTC"}}   | invalid_value | /settings/time_zone
    {"tenant_id": "x", "settings": {"time_zone": "+02"}}         | invalid_value | /settings/time_zone
    {"tenant_id": "x", "settings": {"retention": {"events_days": {"widget": 9}}}}  | missing_field | /settings/retention/events_days/default
    {"tenant_id": "x", "settings": {"retention": {"events_days": {"default": 0}}}} | invalid_value | /settings/retention/events_days/default
    {"tenant_id": "x", "settings": {"retention": {"sessions_days": 36501}}}        | invalid_value | /settings/retention/sessions_days
    {"tenant_id": "x", "settings": {"retention": {"weekly": 1}}}                   | unknown_field | /settings/retention/weekly
    {"tenant_id": "x", "settings": {"retention": {"daily": -1}}}                   | invalid_value | /settings/retention/daily
    {"tenant_id": "x", "settings": {"redaction": {"mode": "keep"}}}                | invalid_value | /settings/redaction/mode
    {"tenant_id": "x", "settings": {"redaction": {"deny": ["a", "_"]}}}            | invalid_value | /settings/redaction/deny/1
    {"tenant_id": "x", "settings": {"redaction": {"deny": ["EMail"], "allow": ["e-mail"]}}} | conflicting_keys | /settings/redaction/allow
"#;

#[tokio::test(flavor = "multi_thread")]
async fn bad_tenants_are_refused_by_field() {
    let service = Service::start().await;
    let operator = service.operator();
    for [body, code, pointer] in table(BAD) {
        let problem = operator.post(TENANTS, parsed(body)).await.refused(400, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let long = json!({"tenant_id": "x".repeat(65)});
    operator.post(TENANTS, long).await.refused(400, "too_long");
    let long = json!({"tenant_id": "x", "name": "n".repeat(201)});
    operator.post(TENANTS, long).await.refused(400, "too_long");
    let made = "SELECT count(*) FROM platform.tenants WHERE tenant_id = 'x'";
    assert_eq!(service.number(made).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_configures_its_tenant_and_the_epoch_moves() {
    let service = Service::start().await;
    let (admin, path) = (service.admin(), "/api/v1/tenants/a");
    let before = service.epoch().await;
    let thirty = json!({"events_days": {"default": 30, "widget": null}, "sessions_days": 30});
    let body = json!({"settings": {"taxonomy": "strict", "max_properties_bytes": 4096, "time_zone": "Europe/Berlin",
        "retention": thirty, "redaction": {"mode": "reject", "deny": ["customer_no"]}}});
    let edited = admin.edit(path, body.clone()).await;
    let settings = json!({"taxonomy": "strict", "default_currency": "USD", "max_properties_bytes": 4096,
        "time_zone": "Europe/Berlin",
        "retention": {"events_days": {"default": 30, "widget": null}, "sessions_days": 30, "daily": null},
        "redaction": {"mode": "reject", "deny": ["customer_no"], "allow": []}});
    assert_eq!(edited["settings"], settings);
    assert_eq!(edited["name"], "a");
    assert_eq!(service.epoch().await, before + 1);

    assert_eq!(admin.edit(path, body).await, edited, "the same again changes nothing");
    assert_eq!(service.epoch().await, before + 1);

    let unnamed = service.operator().edit(path, json!({"name": null})).await;
    assert_eq!(unnamed["name"], json!(null));
    assert_eq!(service.epoch().await, before + 2);
    admin.patch(path, json!({"settings": {"retention": 3}})).await.refused(400, "invalid_type");
    admin.patch(path, json!({"settings": {"default_currency": "???"}})).await.refused(400, "invalid_value");
    assert_eq!(service.epoch().await, before + 2);
    let audited = "SELECT count(*) FROM goals.audit WHERE tenant_id = 'a' AND action = 'tenant.updated'
         AND (before -> 'settings' ->> 'taxonomy', after -> 'settings' ->> 'taxonomy') = ('open', 'strict')";
    assert_eq!(service.number(audited).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_looks_at_and_what_a_stranger_asks_for_is_audited() {
    let service = Service::start().await;
    service.operator().show("/api/v1/tenants/a").await;
    service.operator().show("/api/v1/tenants/a/api-keys").await;
    service.operator().get("/api/v1/tenants/nobody").await.refused(404, "not_found");
    service.admin().show("/api/v1/tenants/a").await;
    let read =
        "SELECT count(*) FROM goals.audit WHERE action = 'operator.read' AND tenant_id = 'a' AND object_id = 'a'";
    assert_eq!(service.number(read).await, 2);

    service.admin().get("/api/v1/tenants/b").await.refused(404, "not_found");
    service.admin().delete("/api/v1/tenants/nobody/api-keys/x").await.refused(404, "not_found");
    let refused = "SELECT count(*) FROM goals.audit WHERE action = 'access.refused' AND tenant_id = 'a'
         AND object_id IN ('b', 'nobody')";
    assert_eq!(service.number(refused).await, 2);
    assert_eq!(service.number("SELECT count(*) FROM goals.audit WHERE tenant_id = 'b'").await, 0);
}
