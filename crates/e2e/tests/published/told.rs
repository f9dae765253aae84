//! What was answered, and what two answers have to have in common: everything but the id that was asked with, the request's own
//! id and the time of day.

use reqwest::Response;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::slots::Ids;

/// Headers that differ between any two answers; whether the connection goes on depends on how much of a body had come when
/// it was refused.
const OF_THE_REQUEST: [&str; 3] = ["connection", "date", "x-request-id"];

/// It is that of the body (seen when an answer comes), so what is left out of the body is left out of it.
const LENGTH: &str = "content-length";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Told {
    pub async fn of(answer: Response) -> Self {
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let mut headers: Vec<_> =
            answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        headers.sort();
        let status = answer.status().as_u16();
        let body = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
        let length = headers.iter().find(|(name, _)| name == LENGTH);
        assert!(length.is_none_or(|(_, length)| *length == body.len().to_string()), "{headers:?} {body}");
        Self { status, headers, body }
    }

    /// The answer without the ids that were asked with, its request id, and the times and ids that were made after `since`,
    /// by the request itself.
    pub fn plain(&self, ids: &Ids, since: OffsetDateTime) -> Self {
        let request_id = self.headers.iter().find(|(name, _)| name == "x-request-id").map(|(_, id)| id.clone());
        let plain = |text: &str| {
            let text = request_id.iter().fold(text.to_owned(), |text, id| text.replace(id, "{request}"));
            let parts: Vec<_> = ids.out_of(text).split('"').map(|part| made_after(part, since)).collect();
            parts.join("\"")
        };
        let body = plain(&self.body);
        let headers = self.headers.iter().filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str()));
        let plain = |(name, value): &(String, String)| match name.as_str() {
            LENGTH => (name.clone(), body.len().to_string()),
            _ => (name.clone(), plain(value)),
        };
        Self { status: self.status, headers: headers.map(plain).collect(), body }
    }
}

/// A text of JSON, unless it is a time or an id younger than `since`.
fn made_after(part: &str, since: OffsetDateTime) -> String {
    if domain::time_format::parse(part).is_ok_and(|time| time >= since) {
        return "{now}".to_owned();
    }
    let made = part.parse::<Uuid>().ok().and_then(|id| id.get_timestamp()).map(|made| made.to_unix());
    let made_ms = made.map(|(seconds, nanos)| i128::from(seconds) * 1_000 + i128::from(nanos) / 1_000_000);
    if made_ms.is_some_and(|made| made >= since.unix_timestamp_nanos() / 1_000_000) {
        return "{made}".to_owned();
    }
    part.to_owned()
}

fn answer(id: &str, request: &str) -> Told {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Told {
        status: 404,
        headers: vec![
            header("content-type", "application/problem+json"),
            header("date", request),
            header("x-request-id", request),
        ],
        body: format!(
            r#"{{"detail":"no {id}","instance":"urn:goalpost:request:{request}","at":"2026-01-03T10:00:00Z"}}"#
        ),
    }
}

#[test]
fn answers_that_differ_in_the_id_alone_are_the_same() {
    let since = domain::time_format::parse("2026-01-04T00:00:00Z").unwrap();
    let (foreign, nobodys) = (Ids::of(&[("tag", "t-foreign")]), Ids::of(&[("tag", "q-qqqqqqq")]));
    let one = answer("t-foreign", "request-1").plain(&foreign, since);
    assert_eq!(one, answer("q-qqqqqqq", "request-2").plain(&nobodys, since));
}

#[test]
fn every_other_difference_is_seen() {
    let since = domain::time_format::parse("2026-01-04T00:00:00Z").unwrap();
    let (foreign, nobodys) = (Ids::of(&[("tag", "t-foreign")]), Ids::of(&[("tag", "q-qqqqqqq")]));
    let right = answer("q-qqqqqqq", "request-2").plain(&nobodys, since);
    let spoil: [fn(&mut Told); 9] = [
        |told| told.status = 403,
        |told| told.headers[0].1 = "application/json".to_owned(),
        |told| told.headers.push(("etag".to_owned(), "1".to_owned())),
        |told| drop(told.headers.remove(0)),
        |told| told.body = told.body.replace("no ", "No "),
        |told| told.body.push(' '),
        |told| told.body = told.body.replace("t-foreign", "t-foreign of tenant-b"),
        // A time before the walk began is another tenant's, and so is an id.
        |told| told.body = told.body.replace("2026-01-03", "2026-01-02"),
        |told| told.body = told.body.replace("t-foreign", "0190d3a0-0000-7000-8000-000000000001"),
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        let mut told = answer("t-foreign", "request-1");
        spoil(&mut told);
        assert_ne!(told.plain(&foreign, since), right, "spoil {index} went unseen");
    }
}

#[test]
fn what_the_request_made_is_left_out() {
    let since = domain::time_format::parse("2026-01-04T00:00:00Z").unwrap();
    let ids = Ids::of(&[]);
    let told = |id: Uuid, time: &str| Told { status: 201, headers: vec![], body: format!(r#"["{id}","{time}"]"#) };
    let one = told(Uuid::now_v7(), "2026-01-04T00:00:01.5Z").plain(&ids, since);
    assert_eq!(one, told(Uuid::now_v7(), "2026-01-05T00:00:00Z").plain(&ids, since));
    assert_eq!(one.body, r#"["{made}","{now}"]"#);
}
