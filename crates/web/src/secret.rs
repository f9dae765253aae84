//! Write tokens and API keys: `gpw_<id>_<secret><checksum>`. Only a SHA-256 of the secret is stored
//! (it has 256 random bits, so a slow hash would add nothing); the checksum lets scanners find leaks
//! and lets a typo or a random guess be refused without asking anybody.

use std::fmt;

use rand::RngExt;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Base-62 characters of the public id (71 bits).
const ID_CHARS: usize = 12;
/// Base-62 characters of the secret (256 bits).
const SECRET_CHARS: usize = 43;
/// Base-62 characters of the checksum: a CRC-32 of all that stands before it.
const CHECKSUM_CHARS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a secret is for; the first letters of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// A write token: `gpw_`.
    WriteToken,
    /// An API key: `gpk_`.
    ApiKey,
}

impl Prefix {
    /// The prefix as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WriteToken => "gpw_",
            Self::ApiKey => "gpk_",
        }
    }
}

/// A new secret. Its text is shown once, its id and hash are stored.
#[derive(Clone)]
pub struct Minted {
    /// The public id, by which it is looked up.
    pub id: String,
    /// The whole secret.
    pub text: String,
    /// What is stored of it.
    pub hash: [u8; 32],
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes a new secret from the process's cryptographic generator.
pub fn mint(prefix: Prefix) -> Minted {
    let (id, secret) = (random(ID_CHARS), random(SECRET_CHARS));
    let mut text = format!("{}{id}_{secret}", prefix.as_str());
    text.push_str(&checksum(&text));
    Minted { id, hash: hash(&secret), text }
}

fn random(chars: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(chars).map(char::from).collect()
}

/// A secret as somebody presented it: of the right form, with a good checksum. Nothing more is known
/// about it. Its `Debug` has no secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// What it claims to be for.
    pub prefix: Prefix,
    /// The id to look up.
    pub id: String,
    /// The hash to compare with the stored one, by [`verify`].
    pub hash: [u8; 32],
}

impl Presented {
    /// Takes a secret's text apart; `None` unless its form and checksum are right.
    pub fn parse(text: &str) -> Option<Self> {
        let length = Prefix::ApiKey.as_str().len() + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;
        if text.len() != length || !text.is_ascii() {
            return None;
        }
        let known = [Prefix::WriteToken, Prefix::ApiKey];
        let prefix = known.into_iter().find(|prefix| text.starts_with(prefix.as_str()))?;
        let (checked, sum) = text.split_at(length - CHECKSUM_CHARS);
        let (id, secret) = checked[prefix.as_str().len()..].split_once('_')?;
        let base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let sound = id.len() == ID_CHARS && base62(id) && base62(secret) && checksum(checked) == sum;
        sound.then(|| Self { prefix, id: id.to_owned(), hash: hash(secret) })
    }
}

/// Compares a presented hash with the stored one in constant time.
pub fn verify(presented: &[u8; 32], stored: &[u8]) -> bool {
    presented.as_slice().ct_eq(stored).into()
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [BASE62[0]; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_minted_is_presented_with_the_same_id_and_hash() {
        for prefix in [Prefix::WriteToken, Prefix::ApiKey] {
            let minted = mint(prefix);
            let presented = Presented::parse(&minted.text).unwrap();
            assert_eq!((presented.prefix, &presented.id), (prefix, &minted.id));
            assert!(verify(&presented.hash, &minted.hash));
            assert!(!verify(&presented.hash, &mint(prefix).hash));
            assert!(!verify(&presented.hash, &[]));
        }
    }

    #[test]
    fn the_form_is_fixed() {
        // Tokens in the field have this form: it cannot change.
        let text = "gpk_0123456789ab_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
        let whole = format!("{text}{}", checksum(text));
        assert_eq!(whole.len(), 66);
        assert_eq!(checksum(text), "36WBDY");
        let presented = Presented::parse(&whole).unwrap();
        assert_eq!(presented.id, "0123456789ab");
    }

    #[test]
    fn any_change_of_one_character_is_refused_offline() {
        let text = mint(Prefix::ApiKey).text;
        for place in 0..text.len() {
            for other in [b'0', b'z', b'_', b' '] {
                let mut bytes = text.clone().into_bytes();
                if bytes[place] != other {
                    bytes[place] = other;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert_eq!(Presented::parse(&changed), None, "{changed}");
                }
            }
            assert_eq!(Presented::parse(&text[..place]), None);
        }
        assert_eq!(Presented::parse(&format!("{text}0")), None);
        assert_eq!(Presented::parse(&"é".repeat(33)), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let minted = mint(Prefix::WriteToken);
        let secret = minted.text.rsplit('_').next().unwrap();
        assert!(!format!("{minted:?}").contains(secret));
    }
}
