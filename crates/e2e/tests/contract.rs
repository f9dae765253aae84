//! The published schemas take their valid examples and refuse the invalid ones. (That the types of `domain::contract` and the
//! schemas have the same fields is a test of `domain`.)
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use jsonschema::Validator;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compiled(path: &Path) -> Validator {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Every schema with the examples that are its own.
fn schemas() -> Vec<(PathBuf, Vec<PathBuf>, Vec<PathBuf>)> {
    let mut schemas = Vec::new();
    for folder in fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        // The OpenAPI documents.
        if folder.file_name().unwrap() == "http" {
            continue;
        }
        let is_events = folder.file_name().unwrap() == "events";
        for schema in files(&folder).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        {
            let name = schema.file_stem().unwrap().to_string_lossy().into_owned();
            let of_schema = |kind: &str| -> Vec<PathBuf> {
                let examples = files(&folder.join("examples").join(kind)).into_iter();
                let own = |path: &PathBuf| {
                    let file = path.file_stem().unwrap().to_string_lossy();
                    !is_events || file.rsplit_once('.').is_some_and(|(event, _)| event == name)
                };
                examples.filter(own).collect()
            };
            schemas.push((schema.clone(), of_schema("valid"), of_schema("invalid")));
        }
    }
    schemas
}

#[test]
fn schemas_take_what_is_valid_and_refuse_what_is_not() {
    let schemas = schemas();
    assert!(schemas.len() > 30, "the folder was read");
    for (path, valid, invalid) in schemas {
        let schema = compiled(&path);
        assert!(!valid.is_empty() && !invalid.is_empty(), "{} has no examples", path.display());
        for example in valid {
            let errors: Vec<String> = schema.iter_errors(&read(&example)).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", example.display());
        }
        for example in invalid {
            assert!(!schema.is_valid(&read(&example)), "{} is taken", example.display());
        }
    }
}
