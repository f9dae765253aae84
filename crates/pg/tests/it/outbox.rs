//! What is in the outbox goes out, what the broker refuses waits, and two relays never take the same row.

use crate::{goals, tenant};
use domain::contract::EventsStored;
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
            db.add_to_outbox(tx, messages).await
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
    assert_eq!(round, Round { claimed: 10, more: false, unfilled: 0, confirmed: 0 });
    let broker = Arc::new(Broker { refuse: vec![ids[3]], ..Broker::default() });
    let round = db.outbox().relay_round(100, broker).await.unwrap();
    assert_eq!(round, Round { claimed: 10, more: false, unfilled: 0, confirmed: 9 });
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

/// Two chunks of `a` and one of `b`.
async fn add_chunks(db: &Db) -> Vec<Uuid> {
    let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    for (id, of) in ids.iter().zip(["a", "a", "b"]) {
        let payload = format!(r#"{{"version":1,"tenant_id":"{of}","events":[{{"event_id":"{id}"}}]}}"#);
        let message = NewMessage {
            tenant_id: tenant(of),
            exchange: EventsStored::EXCHANGE,
            routing_key: EventsStored::ROUTING_KEY,
            mandatory: true,
            message_id: *id,
            content_type: "application/json",
            payload: payload.into_bytes(),
            traceparent: None,
            events: 1,
        };
        let adder = db.clone();
        db.run_tx("add", Scope::Tenant(tenant(of)), move |tx| {
            let (db, message) = (adder.clone(), message.clone());
            Box::pin(async move { db.add_to_outbox(tx, vec![message]).await })
        })
        .await
        .unwrap();
    }
    ids
}

/// What a round publishes.
#[derive(Default)]
struct Listener {
    returns: bool,
    heard: Mutex<Vec<OutboxMessage>>,
}

impl Publish for Listener {
    fn ready(&self) -> bool {
        true
    }

    fn publish(&self, messages: Arc<[OutboxMessage]>) -> BoxFuture<'_, Result<Vec<Delivery>, BoxError>> {
        Box::pin(async move {
            self.heard.lock().unwrap().extend(messages.iter().cloned());
            let outcome = if self.returns { Delivery::Returned } else { Delivery::Confirmed };
            Ok(vec![outcome; messages.len()])
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_a_tenant_go_as_one_message_and_are_settled_together() {
    let (database, db) = goals().await;
    let ids = add_chunks(&db).await;
    let superuser = database.superuser().await.unwrap();
    let refused = Arc::new(Listener { returns: true, ..Listener::default() });
    let round = db.outbox().relay_round(100, Arc::clone(&refused) as Arc<dyn Publish>).await.unwrap();
    assert_eq!(round, Round { claimed: 3, more: false, unfilled: 2, confirmed: 0 });
    let postponed = "SELECT count(*) FROM goals.outbox WHERE attempts = 1 AND not_before > now()";
    assert_eq!(superuser.query_one(postponed, &[]).await.unwrap().get::<_, i64>(0), 3);

    superuser.execute("UPDATE goals.outbox SET not_before = NULL", &[]).await.unwrap();
    let listener = Arc::new(Listener::default());
    let round = db.outbox().relay_round(100, Arc::clone(&listener) as Arc<dyn Publish>).await.unwrap();
    assert_eq!(round, Round { claimed: 3, more: false, unfilled: 2, confirmed: 3 });
    let heard = listener.heard.lock().unwrap();
    let event = |id: &Uuid| format!(r#"{{"event_id":"{id}"}}"#);
    let chunk = |of: &str, events: &[Uuid]| {
        let events: Vec<String> = events.iter().map(event).collect();
        format!(r#"{{"version":1,"tenant_id":"{of}","events":[{}]}}"#, events.join(","))
    };
    let payloads: Vec<&str> = heard.iter().map(|message| std::str::from_utf8(&message.payload).unwrap()).collect();
    assert_eq!(payloads, [chunk("a", &ids[..2]), chunk("b", &ids[2..])]);
    assert_eq!(heard[0].message_id, refused.heard.lock().unwrap()[0].message_id, "the same rows, the same message");
    assert_eq!(heard[1].message_id, ids[2]);
}

/// Rows are as large as tenants make them; what is in memory at once is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_takes_no_more_than_its_bytes_and_leaves_nothing() {
    let (database, db) = goals().await;
    let insert = "INSERT INTO goals.outbox (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload) \
                  SELECT gen_random_uuid(), false, 'a', 'e', 'k', 't', convert_to(repeat('x', n * 1024 * 1024), 'UTF8') \
                  FROM unnest('{20,7,7,7,1}'::int[]) WITH ORDINALITY AS t (n, place) ORDER BY place";
    database.superuser().await.unwrap().execute(insert, &[]).await.unwrap();
    let (outbox, mut rounds) = (db.outbox(), Vec::new());
    loop {
        let listener = Arc::new(Listener::default());
        let round = outbox.relay_round(4, Arc::clone(&listener) as Arc<dyn Publish>).await.unwrap();
        assert_eq!(round.confirmed, round.claimed);
        if round.claimed == 0 {
            break;
        }
        let sizes =
            listener.heard.lock().unwrap().iter().map(|message| message.payload.len() >> 20).collect::<Vec<_>>();
        rounds.push((sizes, round.more));
    }
    assert_eq!(rounds, [(vec![20], true), (vec![7, 7, 7], true), (vec![1], false)]);
}

/// More than anybody looks at, one by one: how much it is is known all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_known_however_much_it_is() {
    let (database, db) = goals().await;
    let superuser = database.superuser().await.unwrap();
    let insert = "INSERT INTO goals.outbox (message_id, mandatory, tenant_id, exchange, routing_key, content_type, payload, events) \
                  SELECT gen_random_uuid(), false, 'a', 'e', 'k', 't', convert_to(repeat('x', 50), 'UTF8'), 1 FROM generate_series(1, 210000)";
    superuser.execute(insert, &[]).await.unwrap();
    let exact = "SELECT sum(pg_column_size(payload))::bigint FROM goals.outbox";
    let exact: i64 = superuser.query_one(exact, &[]).await.unwrap().get(0);
    let looked = async {
        while db.outbox_bytes() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    db.clone().watch(looked).await;
    assert_eq!(i64::try_from(db.outbox_bytes()).unwrap(), exact);
}
