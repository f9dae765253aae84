//! The tables of metrics in the READMEs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::scraped::root;

/// Whose metrics are those of every service, and who has none of them.
const SHARED: [(&str, &[&str]); 4] = [("web", &[]), ("pg", &[]), ("runtime", &[]), ("bus", &["analytics"])];

/// Metrics of `pg` that need an outbox, which analytics has not.
const OF_AN_OUTBOX: [&str; 5] =
    ["outbox_messages", "outbox_events", "outbox_size_bytes", "outbox_age_seconds", "dead_letters_stored"];

/// Panics unless a service tells exactly what is promised: nothing else, and all that does not wait for something to happen.
pub fn holds(service: &str, told: &BTreeSet<String>) {
    let mut promised = table(&format!("services/{service}/README.md"));
    for (member, not_of) in SHARED {
        if !not_of.contains(&service) {
            promised.extend(table(&format!("crates/{member}/README.md")));
        }
    }
    if service == "analytics" {
        promised.retain(|name, _| !OF_AN_OUTBOX.contains(&name.as_str()));
    }
    let unknown: Vec<&String> = told.iter().filter(|name| !promised.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "{service} tells what no README has: {unknown:?}");
    let missing = promised.iter().filter(|(name, always)| **always && !told.contains(*name));
    let missing: Vec<&String> = missing.map(|(name, _)| name).collect();
    assert!(missing.is_empty(), "{service} does not tell {missing:?}");
}

/// Every metric that a README's table names.
pub fn all() -> BTreeSet<String> {
    let services = crate::scraped::SERVICES.iter().map(|service| format!("services/{service}/README.md"));
    let crates = SHARED.iter().map(|(member, _)| format!("crates/{member}/README.md"));
    services.chain(crates).flat_map(|readme| table(&readme).into_keys()).collect()
}

/// The rows of a README's table of metrics: name, and whether it is there from the start.
fn table(readme: &str) -> BTreeMap<String, bool> {
    let text = std::fs::read_to_string(root().join(readme)).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| name at `/metrics` |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cell = row.trim_start_matches("| `").split(" |").next().unwrap();
        let (name, mark) = cell.split_once('`').unwrap();
        (name.to_owned(), mark.trim() != "*")
    })
    .collect()
}
