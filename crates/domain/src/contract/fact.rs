//! What every fact can do: name itself, and become a CloudEvent and an outbox message.

use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CLOUD_EVENT, CloudEvent, bytes_of, exchange, unreadable};
use crate::fault::Fault;
use crate::ids::TenantId;
use crate::outbox::NewMessage;

/// The namespace of every id that Goalpost derives.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d2f_6a1e_35c4_5b7a_9e10_6f0d_2b7c_4a91);

/// The UUIDv5 of `kind` and `parts`, joined by `/`: the same fact always gets the same id.
#[must_use]
pub fn derived_id(kind: &str, parts: &[&str]) -> Uuid {
    let mut name = kind.to_owned();
    for part in parts {
        name.push('/');
        name.push_str(part);
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// A fact about workflows and enrollments, published once it is true.
pub trait Fact: Serialize + DeserializeOwned {
    /// Facts all go the same way.
    const EXCHANGE: &'static str = exchange::WORKFLOW;
    /// The routing key, which is also the CloudEvents `type`.
    const ROUTING_KEY: &'static str;
    /// Where the schema of the data stands.
    const DATASCHEMA: &'static str;

    /// Whose fact it is.
    fn tenant_id(&self) -> &TenantId;
    /// The id by which consumers deduplicate: a function of the fact alone.
    fn fact_id(&self) -> Uuid;
    /// The CloudEvents `subject`.
    fn subject(&self) -> String;
    /// When it became true.
    fn time(&self) -> OffsetDateTime;
    /// The CloudEvents `source`.
    fn source(&self) -> String;

    /// The CloudEvent of this fact.
    #[must_use]
    fn into_event(self, traceparent: Option<String>) -> CloudEvent<Self> {
        CloudEvent {
            specversion: "1.0".to_owned(),
            id: self.fact_id(),
            source: self.source(),
            event_type: Self::ROUTING_KEY.to_owned(),
            subject: self.subject(),
            time: self.time(),
            datacontenttype: "application/json".to_owned(),
            dataschema: Self::DATASCHEMA.to_owned(),
            tenantid: self.tenant_id().clone(),
            traceparent,
            data: self,
        }
    }

    /// The outbox message of this fact. Not mandatory: a fact nobody has bound is done.
    #[must_use]
    fn into_message(self, traceparent: Option<String>) -> NewMessage {
        let event = self.into_event(traceparent);
        NewMessage {
            tenant_id: event.tenantid.clone(),
            exchange: Self::EXCHANGE,
            routing_key: Self::ROUTING_KEY,
            mandatory: false,
            message_id: event.id,
            content_type: CLOUD_EVENT,
            payload: bytes_of(&event),
            traceparent: event.traceparent,
            events: 0,
        }
    }
}

/// Reads a fact from the bus.
///
/// # Errors
/// `invalid_json`, `unexpected_type`, `unknown_version`, `invalid_message`, `tenant_mismatch`.
pub fn parse_fact<T: Fact>(bytes: &[u8]) -> Result<CloudEvent<T>, Fault> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        event_type: String,
        dataschema: String,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    if head.event_type != T::ROUTING_KEY {
        return Err(Fault::at("type", "unexpected_type", format!("must be {}", T::ROUTING_KEY)));
    }
    if head.dataschema != T::DATASCHEMA {
        return Err(Fault::at("dataschema", "unknown_version", format!("must be {}", T::DATASCHEMA)));
    }
    let event: CloudEvent<T> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    if event.tenantid != *event.data.tenant_id() {
        return Err(Fault::at("tenantid", "tenant_mismatch", "differs from data.tenant_id"));
    }
    Ok(event)
}

/// Implements [`Fact`] for a message type: routing key, source, and how it is identified.
macro_rules! fact {
    ($name:ident, $key:literal, source: $source:expr, time: $time:ident,
     subject: $subject:ident, id: [$($part:ident),*]) => {
        impl $crate::contract::Fact for $name {
            const ROUTING_KEY: &'static str = $key;
            const DATASCHEMA: &'static str = concat!("/schemas/", $key, "/v1.json");

            fn tenant_id(&self) -> &$crate::ids::TenantId {
                &self.tenant_id
            }

            fn fact_id(&self) -> uuid::Uuid {
                $crate::contract::derived_id($key, &[$(&self.$part.to_string()),*])
            }

            fn subject(&self) -> String {
                self.$subject.to_string()
            }

            fn time(&self) -> time::OffsetDateTime {
                self.$time
            }

            fn source(&self) -> String {
                let source: fn(&$name) -> String = $source;
                source(self)
            }
        }
    };
}

pub(crate) use fact;
