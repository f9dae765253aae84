//! What every command can do: carry its version, and become an outbox message.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{JSON, bytes_of, exchange, unreadable};
use crate::fault::Fault;
use crate::ids::TenantId;
use crate::outbox::NewMessage;

/// The version of a message that has only one: written as `1`, read from `1` or absence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(V1),
            other => Err(D::Error::custom(format_args!("unknown version {other}"))),
        }
    }
}

/// A request over the bus.
pub trait Command: Serialize + DeserializeOwned {
    /// Commands all go the same way.
    const EXCHANGE: &'static str = exchange::COMMANDS;
    /// The routing key: the command's name.
    const ROUTING_KEY: &'static str;

    /// Whose command it is.
    fn tenant_id(&self) -> &TenantId;

    /// The outbox message of this command. Mandatory: it waits until somebody listens.
    #[must_use]
    fn into_message(self, message_id: Uuid) -> NewMessage {
        NewMessage {
            tenant_id: self.tenant_id().clone(),
            exchange: Self::EXCHANGE,
            routing_key: Self::ROUTING_KEY,
            mandatory: true,
            message_id,
            content_type: JSON,
            payload: bytes_of(&self),
            traceparent: None,
            events: 0,
        }
    }
}

/// Reads a versioned message that is not a CloudEvent: a command, or [`super::EventsStored`].
///
/// # Errors
/// `invalid_json`, `unknown_version`, `invalid_message`.
pub fn parse_command<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        version: Option<u64>,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    if let Some(version) = head.version.filter(|version| *version != 1) {
        return Err(Fault::at("version", "unknown_version", format!("version {version} is not known")));
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(&error))
}

/// Implements [`Command`] for a message type.
macro_rules! command {
    ($name:ident, $key:literal) => {
        impl $crate::contract::Command for $name {
            const ROUTING_KEY: &'static str = $key;

            fn tenant_id(&self) -> &$crate::ids::TenantId {
                &self.tenant_id
            }
        }
    };
}

pub(crate) use command;
