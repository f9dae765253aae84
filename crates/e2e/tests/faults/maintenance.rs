//! `goalpost maintain` in the midst of the work, twice at once: what nobody keeps goes, and nothing else.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;
use uuid::Uuid;

use crate::cluster::{Cluster, program};

const OLD: i32 = 2_000;

/// Stores events of three years ago as a tenant who keeps them for 396 days, and has them taken away.
pub async fn maintain(cluster: &Cluster) -> Result<Instant, String> {
    const STORE: &str = "INSERT INTO ingest.events_raw (received_at, event_time, occurred_at, event_id, time_clamped, tenant_id, event_name, properties) \
         SELECT t.at, t.at, t.at, gen_random_uuid(), false, $1, 'page_viewed', '{}' FROM generate_series(1, $2) AS n, \
         LATERAL (SELECT now() - interval '3 years' - n * interval '1 hour' AS at) AS t";
    const LEFT: &str = "SELECT count(*) FROM ingest.events_raw WHERE tenant_id = $1";
    const TENANT: &str =
        "INSERT INTO platform.tenants (tenant_id, content_key) VALUES ($1, sha256(convert_to($1::text, 'UTF8')))";
    let database = cluster.database().await;
    let tenant = format!("old-{}", Uuid::now_v7().simple());
    database.execute(TENANT, &[&tenant]).await.unwrap();
    database.execute(STORE, &[&tenant, &OLD]).await.unwrap();
    let (one, other) = tokio::join!(run(cluster), run(cluster));
    one?;
    other?;
    let left: i64 = database.query_one(LEFT, &[&tenant]).await.unwrap().get(0);
    if left != 0 {
        return Err(format!("I18: {left} of {OLD} events of three years ago are left"));
    }
    Ok(Instant::now())
}

async fn run(cluster: &Cluster) -> Result<(), String> {
    let mut command = Command::new(program());
    command.args(["maintain", "--pause-ms", "0", "--database-url", cluster.stack.database_url()]);
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(()).ok_or_else(|| format!("goalpost maintain: {} {said}", output.status))
}
