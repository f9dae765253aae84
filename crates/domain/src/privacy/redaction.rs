//! What a tenant wants done with personal data in its events.

use std::collections::HashSet;

use super::keys;
use crate::fault::Fault;
use crate::json::{Json, Limits};
use crate::words::words;

/// Most keys that a tenant may add to the deny-list, and most that it may take from it.
pub const MAX_KEYS: usize = 200;
/// Longest such key.
pub const MAX_KEY_CHARS: usize = 64;

words! {
    /// What becomes of an event with personal data in it.
    pub enum Mode as "mode of redaction" {
        /// It is stored without them.
        Redact = "redact",
        /// It is rejected. Its ids get pseudonyms and its URLs lose their queries all the same.
        Reject = "reject",
    }
}

/// The rules of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    pub(super) mode: Mode,
    deny: HashSet<String>,
    allow: HashSet<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { mode: Mode::Redact, deny: HashSet::new(), allow: HashSet::new() }
    }
}

impl Redaction {
    /// The rules with these keys on the deny-list too, and those of it excepted. An exception is one from the list: a value that is an
    /// address or a number is taken out under any key.
    ///
    /// # Errors
    /// `too_many`, `too_long`, `invalid_value`, or `conflicting_keys` for a key that is in both.
    pub fn new(mode: Mode, deny: &[String], allow: &[String]) -> Result<Self, Fault> {
        let (deny, allow) = (words_of("deny", deny)?, words_of("allow", allow)?);
        if allow.iter().any(|word| deny.contains(word)) {
            return Err(Fault::at("allow", "conflicting_keys", "has a key that is in deny too"));
        }
        Ok(Self { mode, deny, allow })
    }

    /// Reads the rules as they are stored: `{"mode": "redact", "deny": [], "allow": []}`.
    ///
    /// # Errors
    /// `invalid_value` where it is not that, and those of [`Redaction::new`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let json = Json::parse(text, &Limits::WIRE)?;
        let unreadable = |key: &str| Fault::at(key, "invalid_value", "is not what it must be");
        let mode = json.get("mode").and_then(Json::as_str).and_then(|word| word.parse().ok());
        let keys = |key: &str| -> Result<Vec<String>, Fault> {
            let items = json.get(key).and_then(Json::as_array).ok_or_else(|| unreadable(key))?;
            let texts = items.iter().map(|item| item.as_str().map(ToOwned::to_owned));
            texts.collect::<Option<_>>().ok_or_else(|| unreadable(key))
        };
        Self::new(mode.ok_or_else(|| unreadable("mode"))?, &keys("deny")?, &keys("allow")?)
    }

    /// Whether whatever stands under this key is personal.
    pub(super) fn denies(&self, key: &str) -> bool {
        if self.deny.is_empty() && self.allow.is_empty() {
            return keys::is_denied(key);
        }
        let word = keys::word(key);
        self.deny.contains(&word) || (keys::is_denied(key) && !self.allow.contains(&word))
    }
}

fn words_of(list: &str, keys: &[String]) -> Result<HashSet<String>, Fault> {
    if keys.len() > MAX_KEYS {
        return Err(Fault::at(list, "too_many", format!("must be at most {MAX_KEYS} keys")));
    }
    let word = |(index, key): (usize, &String)| {
        let word = keys::word(key);
        let fault = if key.chars().count() > MAX_KEY_CHARS {
            Some(("too_long", format!("must be at most {MAX_KEY_CHARS} characters")))
        } else if word.is_empty() || word.contains(char::is_control) {
            Some(("invalid_value", "must be a key".to_owned()))
        } else {
            None
        };
        match fault {
            Some((code, message)) => Err(Fault::new(code, message).within(&index.to_string()).within(list)),
            None => Ok(word),
        }
    };
    keys.iter().enumerate().map(word).collect()
}
