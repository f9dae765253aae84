//! The operator's commands on a database: migrate, maintain, tenant, token, key.

use std::process::Command;

use serde_json::Value;
use testkit::Database;
use tokio_postgres::{Client, NoTls};

use crate::goalpost::PROGRAM;

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }
}

pub fn goalpost(database_url: &str, args: &[&str]) -> Said {
    let mut command = Command::new(PROGRAM);
    let output = command.args(args).env("DATABASE_URL", database_url).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the client")]
    tokio::spawn(connection);
    client
}

fn strings<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_empty_database_is_migrated_once_and_maintained() {
    let database = Database::create().await.unwrap();
    let url = database.superuser_url();
    let superuser = database.superuser().await.unwrap();
    superuser.execute("DROP SCHEMA platform, ingest, goals, evaluator, reporting CASCADE", &[]).await.unwrap();
    let unmigrated = goalpost(&url, &["maintain"]);
    assert_eq!(unmigrated.code, 1);
    assert!(unmigrated.err.contains("goalpost migrate"), "{}", unmigrated.err);

    let first = goalpost(&url, &["migrate", "--roles", "--json"]).json();
    assert!(first["applied"].as_u64().unwrap() >= 7, "{first}");
    assert!(first["schemas"].as_array().unwrap().iter().any(|it| it["schema"] == "evaluator"));
    let second = goalpost(&url, &["migrate", "--json"]).json();
    assert_eq!(second["applied"], 0);

    let ahead = ["maintain", "--months-ahead", "5", "--json"];
    let made = goalpost(&url, &ahead).json();
    assert_eq!(made["partitions_made"].as_array().unwrap().len(), 6);
    assert_eq!((&made["busy"], &made["default_rows"]), (&false.into(), &0.into()));
    let maintainer = database.url("goalpost_maintainer");
    let again = goalpost(&maintainer, &ahead).json();
    assert!(again["partitions_made"].as_array().unwrap().is_empty());
    let refused = goalpost(&database.url("goalpost_ingest"), &["maintain"]);
    assert!(refused.err.contains("goalpost_maintainer"), "{}", refused.err);
}

#[tokio::test]
async fn tenants_tokens_and_keys_are_made_listed_and_revoked() {
    let database = Database::create().await.unwrap();
    // Either login will do.
    for (url, tenant) in [(database.superuser_url(), "shop-1"), (database.url("goalpost_goals_system"), "shop-2")] {
        let create = ["tenant", "create", tenant, "--name", "Shop", "--json"];
        assert_eq!(goalpost(&url, &create).json()["created"], true);
        assert_eq!(goalpost(&url, &create).json()["created"], false);
        assert_eq!(strings(&goalpost(&url, &["tenant", "list", "--json"]).json(), "tenant_id")[0], tenant);

        let of_tenant = ["--tenant", tenant, "--json"];
        let with = |args: &[&str]| goalpost(&url, &[args, &of_tenant].concat());
        let token = with(&["token", "create"]).json();
        assert!(token["token"].as_str().unwrap().starts_with("gpw_"));
        let key = with(&["key", "create", "--role", "editor"]).json();
        assert!(key["key"].as_str().unwrap().starts_with("gpk_"));
        with(&["token", "create"]).json();
        let third = with(&["token", "create"]);
        assert_eq!(third.code, 1);
        assert!(third.err.contains("goalpost token revoke"), "{}", third.err);

        let for_pages = ["token", "create", "--origin", "https://*.a.test", "--origin", "http://localhost:3000"];
        assert!(with(&for_pages).json()["token"].as_str().unwrap().starts_with("gpw_"));
        assert_eq!(with(&["token", "create", "--origin", "https://a.test/path"]).code, 2);
        let newest = with(&["token", "list"]).json()["items"][0].clone();
        assert_eq!((&newest["kind"], &newest["origins"][1]), (&"browser".into(), &"http://localhost:3000".into()));

        let id = token["id"].as_str().unwrap();
        assert_eq!(with(&["token", "revoke", id]).json()["revoked"], true);
        let tokens = with(&["token", "list"]).json();
        assert_eq!(strings(&tokens, "id")[2], id);
        assert!(tokens["items"][2]["revoked_at"].is_string(), "{tokens}");
        let keys = with(&["key", "list"]).json();
        assert_eq!(strings(&keys, "role"), ["editor"]);
        assert!(with(&["key", "revoke", "nothing"]).err.contains("not_found"));
    }
}

#[tokio::test]
async fn operators_keys_belong_to_the_installation() {
    let database = Database::create().await.unwrap();
    let url = database.superuser_url();
    let run = |args: &[&str]| goalpost(&url, &[args, &["--operator", "--json"]].concat());
    let key = run(&["key", "create"]).json();
    let id = key["id"].as_str().unwrap();
    let listed = run(&["key", "list"]).json();
    assert_eq!((strings(&listed, "id"), strings(&listed, "role")), (vec![id], vec!["operator"]));
    assert_eq!(run(&["key", "revoke", id]).json()["revoked"], true);
    assert!(run(&["key", "list"]).json()["items"][0]["revoked_at"].is_string());
    assert!(run(&["key", "revoke", "nothing"]).err.contains("goalpost key list --operator"));
    assert_eq!(goalpost(&url, &["key", "create"]).code, 2, "whose key must be said");
    assert_eq!(run(&["key", "create", "--role", "admin"]).code, 2, "an operator has no other role");
}

/// Makes tenants with a workflow each, of the same name.
async fn with_workflows(database: &Database, tenants: &[&str]) {
    const WORKFLOW: &str = "INSERT INTO goals.workflows (tenant_id, id, name, created_by) \
         VALUES ($1, gen_random_uuid(), $1, 'test')";
    let superuser = database.superuser().await.unwrap();
    for tenant in tenants {
        let create = ["tenant", "create", tenant, "--json"];
        goalpost(&database.superuser_url(), &create).json();
        superuser.execute(WORKFLOW, &[tenant]).await.unwrap();
    }
}

/// A tenant of this test alone: its reader's login belongs to the server.
fn own_tenant() -> String {
    format!("mine-{}", uuid::Uuid::now_v7().simple())
}

async fn workflow_names(reader: &Client) -> Vec<String> {
    let names = "SELECT workflow_name FROM reporting.goal_conversions";
    let rows = reader.query(names, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn drop_role(superuser: &Client, login: &str) {
    superuser.execute(&format!("DROP ROLE {login}"), &[]).await.unwrap();
}

#[tokio::test]
async fn a_reader_sees_one_tenant_and_writes_nothing() {
    let database = Database::create().await.unwrap();
    let tenant = own_tenant();
    with_workflows(&database, &[&tenant, "other"]).await;
    let made = goalpost(&database.superuser_url(), &["tenant", "add-reader", &tenant, "--json"]).json();

    let reader = connect(made["url"].as_str().unwrap()).await;
    assert_eq!(workflow_names(&reader).await, [tenant.as_str()]);
    reader.execute("SET app.tenant_id = 'other'", &[]).await.unwrap();
    assert_eq!(workflow_names(&reader).await, [tenant.as_str()], "whatever it SETs");

    reader.execute("SET default_transaction_read_only = off", &[]).await.unwrap();
    for forbidden in [
        "SELECT 1 FROM platform.tenants",
        "SELECT 1 FROM goals.workflows",
        "SELECT 1 FROM reporting.readers",
        "INSERT INTO reporting.readers (tenant_id, role_name) VALUES ('other', current_user)",
        "CREATE TABLE reporting.mine (x int)",
        "SET ROLE goalpost_reporting",
        "SET ROLE goalpost_owner",
    ] {
        let refused = reader.execute(forbidden, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{forbidden}: {refused}");
    }
    drop(reader);
    drop_role(&database.superuser().await.unwrap(), made["login"].as_str().unwrap()).await;
}

#[tokio::test]
async fn a_reader_is_bounded_and_made_once_by_a_superuser() {
    let database = Database::create().await.unwrap();
    let (url, tenant) = (database.superuser_url(), own_tenant());
    let bounds = ["--connections", "2", "--statement-timeout-seconds", "7", "--json"];
    let add = [&["tenant", "add-reader", &tenant][..], &bounds].concat();
    let unknown = goalpost(&url, &add);
    assert!(unknown.err.contains("goalpost tenant create"), "{}", unknown.err);
    with_workflows(&database, &[&tenant]).await;
    let powerless = goalpost(&database.url("goalpost_goals_system"), &add);
    assert!(powerless.err.contains("superuser"), "{}", powerless.err);

    let made = goalpost(&url, &add).json();
    let login = made["login"].as_str().unwrap();
    assert_eq!(login, format!("reader_{}", tenant.replace('-', "_")));
    let again = goalpost(&url, &add);
    assert!(again.err.contains("--login"), "{}", again.err);
    let reader = connect(made["url"].as_str().unwrap()).await;
    for (setting, value) in [("statement_timeout", "7s"), ("default_transaction_read_only", "on")] {
        let row = reader.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{setting}");
    }
    let superuser = database.superuser().await.unwrap();
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1";
    let limit = superuser.query_one(limit, &[&login]).await.unwrap();
    assert_eq!(limit.get::<_, i32>(0), 2);
    drop(reader);
    drop_role(&superuser, login).await;
}

#[test]
fn without_a_database_it_is_said_how_to_name_one() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        Command::new(PROGRAM).args(["tenant", "list"]).env_remove("DATABASE_URL").current_dir(&dir).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("--database-url") && said.contains("goalpost dev"), "{said}");
}

#[test]
fn services_check_their_settings() {
    for service in ["ingest", "goals", "evaluator", "analytics"] {
        let check = |more: &[(&str, &str)]| {
            let mut command = Command::new(PROGRAM);
            command
                .args(["serve", service, "--check-config"])
                .env("GOALPOST__DATABASE__URL", "postgres://a:hunter2@h/d")
                .env("GOALPOST__DATABASE__SYSTEM_URL", "postgres://b:hunter2@h/d")
                .envs(more.iter().copied());
            if service != "analytics" {
                command.env("GOALPOST__BUS__URL", "amqp://a:hunter2@h/%2f");
            }
            let output = command.output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.code().unwrap(), String::from_utf8(said).unwrap())
        };
        let (code, printed) = check(&[("GOALPOST__HTTP__PORT", "7777")]);
        assert_eq!(code, 0, "{printed}");
        assert!(printed.contains("7777") && !printed.contains("hunter2"), "{printed}");
        let (code, refusal) = check(&[("GOALPOST__HTTP__PROT", "7777")]);
        assert_eq!(code, 64, "{refusal}");
        assert!(refusal.contains("GOALPOST__HTTP__PROT") && refusal.lines().count() == 1, "{refusal}");
    }
}
