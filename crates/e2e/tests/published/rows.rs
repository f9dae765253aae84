//! Every row of a tenant, as a superuser sees it, and whether any of them has changed.

use std::collections::BTreeMap;

use load::finish::Servers;
use load::progress::Progress;
use tokio_postgres::{Client, NoTls};

use crate::dev::Dev;

const TABLES: &str = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1";

/// Of each table with a `tenant_id`: how many rows the tenant has, and what they are.
pub type Digest = BTreeMap<String, (i64, String)>;

pub async fn database(dev: &Dev) -> Client {
    let (client, connection) = tokio_postgres::connect(dev.text("/database_url"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub async fn digest(database: &Client, tenant: &str) -> Digest {
    let mut digest = Digest::new();
    for table in database.query(TABLES, &[]).await.unwrap() {
        let table: String = table.get(0);
        let text = format!(
            "SELECT count(*), md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM {table} t WHERE t.tenant_id = $1"
        );
        let row = database.query_one(&text, &[&tenant]).await.unwrap();
        digest.insert(table, (row.get(0), row.get(1)));
    }
    digest
}

/// Waits until nothing waits in an outbox or a queue.
pub async fn rest(dev: &Dev, database: &Client) {
    let servers = Servers { database, management_url: dev.text("/amqp_management_url"), vhost: "/" };
    let waiting = Progress::waiting("waiting until everything is judged");
    servers.finish(&waiting).await.unwrap();
    waiting.done();
}
