//! Which event types a load has, and how much of each.

use std::str::FromStr;

/// The types that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PageViewed,
    Payment,
    Tag,
    Form,
    Stage,
    Appointment,
}

const KINDS: [Kind; 6] = [Kind::PageViewed, Kind::Payment, Kind::Tag, Kind::Form, Kind::Stage, Kind::Appointment];

impl Kind {
    /// The event's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::PageViewed => "page_viewed",
            Self::Payment => "payment.completed",
            Self::Tag => "contact.tag.added",
            Self::Form => "form.submitted",
            Self::Stage => "pipeline.stage.changed",
            Self::Appointment => "appointment.booked",
        }
    }
}

/// Types by weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// One entry per unit of weight, spread so that each stretch has about the same mixture.
    turns: Vec<Kind>,
}

impl Default for Mix {
    fn default() -> Self {
        Self::of(&[(Kind::PageViewed, 50), (Kind::Payment, 20), (Kind::Tag, 15), (Kind::Form, 10), (Kind::Stage, 5)])
    }
}

impl Mix {
    fn of(weights: &[(Kind, u32)]) -> Self {
        let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut owed = vec![0_i64; weights.len()];
        let mut turns = Vec::new();
        for _ in 0..total {
            for (owed, (_, weight)) in owed.iter_mut().zip(weights) {
                *owed += i64::from(*weight);
            }
            let next = (0..weights.len()).max_by_key(|&at| (owed[at], weights.len() - at)).unwrap_or_default();
            owed[next] -= i64::from(total);
            turns.push(weights[next].0);
        }
        Self { turns }
    }

    /// The type of the event of this number.
    pub fn kind(&self, number: u64) -> Kind {
        let turns = u64::try_from(self.turns.len()).unwrap_or(1);
        usize::try_from(number % turns).ok().and_then(|turn| self.turns.get(turn)).copied().unwrap_or(Kind::PageViewed)
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `page_viewed=50,payment.completed=50`
    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').ok_or("write it as page_viewed=50,payment.completed=50")?;
            let kind = KINDS
                .into_iter()
                .find(|kind| kind.name() == name)
                .ok_or_else(|| format!("{name} is not one of {}", KINDS.map(Kind::name).join(", ")))?;
            let weight = weight.parse::<u32>().map_err(|_| format!("the weight of {name} is a whole number"))?;
            if weight > 1_000 {
                return Err(format!("the weight of {name} is over 1000"));
            }
            weights.push((kind, weight));
        }
        if weights.iter().all(|(_, weight)| *weight == 0) {
            return Err("some type needs a weight".to_owned());
        }
        Ok(Self::of(&weights))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_mix_has_its_weights() {
        let mix: Mix = "page_viewed=3,form.submitted=1".parse().unwrap();
        let forms = (0..400).filter(|&number| mix.kind(number) == Kind::Form).count();
        assert_eq!(forms, 100);
        let first: Vec<Kind> = (0..4).map(|number| mix.kind(number)).collect();
        assert_eq!(first.iter().filter(|kind| **kind == Kind::Form).count(), 1, "{first:?}");
    }

    #[test]
    fn a_mix_that_says_nothing_is_refused() {
        for bad in ["", "page_viewed", "page_viewed=0", "page_viewed=x", "nobody=1", "page_viewed=2000"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }
}
