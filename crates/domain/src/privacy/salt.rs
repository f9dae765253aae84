//! Pseudonyms: an id that is an e-mail address or a phone number never goes beyond the place where it was given. One function
//! makes what stands for it, wherever a caller names a person, so that all sides meet.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization;

use super::Kind;
use super::find::{Marks, find};
use crate::ids::ContactId;

/// What every pseudonym begins with.
const PREFIX: &str = "h_";
/// How many bytes of the HMAC stand in a pseudonym: no two persons of a tenant share one.
const HASH_BYTES: usize = 16;

/// A tenant's secret key for pseudonyms. It never changes, else a person would be two.
#[derive(Clone)]
pub struct Salt(Hmac<Sha256>);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// Whether an id is, or holds, an e-mail address or a phone number: only then a salt is needed.
#[must_use]
pub fn tells_a_person(id: &str) -> bool {
    canonical(id).is_some()
}

impl Salt {
    /// The salt of these 32 bytes; `None` for any other number of them.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// What is stored for this id of a user (or session, or project): `h_` and 32 hex digits if it tells a person, else itself.
    #[must_use]
    pub fn user_id<'a>(&self, id: &'a str) -> Cow<'a, str> {
        canonical(id).map_or(Cow::Borrowed(id), |canonical| Cow::Owned(self.pseudonym(&canonical)))
    }

    /// What is stored for this contact. The same text gives the same as [`Salt::user_id`].
    #[must_use]
    pub fn contact_id<'a>(&self, contact: &'a ContactId) -> Cow<'a, ContactId> {
        match self.user_id(contact.as_str()) {
            Cow::Borrowed(_) => Cow::Borrowed(contact),
            Cow::Owned(text) =>
            {
                #[expect(clippy::expect_used, reason = "34 characters of a-z, 0-9 and '_' are an id")]
                Cow::Owned(ContactId::parse(&text).expect("a pseudonym is an id"))
            }
        }
    }

    fn pseudonym(&self, canonical: &str) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.0.clone();
        mac.update(canonical.as_bytes());
        let hash = mac.finalize().into_bytes();
        let mut text = String::with_capacity(PREFIX.len() + 2 * HASH_BYTES);
        text.push_str(PREFIX);
        for byte in hash.iter().take(HASH_BYTES) {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }
}

/// The one spelling of an id that tells a person: a phone number as its digits, with a plus where it is international; any other
/// in lower case, without white space around it, composed.
fn canonical(id: &str) -> Option<String> {
    let marks = Marks::of(id);
    if !marks.may_tell_a_person() {
        return None;
    }
    let text = id.trim();
    let found = find(text, Marks::of(text));
    let whole = |kind| found.iter().any(|span| span.kind == kind && (span.from, span.to) == (0, text.len()));
    if whole(Kind::Phone) {
        return Some(dialled(text));
    }
    let tells = found.iter().any(|span| matches!(span.kind, Kind::Email | Kind::Phone));
    // Lower-casing may leave what composes.
    tells.then(|| text.nfc().collect::<String>().to_lowercase().nfc().collect())
}

/// What is dialled: `+49 (0)30 123456` and `0049 30 123456` are `+4930123456`.
fn dialled(text: &str) -> String {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let international = match text.trim_start_matches('(').strip_prefix('+') {
        Some(rest) => Some(rest),
        None => text.strip_prefix("00"),
    };
    match international {
        Some(rest) => format!("+{}", digits(&rest.replacen("(0)", "", 1))),
        None => digits(text),
    }
}
