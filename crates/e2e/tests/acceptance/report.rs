//! Tells what failed, by feature, scenario and step, and counts the rest. A step that nobody knows fails its scenario, a
//! file that cannot be read fails the run, and a run without a scenario is none.

use cucumber::event::{Cucumber, Feature, Hook, RetryableScenario, Rule, Scenario, Step};
use cucumber::writer::Normalized;
use cucumber::{Event, Writer, cli, gherkin, parser};

use crate::world::World;

#[derive(Debug, Default)]
pub struct Report {
    scenarios: usize,
    steps: usize,
    failures: usize,
}

/// Where something happened.
struct Place<'a> {
    feature: &'a gherkin::Feature,
    scenario: &'a gherkin::Scenario,
}

impl Report {
    /// Whether there was something to hold, and all of it held.
    pub fn is_good(&self) -> bool {
        self.failures == 0 && self.scenarios > 0 && self.steps > 0
    }

    pub fn summary(&self) -> String {
        format!("{} scenarios, {} steps held, {} failures", self.scenarios, self.steps, self.failures)
    }

    fn scenario(&mut self, place: &Place<'_>, event: &Scenario<World>) {
        match event {
            Scenario::Finished => self.scenarios += 1,
            Scenario::Background(step, outcome) | Scenario::Step(step, outcome) => match outcome {
                Step::Started => {}
                Step::Passed(..) => self.steps += 1,
                Step::Skipped => self.failed(place, Some(step), "nobody knows this step"),
                Step::Failed(_, _, _, error) => self.failed(place, Some(step), &error.to_string()),
            },
            Scenario::Hook(_, Hook::Failed(_, info)) => {
                let cause = info.downcast_ref::<String>().map_or("it cannot begin", String::as_str);
                self.failed(place, None, cause);
            }
            Scenario::Started | Scenario::Hook(..) | Scenario::Log(_) => {}
        }
    }

    fn failed(&mut self, place: &Place<'_>, step: Option<&gherkin::Step>, cause: &str) {
        self.failures += 1;
        let file = place.feature.path.as_ref().and_then(|path| path.file_name()).unwrap_or_default();
        let line = step.map_or(place.scenario.position.line, |step| step.position.line);
        println!("\nFAILED {}:{line}", file.to_string_lossy());
        println!("  Feature:  {}\n  Scenario: {}", place.feature.name, place.scenario.name);
        if let Some(step) = step {
            println!("  Step:     {} {}", step.keyword.trim(), step.value);
            for row in step.table.iter().flat_map(|table| &table.rows) {
                println!("            | {} |", row.join(" | "));
            }
        }
        println!("  {cause}");
    }
}

/// Needs no order: each event is told by itself.
impl Normalized for Report {}

impl Writer<World> for Report {
    type Cli = cli::Empty;

    async fn handle_event(&mut self, event: parser::Result<Event<Cucumber<World>>>, _: &cli::Empty) {
        match event.map(Event::into_inner) {
            Err(fault) => {
                self.failures += 1;
                println!("\nFAILED: {fault}");
            }
            Ok(Cucumber::Feature(feature, Feature::Scenario(scenario, RetryableScenario { event, .. })))
            | Ok(Cucumber::Feature(
                feature,
                Feature::Rule(_, Rule::Scenario(scenario, RetryableScenario { event, .. })),
            )) => self.scenario(&Place { feature: &feature, scenario: &scenario }, &event),
            Ok(_) => {}
        }
    }
}
