//! Meddles with the messages of the evaluator's queues while they are worked on: sends copies in another order, or poison.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::cluster::Cluster;
use crate::cluster::publisher::Publisher;
use crate::cluster::shadow::{Message, Shadow};
use crate::fault::Fault;
use crate::workload::Workload;

/// Messages among which copies change places.
const WINDOW: usize = 24;

pub struct Meddler {
    fault: Fault,
    publisher: Publisher,
    /// A queue that gets every `events.stored` as well.
    copies: Option<Shadow>,
}

/// What it did.
#[derive(Clone, Debug, Default)]
pub struct Meddled {
    pub copies: u64,
    /// How many dead letters must come of it.
    pub letters: usize,
    queues: Vec<&'static str>,
}

/// Queue, exchange, routing key and body of messages that nobody can read.
const POISON: [(&str, &str, &str, &str); 5] = [
    ("evaluator.events", "amq.default", "evaluator.events", "this is not JSON {"),
    ("evaluator.events", "amq.default", "evaluator.events", r#"{"version": 99, "tenant_id": "t", "events": []}"#),
    ("evaluator.events", "amq.default", "evaluator.events", r#"{"version": 1, "events": "none"}"#),
    ("evaluator.commands", "goalpost.commands", "recheck", "\u{fffd}["),
    ("evaluator.commands", "goalpost.commands", "recheck", r#"{"version": 99, "tenant_id": "t"}"#),
];
/// The code that each of them must end with.
const CODE: &str = "malformed_message";

impl Meddler {
    pub async fn of(fault: Fault, cluster: &Cluster, tenant: &str) -> Self {
        let copies = match fault {
            Fault::Shuffled => {
                let queue = format!("copies.{tenant}");
                Some(
                    Shadow::bind_to(
                        &cluster.http,
                        cluster.management_url(),
                        &queue,
                        &[("goalpost.events", "events.stored")],
                    )
                    .await,
                )
            }
            _ => None,
        };
        Self { fault, publisher: Publisher::of(cluster), copies }
    }

    /// Until the work has been sent.
    pub async fn meddle(&mut self, workload: &Workload, seed: u64) -> Meddled {
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(31));
        match self.fault {
            Fault::Shuffled => self.shuffle(workload, &mut rng).await,
            Fault::Poison => self.poison(workload, &mut rng).await,
            _ => Meddled::default(),
        }
    }

    async fn shuffle(&self, workload: &Workload, rng: &mut StdRng) -> Meddled {
        let mut meddled = Meddled::default();
        let mut held: Vec<Message> = Vec::new();
        loop {
            let is_last = workload.finished.get();
            for message in self.copies.as_ref().unwrap().take_all().await {
                let times = rng.random_range(1..=5);
                held.extend(std::iter::repeat_n(message, times));
            }
            while held.len() > WINDOW || (is_last && !held.is_empty()) {
                held.shuffle(rng);
                let message = held.pop().unwrap();
                let id = message.message_id.map(|id| id.to_string());
                self.publisher.publish("amq.default", "evaluator.events", &message.body, id).await;
                meddled.copies += 1;
            }
            if is_last {
                return meddled;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn poison(&self, workload: &Workload, rng: &mut StdRng) -> Meddled {
        let mut meddled = Meddled::default();
        for round in 1..=4 {
            while workload.begun() < f64::from(round) * 0.18 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut poison = POISON;
            poison.shuffle(rng);
            for (queue, exchange, key, body) in poison {
                self.publisher.publish(exchange, key, body, None).await;
                meddled.letters += 1;
                meddled.queues.push(queue);
            }
        }
        meddled
    }

    pub async fn end(self) {
        if let Some(copies) = self.copies {
            copies.end().await;
        }
    }
}

/// One message of no particular id.
pub async fn publish(cluster: &Cluster, exchange: &str, key: &str, body: &str) {
    Publisher::of(cluster).publish(exchange, key, body, None).await;
}

impl Meddled {
    /// Each poisonous message must be among the dead letters, with its queue and a code that says why.
    pub fn wrong(&self, letters: &[(String, String, String)]) -> Vec<String> {
        let mut letters: Vec<_> = letters.to_vec();
        let mut wrong = Vec::new();
        for queue in &self.queues {
            let fits = |it: &(String, String, String)| it.0 == *queue && it.1 == CODE;
            match letters.iter().position(fits) {
                Some(place) => drop(letters.remove(place)),
                None => wrong.push(format!("I16: no dead letter {CODE} of {queue}, only {letters:?}")),
            }
        }
        wrong
    }
}
