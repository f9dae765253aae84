//! What the documents tell people to type works as it is written: their shell blocks are run against a `goalpost dev` of the
//! same build. And the page of rulings has them all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "other tests use the rest")]
mod dev;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use dev::{Dev, program};

const LIMIT_SECONDS: &str = "60";
const RULINGS: usize = 45;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}

/// The shell blocks of a text as one script, without the start of Goalpost itself.
fn script(text: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside && !line.starts_with("make ") => script += &format!("{line}\n"),
            _ => {}
        }
    }
    script
}

/// What a script says, as somebody sees it who types it where `goalpost dev` runs.
fn run(dev: &Dev, script: &str) -> String {
    let mut command = Command::new("timeout");
    command.args([LIMIT_SECONDS, "sh", "-euc", &format!("exec 2>&1\n{script}")]).current_dir(dev.dir());
    for name in ["DATABASE_URL", "AMQP_URL", "AMQP_MANAGEMENT_URL"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {said}", output.status);
    said
}

/// All of `texts` are said, in this order.
fn says(said: &str, texts: &[&str]) {
    let mut rest = said;
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text} is not said, or too early: {said}"));
        rest = &rest[at + text.len()..];
    }
}

#[test]
fn what_is_to_be_typed_works() {
    let dev = Dev::start(&[]);
    fs::create_dir_all(dev.dir().join("target/debug")).unwrap();
    symlink(program(), dev.dir().join("target/debug/goalpost")).unwrap();

    let readme = read("README.md");
    let (_, try_it) = readme.split_once("\n## Try it\n").unwrap();
    let said = run(&dev, &script(try_it.split("\n## ").next().unwrap()));
    let verdicts = [r#""accepted":2"#, r#""rejected":1"#, r#""status":"rejected""#];
    let exit = [r#""exit_reason":"goal_achieved""#, r#""status":"cancelled""#, r#""goals_achieved":1"#];
    says(&said, &[[r#""event_type":"payment.completed""#].as_slice(), &verdicts, &exit].concat());

    let said = run(&dev, &script(&read("docs/goals.md")));
    let refusals = ["Goal criteria cannot be empty", "Referenced form does not exist", "min_amuont"];
    let listeners = [r#""event_type":"contact.tag.added""#, r#""event_type":"payment.completed""#];
    let exit = [r#""accepted":1"#, r#""exit_reason":"goal_achieved""#, r#""code":"enrollment_exited""#];
    let message = [r#""type":"workflow.exit.goal""#, r#""cancelled_actions":1"#, r#""amount":100.00"#];
    says(&said, &[refusals.as_slice(), &listeners, &exit, &message, &[r#""conversion_rate":100.0"#]].concat());

    let said = run(&dev, &script(&read("docs/operators.md")));
    let shown = [r#""code":"unknown_tenant""#, r#"fields: {"#, r#""cause":"#];
    let asked = [r#""dry_run":true,"count":1"#, r#""dry_run":false,"count":1"#, r#""count":0"#];
    let settled = ["None of 1 requeued.", asked[0], asked[1], asked[2], "0 of 0 discarded."];
    let verified = [", 0 wrong.", ", 0 wrong.", "gpk_", "is revoked", r#""token":"gpw_"#];
    says(&said, &[shown.as_slice(), &settled, &verified, &["outbox_age_seconds"]].concat());

    let said = run(&dev, &script(&read("docs/pages.md")));
    let allowed = ["access-control-allow-origin: https://www.example.com", r#""accepted":1"#];
    says(&said, &[allowed.as_slice(), &["not_allowed_from_browser", "origin_not_allowed"]].concat());
}

#[test]
fn every_ruling_is_told() {
    let page = read("docs/semantics.md");
    let numbered = page.lines().filter_map(|line| line.split_once(". "));
    let numbered: Vec<(usize, &str)> =
        numbered.filter_map(|(number, ruling)| Some((number.parse().ok()?, ruling))).collect();
    assert!(numbered.iter().map(|(number, _)| *number).eq(1..=RULINGS), "{numbered:?}");
    assert!(numbered.iter().all(|(_, ruling)| ruling.len() > 20), "{numbered:?}");
}
