//! What is in the outbox goes out, what the broker refuses waits, and two relays never take the same row.

use crate::{goals, tenant};
use domain::outbox::{BoxError, BoxFuture, Delivery, NewMessage, OutboxMessage, Publish, Round};
use pg::{Db, Error, Scope};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// A broker that answers as it is told and remembers what it was given.
#[derive(Default)]
struct Broker {
    refuse: Vec<Uuid>,
    silent: bool,
    seen: Mutex<BTreeMap<Uuid, (u32, Vec<u8>)>>,
}

impl Publish for Broker {
    fn ready(&self) -> bool {
        true
    }

    fn publish(&self, messages: Arc<[OutboxMessage]>) -> BoxFuture<'_, Result<Vec<Delivery>, BoxError>> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            if self.silent {
                return Err("no confirm".into());
            }
            let mut seen = self.seen.lock().unwrap();
            let outcomes = messages.iter().map(|message| {
                if self.refuse.contains(&message.message_id) {
                    return Delivery::Returned;
                }
                assert_eq!(message.traceparent, Some(format!("trace of {}", message.message_id)));
                let entry = seen.entry(message.message_id).or_insert((0, message.payload.clone()));
                entry.0 += 1;
                Delivery::Confirmed
            });
            Ok(outcomes.collect())
        })
    }
}

pub async fn add(db: &Db, of: &'static str, ids: Vec<Uuid>) -> Result<(), Error> {
    let adder = db.clone();
    db.run_tx("add", Scope::Tenant(tenant("a")), move |tx| {
        let (db, ids) = (adder.clone(), ids.clone());
        Box::pin(async move {
            let messages: Vec<NewMessage> = ids
                .iter()
                .map(|id| NewMessage {
                    tenant_id: tenant(of),
                    exchange: "goalpost.workflow",
                    routing_key: "goal.changed",
                    mandatory: false,
                    message_id: *id,
                    content_type: "application/json",
                    payload: id.to_string().into_bytes(),
                    traceparent: Some(format!("trace of {id}")),
                    events: 7,
                })
                .collect();
            db.add_to_outbox(tx, &messages).await
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_empty_it_once() {
    let (_database, db) = goals().await;
    let ids: Vec<Uuid> = (0..1_000).map(|_| Uuid::now_v7()).collect();
    add(&db, "a", ids.clone()).await.unwrap();
    db.outbox().woken().await;
    let broker = Arc::new(Broker::default());
    let relay = || async {
        loop {
            let round = db.outbox().relay_round(64, Arc::clone(&broker) as Arc<dyn Publish>).await.unwrap();
            if round.claimed == 0 {
                return;
            }
        }
    };
    tokio::join!(relay(), relay());
    let seen = broker.seen.lock().unwrap();
    assert_eq!(seen.len(), 1_000);
    assert!(seen.iter().all(|(id, (times, payload))| *times == 1 && *payload == id.to_string().into_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_waits_and_its_neighbours_go() {
    let (database, db) = goals().await;
    let ids: Vec<Uuid> = (0..10).map(|_| Uuid::now_v7()).collect();
    add(&db, "a", ids.clone()).await.unwrap();
    let silent = Arc::new(Broker { silent: true, ..Broker::default() });
    let round = db.outbox().relay_round(100, silent).await.unwrap();
    assert_eq!(round, Round { claimed: 10, confirmed: 0 });
    let broker = Arc::new(Broker { refuse: vec![ids[3]], ..Broker::default() });
    let round = db.outbox().relay_round(100, broker).await.unwrap();
    assert_eq!(round, Round { claimed: 10, confirmed: 9 });
    let left = database
        .superuser()
        .await
        .unwrap()
        .query("SELECT message_id, attempts, last_error, not_before > now() FROM goals.outbox", &[])
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].get::<_, Uuid>(0), left[0].get::<_, i32>(1)), (ids[3], 1));
    assert_eq!(left[0].get::<_, String>(2), "no queue is bound for it");
    assert!(left[0].get::<_, bool>(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_tenant_is_refused_by_the_database() {
    let (_database, db) = goals().await;
    let error = add(&db, "b", vec![Uuid::now_v7()]).await.unwrap_err();
    assert_eq!(error.sqlstate().map(|s| s.code().to_owned()), Some("42501".to_owned()));
}
