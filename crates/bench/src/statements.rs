//! How long the services' statements took in a while, from their own histograms.

use std::collections::BTreeMap;

use anyhow::Context;

const METRIC: &str = "db_statement_duration_seconds_bucket";

/// By transaction: the upper bounds in seconds, ascending, and how many statements took at most so long.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statements(BTreeMap<String, Vec<(f64, f64)>>);

impl Statements {
    /// What services with these admin addresses tell now.
    ///
    /// # Errors
    /// A service that does not answer, or a histogram that cannot be read.
    pub async fn read(http: &reqwest::Client, admin_urls: &[&str]) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for url in admin_urls {
            let text = http.get(format!("{url}/metrics")).send().await?.error_for_status()?.text().await?;
            found.add(&text)?;
        }
        Ok(found)
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        for (name, buckets) in &mut self.0 {
            for (bound, count) in buckets {
                let earlier = before.0.get(name).and_then(|all| all.iter().find(|(other, _)| other == bound));
                *count -= earlier.map_or(0.0, |(_, count)| *count);
            }
        }
        self
    }

    /// The p95 of each transaction's statements in milliseconds, as Prometheus' `histogram_quantile` has it, and how many there were.
    #[must_use]
    pub fn p95_ms(&self) -> Vec<(&str, f64, f64)> {
        let p95 = |buckets: &[(f64, f64)]| {
            let count = buckets.last()?.1;
            (count > 0.0).then(|| (1_000.0 * quantile(buckets, 0.95 * count), count))
        };
        self.0.iter().filter_map(|(name, buckets)| p95(buckets).map(|(ms, count)| (name.as_str(), ms, count))).collect()
    }

    fn add(&mut self, text: &str) -> anyhow::Result<()> {
        for line in text.lines().filter(|line| line.starts_with(METRIC)) {
            let label = |label: &str| Some(line.split_once(&format!("{label}=\""))?.1.split_once('"')?.0);
            let (name, bound) = label("name").zip(label("le")).context("a bucket without name or bound")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse()? };
            let count: f64 = line.rsplit(' ').next().context("a bucket without a count")?.parse()?;
            let buckets = self.0.entry(name.to_owned()).or_default();
            match buckets.iter_mut().find(|(other, _)| *other == bound) {
                Some((_, all)) => *all += count,
                None => buckets.push((bound, count)),
            }
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Ok(())
    }
}

/// Where the `rank`th value lies, linear within its bucket; the last bound where it is beyond all of them.
fn quantile(buckets: &[(f64, f64)], rank: f64) -> f64 {
    let (mut low, mut below) = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank && bound.is_finite() {
            return low + (bound - low) * (rank - below) / (count - below);
        }
        if bound.is_finite() {
            (low, below) = (bound, count);
        }
    }
    low
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn told(counts: [u32; 3]) -> Statements {
        let mut found = Statements::default();
        let text: Vec<String> = [("0.001", counts[0]), ("0.005", counts[1]), ("+Inf", counts[2])]
            .map(|(le, count)| format!(r#"{METRIC}{{name="judge",le="{le}"}} {count}"#))
            .into();
        found.add(&text.join("\n")).unwrap();
        found
    }

    #[test]
    fn a_quantile_is_of_what_was_added() {
        let before = told([0, 50, 100]);
        assert_eq!(told([90, 150, 200]).since(&before).p95_ms(), [("judge", 3.0, 100.0)]);
        assert_eq!(before.clone().since(&before).p95_ms(), []);
        assert_eq!(told([0, 0, 10]).p95_ms(), [("judge", 5.0, 10.0)], "beyond all bounds: the last of them");
    }
}
