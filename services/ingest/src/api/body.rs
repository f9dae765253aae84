//! Takes the body of a request apart: the top level is read here, every event stays raw text, so
//! that nothing in one event can spoil another.

use std::borrow::Cow;
use std::fmt;

use domain::event::Defaults;
use domain::fault::Fault;
use domain::time_format;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;

/// Most events of one request.
pub const MAX_EVENTS: usize = 500;

/// What one request brings.
#[derive(Debug)]
pub struct Submission<'a> {
    /// The sender's clock when it sent the request.
    pub sent_at: Option<OffsetDateTime>,
    /// Ids for the events that lack them.
    pub defaults: Defaults,
    /// The events, 1–500, each as it was written.
    pub events: Vec<&'a RawValue>,
}

/// Splits a body into its events, or says why the body as a whole is not usable.
pub fn split(body: &[u8]) -> Result<Submission<'_>, Fault> {
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("not UTF-8 after byte {}", error.valid_up_to())))?;
    let top: Top<'_> = match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?,
        Some(b'[') => {
            let events = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
            Top { events: Some(events), ..Top::default() }
        }
        Some(_) => return Err(neither_object_nor_array(text)),
        None => return Err(malformed("the body is empty".to_owned())),
    };
    if let Some(key) = top.repeated {
        return Err(Fault::at(&key, "duplicate_key", "stands more than once in the body"));
    }
    let sent_at = top.sent_at.map(sent_at).transpose()?.flatten();
    let defaults = Defaults {
        project_id: default_id("project_id", top.project_id)?,
        user_id: default_id("user_id", top.user_id)?,
        session_id: default_id("session_id", top.session_id)?,
    };
    defaults.check()?;
    Ok(Submission { sent_at, defaults, events: events(top.events)? })
}

fn malformed(message: String) -> Fault {
    Fault::new("malformed_json", format!("the body is not JSON: {message}"))
}

fn neither_object_nor_array(text: &str) -> Fault {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Fault::new("invalid_body", "the body must be an object with `events`, or an array of events"),
        Err(error) => malformed(error.to_string()),
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

fn sent_at(raw: &RawValue) -> Result<Option<OffsetDateTime>, Fault> {
    if is_null(raw) {
        return Ok(None);
    }
    let invalid = |why: String| Fault::at("sent_at", "invalid_sent_at", why);
    let text: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| invalid("must be a string".to_owned()))?;
    time_format::parse(&text).map(Some).map_err(|fault| invalid(fault.message))
}

fn default_id(key: &str, raw: Option<&RawValue>) -> Result<Option<String>, Fault> {
    match raw {
        None => Ok(None),
        Some(raw) if is_null(raw) => Ok(None),
        Some(raw) => {
            serde_json::from_str(raw.get()).map(Some).map_err(|_| Fault::at(key, "invalid_body", "must be a string"))
        }
    }
}

fn events(raw: Option<&RawValue>) -> Result<Vec<&RawValue>, Fault> {
    let Some(raw) = raw.filter(|raw| !is_null(raw)) else {
        return Err(Fault::at("events", "no_events", "the body carries no `events`"));
    };
    if !raw.get().starts_with('[') {
        return Err(Fault::at("events", "invalid_body", "must be an array"));
    }
    let Events { first, count } = serde_json::from_str(raw.get()).map_err(|error| malformed(error.to_string()))?;
    match count {
        0 => Err(Fault::at("events", "no_events", "there must be at least one event")),
        1..=MAX_EVENTS => Ok(first),
        _ => Err(Fault::at(
            "events",
            "too_many_events",
            format!("{count} events, and at most {MAX_EVENTS} are taken in one request"),
        )),
    }
}

/// The members of the top level that mean something; others are passed over.
#[derive(Debug, Default)]
struct Top<'a> {
    sent_at: Option<&'a RawValue>,
    project_id: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    session_id: Option<&'a RawValue>,
    events: Option<&'a RawValue>,
    repeated: Option<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Top<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Top<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
                let mut top = Top::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let member = match key.as_ref() {
                        "sent_at" => &mut top.sent_at,
                        "project_id" => &mut top.project_id,
                        "user_id" => &mut top.user_id,
                        "session_id" => &mut top.session_id,
                        "events" => &mut top.events,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if member.replace(map.next_value()?).is_some() {
                        top.repeated = Some(key.into_owned());
                    }
                }
                Ok(top)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The first events of an array, and how many there are: no more are kept than may be taken.
struct Events<'a> {
    first: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Events<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Events<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Events<'de>, A::Error> {
                let mut first = Vec::new();
                while first.len() < MAX_EVENTS {
                    match seq.next_element::<&'de RawValue>()? {
                        Some(event) => first.push(event),
                        None => {
                            return Ok(Events { count: first.len(), first });
                        }
                    }
                }
                let mut count = first.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Events { first, count })
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn code(body: &str) -> &'static str {
        split(body.as_bytes()).unwrap_err().code
    }

    #[test]
    fn an_object_and_a_bare_array_are_taken() {
        let body = br#" {"sent_at":"2026-01-03T10:00:00+02:00","project_id":"p","user_id":null,"extra":{"a":[1]},"events":[{"a":1.50}, 2]} "#;
        let submission = split(body).unwrap();
        assert_eq!(submission.sent_at.unwrap().unix_timestamp(), 1_767_427_200);
        assert_eq!(submission.defaults.project_id.as_deref(), Some("p"));
        assert_eq!(submission.defaults.user_id, None);
        assert_eq!(submission.events.iter().map(|raw| raw.get()).collect::<Vec<_>>(), [r#"{"a":1.50}"#, "2"]);
        assert_eq!(split(b"[{}]").unwrap().events.len(), 1);
    }

    #[test]
    fn a_body_that_is_not_usable_says_why() {
        for body in
            ["", "  ", "{", "[", "[1,]", r#"{"events":[{}]} x"#, "nul", "\u{feff}[{}]", r#"{"events":[{"a":}]}"#]
        {
            assert_eq!(code(body), "malformed_json", "{body:?}");
        }
        for body in ["1", "\"x\"", "null", "true", r#"{"events":{}}"#, r#"{"events":[{}],"user_id":7}"#] {
            assert_eq!(code(body), "invalid_body", "{body:?}");
        }
        for body in ["{}", "[]", r#"{"events":[]}"#, r#"{"events":null}"#] {
            assert_eq!(code(body), "no_events", "{body:?}");
        }
        for time in ["7", "\"yesterday\"", "\"2026-01-03\"", "{}"] {
            assert_eq!(code(&format!(r#"{{"sent_at":{time},"events":[{{}}]}}"#)), "invalid_sent_at", "{time}");
        }
        assert_eq!(code(r#"{"events":[{}],"events":[{}]}"#), "duplicate_key");
        assert_eq!(split(&[b'[', 0xff, b']']).unwrap_err().code, "malformed_json");
    }

    #[test]
    fn five_hundred_are_taken_and_no_more() {
        let body = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(split(body(500).as_bytes()).unwrap().events.len(), 500);
        let fault = split(body(501).as_bytes()).unwrap_err();
        assert_eq!((fault.code, fault.pointer.as_str()), ("too_many_events", "/events"));
    }

    #[test]
    fn a_hundred_thousand_brackets_do_no_harm() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(split(deep.as_bytes()).unwrap().events.len(), 1);
    }
}
