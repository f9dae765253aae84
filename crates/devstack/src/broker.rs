//! What the broker holds right now.
//!
//! RabbitMQ answers questions about quorum queues from figures that each queue reports from time
//! to time (`quorum_tick_interval`, 5 s unless changed), so whatever is asked right after a
//! publish may be answered from before it; `GET /api/queues` with `enable_queue_totals` too.
//! [`queue_totals`] waits until each queue has reported afresh. A report is known by the queue's
//! count of reductions, which grows with each, in the metrics of the `rabbitmq_prometheus`
//! plugin, the only place where length and reductions are one record.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Two reports of a broker with default settings take 10 s.
const LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// How many messages a queue holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueueTotal {
    /// The queue's name.
    pub name: String,
    /// Messages that wait.
    pub ready: u64,
    /// Messages that were delivered to a consumer and not yet acknowledged.
    pub unacked: u64,
}

/// The queues of a virtual host, sorted by name, as they were at some moment between the call
/// and its answer: what was published with a confirm before the call is counted, what was
/// acknowledged and processed before it is not. Takes two report intervals (0.2 s on a stack's
/// own broker, up to 10 s on one with default settings). Needs the plugins `rabbitmq_management`
/// and, for quorum queues, `rabbitmq_prometheus` on the same host.
pub async fn queue_totals(management_url: &str, vhost: &str) -> anyhow::Result<Vec<QueueTotal>> {
    let broker = Broker::new(management_url)?;
    let limit = Instant::now() + LIMIT;
    let mut reports = HashMap::new();
    let mut metrics = None;
    loop {
        let queues = broker.queues(vhost).await?;
        if queues.iter().any(|queue| queue.kind == "quorum") {
            let address = match &metrics {
                Some(address) => address,
                None => metrics.insert(broker.metrics_address(vhost).await?),
            };
            observe(&mut reports, parse_metrics(&broker.text(address.clone()).await?));
        }
        let mut totals = Vec::with_capacity(queues.len());
        let mut late = None;
        for queue in queues {
            match (queue.kind.as_str(), reports.get(&queue.name)) {
                // Two new reports: the first may have been counted before the call and filed
                // after it.
                ("quorum", Some(Watched { renewals: 2.., last, .. })) => {
                    totals.push(QueueTotal { name: queue.name, ready: last.ready, unacked: last.unacked })
                }
                ("quorum", _) => late = Some(queue.name),
                // Other kinds are asked by the broker at each call.
                _ => totals.push(QueueTotal {
                    name: queue.name,
                    ready: queue.messages_ready,
                    unacked: queue.messages_unacknowledged,
                }),
            }
        }
        let Some(late) = late else {
            totals.sort_by(|one, other| one.name.cmp(&other.name));
            return Ok(totals);
        };
        if Instant::now() > limit {
            bail!("queue {late} has not reported for {} s", LIMIT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    messages_ready: u64,
    #[serde(default)]
    messages_unacknowledged: u64,
}

#[derive(Deserialize)]
struct Overview {
    listeners: Vec<Listener>,
}

#[derive(Deserialize)]
struct Listener {
    protocol: String,
    port: u16,
}

/// One report of a queue about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Report {
    ready: u64,
    unacked: u64,
    reductions: u64,
}

struct Watched {
    last: Report,
    renewals: u32,
}

fn observe(watched: &mut HashMap<String, Watched>, reports: HashMap<String, Report>) {
    for (queue, report) in reports {
        match watched.get_mut(&queue) {
            Some(known) if known.last.reductions == report.reductions => {}
            Some(known) => {
                known.last = report;
                known.renewals += 1;
            }
            None => {
                watched.insert(queue, Watched { last: report, renewals: 0 });
            }
        }
    }
}

struct Broker {
    http: Client,
    management: Url,
}

impl Broker {
    fn new(management_url: &str) -> anyhow::Result<Self> {
        let management = Url::parse(management_url).context("not an address of a management API")?;
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        Ok(Self { http, management })
    }

    async fn queues(&self, vhost: &str) -> anyhow::Result<Vec<Queue>> {
        let mut address = self.management.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["api", "queues", vhost]);
        }
        address.set_query(Some("disable_stats=true&enable_queue_totals=true"));
        self.json(address).await
    }

    /// Where the metrics of the virtual host's queues are: found by the broker's own list of what
    /// it listens to.
    async fn metrics_address(&self, vhost: &str) -> anyhow::Result<Url> {
        let overview: Overview = self.json(self.management.join("/api/overview")?).await?;
        let listener = overview
            .listeners
            .into_iter()
            .find(|listener| listener.protocol == "http/prometheus")
            .context("the broker has no metrics: `rabbitmq-plugins enable rabbitmq_prometheus`")?;
        let mut address = self.management.join("/metrics/detailed")?;
        let plain = address.set_username("").and_then(|()| address.set_password(None));
        if plain.and_then(|()| address.set_port(Some(listener.port))).is_err() {
            bail!("{} has no port", self.management);
        }
        address.query_pairs_mut().append_pair("family", "queue_coarse_metrics").append_pair("vhost", vhost);
        Ok(address)
    }

    async fn json<T: DeserializeOwned>(&self, address: Url) -> anyhow::Result<T> {
        serde_json::from_str(&self.text(address).await?).context("the broker's answer is strange")
    }

    async fn text(&self, address: Url) -> anyhow::Result<String> {
        let answer = self.http.get(address).send().await.and_then(|it| it.error_for_status());
        let text = match answer {
            Ok(answer) => answer.text().await,
            Err(error) => Err(error),
        };
        // The address holds a password.
        text.map_err(reqwest::Error::without_url).context("the broker does not answer")
    }
}

/// Reads lines like `rabbitmq_detailed_queue_messages_ready{vhost="/",queue="a"} 3`.
fn parse_metrics(text: &str) -> HashMap<String, Report> {
    let mut reports: HashMap<String, Report> = HashMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else {
            continue;
        };
        let Some((labels, value)) = rest.rsplit_once("} ") else {
            continue;
        };
        let Some(value) = value.parse().ok() else {
            continue;
        };
        let Some(queue) = queue_label(labels) else {
            continue;
        };
        let report = reports.entry(queue).or_default();
        match name {
            "rabbitmq_detailed_queue_messages_ready" => report.ready = value,
            "rabbitmq_detailed_queue_messages_unacked" => report.unacked = value,
            "rabbitmq_detailed_queue_process_reductions_total" => report.reductions = value,
            _ => {}
        }
    }
    reports
}

/// The label `queue`, which is the last one, with its escapes undone.
fn queue_label(labels: &str) -> Option<String> {
    let escaped = labels.split_once("queue=\"")?.1.strip_suffix('"')?;
    let mut name = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                other => other,
            },
            plain => plain,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_become_reports() {
        let text = "# TYPE rabbitmq_detailed_queue_messages_ready gauge\n\
             rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"a.\\\"b\\\"\"} 3\n\
             rabbitmq_detailed_queue_messages_unacked{vhost=\"/\",queue=\"a.\\\"b\\\"\"} 4\n\
             rabbitmq_detailed_queue_messages{vhost=\"/\",queue=\"a.\\\"b\\\"\"} 7\n\
             rabbitmq_detailed_queue_process_reductions_total{vhost=\"/\",queue=\"a.\\\"b\\\"\"} 99\n";
        let expected = Report { ready: 3, unacked: 4, reductions: 99 };
        assert_eq!(parse_metrics(text), HashMap::from([("a.\"b\"".to_owned(), expected)]));
    }

    #[test]
    fn only_a_new_report_counts() {
        let mut watched = HashMap::new();
        let report = |ready, reductions| HashMap::from([("q".to_owned(), Report { ready, unacked: 0, reductions })]);
        for (ready, reductions, renewals) in [(0, 10, 0), (0, 10, 0), (0, 12, 1), (1, 15, 2)] {
            observe(&mut watched, report(ready, reductions));
            let seen = watched.get("q").map(|it| (it.last.ready, it.renewals));
            assert_eq!(seen, Some((ready, renewals)));
        }
    }
}
