//! The end of the demo: the figures, and where the time went.

use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use domain::ids::{TenantId, WorkflowId};
use serde::Serialize;

use super::figures::Figure;
use load::progress::{Phase, grouped};

/// Everything that is said.
#[derive(Serialize)]
pub struct Report {
    /// Whether every figure came out as it must.
    pub holds: bool,
    pub tenant_id: TenantId,
    pub workflow_id: WorkflowId,
    /// The purchase that was altered, with --spoil.
    pub spoilt: Option<String>,
    pub figures: Vec<Figure>,
    pub exit_messages: Messages,
    pub phases: Vec<Timing>,
    /// Events sent once, over the time until the last of them was judged.
    pub events_per_second: f64,
}

/// What the subscriber got.
#[derive(Serialize)]
pub struct Messages {
    pub received: u64,
    pub repeats: u64,
    /// What was wrong with the first faulty ones.
    pub faults: Vec<String>,
}

/// One part of the work.
#[derive(Serialize)]
pub struct Timing {
    pub name: String,
    pub seconds: f64,
    pub per_second: Option<f64>,
}

impl From<&Phase> for Timing {
    fn from(phase: &Phase) -> Self {
        Self { name: phase.name.clone(), seconds: phase.took.as_secs_f64(), per_second: phase.per_second() }
    }
}

impl Report {
    pub fn print(&self) {
        println!("\n{}\n\n{}", self.figures_table(), self.phases_table());
        println!(
            "\n{:.0} events a second, from the first purchase sent to the last one judged.",
            self.events_per_second
        );
        println!(
            "The subscriber of workflow.exit.goal got {} messages; {} of them repeated another one, as they may.",
            grouped(self.exit_messages.received),
            grouped(self.exit_messages.repeats)
        );
        for fault in &self.exit_messages.faults {
            println!("A message broke the contract: {fault}");
        }
        if let Some(spoilt) = &self.spoilt {
            println!("Spoilt on purpose, {spoilt}.");
        }
        let wrong: Vec<&str> = self.figures.iter().filter(|it| !it.holds).map(|it| it.name.as_str()).collect();
        if self.holds {
            println!("Every figure came out as it must.");
        } else {
            println!("NOT as it must be: {}.", wrong.join("; "));
        }
    }

    fn figures_table(&self) -> Table {
        let mut table = table(&["figure", "must be", "came out", ""]);
        for figure in &self.figures {
            let (mark, color) = if figure.holds { ("✓", Color::Green) } else { ("✗", Color::Red) };
            table.add_row(vec![
                Cell::new(&figure.name),
                right(&figure.must_be),
                right(&figure.came_out),
                Cell::new(mark).fg(color),
            ]);
        }
        table
    }

    fn phases_table(&self) -> Table {
        let mut table = table(&["where the time went", "seconds", "a second"]);
        for phase in &self.phases {
            let rate = phase.per_second.map(|rate| format!("{rate:.0}")).unwrap_or_default();
            table.add_row(vec![Cell::new(&phase.name), right(&format!("{:.1}", phase.seconds)), right(&rate)]);
        }
        table
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header.to_vec());
    table
}

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}
