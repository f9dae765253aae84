//! The operator's commands on a database: migrate, maintain, tenant, token, key. Readers are in `readers.rs`.

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
