//! The `[bus]` section of a service's settings.

use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

use crate::error::Error;

/// How to reach the broker and how patient to be with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `amqp://user:password@host:port/vhost` (the vhost `/` is written `%2f`). Secret.
    #[serde(deserialize_with = "address")]
    pub url: SecretString,
    /// The name the connections carry in the broker's management pages.
    pub client_name: String,
    /// Heartbeat of a connection; a silent peer is given up after twice this.
    #[serde(deserialize_with = "positive")]
    pub heartbeat_seconds: u16,
    /// Longest wait for a connection, from TCP to the end of the AMQP handshake.
    #[serde(deserialize_with = "positive")]
    pub connect_timeout_ms: u64,
    /// Longest wait for the answer to one call (declare, consume, ack, close).
    #[serde(deserialize_with = "positive")]
    pub call_timeout_ms: u64,
    /// Longest wait for the confirms of one window of published messages.
    #[serde(deserialize_with = "positive")]
    pub confirm_timeout_ms: u64,
    /// Unacknowledged deliveries per consumer where the consumer does not say (1 to 2,000).
    #[serde(deserialize_with = "positive")]
    pub prefetch: u16,
    /// How long a consumer keeps messages it cannot handle because something it needs is away;
    /// then it gives them back to the queue, for a replica that can.
    #[serde(deserialize_with = "positive")]
    pub hold_seconds: u64,
    /// The event names the queue `ingest.domain` is bound to (only ingest declares it). Topic
    /// patterns (`*`, `#`) are allowed.
    pub domain_event_names: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "amqp://127.0.0.1:5672/%2f".into(),
            client_name: "goalpost".to_owned(),
            heartbeat_seconds: 10,
            connect_timeout_ms: 10_000,
            call_timeout_ms: 10_000,
            confirm_timeout_ms: 10_000,
            prefetch: 64,
            hold_seconds: 60,
            domain_event_names: [
                "contact.tag.added",
                "payment.completed",
                "appointment.booked",
                "form.submitted",
                "pipeline.stage.changed",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }
}

impl Settings {
    /// The defaults with this address.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    pub(crate) fn uri(&self) -> Result<AMQPUri, Error> {
        let mut uri = parse(self.url.expose_secret()).map_err(Error::Settings)?;
        uri.query.heartbeat = Some(self.heartbeat_seconds);
        Ok(uri)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(crate) fn confirm_timeout(&self) -> Duration {
        Duration::from_millis(self.confirm_timeout_ms)
    }

    pub(crate) fn hold(&self) -> Duration {
        Duration::from_secs(self.hold_seconds)
    }
}

/// The messages here never repeat the address: it holds a password.
fn parse(url: &str) -> Result<AMQPUri, String> {
    let uri: AMQPUri = url.parse().map_err(|_| "not of the form amqp://user:password@host:port/vhost")?;
    // Without a TLS feature lapin answers amqps:// with a plain connection and says nothing.
    if uri.scheme == AMQPScheme::AMQPS {
        return Err("amqps:// is not built in; let a TLS proxy stand beside the service".to_owned());
    }
    Ok(uri)
}

fn address<'de, D: Deserializer<'de>>(input: D) -> Result<SecretString, D::Error> {
    let url = SecretString::deserialize(input)?;
    parse(url.expose_secret()).map_err(de::Error::custom)?;
    Ok(url)
}

fn positive<'de, D, N>(input: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + PartialOrd + From<u8>,
{
    let value = N::deserialize(input)?;
    if value < N::from(1) {
        return Err(de::Error::custom("must be at least 1"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_section_is_the_default() {
        let settings = read("").unwrap();
        assert_eq!(settings.heartbeat_seconds, 10);
        assert_eq!(settings.uri().unwrap().query.heartbeat, Some(10));
        assert_eq!(settings.domain_event_names.len(), 5);
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused_by_name() {
        assert!(read("prefetsch = 3").unwrap_err().contains("prefetsch"));
        assert!(read("prefetch = 0").unwrap_err().contains("at least 1"));
        assert!(read("url = 'http://x'").unwrap_err().contains("amqp://user"));
    }

    #[test]
    fn tls_addresses_are_refused_instead_of_going_out_in_the_clear() {
        assert!(read("url = 'amqps://h/%2f'").unwrap_err().contains("amqps"));
    }

    #[test]
    fn the_password_is_never_printed() {
        let settings = read("url = 'amqp://u:hunter2@h:1/v'").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        let faulty = read("url = 'amqp://u:hunter2@h:port/v'").unwrap_err();
        assert!(!faulty.lines().last().unwrap().contains("hunter2"));
    }
}
