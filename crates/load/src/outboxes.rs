//! The outboxes of all schemas, and what is due to be told, as a superuser sees them.

use tokio_postgres::{Client, Error};

/// How one outbox stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox {
    /// The schema it belongs to.
    pub schema: String,
    /// Messages not yet confirmed by the broker.
    pub waiting: i64,
    /// The id given last; it grows with every message that is added. None before the first.
    pub last_id: Option<i64>,
    /// Why the oldest of the waiting messages was not taken.
    pub last_error: Option<String>,
}

const SCHEMAS: &str = "SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relname = 'outbox' AND c.relkind = 'r' ORDER BY 1";

/// Every outbox, in one look.
pub async fn outboxes(client: &Client) -> Result<Vec<Outbox>, Error> {
    let schemas = client.query(SCHEMAS, &[]).await?;
    let each: Vec<String> = schemas.iter().map(|row| standing(row.get(0))).collect();
    if each.is_empty() {
        return Ok(Vec::new());
    }
    let rows = client.query(&format!("{} ORDER BY 1", each.join(" UNION ALL ")), &[]).await?;
    let outbox = |row: &tokio_postgres::Row| Outbox {
        schema: row.get(0),
        waiting: row.get(1),
        last_id: row.get(2),
        last_error: row.get(3),
    };
    Ok(rows.iter().map(outbox).collect())
}

/// How many tenants, and workflows that are active again, have an action that is due and was not announced.
pub async fn due(client: &Client) -> Result<i64, Error> {
    Ok(client.query_one("SELECT count(*) FROM evaluator.v_due_v1", &[]).await?.get(0))
}

fn standing(schema: &str) -> String {
    format!(
        "SELECT '{schema}', count(*), pg_sequence_last_value(pg_get_serial_sequence('{schema}.outbox', 'id')::regclass), \
         (SELECT o.last_error FROM {schema}.outbox o WHERE o.last_error IS NOT NULL ORDER BY o.id LIMIT 1) \
         FROM {schema}.outbox"
    )
}
