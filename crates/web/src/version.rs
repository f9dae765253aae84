//! Versions as entity tags (RFC 9110): `ETag` on what is answered, `If-Match` on what changes it, `If-None-Match` on what shows it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use domain::once::{Answer, Answered};
use serde::Serialize;

use crate::{Problem, once};

/// Something that is kept in versions: 1, 2, 3 …
pub trait Versioned {
    /// The version that this is.
    fn version(&self) -> i32;
}

/// The tag of what was just made.
const FIRST: HeaderValue = HeaderValue::from_static("\"1\"");

/// The entity tag of a version: `"7"`. A strong one.
fn tag(version: i32) -> String {
    format!("\"{version}\"")
}

/// Answers what is kept in versions, with its tag.
pub fn answer<T: Versioned + Serialize>(status: StatusCode, object: &T) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::ETAG, tag(object.version()))).json(object)
}

/// As [`once::answered`], for what is kept in versions and was made in its first, now or before.
pub fn answered<T: Versioned>(outcome: &Answered<T>, answer: impl FnOnce(&T) -> Answer) -> HttpResponse {
    let mut response = once::answered(outcome, answer);
    response.headers_mut().insert(header::ETAG, FIRST);
    response
}

/// 412: somebody else was faster. With the tag of what is there now, if there is something.
pub fn conflict(version: Option<i32>) -> Problem {
    let message = "what is there now is not what If-Match names: read it again";
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "version_conflict", message);
    match version.and_then(|version| HeaderValue::from_str(&tag(version)).ok()) {
        Some(tag) => problem.with_header(header::ETAG, tag),
        None => problem,
    }
}

/// The header `If-Match`: which versions a change may be made of. Without it, any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Tags>);

impl IfMatch {
    /// Whether a change may be made of this version; `None` is what is not there. Weak tags never match.
    pub fn allows(&self, version: Option<i32>) -> bool {
        let Some(tags) = &self.0 else {
            return true;
        };
        match (tags, version) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Listed(listed), Some(version)) => listed.iter().any(|given| *given == tag(version)),
        }
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let wrong = || {
            let message = "If-Match has to be *, or entity tags in quotes, as \"7\"";
            Problem::bad_request("invalid_if_match", message)
        };
        let given = given(request, &header::IF_MATCH);
        ready(given.map_or(Ok(Self(None)), |given| given.map(|tags| Self(Some(tags))).ok_or_else(wrong)))
    }
}

/// The header `If-None-Match`: which versions the client has already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

impl IfNoneMatch {
    /// 200 with the object, or 304 if the client has this version. Weak tags match as strong ones do.
    pub fn answer<T: Versioned + Serialize>(&self, object: &T) -> HttpResponse {
        let tag = tag(object.version());
        let has = match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Listed(listed)) => listed.iter().any(|given| *given.trim_start_matches("W/") == tag),
        };
        if has {
            return HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish();
        }
        answer(StatusCode::OK, object)
    }
}

impl FromRequest for IfNoneMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// What cannot be read names no version: the object is sent.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(given(request, &header::IF_NONE_MATCH).flatten())))
    }
}

/// Entity tags as a header has them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// With their quotes, and with `W/` where they are weak.
    Listed(Vec<String>),
}

/// The tags of a header that may come in several lines: not there; there and unreadable; read.
fn given(request: &HttpRequest, name: &HeaderName) -> Option<Option<Tags>> {
    let mut lines = request.headers().get_all(name).peekable();
    lines.peek()?;
    let text: Option<Vec<&str>> = lines.map(|line| line.to_str().ok()).collect();
    Some(text.and_then(|lines| read(&lines.join(","))))
}

/// `*`, or one or more tags with commas between them. A comma may also be part of a tag.
fn read(text: &str) -> Option<Tags> {
    let mut rest = text.trim();
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut listed = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let opened = if rest.starts_with("W/\"") { 3 } else { 1 };
        if opened == 1 && !rest.starts_with('"') {
            return None;
        }
        let closed = opened + rest[opened..].find('"')? + 1;
        let (tag, after) = rest.split_at(closed);
        let after = after.trim_start_matches([' ', '\t']);
        if tag.contains([' ', '\t']) || !(after.is_empty() || after.starts_with(',')) {
            return None;
        }
        listed.push(tag.to_owned());
        rest = after;
    }
    (!listed.is_empty()).then_some(Tags::Listed(listed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn listed(tags: &[&str]) -> Option<Tags> {
        Some(Tags::Listed(tags.iter().map(|tag| (*tag).to_owned()).collect()))
    }

    #[test]
    fn tags_are_read_as_the_rfc_writes_them() {
        assert_eq!(read(" * "), Some(Tags::Any));
        assert_eq!(read("\"7\""), listed(&["\"7\""]));
        assert_eq!(read("\"7\", W/\"8\" ,\"a,b\",,\"\""), listed(&["\"7\"", "W/\"8\"", "\"a,b\"", "\"\""]));
        for wrong in
            ["", " ", ",", "7", "\"7", "7\"", "w/\"7\"", "W/7", "\"7\" \"8\"", "*, \"7\"", "\"7\", *", "\"a b\""]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        let of = |text: &str| IfMatch(read(text));
        assert!(IfMatch::default().allows(Some(7)) && IfMatch::default().allows(None));
        assert!(of("*").allows(Some(7)) && !of("*").allows(None));
        assert!(of("\"6\", \"7\"").allows(Some(7)) && !of("\"6\", \"7\"").allows(Some(8)));
        assert!(!of("W/\"7\"").allows(Some(7)) && !of("\"07\"").allows(Some(7)) && !of("\"7\"").allows(None));
    }
}
