//! Settings in layers: the service's built-in TOML < a file < the environment. What a service does
//! not know, it refuses to start with, in one sentence that names the key.

mod environment;
mod error;
mod print;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::config::{Config, File, FileFormat};
use serde::de::DeserializeOwned;

use crate::{Life, Telemetry};
pub use environment::Environment;
use environment::Layer;
pub use error::SettingsError;
pub use print::redacted_toml;

/// Settings as a service gets them, and what they were made of.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    /// The service's own type.
    pub settings: S,
    /// The section `life`, which every service has.
    pub life: Life,
    /// The section `telemetry`.
    pub telemetry: Telemetry,
    /// All layers merged, for [`redacted_toml`].
    pub merged: Config,
    /// Files that secrets were read from, with what stood in them.
    pub secret_files: Vec<SecretFile>,
}

/// A file that a `…_FILE` variable names.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// The setting that it fills, as `database.url`.
    pub key: String,
    /// Where it is.
    pub path: PathBuf,
    content: String,
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {}", self.key, self.path.display())
    }
}

impl SecretFile {
    /// Whether the file can be read and now says something else.
    pub(crate) fn changed(&self) -> bool {
        environment::read_secret(&self.path).is_ok_and(|content| content != self.content)
    }
}

/// Merges the layers and reads `S` from them.
///
/// A variable `GOALPOST__A__B_FILE` fills `a.b` from the file it names, unless `S` itself has a
/// setting `a.b_file`.
///
/// # Errors
/// One sentence that names the key (or the file) and where it came from.
pub fn load<S: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<S>, SettingsError> {
    let mut builder = Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
    let built_in = builder.build_cloned().map_err(|error| SettingsError::built_in(&error))?;
    if let Some(path) = file {
        builder = builder.add_source(File::from(path).format(FileFormat::Toml).required(true));
    }
    let base = builder.build_cloned().map_err(|error| SettingsError::file(file, &error))?;
    let origins = Origins { built_in, base: base.clone(), file: file.map(Path::to_path_buf) };

    // Whether `a.b_file` is a setting or names a file for `a.b` is known by `S` alone: it is taken
    // for a setting first, and for a file once `S` has refused it.
    let mut from_files = BTreeSet::new();
    loop {
        let layer = Layer::new(environment, &base, &from_files)?;
        let merged = builder.clone().add_source(layer.clone());
        let merged = merged.build().map_err(|error| SettingsError::built_in(&error))?;
        let (settings, refused) = deserialize::<S>(&merged, &layer, &origins);
        let candidates: Vec<String> = refused.into_iter().filter(|key| layer.may_name_a_file(key)).collect();
        if candidates.is_empty() {
            let (settings, secret_files) = (settings?, layer.secret_files);
            let (life, telemetry) = (section(&merged, "life")?, section(&merged, "telemetry")?);
            return Ok(Loaded { settings, life, telemetry, merged, secret_files });
        }
        from_files.extend(candidates);
    }
}

/// Where values of the lower layers come from.
struct Origins {
    built_in: Config,
    base: Config,
    file: Option<PathBuf>,
}

impl Origins {
    /// Says where the value of `key` comes from.
    fn of(&self, key: &str, layer: &Layer) -> String {
        if let Some(variable) = layer.variable_within(key) {
            return variable.to_owned();
        }
        match &self.file {
            Some(file) if differs(&self.built_in, &self.base, key) => file.display().to_string(),
            _ => "the built-in defaults".to_owned(),
        }
    }
}

fn differs(built_in: &Config, base: &Config, key: &str) -> bool {
    let value = |config: &Config| config.get::<::config::Value>(key).ok().map(|value| value.kind);
    value(built_in) != value(base)
}

/// Reads `S`; beside it the keys that `S` does not know.
fn deserialize<S: DeserializeOwned>(
    merged: &Config,
    layer: &Layer,
    origins: &Origins,
) -> (Result<S, SettingsError>, Vec<String>) {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(merged.clone(), &mut track);
    let read = serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string()));
    match read {
        Ok(_) if !unknown.is_empty() => {
            let key = unknown[0].clone();
            let origin = origins.of(&key, layer);
            (Err(SettingsError::Unknown { key, origin, known: String::new() }), unknown)
        }
        Ok(settings) => (Ok(settings), unknown),
        Err(error) => {
            let path = track.path().to_string();
            let error = SettingsError::from_serde(&path, error, |key| origins.of(key, layer));
            if let SettingsError::Unknown { key, .. } = &error {
                unknown.push(key.clone());
            }
            (Err(error), unknown)
        }
    }
}

/// A section that the runtime reads itself.
fn section<T: DeserializeOwned + Default>(merged: &Config, name: &str) -> Result<T, SettingsError> {
    match merged.get::<T>(name) {
        Ok(section) => Ok(section),
        Err(::config::ConfigError::NotFound(_)) => Ok(T::default()),
        Err(error) => Err(SettingsError::from_serde(name, error, |_| "the settings".to_owned())),
    }
}
