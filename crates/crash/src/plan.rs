//! What the environment asks for, read once.

use crate::POINTS;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The exit code of `exit` (`EX_SOFTWARE`).
pub const EXIT_CODE: i32 = 70;

/// What happens at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Abort,
    Exit,
    Panic,
    /// For so many milliseconds, with the thread.
    Sleep(u64),
}

impl Act {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(' ') {
            None if text == "abort" => Ok(Self::Abort),
            None if text == "exit" => Ok(Self::Exit),
            None if text == "panic" => Ok(Self::Panic),
            Some(("sleep", time_ms)) => {
                time_ms.parse().map(Self::Sleep).map_err(|_| format!("{time_ms} is no number of milliseconds"))
            }
            _ => Err(format!("{text} is not abort, exit, panic or sleep")),
        }
    }
}

/// All that `GOALPOST_CRASH` asks for.
#[derive(Debug)]
pub struct Plan(Vec<Step>);

#[derive(Debug)]
struct Step {
    name: String,
    /// Empty: any.
    which: String,
    nth: u64,
    act: Act,
    hits: AtomicU64,
}

impl Plan {
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(|step| Step::parse(step.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Counts a hit; what is to happen now.
    pub fn due(&self, name: &str, which: &str) -> Option<Act> {
        let here = |step: &&Step| step.name == name && (step.which.is_empty() || step.which == which);
        let due = |step: &Step| step.hits.fetch_add(1, SeqCst) + 1 == step.nth;
        let due: Vec<Act> = self.0.iter().filter(here).filter(|step| due(step)).map(|step| step.act).collect();
        due.first().copied()
    }
}

impl Step {
    fn parse(text: &str) -> Result<Self, String> {
        let (place, act) = text.split_once('=').ok_or_else(|| format!("{text} has no ="))?;
        let (place, nth) = match place.split_once(':') {
            None => (place, 1),
            Some((place, nth)) => {
                let number = nth.parse().ok().filter(|nth| *nth > 0);
                (place, number.ok_or_else(|| format!("{nth} is no number of a hit"))?)
            }
        };
        let (name, which) = place.split_once('/').unwrap_or((place, ""));
        if !POINTS.contains(&name) {
            return Err(format!("there is no place {name}"));
        }
        let (name, which, act) = (name.to_owned(), which.to_owned(), Act::parse(act)?);
        Ok(Self { name, which, nth, act, hits: AtomicU64::new(0) })
    }
}

/// What `GOALPOST_POISON` asks for.
#[derive(Debug)]
pub struct Poison {
    text: String,
    pub act: Act,
}

impl Poison {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.rsplit_once('=') {
            Some((text, act)) if !text.is_empty() => Ok(Self { text: text.to_owned(), act: Act::parse(act)? }),
            _ => Err(format!("{text} is not TEXT=abort or the like")),
        }
    }

    pub fn is_in(&self, body: &[u8]) -> bool {
        body.windows(self.text.len()).any(|window| window == self.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_due_at_its_hit_only() {
        let plan = Plan::parse("relay.after_claim:3=abort, consumer.after_ack=sleep 20").unwrap();
        let hits = [(); 4].map(|()| plan.due("relay.after_claim", ""));
        assert_eq!(hits, [None, None, Some(Act::Abort), None]);
        let hits = [(); 2].map(|()| plan.due("consumer.after_ack", ""));
        assert_eq!(hits, [Some(Act::Sleep(20)), None]);
        assert_eq!(plan.due("relay.after_confirm", ""), None);
    }

    #[test]
    fn which_of_a_kind_can_be_said() {
        let plan = Plan::parse("commit.before/judge:2=exit,commit.after=panic").unwrap();
        let hits = ["judge", "relay", "judge"].map(|which| plan.due("commit.before", which));
        assert_eq!(hits, [None, None, Some(Act::Exit)]);
        assert_eq!(plan.due("commit.after", "anything"), Some(Act::Panic));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for text in [
            "",
            "relay.after_claim",
            "relay.after_claim=",
            "relay.after_claim=explode",
            "relay.after_claim:0=abort",
            "relay.after_claim:x=abort",
            "relay.after_claim=sleep soon",
            "no.such_place=abort",
            "relay.after_claim=abort,",
        ] {
            assert!(Plan::parse(text).is_err(), "{text}");
        }
        for text in ["", "=abort", "text", "text=explode"] {
            assert!(Poison::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn poison_is_found_by_its_text() {
        let poison = Poison::parse("a=b=panic").unwrap();
        assert_eq!(poison.act, Act::Panic);
        assert!(poison.is_in(br#"{"x":"a=b"}"#));
        assert!(!poison.is_in(b"a=c"));
        assert!(!poison.is_in(b""));
    }
}
