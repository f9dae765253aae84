//! The provider's keys (RFC 7517): those of them that tokens are verified with here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of an RSA modulus: 2,048 to 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// Bytes of an Ed25519 public key.
const ED25519_BYTES: usize = 32;

/// A key, and the one algorithm that it is for: a token does not choose.
#[derive(Debug)]
pub struct Key {
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
}

/// Keys by their `kid`.
#[derive(Debug, Default)]
pub struct KeySet(HashMap<String, Arc<Key>>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds and for other uses are passed over; two under one `kid` are none, as nobody could say
    /// which is meant.
    ///
    /// # Errors
    /// It is no key set.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(text)?;
        let (mut keys, mut seen) = (HashMap::new(), HashSet::new());
        for jwk in document.keys {
            let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            let Some(kid) = kid else { continue };
            if !seen.insert(kid.clone()) {
                tracing::warn!(kid, "the identity provider has two keys of one name: neither is used");
                keys.remove(&kid);
                continue;
            }
            if let Some(key) = serde_json::from_value::<Jwk>(jwk).ok().and_then(|jwk| jwk.key()) {
                keys.insert(kid, Arc::new(key));
            }
        }
        Ok(Self(keys))
    }

    pub fn get(&self, kid: &str) -> Option<Arc<Key>> {
        self.0.get(kid).cloned()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Jwk {
    /// The key, if it verifies signatures of an algorithm that is taken.
    fn key(&self) -> Option<Key> {
        let verifies = self.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|word| word == "verify"));
        if self.kid.is_empty() || !verifies || self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let (algorithm, decoding) = match self.kty.as_str() {
            "RSA" => (Algorithm::RS256, self.rsa()?),
            "OKP" if self.crv.as_deref() == Some("Ed25519") => (Algorithm::EdDSA, self.ed25519()?),
            _ => return None,
        };
        let fits = match self.alg.as_deref() {
            None => true,
            Some(name) => named(name) == Some(algorithm),
        };
        fits.then_some(Key { algorithm, decoding })
    }

    fn rsa(&self) -> Option<DecodingKey> {
        let (n, e) = (self.n.as_deref()?, self.e.as_deref()?);
        let modulus = URL_SAFE_NO_PAD.decode(n).ok()?;
        let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
        if !MODULUS_BYTES.contains(&bytes) {
            return None;
        }
        DecodingKey::from_rsa_components(n, e).ok()
    }

    fn ed25519(&self) -> Option<DecodingKey> {
        let x = self.x.as_deref()?;
        let bytes = URL_SAFE_NO_PAD.decode(x).ok()?;
        (bytes.len() == ED25519_BYTES).then(|| DecodingKey::from_ed_components(x).ok()).flatten()
    }
}

/// The algorithms that are taken, by name; `Ed25519` is what RFC 9864 calls the EdDSA of that curve.
pub fn named(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn ed(kid: &str, more: &Value) -> Value {
        let mut key = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode([7; 32])});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_keys_that_verify_what_is_taken_are_kept() {
        let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]);
        let rsa =
            |bytes| json!({"kty": "RSA", "kid": "r", "n": modulus(bytes), "e": "AQAB", "use": "sig", "alg": "RS256"});
        let good =
            [rsa(256), ed("a", &json!({})), ed("b", &json!({"alg": "EdDSA", "use": "sig", "key_ops": ["verify"]}))];
        assert_eq!(set(&good).len(), 3);
        let others = [
            rsa(128),
            rsa(2_048),
            json!({"kty": "RSA", "kid": "r", "n": modulus(256), "e": "AQAB", "alg": "PS256"}),
            json!({"kty": "RSA", "kid": "r", "n": modulus(256), "e": "AQAB", "alg": "HS256"}),
            json!({"kty": "RSA", "kid": "r"}),
            json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"}),
            json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": "AA", "y": "AA"}),
            ed("c", &json!({"use": "enc"})),
            ed("d", &json!({"key_ops": ["sign"]})),
            ed("f", &json!({"crv": "Ed448"})),
            ed("g", &json!({"x": "AAAA"})),
            ed("", &json!({})),
            ed("h", &json!({"kid": 1})),
            json!("no key"),
        ];
        for key in others {
            assert_eq!(set(std::slice::from_ref(&key)).len(), 0, "{key}");
        }
    }

    #[test]
    fn two_keys_of_one_name_are_none_and_the_others_stay() {
        let twice = [ed("a", &json!({})), ed("b", &json!({})), ed("a", &json!({})), ed("a", &json!({"use": "enc"}))];
        let keys = set(&twice);
        assert!(keys.get("a").is_none());
        assert!(keys.get("b").is_some());
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for text in ["", "{}", "[]", "{\"keys\": 1}", "<html>"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(set(&[]).len(), 0);
    }
}
