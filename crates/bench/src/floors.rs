//! What bare SQL does with the same rows, the same tables and the same roles under row level security.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use load::clock::Clock;
use load::mix::Mix;
use load::scenario::{Contents, Scenario, Sent};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::run::per_second;
use crate::stand::Stand;
use crate::store::{self, floor};

/// Events of one message of ingest.
const CHUNK: usize = 200;
/// Enrollments of one transaction of the evaluator.
const EXITS: usize = 200;

/// Rows of one transaction as arrays; ids and hashes are made anew for each.
struct Rows {
    names: Vec<String>,
    contacts: Vec<String>,
    properties: Vec<String>,
    payloads: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct Event {
    event_name: String,
    contact_id: String,
    properties: Box<RawValue>,
}

impl Rows {
    /// The events that the load sends.
    fn of(count: usize) -> anyhow::Result<Self> {
        let scenario = Scenario { tenants: 1, workflows: 1, enrollments: 0 };
        let contents = Contents { scenario, mix: Mix::default(), matching_ppm: 0, strangers_ppm: 0 };
        let (clock, mut body) = (Clock::start(), Vec::new());
        let sent = Sent { clock: &clock, tenant: 0, intended_us: clock.now_us() };
        contents.write(&mut body, (0, u64::try_from(count)?), sent);
        let texts: Vec<Box<RawValue>> = serde_json::from_slice(&body)?;
        let events: Vec<Event> = serde_json::from_slice(&body)?;
        let payload = |chunk: &[Box<RawValue>]| {
            let events: Vec<&str> = chunk.iter().map(|text| text.get()).collect();
            format!(r#"{{"version":1,"tenant_id":"t","events":[{}]}}"#, events.join(",")).into_bytes()
        };
        Ok(Self {
            payloads: texts.chunks(CHUNK).map(payload).collect(),
            names: events.iter().map(|event| event.event_name.clone()).collect(),
            contacts: events.iter().map(|event| event.contact_id.clone()).collect(),
            properties: events.iter().map(|event| event.properties.get().to_owned()).collect(),
        })
    }
}

/// Rows a second that `connections` write straight into ledger, events with their three indexes, and outbox, in transactions of
/// `count` rows, everything of a transaction in one flight.
pub async fn stored_rows(stand: &Stand, connections: usize, count: usize, lasts: Duration) -> anyhow::Result<f64> {
    store::reset(&stand.database).await?;
    let rows = Rows::of(count)?;
    let stored = Cell::new(0_u64);
    let clients = try_join_all((0..connections).map(|_| stand.login("goalpost_ingest_system"))).await?;
    let began = Instant::now();
    let tenant = stand.tenants[0].id.as_str();
    let (rows, stored) = (&rows, &stored);
    try_join_all(clients.iter().map(|client| async move {
        let statements = [floor::KEYS, floor::EVENTS, floor::OUTBOX];
        let prepared = try_join_all(statements.iter().map(|sql| client.prepare(sql))).await?;
        while began.elapsed() < lasts {
            store_once(client, &prepared, tenant, rows).await?;
            stored.set(stored.get() + rows.names.len() as u64);
        }
        anyhow::Ok(())
    }))
    .await
    .context("the floor of ingest")?;
    let rate = per_second(stored.get(), began.elapsed());
    store::reset(&stand.database).await?;
    Ok(rate)
}

#[expect(clippy::disallowed_methods, reason = "a floor is a transaction without the machinery round it")]
async fn store_once(client: &Client, prepared: &[Statement], tenant: &str, rows: &Rows) -> anyhow::Result<()> {
    let [keys, events, outbox] = prepared else { anyhow::bail!("three statements are prepared") };
    let mut ids: Vec<Uuid> = rows.names.iter().map(|_| Uuid::now_v7()).collect();
    ids.sort_unstable();
    let hashes: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let messages: Vec<Uuid> = rows.payloads.iter().map(|_| Uuid::now_v7()).collect();
    let payloads: Vec<&[u8]> = rows.payloads.iter().map(Vec::as_slice).collect();
    futures_util::try_join!(
        client.batch_execute("BEGIN"),
        async { client.execute(keys, &[&tenant, &ids, &hashes]).await },
        async { client.execute(events, &[&tenant, &ids, &rows.names, &rows.contacts, &rows.properties]).await },
        async { client.execute(outbox, &[&tenant, &messages, &payloads]).await },
        client.batch_execute("COMMIT"),
    )?;
    Ok(())
}

/// Exits a second by bare SQL: lock, exit, achievements and facts of 200 enrollments in a transaction, from two connections.
pub async fn exits(stand: &Stand, enrollments: u64, lasts: Duration) -> anyhow::Result<f64> {
    let scenario = Scenario { tenants: 1, workflows: 10, enrollments };
    store::prepare(&stand.database, stand.tenants(1), scenario).await?;
    let tenant = &stand.tenants[0];
    let active = store::active(&stand.database, tenant, i64::try_from(enrollments)?).await?;
    let chunks: Vec<&[(Uuid, Uuid, String)]> = active.chunks(EXITS).collect();
    let (next, done) = (&Cell::new(0), &Cell::new(0_u64));
    let clients = try_join_all((0..2).map(|_| stand.login("goalpost_evaluator"))).await?;
    let began = Instant::now();
    let (chunks, tenant) = (&chunks, tenant.id.as_str());
    try_join_all(clients.iter().map(|client| async move {
        let statements = [floor::ENTER, floor::LOCK, floor::EXIT, floor::ACHIEVED, floor::FACTS];
        let prepared = try_join_all(statements.iter().map(|sql| client.prepare(sql))).await?;
        while began.elapsed() < lasts {
            let at: usize = next.replace(next.get() + 1);
            let Some(chunk) = chunks.get(at) else { break };
            exit_once(client, &prepared, tenant, chunk).await?;
            done.set(done.get() + chunk.len() as u64);
        }
        anyhow::Ok(())
    }))
    .await
    .context("the floor of exits")?;
    Ok(per_second(done.get(), began.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "a floor is a transaction without the machinery round it")]
async fn exit_once(
    client: &Client,
    prepared: &[Statement],
    tenant: &str,
    chunk: &[(Uuid, Uuid, String)],
) -> anyhow::Result<()> {
    let [enter, lock, exit, achieved, facts] = prepared else { anyhow::bail!("five statements are prepared") };
    let ids: Vec<Uuid> = chunk.iter().map(|(id, _, _)| *id).collect();
    let workflows: Vec<Uuid> = chunk.iter().map(|(_, workflow, _)| *workflow).collect();
    let contacts: Vec<&str> = chunk.iter().map(|(_, _, contact)| contact.as_str()).collect();
    let payload = vec![b'x'; 900];
    futures_util::try_join!(
        client.batch_execute("BEGIN"),
        async { client.query_one(enter, &[&tenant]).await },
        async { client.query(lock, &[&tenant, &ids]).await }
    )?;
    futures_util::try_join!(
        async { client.execute(exit, &[&tenant, &ids]).await },
        async { client.execute(achieved, &[&tenant, &ids, &workflows, &contacts]).await },
        async { client.execute(facts, &[&tenant, &ids, &payload]).await },
        client.batch_execute("COMMIT"),
    )?;
    Ok(())
}
