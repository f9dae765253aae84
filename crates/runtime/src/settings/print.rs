//! Effective settings as TOML, without what must not be seen.

use ::config::{Config, Value, ValueKind};

use crate::secret::REDACTED;

/// A setting whose name has one of these words is a secret. Connection URLs are, for the password
/// in them.
const SECRET_WORDS: [&str; 12] =
    ["url", "urls", "uri", "dsn", "secret", "secrets", "password", "key", "keys", "token", "tokens", "salt"];

/// Settings that have such a word in them and are none: what everybody may read there is read by everybody.
const PUBLIC: [&str; 1] = ["jwks_url"];

/// Whether the last part of `key` has a word of [`SECRET_WORDS`] in it.
pub(super) fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    let name = name.split('[').next().unwrap_or(name);
    !PUBLIC.contains(&name) && name.split('_').any(|word| SECRET_WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

/// All settings as TOML. Texts under a secret's name are printed as `[redacted]`, except empty
/// ones, which show that nothing is set.
pub fn redacted_toml(merged: &Config) -> String {
    let tree = toml_of(&merged.cache, false);
    let text = toml::to_string_pretty(&tree.unwrap_or_else(|| toml::Table::new().into()));
    text.unwrap_or_default()
}

fn toml_of(value: &Value, secret: bool) -> Option<toml::Value> {
    Some(match &value.kind {
        ValueKind::Nil => return None,
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) if secret && !text.is_empty() => REDACTED.into(),
        ValueKind::String(text) => text.clone().into(),
        ValueKind::Array(items) => items.iter().filter_map(|item| toml_of(item, secret)).collect::<Vec<_>>().into(),
        ValueKind::Table(table) => {
            let item = |(key, item): (&String, &Value)| Some((key.clone(), toml_of(item, secret || is_secret(key))?));
            toml::Value::Table(table.iter().filter_map(item).collect())
        }
        // Integers beyond 64 bits: TOML has none, and no setting is one.
        other => other.to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_a_word_of_their_name() {
        for key in ["database.url", "bus.url", "keys[0]", "jwt.signing_key", "a.SALT", "api_token"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["http.port", "keyboard", "database.pool_size", "monkey", "url.host", "identity.jwt.jwks_url"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
