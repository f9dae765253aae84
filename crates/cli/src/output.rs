//! How a command says what it did: JSON for programs, a few lines for people.

use serde::Serialize;

/// How it is to be said.
#[derive(clap::Args, Clone, Copy)]
pub struct OutputArgs {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

impl OutputArgs {
    /// Prints `said` in the form that was asked for.
    pub fn print(self, said: &impl Serialize, for_people: impl FnOnce()) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(said)?);
        } else {
            for_people();
        }
        Ok(())
    }
}
