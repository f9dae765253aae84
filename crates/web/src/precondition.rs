//! `ETag` and `If-Match`: an object's version, so that a lost update is noticed.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};

use crate::Problem;

/// The `ETag` of an object at `version`.
pub fn etag(version: i32) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

/// What a request demands of the object's version: the versions of `If-Match`, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<i32>>);

impl IfMatch {
    /// Demands that the object is at one of the versions that the client knows.
    ///
    /// # Errors
    /// 412 `version_conflict`.
    pub fn check(&self, version: i32) -> Result<(), Problem> {
        match &self.0 {
            Some(known) if !known.contains(&version) => {
                let message = format!("the object has changed: it is at version {version}");
                Err(Problem::precondition_failed(message))
            }
            _ => Ok(()),
        }
    }

    /// The one version demanded, for an UPDATE that names it.
    pub fn version(&self) -> Option<i32> {
        match self.0.as_deref() {
            Some([version]) => Some(*version),
            _ => None,
        }
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let given: Vec<&str> = request
            .headers()
            .get_all(header::IF_MATCH)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        ready(Ok(parse(&given)))
    }
}

/// Tags that no object of ours can have match none (RFC 9110 §13.1.1): they are dropped.
fn parse(given: &[&str]) -> IfMatch {
    if given.is_empty() || given.contains(&"*") {
        return IfMatch(None);
    }
    let version = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    IfMatch(Some(given.iter().filter_map(version).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_version_has_to_be_among_those_demanded() {
        let (_, tag) = etag(3);
        assert_eq!(tag, "\"3\"");
        for (given, ok, version) in [
            (vec![], true, None),
            (vec!["*"], true, None),
            (vec!["\"3\""], true, Some(3)),
            (vec!["\"2\"", "\"3\""], true, None),
            (vec!["\"2\""], false, Some(2)),
            (vec!["W/\"3\""], false, None),
            (vec!["3"], false, None),
        ] {
            let demanded = parse(&given);
            assert_eq!(demanded.check(3).is_ok(), ok, "{given:?}");
            assert_eq!(demanded.version(), version, "{given:?}");
        }
        assert_eq!(parse(&["\"2\""]).check(3).unwrap_err().status, 412);
    }
}
