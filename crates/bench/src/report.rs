//! What the bench found: a table, JSON, a picture.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::picture;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Only told.
    None,
}

/// One figure of a row, with what it must be.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub measured: f64,
    pub unit: &'static str,
    pub goal: Goal,
    pub holds: bool,
}

impl Figure {
    pub fn new(name: impl Into<String>, measured: f64, unit: &'static str, goal: Goal) -> Self {
        let holds = match goal {
            Goal::AtLeast(least) => measured >= least,
            Goal::AtMost(most) => measured <= most,
            Goal::None => true,
        };
        Self { name: name.into(), measured, unit, goal, holds }
    }

    /// How far over (or under) the goal: 1 is exactly the goal, more is better.
    pub fn margin(&self) -> Option<f64> {
        match self.goal {
            Goal::AtLeast(least) => Some(self.measured / least),
            Goal::AtMost(most) => Some(most / self.measured.max(f64::EPSILON)),
            Goal::None => None,
        }
    }
}

/// A row of the table in spec/7.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: &'static str,
    /// What was sent, and how.
    pub load: String,
    pub figures: Vec<Figure>,
    /// Events that were lost, refused or left unjudged: the row is worth nothing.
    pub faults: Vec<String>,
    /// More of what was measured.
    pub details: Value,
}

impl Row {
    pub fn new(name: &'static str, load: impl Into<String>) -> Self {
        Self { name, load: load.into(), figures: Vec::new(), faults: Vec::new(), details: Value::Null }
    }

    /// Adds a figure that must be at least so much.
    pub fn at_least(&mut self, name: impl Into<String>, measured: f64, unit: &'static str, least: f64) {
        self.figures.push(Figure::new(name, measured, unit, Goal::AtLeast(least)));
    }

    /// Adds a figure that must be at most so much.
    pub fn at_most(&mut self, name: impl Into<String>, measured: f64, unit: &'static str, most: f64) {
        self.figures.push(Figure::new(name, measured, unit, Goal::AtMost(most)));
    }

    /// Adds a figure that is only told.
    pub fn tell(&mut self, name: impl Into<String>, measured: f64, unit: &'static str) {
        self.figures.push(Figure::new(name, measured, unit, Goal::None));
    }

    /// Says it now: a whole run takes minutes.
    pub fn say(&self) {
        for figure in &self.figures {
            eprintln!("   {}: {} {}{}", figure.name, number(figure.measured), figure.unit, verdict(figure));
        }
        for fault in &self.faults {
            eprintln!("   FAULT {fault}");
        }
    }
}

fn verdict(figure: &Figure) -> String {
    match figure.goal {
        Goal::None => String::new(),
        _ if figure.holds => format!(" ({}: holds)", goal(figure.goal)),
        _ => format!(" ({}: MISSED)", goal(figure.goal)),
    }
}

fn goal(goal: Goal) -> String {
    match goal {
        Goal::AtLeast(least) => format!("≥ {}", number(least)),
        Goal::AtMost(most) => format!("≤ {}", number(most)),
        Goal::None => String::new(),
    }
}

/// Three digits, and thousands in groups.
fn number(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure for people")]
    match value {
        value if value >= 1_000.0 => load::progress::grouped(value.round() as u64),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The whole run.
#[derive(Serialize)]
pub struct Report {
    pub rows: Vec<Row>,
    seconds_of_load: f64,
    took_seconds: f64,
    cores: usize,
}

impl Report {
    pub fn new(rows: Vec<Row>, took: Duration, seconds_of_load: f64) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { rows, seconds_of_load, took_seconds: took.as_secs_f64(), cores }
    }

    /// Whether nothing was lost, refused or left unjudged.
    pub fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.faults.is_empty())
    }

    /// Whether every goal was met.
    pub fn holds(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.figures).all(|figure| figure.holds)
    }

    /// Writes bench.json and bench.svg.
    pub fn write(&self, to: &Path) -> anyhow::Result<()> {
        let written = std::fs::create_dir_all(to)
            .and_then(|()| std::fs::write(to.join("bench.json"), serde_json::to_string_pretty(self)?))
            .and_then(|()| std::fs::write(to.join("bench.svg"), picture::draw(&self.rows)));
        written.with_context(|| format!("cannot write to {}", to.display()))
    }

    pub fn print(&self) {
        let mut lines = Table::new();
        lines.load_style(presets::UTF8_FULL_CONDENSED).set_header(["row", "what", "measured", "goal", "holds"]);
        for row in &self.rows {
            for (place, figure) in row.figures.iter().enumerate() {
                let name = if place == 0 { row.name } else { "" };
                let holds = match figure.goal {
                    Goal::None => "",
                    _ if figure.holds => "yes",
                    _ => "NO",
                };
                lines.add_row([
                    Cell::new(name),
                    Cell::new(&figure.name),
                    Cell::new(format!("{} {}", number(figure.measured), figure.unit))
                        .set_alignment(CellAlignment::Right),
                    Cell::new(goal(figure.goal)).set_alignment(CellAlignment::Right),
                    Cell::new(holds),
                ]);
            }
        }
        println!("{lines}");
        for row in &self.rows {
            println!("{}: {}", row.name, row.load);
            row.faults.iter().for_each(|fault| println!("  FAULT {fault}"));
        }
        println!("{:.0} s in all, on {} cores with everything on them.", self.took_seconds, self.cores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_knows_whether_it_holds_and_by_how_much() {
        let fast = Figure::new("a", 45_000.0, "events/s", Goal::AtLeast(30_000.0));
        assert!(fast.holds && fast.margin() == Some(1.5));
        let slow = Figure::new("a", 100.0, "ms", Goal::AtMost(50.0));
        assert!(!slow.holds && slow.margin() == Some(0.5));
        assert_eq!(Figure::new("a", 1.0, "", Goal::None).margin(), None);
    }

    #[test]
    fn a_fault_makes_a_report_unsound_and_a_missed_goal_does_not() {
        let mut row = Row::new("ingest", "");
        row.at_most("p95", 100.0, "ms", 50.0);
        let report = |row: &Row| Report::new(vec![row.clone()], Duration::ZERO, 20.0);
        assert!(report(&row).is_sound() && !report(&row).holds());
        row.faults.push("lost".to_owned());
        assert!(!report(&row).is_sound());
    }

    #[test]
    fn figures_have_the_digits_that_say_something() {
        for (value, text) in [(0.5, "0.50"), (12.34, "12.3"), (123.4, "123"), (12_345.6, "12,346")] {
            assert_eq!(number(value), text);
        }
    }
}
