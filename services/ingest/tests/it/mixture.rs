//! Random mixtures of good, bad, repeated and conflicting events, in random order: a model says what
//! each must be told, and nothing may depend on its neighbours.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{World, id, view_with};

const ROUNDS: u64 = 25;

/// A small generator, so that a round can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// An event of the mixture: which id, which content, and the code if it is bad.
#[derive(Clone)]
struct Sent {
    event_id: String,
    content: usize,
    bad: Option<&'static str>,
}

impl Sent {
    fn json(&self) -> Value {
        let fields = match self.bad {
            Some("missing_field") => json!({ "event_name": null }),
            Some("placeholder_id") => json!({ "user_id": "undefined" }),
            Some("schema_violation") => {
                json!({ "event_name": "form.submitted", "properties": { "form_id": 7 } })
            }
            Some("too_large") => json!({ "properties": { "text": "x".repeat(3_000) } }),
            _ => json!({ "user_id": format!("visitor-{}", self.content) }),
        };
        view_with(&self.event_id, fields)
    }
}

fn mixture(random: &mut Random) -> Vec<Sent> {
    let ids: Vec<String> = (0..4 + random.below(20)).map(|_| id()).collect();
    let events = (0..10 + random.below(60)).map(|_| {
        let bad = ["missing_field", "placeholder_id", "schema_violation", "too_large"].get(random.below(12)).copied();
        Sent { event_id: ids[random.below(ids.len())].clone(), content: random.below(3).saturating_sub(1), bad }
    });
    events.collect()
}

/// What the events must be told, given what is stored; which then has them.
fn expected(stored: &mut HashMap<String, usize>, events: &[Sent]) -> Vec<&'static str> {
    let told = events.iter().map(|event| match (event.bad, stored.get(&event.event_id)) {
        (Some(code), _) => code,
        (None, Some(content)) if *content == event.content => "duplicate",
        (None, Some(_)) => "conflict",
        (None, None) => {
            stored.insert(event.event_id.clone(), event.content);
            "accepted"
        }
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_told_what_it_is_whatever_stands_beside_it() {
    let world = World::start().await;
    let seed = u64::from_le_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap());
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut stored = HashMap::new();
    for round in 0..ROUNDS {
        let mut events = mixture(&mut random);
        for _ in 0..3 {
            let sent: Vec<Value> = events.iter().map(Sent::json).collect();
            let told = world.statuses(&sent).await;
            assert_eq!(told, expected(&mut stored, &events), "seed {seed}, round {round}");
            random.shuffle(&mut events);
        }
    }
    assert_eq!(world.stored().await, i64::try_from(stored.len()).unwrap());
    for (event_id, content) in stored {
        let user: String =
            world.value("SELECT user_id FROM ingest.events_raw WHERE event_id::text = $1", &[&event_id]).await;
        assert_eq!(user, format!("visitor-{content}"), "the first stays");
    }
    world.stop().await;
}
