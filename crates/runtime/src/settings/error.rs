//! Why settings were refused, each in one sentence.

use std::path::{Path, PathBuf};

use ::config::ConfigError;

use super::print::is_secret;

/// Why a service does not start with the settings it was given. The text is one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A key that the service does not have.
    #[error("unknown setting `{key}` (from {origin}){known}")]
    Unknown {
        /// The key, as `http.prot`.
        key: String,
        /// A variable, a file, or the built-in defaults.
        origin: String,
        /// What is known at that place, as `: expected one of …`, or nothing.
        known: String,
    },
    /// A key that has no default and was not given.
    #[error(
        "the setting `{key}` is missing: give it in the settings file, as {variable}, or as the \
         path of a file in {variable}_FILE"
    )]
    Missing {
        /// The key.
        key: String,
        /// The variable that would set it.
        variable: String,
    },
    /// A value of the wrong type or out of range.
    #[error("the setting `{key}` (from {origin}) is not valid: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// A variable, a file, or the built-in defaults.
        origin: String,
        /// What is wrong; without the value when the key names a secret.
        reason: String,
    },
    /// The settings file cannot be used.
    #[error("the settings file {path} cannot be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file named by a `…_FILE` variable cannot be used.
    #[error("the file {path} for the setting `{key}` cannot be used: {reason}")]
    SecretFile {
        /// The key that it was to fill.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two variables set the same key.
    #[error("the setting `{key}` is given twice, by {first} and by {second}")]
    Twice {
        /// The key.
        key: String,
        /// One variable.
        first: String,
        /// The other variable.
        second: String,
    },
    /// A variable is not UTF-8.
    #[error("the variable {variable} is not UTF-8")]
    NotUtf8 {
        /// The variable.
        variable: String,
    },
    /// The command line is not understood.
    #[error("{0}")]
    Usage(String),
}

impl SettingsError {
    pub(super) fn built_in(error: &ConfigError) -> Self {
        let (key, origin) = ("*".to_owned(), "the built-in defaults".to_owned());
        Self::Invalid { key, origin, reason: one_line(error) }
    }

    pub(super) fn file(path: Option<&Path>, error: &ConfigError) -> Self {
        let path = path.map(Path::to_path_buf).unwrap_or_default();
        Self::File { path, reason: one_line(error) }
    }

    /// From an error of serde at `path`.
    pub(super) fn from_serde(path: &str, error: ConfigError, origin_of: impl Fn(&str) -> String) -> Self {
        let error = innermost(error);
        if let ConfigError::NotFound(key) = error {
            let variable = format!("GOALPOST__{}", key.replace('.', "__").to_ascii_uppercase());
            return Self::Missing { key, variable };
        }
        let text = one_line(&error);
        if let Some((field, rest)) = quoted(&text, "unknown field `") {
            let key = within(path, field);
            let known = rest.strip_prefix(", ").map(|known| format!(": {known}"));
            return Self::Unknown { origin: origin_of(&key), key, known: known.unwrap_or_default() };
        }
        let reason = match &error {
            _ if !is_secret(path) => text,
            ConfigError::Type { expected, .. } => format!("expected {expected}"),
            _ => "its value is not shown, for it is a secret".to_owned(),
        };
        Self::Invalid { key: path.to_owned(), origin: origin_of(path), reason }
    }
}

/// The error itself, without the places that `config` wraps around it.
fn innermost(error: ConfigError) -> ConfigError {
    match error {
        ConfigError::At { error, .. } => innermost(*error),
        ConfigError::Type { unexpected, expected, .. } => {
            ConfigError::Type { origin: None, unexpected, expected, key: None }
        }
        other => other,
    }
}

fn one_line(error: &ConfigError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Splits "unknown field `x`, expected …" into `x` and the rest.
fn quoted<'t>(text: &'t str, start: &str) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(start)?.split_once('`')
}

/// The key of `field` in the table at `path`; serde's path ends with the field in some cases.
fn within(path: &str, field: &str) -> String {
    if path == "." || path.is_empty() {
        return field.to_owned();
    }
    if path == field || path.ends_with(&format!(".{field}")) {
        return path.to_owned();
    }
    format!("{path}.{field}")
}
