//! The house rules that a machine can keep: who may know whom, sizes, first lines, names. Every exception is listed here,
//! with its reason, and the lists only shrink.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

const MOST_CODE_LINES: usize = 400;
const MOST_FUNCTION_LINES: usize = 70;
/// Files that may be longer, and functions (`file:name`).
const LONG_FILES: [&str; 0] = [];
const LONG_FUNCTIONS: [&str; 0] = [];

const SERVICES: [&str; 4] = ["analytics", "evaluator", "goals", "ingest"];
/// All that the pure crate may lean on.
const PURE: [&str; 10] = [
    "serde",
    "serde_json",
    "uuid",
    "time",
    "thiserror",
    "rust_decimal",
    "unicode-normalization",
    "caseless",
    "sha2",
    "hmac",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn files(ending: &str) -> Vec<(String, String)> {
    ["crates", "services"]
        .iter()
        .flat_map(|dir| WalkDir::new(root().join(dir)))
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .map(|path| (relative(&path), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

#[test]
fn files_are_short() {
    let long = files(".rs")
        .into_iter()
        .map(|(path, text)| (path, text.lines().filter(|line| is_code(line)).count()))
        .filter(|(path, lines)| *lines > MOST_CODE_LINES && !LONG_FILES.contains(&path.as_str()))
        .map(|(path, lines)| format!("{path}: {lines} code lines"))
        .collect();
    none("files over the limit", long);
}

/// Functions of a formatted file: name, and lines from its `fn` to the brace that closes at the same indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let code = ["pub(crate) ", "pub(super) ", "pub ", "const ", "async "]
            .iter()
            .fold(code, |c, p| c.strip_prefix(p).unwrap_or(c));
        let Some(name) = code.strip_prefix("fn ") else {
            continue;
        };
        if line.trim_end().ends_with(';') || line.trim_end().ends_with('}') {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        if let Some(end) = lines[start..].iter().position(|l| *l == closing) {
            let name = name.split(['(', '<']).next().unwrap().to_owned();
            found.push((name, end + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in files(".rs") {
        for (name, lines) in functions(&text) {
            if lines > MOST_FUNCTION_LINES && !LONG_FUNCTIONS.contains(&format!("{path}:{name}").as_str()) {
                long.push(format!("{path}: {name} has {lines} lines"));
            }
        }
    }
    none("functions over the limit", long);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = files(".rs")
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! ") && !text.starts_with("#![doc = include_str!("))
        .map(|(path, _)| path)
        .collect();
    none("files that do not start with `//!`", silent);
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!(", "unimplemented!(", "#[ignore", "TODO", "FIXME", "XXX"];
    let found = [files(".rs"), files(".feature")]
        .concat()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("tests/tidy.rs"))
        .flat_map(|(path, text)| {
            let hits = words.iter().filter(|word| text.contains(**word)).map(|word| format!("{path}: {word}"));
            hits.collect::<Vec<_>>()
        })
        .collect();
    none("unfinished work", found);
}

#[test]
fn nothing_is_called_common_or_utils() {
    let named = WalkDir::new(root().join("crates"))
        .into_iter()
        .chain(WalkDir::new(root().join("services")))
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| {
            let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            ["common", "util", "utils", "helper", "helpers", "misc"].contains(&stem.as_str())
        })
        .map(|path| relative(&path))
        .collect();
    none("names that say nothing", named);
}

#[test]
fn every_member_has_a_readme() {
    let missing = manifests().into_keys().filter(|member| !root().join(member).join("README.md").is_file()).collect();
    none("members without a README.md", missing);
}

/// Of each member (by its folder): the names of its dependencies and of its dev-dependencies.
fn manifests() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    files("Cargo.toml")
        .into_iter()
        .map(|(path, text)| {
            let manifest: toml::Table = text.parse().unwrap();
            let names = |section: &str| {
                let table = manifest.get(section).and_then(toml::Value::as_table);
                table.into_iter().flat_map(|t| t.keys().cloned()).collect::<BTreeSet<_>>()
            };
            (path.trim_end_matches("/Cargo.toml").to_owned(), (names("dependencies"), names("dev-dependencies")))
        })
        .collect()
}

#[test]
fn the_pure_crate_is_pure() {
    let (deps, _) = &manifests()["crates/domain"];
    none(
        "dependencies of domain that are not pure",
        deps.iter().filter(|d| !PURE.contains(&d.as_str())).cloned().collect(),
    );
}

#[test]
fn members_know_only_whom_they_may() {
    let mut wrong = Vec::new();
    for (member, (deps, dev)) in manifests() {
        let name = member.rsplit('/').next().unwrap();
        let mut forbid = |dep: &str, allowed: &[&str], with_dev: bool| {
            let has = deps.contains(dep) || (with_dev && dev.contains(dep));
            if has && !allowed.contains(&name) {
                wrong.push(format!("{member} must not depend on {dep}"));
            }
        };
        forbid("lapin", &["bus"], true);
        forbid("actix-web", &["web", "ingest", "goals", "evaluator", "analytics"], true);
        forbid("jsonschema", &["ingest", "goals"], false);
        forbid("deadpool-postgres", &["pg"], true);
        forbid("tokio-postgres", &["pg", "testkit", "devstack", "cli", "load", "bench"], false);
        forbid("testkit", &["e2e"], false);
        forbid("crash", &["pg", "bus", "ingest", "goals", "evaluator", "analytics", "e2e"], true);
        for service in SERVICES {
            forbid(service, &["cli"], true);
        }
        for part in ["pg", "bus", "web", "runtime"] {
            let mut allowed = SERVICES.to_vec();
            allowed.extend(["cli", "e2e", "testkit"]);
            if part == "bus" {
                allowed.extend(["load", "bench"]);
            }
            forbid(part, &allowed, false);
        }
    }
    none("dependencies that the architecture forbids", wrong);
}

#[test]
fn what_is_served_is_described() {
    let calls = [".route(", ".service(", "web::resource(", "web::scope(", "scope("];
    let found = files(".rs")
        .into_iter()
        .filter(|(path, _)| path.starts_with("services/") && path.contains("/src/"))
        .filter(|(_, text)| calls.iter().any(|call| text.contains(call)))
        .map(|(path, _)| path)
        .collect();
    none("routes beside web::openapi, which the OpenAPI document does not know", found);
}

#[test]
fn sql_lives_in_stores_only() {
    let verbs = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"WITH "];
    let found = files(".rs")
        .into_iter()
        .filter(|(path, _)| path.starts_with("services/") && path.contains("/src/") && !path.contains("/store/"))
        .filter(|(_, text)| verbs.iter().any(|verb| text.contains(verb)))
        .map(|(path, _)| path)
        .collect();
    none("SQL outside of store/", found);
}
