//! How long after enrollment a goal may be met.

use std::fmt;

use crate::fault::Fault;

/// Longest window: ten years of 365 days.
const MAX_SECONDS: i64 = 3_650 * 86_400;

/// A window from the enrollment on, half-open: `[enrolled_at, enrolled_at + seconds)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Within {
    pub seconds: i64,
}

impl Within {
    /// Reads a whole number with one unit: `90s`, `30m`, `12h`, `7d`, `2w`.
    ///
    /// # Errors
    /// `invalid_value`: another form, zero, or more than ten years.
    pub fn parse(text: &str) -> Result<Within, Fault> {
        let invalid =
            || Fault::new("invalid_value", "must be a duration such as 7d, 12h, 30m, 90s or 2w, at most 3650d");
        let unit = match text.bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            Some(b'w') => 7 * 86_400,
            _ => return Err(invalid()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let count: i64 = digits.parse().map_err(|_| invalid())?;
        Within::from_seconds(count * unit)
    }

    /// A window of so many seconds.
    ///
    /// # Errors
    /// `invalid_value`: not positive, or more than ten years.
    pub fn from_seconds(seconds: i64) -> Result<Within, Fault> {
        if (1..=MAX_SECONDS).contains(&seconds) {
            Ok(Within { seconds })
        } else {
            Err(Fault::new("invalid_value", "must be a duration between 1s and 3650d"))
        }
    }
}

/// In the largest unit up to days that divides it: `14d`, `36h`, `90s`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let (size, unit) = units.into_iter().find(|(size, _)| self.seconds % size == 0).unwrap_or((1, 's'));
        write!(f, "{}{unit}", self.seconds / size)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_units_and_writes_the_largest() {
        for (text, seconds, written) in [
            ("90s", 90, "90s"),
            ("30m", 1_800, "30m"),
            ("12h", 43_200, "12h"),
            ("7d", 604_800, "7d"),
            ("2w", 1_209_600, "14d"),
            ("24h", 86_400, "1d"),
            ("3650d", MAX_SECONDS, "3650d"),
        ] {
            let within = Within::parse(text).unwrap();
            assert_eq!((within.seconds, within.to_string().as_str()), (seconds, written));
            assert_eq!(Within::parse(&within.to_string()).unwrap(), within);
        }
        for bad in [
            "",
            "7",
            "d",
            "0d",
            "-1d",
            "1.5d",
            "7 d",
            "7D",
            "3651d",
            "999999999w",
            "9999999999s",
            "1y",
            "+1d",
            "１d",
            "é",
        ] {
            assert_eq!(Within::parse(bad).unwrap_err().code, "invalid_value", "{bad}");
        }
    }
}
