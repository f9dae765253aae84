//! Times as text: RFC 3339 in and out, UTC, whole microseconds (what PostgreSQL keeps).
//!
//! `#[serde(with = "domain::time_format")]` on an `OffsetDateTime`, and
//! `#[serde(default, with = "domain::time_format::option")]` on an `Option` of one.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::fault::Fault;

/// Longest timestamp text that is looked at, in bytes.
const MAX_BYTES: usize = 64;

/// Reads an RFC 3339 timestamp with any offset and any number of fraction digits, within the years
/// 1970–2100 (UTC). Kept in UTC; digits beyond microseconds are cut off, a leap second is the last
/// microsecond before it.
///
/// # Errors
/// `invalid_timestamp`.
pub fn parse(text: &str) -> Result<OffsetDateTime, Fault> {
    let invalid = |why: &str| Fault::new("invalid_timestamp", why);
    if text.len() > MAX_BYTES {
        return Err(invalid("must be at most 64 characters"));
    }
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return Err(invalid("must be an RFC 3339 timestamp such as 2026-01-03T10:00:00Z"));
    }
    let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) else {
        return Err(invalid("must be an RFC 3339 timestamp such as 2026-01-03T10:00:00Z"));
    };
    let utc = time.checked_to_utc().map(truncated);
    match utc {
        Some(utc) if (1970..=2100).contains(&utc.year()) => Ok(utc),
        _ => Err(invalid("must be within the years 1970 to 2100")),
    }
}

fn truncated(time: time::UtcDateTime) -> OffsetDateTime {
    let time = OffsetDateTime::from(time);
    let micros = time.microsecond() * 1_000;
    time.replace_nanosecond(micros).unwrap_or(time)
}

/// `2026-01-03T10:00:00Z`, with as many fraction digits (at most six) as the time needs.
#[must_use]
pub fn to_text(time: OffsetDateTime) -> String {
    let utc = time.to_offset(UtcOffset::UTC);
    let mut text = String::with_capacity(27);
    let (date, clock) = (utc.date(), utc.time());
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    let micros = clock.microsecond();
    if micros > 0 {
        let _ = write!(text, ".{micros:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('Z');
    text
}

/// Serializes as [`to_text`] writes.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(*time))
}

/// Deserializes what [`parse`] reads.
///
/// # Errors
/// Not a string, or not such a timestamp.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = <Cow<'de, str>>::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

/// The same for times that may be absent or `null`.
pub mod option {
    use serde::de::Error as _;

    use super::{Cow, Deserialize, Deserializer, OffsetDateTime, Serializer, parse, to_text};

    /// Serializes a present time as text, an absent one as `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&to_text(*time)),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a timestamp or `null`.
    ///
    /// # Errors
    /// Neither `null` nor a timestamp.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
        match <Option<Cow<'de, str>>>::deserialize(deserializer)? {
            Some(text) => parse(&text).map(Some).map_err(D::Error::custom),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_rfc_3339_and_writes_utc() {
        for (text, written) in [
            ("2026-01-03T10:00:00Z", "2026-01-03T10:00:00Z"),
            ("2026-01-03t10:00:00z", "2026-01-03T10:00:00Z"),
            ("2026-01-03T10:00:00.120000Z", "2026-01-03T10:00:00.12Z"),
            ("2026-01-03T10:00:00.1234567891234567890123Z", "2026-01-03T10:00:00.123456Z"),
            ("2026-01-03T10:00:00+05:30", "2026-01-03T04:30:00Z"),
            ("2026-01-03T10:00:00-00:00", "2026-01-03T10:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2101-01-01T00:30:00+01:00", "2100-12-31T23:30:00Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ] {
            assert_eq!(to_text(parse(text).unwrap()), written, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "2026-01-03",
            "2026-01-03T10:00:00",
            "2026-01-03 10:00:00Z",
            "2026-01-03T10:00Z",
            "2026-02-30T10:00:00Z",
            "2026-01-03T24:00:00Z",
            "2026-01-03T10:60:00Z",
            "2026-01-03T10:00:61Z",
            "2026-01-03T10:00:00,5Z",
            "2026-01-03T10:00:00.Z",
            "2026-01-03T10:00:00+24:00",
            "2026-01-03T10:00:00+01:60",
            "2026-01-03T10:00:00+0100",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2101-01-01T00:00:00Z",
            "+002026-01-03T10:00:00Z",
            "20260103T100000Z",
            "1767434400",
            "2026-13-01T00:00:00Z",
            "2026-01-03T10:00:00Z ",
            " 2026-01-03T10:00:00Z",
            "2026-01-03T12:30:60Z",
            "９026-01-03T10:00:00Z",
        ] {
            assert_eq!(parse(bad).map_err(|fault| fault.code), Err("invalid_timestamp"), "{bad}");
        }
        let long = format!("2026-01-03T10:00:00.{}Z", "1".repeat(60));
        assert!(parse(&long).is_err());
    }

    proptest! {
        #[test]
        fn round_trips_to_the_microsecond(micros in 0_i64..4_102_444_800_000_000) {
            let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap();
            prop_assert_eq!(parse(&to_text(time)).unwrap(), time);
            let theirs = OffsetDateTime::parse(&to_text(time), &Rfc3339).unwrap();
            prop_assert_eq!(theirs, time);
        }
    }
}
