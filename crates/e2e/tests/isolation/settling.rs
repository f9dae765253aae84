//! What the system login of goals may do to the dead letters and outboxes of other services: what settling a letter takes, and
//! nothing else.

use crate::attack::as_role;
use crate::catalogue::Relation;
use tokio_postgres::Client;

const LOGIN: &str = "goalpost_goals_system";
const DENIED: &str = "42501";

/// Everything that it may and should not, or may not and should.
pub async fn settling(client: &Client, relations: &[Relation]) -> Vec<String> {
    let mut violations = Vec::new();
    for schema in ["ingest", "evaluator"] {
        let asked = |name: &str| relations.iter().any(|relation| relation.name == format!("{schema}.{name}"));
        if asked("dead_letters") {
            violations.extend(letters(client, schema).await);
        }
        if asked("outbox") {
            violations.extend(outbox(client, schema).await);
        }
    }
    violations
}

async fn letters(client: &Client, schema: &str) -> Vec<String> {
    let table = format!("{schema}.dead_letters");
    let mut violations = Vec::new();
    let of_both = Ok(vec!["a".to_owned(), "b".to_owned()]);
    for good in [
        format!("SELECT tenant_id FROM {table} WHERE id > 0 ORDER BY 1"),
        format!(
            "WITH taken AS (DELETE FROM {table} RETURNING tenant_id, payload) SELECT tenant_id FROM taken ORDER BY 1"
        ),
    ] {
        let outcome = as_role(client, LOGIN, &good).await;
        if outcome != of_both {
            violations.push(format!("{good}: {outcome:?}"));
        }
    }
    for bad in [
        format!("SELECT cause FROM {table}"),
        format!("UPDATE {table} SET queue = 'q'"),
        format!(
            "INSERT INTO {table} (queue, routing_key, code, cause, attempts, payload) VALUES ('q', 'k', 'c', 'c', 1, 'x')"
        ),
        format!("TRUNCATE {table}"),
    ] {
        violations.extend(not_denied(client, &bad).await);
    }
    violations
}

async fn outbox(client: &Client, schema: &str) -> Vec<String> {
    let table = format!("{schema}.outbox");
    let row = |mandatory: bool, exchange: &str, key: &str| {
        format!(
            "INSERT INTO {table} (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload) \
             VALUES (gen_random_uuid(), {mandatory}, 'a', '{exchange}', '{key}', 'application/json', 'x')"
        )
    };
    let own = format!("{schema}.queue key");
    let mut violations = Vec::new();
    let outcome = as_role(client, LOGIN, &row(true, "", &own)).await;
    if outcome.is_err() {
        violations.push(format!("{LOGIN} may not requeue into {table}: {outcome:?}"));
    }
    for bad in [
        row(false, "", &own),
        row(true, "goalpost.workflow", &own),
        row(true, "", "analytics.events key"),
        row(true, "", &format!("{schema}events key")),
        format!("INSERT INTO {table} (tenant_id, attempts) VALUES ('a', 9)"),
        format!("SELECT id FROM {table}"),
        format!("UPDATE {table} SET attempts = 0"),
        format!("DELETE FROM {table}"),
    ] {
        violations.extend(not_denied(client, &bad).await);
    }
    violations
}

async fn not_denied(client: &Client, statement: &str) -> Option<String> {
    let outcome = as_role(client, LOGIN, statement).await;
    let denied = matches!(&outcome, Err(code) if code == DENIED);
    (!denied).then(|| format!("{LOGIN}: {statement}: {outcome:?}"))
}
