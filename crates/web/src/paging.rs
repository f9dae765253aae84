//! Lists: `limit`, `cursor`, `next_cursor`. A cursor is the place of the last item in the order of
//! the list, (time, id), opaque to clients.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Problem;

/// Items of a page when `limit` is not given.
pub const DEFAULT_LIMIT: u16 = 50;
/// Largest `limit`.
pub const MAX_LIMIT: u16 = 200;
/// Longest id in a cursor.
const ID_MAX_BYTES: usize = 640;

/// Which part of a list is asked for; taken from the query string beside other parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Items wanted, 1–200.
    pub limit: u16,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl Page {
    /// What to fetch: one more than asked for, which tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the last item, to the microsecond (as PostgreSQL keeps it).
    pub at: OffsetDateTime,
    /// The id of the last item.
    pub id: String,
}

impl Cursor {
    /// The place of an item.
    pub fn new(at: OffsetDateTime, id: impl ToString) -> Self {
        Self { at, id: id.to_string() }
    }

    /// The id as what it is.
    ///
    /// # Errors
    /// 400 `invalid_cursor`: the cursor is another list's, or made up.
    pub fn id<T: FromStr>(&self) -> Result<T, Problem> {
        self.id.parse().map_err(|_| invalid_cursor())
    }

    /// The cursor as clients get it.
    pub fn encode(&self) -> String {
        let micros = i64::try_from(self.at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
        let mut bytes = micros.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (micros, id) = bytes.split_first_chunk::<8>()?;
        let nanos = i128::from(i64::from_be_bytes(*micros)) * 1_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        let id = std::str::from_utf8(id).ok()?;
        // A NUL is the one character that PostgreSQL does not take.
        let sound = id.len() <= ID_MAX_BYTES && !id.contains('\0');
        sound.then(|| Self { at, id: id.to_owned() })
    }
}

fn invalid_cursor() -> Problem {
    Problem::bad_request("invalid_cursor", "`cursor` is not one that this list gave")
}

#[derive(Deserialize)]
struct Query {
    limit: Option<String>,
    cursor: Option<String>,
}

impl FromRequest for Page {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(page(request.query_string()))
    }
}

fn page(query: &str) -> Result<Page, Problem> {
    let query = web::Query::<Query>::from_query(query)
        .map_err(|_| Problem::bad_request("invalid_query", "the query string is not valid"))?;
    let limit = query.limit.as_ref().map_or(Ok(DEFAULT_LIMIT), |limit| limit.parse());
    let limit = limit
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| Problem::bad_request("invalid_limit", format!("`limit` has to be 1 to {MAX_LIMIT}")))?;
    let cursor = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let cursor = cursor.map(|cursor| Cursor::decode(cursor).ok_or_else(invalid_cursor));
    Ok(Page { limit, cursor: cursor.transpose()? })
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Listed<T> {
    /// A page of what was fetched by [`Page::fetch`]; `place` is an item's place in the order.
    pub fn of<R>(page: &Page, mut fetched: Vec<R>, place: impl Fn(&R) -> Cursor, item: impl Fn(R) -> T) -> Self {
        let limit = usize::from(page.limit);
        let more = fetched.len() > limit;
        fetched.truncate(limit);
        let next_cursor = fetched.last().filter(|_| more).map(|last| place(last).encode());
        Self { items: fetched.into_iter().map(item).collect(), next_cursor }
    }

    /// A list that is always whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let id = Uuid::now_v7();
        for at in [datetime!(2026-01-03 10:00:00.123456 UTC), datetime!(1969-07-20 20:17:40 UTC)] {
            let cursor = Cursor::new(at, id);
            let query = format!("status=active&limit=2&cursor={}", cursor.encode());
            let page = page(&query).unwrap();
            assert_eq!(page, Page { limit: 2, cursor: Some(cursor) });
            assert_eq!(page.cursor.unwrap().id::<Uuid>().unwrap(), id);
        }
    }

    #[test]
    fn bad_limits_and_cursors_are_refused() {
        assert_eq!(page("").unwrap(), Page { limit: 50, cursor: None });
        assert_eq!(page("limit=200&cursor=").unwrap().limit, 200);
        for query in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1.5"] {
            assert_eq!(page(query).unwrap_err().code, "invalid_limit", "{query}");
        }
        let nul = URL_SAFE_NO_PAD.encode(b"\0\0\0\0\0\0\0\0a\0b");
        let far = URL_SAFE_NO_PAD.encode(b"\x7f\xff\xff\xff\xff\xff\xff\xffa");
        for cursor in ["x", "AAAA", "%00", "....", &nul, &far] {
            let refused = page(&format!("cursor={cursor}")).unwrap_err();
            assert_eq!(refused.code, "invalid_cursor", "{cursor}");
        }
        let other = Cursor::new(OffsetDateTime::UNIX_EPOCH, "not-a-uuid");
        assert_eq!(other.id::<Uuid>().unwrap_err().code, "invalid_cursor");
    }

    #[test]
    fn one_item_more_than_asked_for_makes_a_next_page() {
        let page = Page { limit: 2, cursor: None };
        assert_eq!(page.fetch(), 3);
        let place = |n: &i32| Cursor::new(OffsetDateTime::UNIX_EPOCH, n);
        let full = Listed::of(&page, vec![1, 2, 3], place, |n| n * 10);
        assert_eq!(full.items, [10, 20]);
        assert_eq!(Cursor::decode(&full.next_cursor.unwrap()).unwrap().id, "2");
        let last = Listed::of(&page, vec![1, 2], place, |n| n);
        assert_eq!(last.next_cursor, None);
        let text = serde_json::to_string(&Listed::whole(vec![1])).unwrap();
        assert_eq!(text, r#"{"items":[1]}"#);
    }
}
