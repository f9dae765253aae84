//! What `goalpost load` says at the end.

use std::collections::BTreeMap;

use ::load::exits::Exits;
use ::load::generator::{Percentiles, Sending};
use ::load::progress::grouped;
use comfy_table::{Table, presets};
use serde::Serialize;

/// The report; every latency is counted from the time at which a request was meant to leave.
#[derive(Serialize)]
pub struct Report {
    /// Whether everything was accepted and, where exits were asked for, every one came.
    pub holds: bool,
    /// Events a second that were asked for; 0: as fast as answers came.
    rate: f64,
    seconds: f64,
    events_per_second: f64,
    requests: u64,
    late_requests: u64,
    verdicts: Verdicts,
    /// To the answer.
    answer_ms: Percentiles,
    #[serde(skip_serializing_if = "Option::is_none")]
    exits: Option<Received>,
}

#[derive(Serialize)]
struct Verdicts {
    sent: u64,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    retry: u64,
    unknown: u64,
    codes: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Received {
    expected: u64,
    received: u64,
    repeats: u64,
    /// To the receipt of the exit.
    exit_ms: Percentiles,
}

impl Report {
    pub fn of(rate: f64, sending: &Sending, exits: Option<&Exits>) -> Self {
        let tally = sending.tally.clone();
        let exits = exits.map(|exits| Received {
            expected: tally.matching,
            received: exits.distinct(),
            repeats: exits.repeats,
            exit_ms: Percentiles::from(&exits.latency),
        });
        Self {
            holds: tally.is_clean() && exits.as_ref().is_none_or(|exits| exits.received == exits.expected),
            rate,
            seconds: sending.took.as_secs_f64(),
            events_per_second: sending.events_per_second(),
            requests: tally.requests,
            late_requests: tally.late_requests,
            verdicts: Verdicts {
                sent: tally.sent,
                accepted: tally.accepted,
                duplicates: tally.duplicates,
                rejected: tally.rejected,
                retry: tally.retry,
                unknown: tally.unknown,
                codes: tally.trouble,
            },
            answer_ms: Percentiles::from(&sending.latency),
            exits,
        }
    }

    /// For people.
    pub fn print(&self) {
        let mut lines = Table::new();
        lines.load_style(presets::UTF8_BORDERS_ONLY);
        let mut line = |name: &str, value: String| {
            lines.add_row([name.to_owned(), value]);
        };
        let Verdicts { sent, accepted, duplicates, rejected, retry, unknown, codes } = &self.verdicts;
        line("events sent", grouped(*sent));
        line("accepted", format!("{} ({:.0} a second)", grouped(*accepted), self.events_per_second));
        for (name, count) in
            [("duplicates", duplicates), ("rejected", rejected), ("to be sent again", retry), ("unknown", unknown)]
        {
            if *count > 0 {
                line(name, grouped(*count));
            }
        }
        for (code, often) in codes {
            line(&format!("  {code}"), grouped(*often));
        }
        line("requests", format!("{}, {} of them left late", grouped(self.requests), grouped(self.late_requests)));
        line("answered after", told(&self.answer_ms));
        if let Some(exits) = &self.exits {
            line("exits received", format!("{} of {}", grouped(exits.received), grouped(exits.expected)));
            line("received after", told(&exits.exit_ms));
        }
        println!("{lines}");
        println!("Latencies are counted from the time at which a request was meant to leave.");
    }
}

fn told(of: &Percentiles) -> String {
    format!("p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, at most {:.1} ms", of.p50_ms, of.p95_ms, of.p99_ms, of.max_ms)
}
