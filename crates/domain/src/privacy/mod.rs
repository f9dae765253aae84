//! What is personal in an event, and what stands for it: redaction, and pseudonyms of ids that tell a person.

mod campaign;
mod digits;
mod email;
mod find;
mod keys;
mod redaction;
mod salt;
mod url;
mod walk;

use crate::words::words;

pub use find::clean;
pub use keys::is_identifier;
pub use redaction::{MAX_KEY_CHARS, MAX_KEYS, Mode, Redaction};
pub use salt::{Salt, tells_a_person};

/// What stands where something personal stood.
pub const REDACTED: &str = "[redacted]";

words! {
    /// What was taken out, or why.
    pub enum Kind as "kind of personal data" {
        /// The value of a key on the deny-list.
        Key = "key",
        /// An e-mail address.
        Email = "email",
        /// A phone number.
        Phone = "phone",
        /// The number of a payment card.
        Card = "card",
        /// Query, fragment and credentials of a URL.
        Url = "url",
        /// An id that told a person, and has a pseudonym now.
        Id = "id",
    }
}

/// How often each kind was taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redacted([u32; Kind::ALL.len()]);

impl Redacted {
    /// How often this kind was.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u32 {
        self.0[kind as usize]
    }

    /// How often anything was.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Counts all that another has counted.
    pub fn add(&mut self, other: &Redacted) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }
}

#[cfg(test)]
mod tests;
