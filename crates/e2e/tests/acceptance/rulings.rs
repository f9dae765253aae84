//! Every numbered ruling on goals has a scenario that bears its number: `@ruling-07`.

use std::collections::BTreeSet;
use std::path::Path;

use cucumber::gherkin::{Feature, GherkinEnv};

const RULINGS: std::ops::RangeInclusive<u32> = 1..=45;

/// Rulings that no scenario over HTTP and the bus can show, and why. The list only shrinks.
const WITHOUT: [(u32, &str); 0] = [];

/// What is missing, if anything is.
pub fn all_have_a_scenario(features: &Path) -> Result<(), String> {
    let tagged = tagged(features)?;
    let without: BTreeSet<u32> = WITHOUT.iter().map(|(ruling, _)| *ruling).collect();
    let missing: Vec<u32> = RULINGS.filter(|ruling| !tagged.contains(ruling) && !without.contains(ruling)).collect();
    let strange: Vec<&u32> = tagged.iter().filter(|it| !RULINGS.contains(it) || without.contains(it)).collect();
    match (missing.as_slice(), strange.as_slice()) {
        ([], []) => Ok(()),
        ([], _) => Err(format!("no such rulings, or listed as without a scenario: {strange:?}")),
        _ => Err(format!("rulings without a scenario: {missing:?}")),
    }
}

fn tagged(features: &Path) -> Result<BTreeSet<u32>, String> {
    let mut tagged = BTreeSet::new();
    for entry in std::fs::read_dir(features).map_err(|error| format!("{}: {error}", features.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let feature = Feature::parse_path(&path, GherkinEnv::default());
        let feature = feature.map_err(|error| format!("{error:?}"))?;
        let of_rules = feature.rules.iter().flat_map(|rule| &rule.scenarios);
        for tag in feature.scenarios.iter().chain(of_rules).flat_map(|scenario| &scenario.tags) {
            let number = tag.strip_prefix("ruling-").map(str::parse::<u32>);
            tagged.extend(number.transpose().map_err(|error| format!("@{tag}: {error}"))?);
        }
    }
    Ok(tagged)
}
