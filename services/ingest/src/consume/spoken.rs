//! What a message of another system says: the bare event, or a CloudEvent that becomes one.

use domain::fault::Fault;
use domain::ids::{TenantId, parse_uuid};
use domain::json::{Json, Limits};
use uuid::Uuid;

/// Bounds of a whole message. Those of an event are narrower, and are checked with it.
const MESSAGE: Limits = Limits { max_depth: 20, max_keys: 1_024, ..Limits::WIRE };

/// The version of CloudEvents that is understood.
const SPEC_VERSION: &str = "1.0";

/// The keys of a CloudEvent's data that are fields of the event.
const LIFTED: [&str; 3] = ["contact_id", "user_id", "session_id"];

/// One event, as the HTTP door would get it, and the tenant it claims.
#[derive(Debug, PartialEq, Eq)]
pub struct Spoken {
    pub tenant_id: TenantId,
    pub raw_event: String,
}

/// Reads a message, or says why it never can be.
pub fn read(body: &[u8]) -> Result<Spoken, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault::new("malformed_json", "the message is not UTF-8"))?;
    let message = Json::parse(text, &MESSAGE).map_err(|fault| match fault.code {
        "invalid_json" => Fault { code: "malformed_json", ..fault },
        _ => fault,
    })?;
    match &message {
        Json::Object(_) if message.get("specversion").is_some() => cloud_event(&message),
        Json::Object(_) => Ok(Spoken { tenant_id: tenant(&message, "tenant_id")?, raw_event: text.to_owned() }),
        other => Err(Fault::new("invalid_type", format!("must be an object, not {}", other.type_name()))),
    }
}

fn tenant(message: &Json, key: &str) -> Result<TenantId, Fault> {
    let tenant_id = required_text(message, key)?;
    TenantId::parse(tenant_id).map_err(|why| Fault::at(key, why.code(), why.to_string()))
}

fn required_text<'a>(message: &'a Json, key: &str) -> Result<&'a str, Fault> {
    let value = message.present(key).ok_or_else(|| Fault::at(key, "missing_field", format!("{key} is required")))?;
    value.as_str().ok_or_else(|| Fault::at(key, "invalid_type", format!("must be a string, not {}", value.type_name())))
}

fn cloud_event(message: &Json) -> Result<Spoken, Fault> {
    if required_text(message, "specversion")? != SPEC_VERSION {
        return Err(Fault::at("specversion", "unknown_version", format!("must be {SPEC_VERSION}")));
    }
    let tenant_id = tenant(message, "tenantid")?;
    let mut fields = vec![
        ("event_id".to_owned(), Json::String(event_id(message)?.to_string())),
        ("event_name".to_owned(), Json::from(required_text(message, "type")?)),
        ("occurred_at".to_owned(), Json::from(required_text(message, "time")?)),
    ];
    let (lifted, properties) = data(message)?.into_iter().partition(|(key, _)| LIFTED.contains(&key.as_str()));
    let lifted: Vec<(String, Json)> = lifted;
    fields.extend(lifted);
    fields.push(("properties".to_owned(), Json::Object(properties)));
    Ok(Spoken { tenant_id, raw_event: Json::Object(fields).to_text() })
}

/// The id of a CloudEvent is unique within its source only; one that is no UUID becomes the UUIDv5
/// of source and id, with a space between, in the namespace of URLs.
fn event_id(message: &Json) -> Result<Uuid, Fault> {
    let (id, source) = (required_text(message, "id")?, required_text(message, "source")?);
    if source.is_empty() || source.contains(char::is_whitespace) {
        return Err(Fault::at("source", "invalid_value", "must be a URI reference"));
    }
    Ok(parse_uuid(id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{source} {id}").as_bytes())))
}

fn data(message: &Json) -> Result<Vec<(String, Json)>, Fault> {
    if message.present("data_base64").is_some() {
        return Err(Fault::at("data_base64", "unsupported_content_type", "only JSON data is taken"));
    }
    match message.present("datacontenttype") {
        Some(Json::String(media_type)) if !is_json(media_type) => {
            return Err(Fault::at("datacontenttype", "unsupported_content_type", "only JSON data is taken"));
        }
        _ => {}
    }
    match message.present("data") {
        None => Ok(Vec::new()),
        Some(Json::Object(members)) => Ok(members.clone()),
        Some(other) => Err(Fault::at("data", "invalid_type", format!("must be an object, not {}", other.type_name()))),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn cloud(overrides: &[(&str, &str)]) -> String {
        let mut attributes = vec![
            ("specversion", r#""1.0""#),
            ("id", r#""order-7""#),
            ("source", r#""/shop""#),
            ("type", r#""payment.completed""#),
            ("time", r#""2026-01-03T10:00:00Z""#),
            ("tenantid", r#""demo""#),
            ("data", r#"{"contact_id":"c-1","amount":150.00}"#),
        ];
        for (key, value) in overrides {
            attributes.retain(|(name, _)| name != key);
            if !value.is_empty() {
                attributes.push((key, value));
            }
        }
        let members: Vec<String> = attributes.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    }

    fn fault(body: &str) -> (&'static str, String) {
        let fault = read(body.as_bytes()).unwrap_err();
        (fault.code, fault.pointer)
    }

    #[test]
    fn a_bare_event_stays_as_it_is() {
        let body = r#"{"tenant_id":"demo","event_id":"x","properties":{"amount":100.00}}"#;
        let spoken = read(body.as_bytes()).unwrap();
        assert_eq!((spoken.tenant_id.as_str(), spoken.raw_event.as_str()), ("demo", body));
    }

    #[test]
    fn a_cloud_event_becomes_a_bare_one() {
        let spoken = read(cloud(&[("subject", "\"c-1\"")]).as_bytes()).unwrap();
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"/shop order-7");
        assert_eq!(spoken.tenant_id.as_str(), "demo");
        assert_eq!(
            spoken.raw_event,
            format!(
                r#"{{"event_id":"{id}","event_name":"payment.completed","occurred_at":"2026-01-03T10:00:00Z","contact_id":"c-1","properties":{{"amount":150.00}}}}"#
            )
        );
        let uuid = "6f0c1a52-7d3f-4d7e-9a51-0c8b6a3d1e2f";
        let spoken = read(cloud(&[("id", &format!("\"{uuid}\"")), ("data", "")]).as_bytes()).unwrap();
        assert!(spoken.raw_event.starts_with(&format!(r#"{{"event_id":"{uuid}""#)));
        assert!(spoken.raw_event.ends_with(r#""properties":{}}"#));
    }

    #[test]
    fn a_message_that_cannot_be_read_says_why() {
        for body in ["", "{", "nonsense", "{} {}"] {
            assert_eq!(fault(body).0, "malformed_json", "{body:?}");
        }
        assert_eq!(read(&[0xff]).unwrap_err().code, "malformed_json");
        assert_eq!(fault("[]").0, "invalid_type");
        assert_eq!(fault("{}"), ("missing_field", "/tenant_id".to_owned()));
        assert_eq!(fault(r#"{"tenant_id":"a b"}"#), ("invalid_value", "/tenant_id".to_owned()));
        assert_eq!(fault(r#"{"tenant_id":7}"#), ("invalid_type", "/tenant_id".to_owned()));
        assert_eq!(fault(r#"{"tenant_id":"a","tenant_id":"b"}"#).0, "duplicate_key");
        for (key, value, code) in [
            ("specversion", "\"0.3\"", "unknown_version"),
            ("tenantid", "", "missing_field"),
            ("id", "", "missing_field"),
            ("type", "7", "invalid_type"),
            ("time", "", "missing_field"),
            ("source", "\"a b\"", "invalid_value"),
            ("data", "[1]", "invalid_type"),
            ("data_base64", "\"aGk=\"", "unsupported_content_type"),
            ("datacontenttype", "\"text/xml\"", "unsupported_content_type"),
        ] {
            assert_eq!(fault(&cloud(&[(key, value)])), (code, format!("/{key}")), "{key}");
        }
    }
}
