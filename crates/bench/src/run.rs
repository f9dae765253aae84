//! One load on the stand, from its first request to the moment at which everything is judged, and whether all of it came out.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::bail;
use hdrhistogram::Histogram;
use load::clock::Clock;
use load::exits::{Exits, subscribe};
use load::generator::{Load, Pace, Sending, send};
use load::mix::Mix;
use load::progress::Progress;
use load::scenario::{Contents, PPM, Scenario};

use crate::stand::Stand;
use crate::store;

/// What is sent. The scenario is prepared already.
#[derive(Clone, Debug)]
pub struct Shape {
    pub scenario: Scenario,
    pub matching_ppm: u64,
    pub strangers_ppm: u64,
    pub pace: Pace,
    pub batch: u64,
    pub connections: usize,
    pub duration: Duration,
}

impl Shape {
    /// Nothing matches.
    pub fn new(scenario: Scenario, pace: Pace, duration: Duration) -> Self {
        Self { scenario, matching_ppm: 0, strangers_ppm: 0, pace, batch: 100, connections: 8, duration }
    }

    /// A number of events or contacts with a reserve.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number that is not negative")]
    pub fn enough(count: f64) -> u64 {
        (count * 1.02) as u64 + 1_000
    }

    /// So many percent meet a goal of an enrolled contact.
    pub fn matching(self, percent: u64) -> Self {
        Self { matching_ppm: percent * PPM / 100, ..self }
    }
}

/// What came of it.
pub struct Outcome {
    pub sending: Sending,
    /// From the first request to the moment at which everything was seen to be judged.
    pub judged: Duration,
    pub exits: u64,
    /// From the first request to the receipt of the last exit.
    pub last_exit: Duration,
    pub exit_latency: Histogram<u64>,
    /// What was lost, refused or left unjudged.
    pub faults: Vec<String>,
}

impl Outcome {
    /// Events a second, until all were judged.
    pub fn judged_per_second(&self) -> f64 {
        per_second(self.sending.tally.accepted, self.judged)
    }
}

/// So many in that time, as a rate.
pub fn per_second(count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / took.as_secs_f64().max(f64::EPSILON)
}

/// Sends it and waits until it is judged.
pub async fn run(stand: &Stand, shape: &Shape) -> anyhow::Result<Outcome> {
    let clock = Clock::start();
    let exits = RefCell::new(Exits::of(clock));
    let mut subscription = subscribe(&stand.place.amqp_url).await?;
    let listen = async {
        while let Some(message) = subscription.next().await {
            exits.borrow_mut().take(&message);
        }
    };
    let work = async {
        let progress = Progress::waiting("sending");
        let began = Instant::now();
        let sending = send(load_of(stand, shape), clock, progress.adder()).await?;
        progress.say("waiting until everything is judged");
        let since = stand.servers()?.finish(&progress).await?;
        let limit = Instant::now() + Duration::from_secs(5);
        while exits.borrow().distinct() < sending.tally.matching && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        progress.done();
        anyhow::Ok((sending, began, since))
    };
    let (sending, began, since) = tokio::select! {
        biased;
        () = listen => bail!("the subscriber of workflow.exit.goal lost its connection"),
        worked = work => worked?,
    };
    let exits = exits.into_inner();
    let faults = faults(stand, &sending, &exits).await?;
    Ok(Outcome {
        judged: since.saturating_duration_since(began),
        exits: exits.distinct(),
        last_exit: exits.last_after(began),
        exit_latency: exits.latency,
        faults,
        sending,
    })
}

fn load_of(stand: &Stand, shape: &Shape) -> Load {
    let tokens = stand.tenants(shape.scenario.tenants).iter().map(|tenant| tenant.write_token.clone()).collect();
    Load {
        url: stand.place.services.ingest.url.clone(),
        tokens,
        contents: Contents {
            scenario: shape.scenario,
            mix: Mix::default(),
            matching_ppm: shape.matching_ppm,
            strangers_ppm: shape.strangers_ppm,
        },
        pace: shape.pace,
        duration: shape.duration,
        batch: shape.batch,
        connections: shape.connections,
    }
}

/// What the client was told, against what the tables hold and what the subscriber got.
async fn faults(stand: &Stand, sending: &Sending, exits: &Exits) -> anyhow::Result<Vec<String>> {
    let tally = &sending.tally;
    let counts = store::counts(&stand.database).await?;
    let mut faults = Vec::new();
    let mut differ = |what: &str, is: i64, must_be: u64| {
        if i64::try_from(must_be) != Ok(is) {
            faults.push(format!("{what}: {is}, must be {must_be}"));
        }
    };
    differ("events that were not accepted", i64::try_from(tally.sent - tally.accepted)?, 0);
    differ("events stored", counts.events, tally.accepted);
    differ("ids in the ledger", counts.keys, tally.accepted);
    differ("enrollments that left by a goal", counts.completed, tally.matching);
    differ("enrollments with an achievement", counts.achieved, tally.matching);
    differ("exits received", i64::try_from(exits.distinct())?, tally.matching);
    differ("dead letters", counts.dead_letters, 0);
    faults.extend(tally.trouble.iter().map(|(what, often)| format!("{often} × {what}")));
    Ok(faults)
}
