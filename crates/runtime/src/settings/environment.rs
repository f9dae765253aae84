//! The layer of environment variables, `GOALPOST__SECTION__KEY`, and of the files that
//! `GOALPOST__SECTION__KEY_FILE` names.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};

use super::{SecretFile, SettingsError};

const PREFIX: &str = "GOALPOST__";
const FILE_SUFFIX: &str = "_file";

/// The variables of this process that are ours: those that start with `GOALPOST__`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(String, Result<String, OsString>)>,
}

impl Environment {
    /// Those of this process.
    #[expect(clippy::disallowed_methods, reason = "settings are read here and nowhere else")]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let ours = |(name, text): (K, V)| {
            let name = name.into().into_string().ok()?;
            name.starts_with(PREFIX).then(|| (name, text.into().into_string()))
        };
        let mut variables: Vec<_> = variables.into_iter().filter_map(ours).collect();
        variables.sort();
        Self { variables }
    }
}

/// One pass over the variables: every value with its key, as the type that the lower layers have
/// for it.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    values: Vec<Setting>,
    pub(super) secret_files: Vec<SecretFile>,
}

#[derive(Debug, Clone)]
struct Setting {
    variable: String,
    key: String,
    value: ValueKind,
    from_file: bool,
}

impl Layer {
    /// `from_files` has the keys (`a.b_file`) whose variables name a file to read `a.b` from.
    pub(super) fn new(
        environment: &Environment,
        base: &Config,
        from_files: &BTreeSet<String>,
    ) -> Result<Self, SettingsError> {
        let mut layer = Self { values: Vec::new(), secret_files: Vec::new() };
        for (variable, text) in &environment.variables {
            let text = text.clone().map_err(|_| SettingsError::NotUtf8 { variable: variable.clone() })?;
            let key = key_of(variable)?;
            let from_file = from_files.contains(&key);
            let (key, text) = if from_file { layer.read(&key, &text)? } else { (key, text) };
            if let Some(twice) = layer.variable(&key) {
                let (first, second) = (twice.to_owned(), variable.clone());
                return Err(SettingsError::Twice { key, first, second });
            }
            let value = like(base, &key, &text);
            layer.values.push(Setting { variable: variable.clone(), key, value, from_file });
        }
        Ok(layer)
    }

    /// The key that a file fills, and what stands in the file.
    fn read(&mut self, key: &str, path: &str) -> Result<(String, String), SettingsError> {
        let key = key.strip_suffix(FILE_SUFFIX).unwrap_or(key).to_owned();
        let path = PathBuf::from(path);
        let content = read_secret(&path).map_err(|reason| {
            let (key, path) = (key.clone(), path.clone());
            SettingsError::SecretFile { key, path, reason }
        })?;
        self.secret_files.push(SecretFile { key: key.clone(), path, content: content.clone() });
        Ok((key, content))
    }

    /// The variable that set `key`.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|value| value.key == key).map(|value| value.variable.as_str())
    }

    /// The variable that set `key` or something in the table of that name.
    pub(super) fn variable_within(&self, key: &str) -> Option<&str> {
        let within =
            |value: &&Setting| value.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.values.iter().find(within).map(|value| value.variable.as_str())
    }

    /// Whether `key` was set by a variable that may as well name a file.
    pub(super) fn may_name_a_file(&self, key: &str) -> bool {
        let names_a_file = |value: &&Setting| value.key == key && !value.from_file;
        key.ends_with(FILE_SUFFIX) && self.values.iter().any(|value| names_a_file(&value))
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let value = |set: &Setting| Value::new(Some(&set.variable), set.value.clone());
        Ok(self.values.iter().map(|set| (set.key.clone(), value(set))).collect())
    }
}

/// Reads a secret: the file's text without the line end that editors add. An empty file is a
/// mistake.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// `GOALPOST__HTTP__PORT` → `http.port`.
fn key_of(variable: &str) -> Result<String, SettingsError> {
    let segments: Vec<String> = variable[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
    let named = |segment: &String| {
        !segment.is_empty()
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !segment.starts_with('_')
    };
    if segments.iter().all(named) {
        return Ok(segments.join("."));
    }
    let (key, origin) = (segments.join("."), variable.to_owned());
    Err(SettingsError::Unknown { key, origin, known: String::new() })
}

/// `text` as the type that the lower layers have for `key`: a comma separates the items of a list.
/// A text that is not of that type stays a text, and is refused with its key when it is read.
fn like(base: &Config, key: &str, text: &str) -> ValueKind {
    let kind = base.get::<Value>(key).ok().map(|value| value.kind);
    let typed = match kind {
        Some(ValueKind::I64(_)) => text.trim().parse().ok().map(ValueKind::I64),
        Some(ValueKind::Float(_)) => text.trim().parse().ok().map(ValueKind::Float),
        Some(ValueKind::Boolean(_)) => text.trim().parse().ok().map(ValueKind::Boolean),
        Some(ValueKind::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(ValueKind::Array(items.map(|item| Value::new(None, item)).collect()))
        }
        _ => None,
    };
    typed.unwrap_or_else(|| ValueKind::String(text.to_owned()))
}
