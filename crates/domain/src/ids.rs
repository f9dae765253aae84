//! Typed identifiers: tenants and contacts are short texts, everything else is a UUID.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// Longest text identifier (contact, user, session, project, reference), in characters.
pub const MAX_ID_CHARS: usize = 128;

/// Texts that programs send by accident where an identifier belongs; compared trimmed, in lower case.
const PLACEHOLDERS: [&str; 16] = [
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "true",
    "false",
    "anonymous",
    "guest",
    "unknown",
    "[object object]",
    "not_authenticated",
    "distinct_id",
    "distinctid",
    "undefined undefined",
    "00000000-0000-0000-0000-000000000000",
];

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {max} characters")]
    TooLong { max: usize },
    #[error("may contain only letters, digits, '_' and '-'")]
    TenantCharacters,
    #[error("must not contain control characters")]
    ControlCharacters,
    #[error("is a placeholder, not an identifier")]
    Placeholder,
    #[error("must be a UUID of the form 8-4-4-4-12")]
    NotAUuid,
}

impl InvalidId {
    /// The stable code of this fault.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            InvalidId::Empty | InvalidId::Placeholder => "placeholder_id",
            InvalidId::TooLong { .. } => "too_long",
            InvalidId::TenantCharacters | InvalidId::ControlCharacters | InvalidId::NotAUuid => "invalid_value",
        }
    }
}

/// Whether `text` is what broken clients send in place of an identifier: `null`, `undefined`,
/// `[object Object]`, `anonymous`, the nil UUID, nothing at all, …
#[must_use]
pub fn is_placeholder(text: &str) -> bool {
    let trimmed = text.trim();
    trimmed.is_empty() || PLACEHOLDERS.iter().any(|placeholder| placeholder.eq_ignore_ascii_case(trimmed))
}

/// Checks a free-form identifier (contact, user, session, project): 1–128 characters, no control
/// characters, not a placeholder.
///
/// # Errors
/// The first rule that `text` breaks.
pub fn check_text_id(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_CHARS && text.chars().count() > MAX_ID_CHARS {
        return Err(InvalidId::TooLong { max: MAX_ID_CHARS });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::ControlCharacters);
    }
    if is_placeholder(text) {
        return Err(InvalidId::Placeholder);
    }
    Ok(())
}

fn check_tenant(text: &str) -> Result<(), InvalidId> {
    const MAX: usize = 64;
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return Err(InvalidId::TenantCharacters);
    }
    if text.len() > MAX {
        return Err(InvalidId::TooLong { max: MAX });
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// The first rule that `text` breaks.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                $check(text)?;
                Ok($name(Arc::from(text)))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $name::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                $name::parse(&text).map_err(D::Error::custom)
            }
        }
    };
}

text_id! {
    /// A customer of the installation: 1–64 of `[A-Za-z0-9_-]`.
    TenantId, check_tenant
}
text_id! {
    /// A known person in the tenant's CRM: 1–128 characters, no control characters, no placeholder.
    ContactId, check_text_id
}

macro_rules! uuid_id {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The bare UUID, for binding to SQL.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                $name(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_uuid(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

uuid_id! {
    /// With the tenant, identifies an event.
    EventId,
    /// A workflow.
    WorkflowId,
    /// A goal.
    GoalId,
    /// One contact's one passage through one workflow.
    EnrollmentId,
    /// A scheduled action.
    ActionId,
    /// The record that one enrollment met one goal.
    AchievementId,
}

/// Reads a UUID in its hyphenated form only, in either case: braces, URNs and bare hex are refused,
/// so that one id has one spelling in every schema.
///
/// # Errors
/// `NotAUuid`.
pub fn parse_uuid(text: &str) -> Result<Uuid, InvalidId> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(InvalidId::NotAUuid);
    }
    Uuid::try_parse(text).map_err(|_| InvalidId::NotAUuid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tenants_are_short_plain_words() {
        for good in ["demo", "test_client_x", "A-1", "x"] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ü", "a.b", "a/b", &"x".repeat(65), "a\0"] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(TenantId::parse(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn contacts_refuse_what_broken_clients_send() {
        for bad in [
            "",
            "  ",
            "null",
            "Undefined",
            "[object Object]",
            "anonymous",
            "NaN",
            " none ",
            "00000000-0000-0000-0000-000000000000",
            "a\0b",
            "a\nb",
        ] {
            assert!(ContactId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ContactId::parse(&"ü".repeat(128)).is_ok());
        assert_eq!(ContactId::parse(&"ü".repeat(129)), Err(InvalidId::TooLong { max: 128 }));
        assert!(ContactId::parse("null-1").is_ok());
    }

    #[test]
    fn uuids_have_one_spelling() {
        let text = "6f0c1a52-7d3f-4d7e-9a51-0c8b6a3d1e2f";
        let id: EventId = text.to_uppercase().parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<EventId>(&format!("\"{text}\"")).unwrap(), id);
        for bad in [text.replace('-', ""), format!("{{{text}}}"), format!("urn:uuid:{text}"), String::new()] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn text_ids_validate_when_read_from_json() {
        assert!(serde_json::from_str::<TenantId>("\"a b\"").is_err());
        assert!(serde_json::from_str::<ContactId>("17").is_err());
        assert_eq!(serde_json::from_str::<ContactId>("\"c-\\u0031\"").unwrap().as_str(), "c-1");
    }
}
