//! The list of places is the places that are in the code; and what is asked for at one happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

use std::path::Path;
use std::process::{Command, ExitStatus};

use goalpost_crash::POINTS;
use walkdir::WalkDir;

/// Every `crash::point!` of the workspace, by its name.
fn places() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let files = ["crates", "services"].into_iter().flat_map(|dir| WalkDir::new(root.join(dir)));
    let files = files.map(|entry| entry.unwrap().into_path()).filter(|path| {
        let source = path.components().any(|part| part.as_os_str() == "src");
        source && path.extension().is_some_and(|ending| ending == "rs")
    });
    let mut places = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let found = text.split("crash::point!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        places.extend(found);
    }
    places.sort();
    places
}

#[test]
fn every_place_is_listed_and_every_name_is_of_one_place() {
    assert_eq!(places(), POINTS);
    let readme = include_str!("../README.md");
    let missing: Vec<_> = POINTS.iter().filter(|name| !readme.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
}

/// Runs the test below in a process of its own.
fn child(variable: &str, asked: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "three_hits_and_a_message"]).env("CRASH_TEST_CHILD", "yes").env(variable, asked);
    command.output().unwrap().status
}

#[test]
fn three_hits_and_a_message() {
    if std::env::var_os("CRASH_TEST_CHILD").is_some() {
        for _ in 0..3 {
            goalpost_crash::point!("relay.after_claim");
        }
        goalpost_crash::poison!(b"a body with a marker in it");
    }
}

#[test]
fn what_is_asked_for_happens() {
    use std::os::unix::process::ExitStatusExt;
    let ends = |variable, asked| child(variable, asked);
    assert!(ends("GOALPOST_CRASH", "").success());
    assert!(ends("GOALPOST_CRASH", "relay.after_claim:4=abort").success(), "there are three hits");
    assert!(ends("GOALPOST_CRASH", "relay.after_claim:2=sleep 1").success());
    assert_eq!(ends("GOALPOST_CRASH", "relay.after_claim:3=exit").code(), Some(70));
    const SIGABRT: i32 = 6;
    assert_eq!(ends("GOALPOST_CRASH", "relay.after_claim:3=abort").signal(), Some(SIGABRT));
    assert_eq!(ends("GOALPOST_CRASH", "relay.after_claim:3=explode").signal(), Some(SIGABRT));
    assert!(!ends("GOALPOST_CRASH", "relay.after_claim:3=panic").success());
    assert!(ends("GOALPOST_POISON", "absent=abort").success());
    assert_eq!(ends("GOALPOST_POISON", "marker=abort").signal(), Some(SIGABRT));
    assert!(!ends("GOALPOST_POISON", "marker=panic").success());
}
