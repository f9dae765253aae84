//! `/metrics` of the running services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dev::Dev;

pub const SERVICES: [&str; 4] = ["analytics", "evaluator", "goals", "ingest"];

const LIMIT: Duration = Duration::from_secs(30);

/// Gauges that a service fills some time after its start; the last thing each fills.
const LAST_FILLED: [(&str, &str); 4] = [
    ("analytics", "db_pool_in_use"),
    ("evaluator", "goal_backlog_queued"),
    ("goals", "dead_letters_stored"),
    ("ingest", "ingest_partitions_months"),
];

/// By service.
pub struct Scraped(BTreeMap<&'static str, String>);

impl Scraped {
    /// Reads them all, once every gauge is filled.
    pub async fn of_all_services(dev: &Dev) -> Self {
        let mut texts = BTreeMap::new();
        for (service, last) in LAST_FILLED {
            let limit = Instant::now() + LIMIT;
            let url = format!("{}/metrics", dev.text(&format!("/services/{service}/admin_url")));
            let filled = |text: &str| [last, "db_pool_in_use"].iter().all(|name| names(text).contains(*name));
            let text = loop {
                let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
                if filled(&text) {
                    break text;
                }
                assert!(Instant::now() < limit, "{service} does not tell {last}: {text}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            texts.insert(service, text);
        }
        Self(texts)
    }

    /// Writes them where `scripts/alerts` looks: promtool has to take them.
    pub fn keep_for_promtool(&self) {
        for (service, text) in &self.0 {
            std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{service}.metrics")), text).unwrap();
        }
    }

    pub fn names(&self, service: &str) -> BTreeSet<String> {
        names(&self.0[service])
    }

    pub fn all_names(&self) -> BTreeSet<String> {
        self.0.values().flat_map(|text| names(text)).collect()
    }
}

/// The names of the metrics, of histograms without the endings of their parts.
fn names(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}
