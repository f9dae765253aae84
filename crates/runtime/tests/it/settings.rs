//! Layers of settings, files of secrets, and the one sentence for what is wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use goalpost_runtime::Secret;
use goalpost_runtime::settings::{Environment, Loaded, SettingsError, load, redacted_toml};
use serde::Deserialize;
use tempfile::NamedTempFile;

const DEFAULTS: &str = r#"
[life]
grace_seconds = 5

[http]
host = "127.0.0.1"
port = 8080

[bus]
names = ["payment.completed", "form.submitted"]
ratio = 0.5
strict = true

[bus.limits]
batch = 500
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "`life` is read by the runtime")]
struct Settings {
    life: goalpost_runtime::Life,
    http: Http,
    bus: Bus,
    #[serde(default)]
    database: Option<Database>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    host: String,
    port: u16,
    announce_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Bus {
    names: Vec<String>,
    ratio: f64,
    strict: bool,
    limits: BTreeMap<String, u32>,
    signing_key: Option<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    url: String,
    #[expect(dead_code, reason = "only read")]
    pool_size: Option<u8>,
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn with(variables: &[(&str, &str)]) -> Result<Loaded<Settings>, SettingsError> {
    load(DEFAULTS, None, &environment(variables))
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn sentence(result: Result<Loaded<Settings>, SettingsError>) -> String {
    let sentence = result.unwrap_err().to_string();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    sentence
}

#[test]
fn later_layers_win() {
    let file = file("[http]\nport = 1\nhost = \"0.0.0.0\"\n[life]\ngrace_seconds = 0\n");
    let variables = environment(&[
        ("GOALPOST__HTTP__PORT", "2"),
        ("GOALPOST__BUS__NAMES", "a.b, c"),
        ("GOALPOST__BUS__RATIO", "1"),
        ("GOALPOST__BUS__STRICT", "false"),
        ("GOALPOST__BUS__LIMITS__BATCH", "7"),
        ("GOALPOST__BUS__LIMITS__CHUNK", "9"),
        // Not ours: Kubernetes sets such ones for every service it knows.
        ("GOALPOST_HTTP_SERVICE_PORT", "3"),
        ("HTTP__PORT", "4"),
    ]);
    let loaded = load::<Settings>(DEFAULTS, Some(file.path()), &variables).unwrap();
    let settings = loaded.settings;
    assert_eq!((settings.http.host.as_str(), settings.http.port), ("0.0.0.0", 2));
    assert_eq!(settings.bus.names, ["a.b", "c"]);
    assert!((settings.bus.ratio - 1.0).abs() < f64::EPSILON);
    assert!(!settings.bus.strict);
    assert_eq!(settings.bus.limits, BTreeMap::from([("batch".into(), 7), ("chunk".into(), 9)]));
    assert_eq!(loaded.life.grace_seconds, 0);
    assert_eq!(loaded.life.drain_seconds, 15, "a default of the section itself");
}

#[test]
fn a_text_from_the_environment_keeps_its_form() {
    let loaded = with(&[("GOALPOST__DATABASE__URL", "007")]).unwrap();
    assert_eq!(loaded.settings.database.unwrap().url, "007");
    let loaded = with(&[("GOALPOST__HTTP__HOST", "1e3,true")]).unwrap();
    assert_eq!(loaded.settings.http.host, "1e3,true");
}

#[test]
fn a_secret_is_read_from_its_file() {
    let secret = file("postgres://u:p@h/db\n");
    let path = secret.path().to_str().unwrap();
    let loaded = with(&[
        ("GOALPOST__DATABASE__URL_FILE", path),
        ("GOALPOST__BUS__SIGNING_KEY_FILE", path),
        ("GOALPOST__HTTP__ANNOUNCE_FILE", "/tmp/announce"),
    ])
    .unwrap();
    assert_eq!(loaded.settings.database.unwrap().url, "postgres://u:p@h/db");
    assert_eq!(loaded.settings.bus.signing_key.unwrap().expose(), "postgres://u:p@h/db");
    assert_eq!(loaded.settings.http.announce_file.unwrap(), PathBuf::from("/tmp/announce"));
    let keys: Vec<&str> = loaded.secret_files.iter().map(|file| file.key.as_str()).collect();
    assert_eq!(keys, ["bus.signing_key", "database.url"]);
    assert!(!format!("{:?}", loaded.secret_files).contains("postgres"));
}

#[test]
fn a_bad_secret_file_is_named() {
    let missing = sentence(with(&[("GOALPOST__DATABASE__URL_FILE", "/nowhere/url")]));
    assert!(missing.starts_with("the file /nowhere/url for the setting `database.url`"), "{missing}");
    let empty = file("\n");
    let path = empty.path().to_str().unwrap();
    let said = sentence(with(&[("GOALPOST__DATABASE__URL_FILE", path)]));
    assert!(said.ends_with("cannot be used: it is empty"), "{said}");
    let twice = [("GOALPOST__DATABASE__URL", "x"), ("GOALPOST__DATABASE__URL_FILE", "/etc/hostname")];
    assert_eq!(
        sentence(with(&twice)),
        "the setting `database.url` is given twice, by GOALPOST__DATABASE__URL and by \
         GOALPOST__DATABASE__URL_FILE"
    );
}

#[test]
fn what_is_unknown_is_refused_by_name() {
    assert_eq!(
        sentence(with(&[("GOALPOST__HTTP__PROT", "1")])),
        "unknown setting `http.prot` (from GOALPOST__HTTP__PROT): expected one of `host`, `port`, \
         `announce_file`"
    );
    for (variable, key) in [
        ("GOALPOST__HTTP_PORT", "http_port"),
        ("GOALPOST__WEB__PORT", "web"),
        ("GOALPOST__HTTP__", "http."),
        ("GOALPOST__HTTP__PO-RT", "http.po-rt"),
        ("GOALPOST__HTTP__PORT_FILES", "http.port_files"),
        // `Bus` forgot `deny_unknown_fields`: found all the same.
        ("GOALPOST__BUS__NAME", "bus.name"),
    ] {
        let said = sentence(with(&[(variable, "1")]));
        assert!(said.starts_with(&format!("unknown setting `{key}` (from {variable})")), "{said}");
    }
    let file = file("[http]\nprot = 1\n");
    let said = sentence(load(DEFAULTS, Some(file.path()), &environment(&[])));
    let place = format!("unknown setting `http.prot` (from {})", file.path().display());
    assert!(said.starts_with(&place), "{said}");
}

#[test]
fn what_is_missing_or_wrong_is_refused_by_name() {
    assert_eq!(
        sentence(with(&[("GOALPOST__DATABASE__POOL_SIZE", "3")])),
        "the setting `database.url` is missing: give it in the settings file, as \
         GOALPOST__DATABASE__URL, or as the path of a file in GOALPOST__DATABASE__URL_FILE"
    );
    let said = sentence(with(&[("GOALPOST__HTTP__PORT", "70000")]));
    assert!(said.starts_with("the setting `http.port` (from GOALPOST__HTTP__PORT) is not valid: "), "{said}");
    assert!(said.contains("70000"), "{said}");
    let said = sentence(with(&[("GOALPOST__HTTP__PORT", "eighty")]));
    assert!(said.contains("`http.port`") && said.contains("eighty"), "{said}");
    let said = sentence(with(&[("GOALPOST__HTTP", "x")]));
    assert!(said.contains("`http` (from GOALPOST__HTTP) is not valid"), "{said}");
    let bad = file("[database]\nurl = [\"hunter2\"]\n");
    let said = sentence(load(DEFAULTS, Some(bad.path()), &environment(&[])));
    assert!(said.contains("`database.url`") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_bad_file_is_named() {
    let broken = file("[http\nport");
    let said = sentence(load(DEFAULTS, Some(broken.path()), &environment(&[])));
    assert!(said.contains(&broken.path().display().to_string()), "{said}");
    let nowhere = PathBuf::from("/nowhere/settings.toml");
    let said = sentence(load(DEFAULTS, Some(&nowhere), &environment(&[])));
    assert!(said.contains("/nowhere/settings.toml"), "{said}");
}

#[test]
fn effective_settings_print_as_toml_without_secrets() {
    let loaded = with(&[
        ("GOALPOST__DATABASE__URL", "postgres://u:hunter2@h/db"),
        ("GOALPOST__BUS__SIGNING_KEY", "hunter3"),
        ("GOALPOST__HTTP__PORT", "81"),
    ])
    .unwrap();
    let text = redacted_toml(&loaded.merged);
    assert!(!text.contains("hunter"), "{text}");
    let read: toml::Table = text.parse().unwrap();
    assert_eq!(read["database"]["url"].as_str(), Some("[redacted]"));
    assert_eq!(read["bus"]["signing_key"].as_str(), Some("[redacted]"));
    assert_eq!(read["http"]["port"].as_integer(), Some(81));
    assert_eq!(read["bus"]["names"][1].as_str(), Some("form.submitted"));
    assert_eq!(read["bus"]["limits"]["batch"].as_integer(), Some(500));
}
