//! `goalpost load`: everything that it sends is accepted and judged, and what is not is said and is an exit code.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::goalpost::{Goalpost, PROGRAM};

fn load(dev: &Goalpost, args: &[&str]) -> (i32, Value) {
    let mut command = Command::new(PROGRAM);
    command.args(["load", "--json", "--seconds", "1"]).args(args).current_dir(dev.path("."));
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    println!("goalpost load {args:?}: {}\n{report}", output.status);
    (output.status.code().unwrap(), report)
}

#[test]
fn what_is_sent_is_judged_and_what_is_refused_is_told() {
    let mut dev = Goalpost::start(["dev", "--ephemeral", "--json"]);
    let place: Value = serde_json::from_str(&dev.file(".goalpost/dev.json")).unwrap();

    let mixed = ["--rate", "300", "--batch", "10", "--tenants", "2", "--workflows", "2", "--matching", "20", "--exits"];
    let (code, report) = load(&dev, &mixed);
    assert_eq!((code, &report["holds"]), (0, &Value::Bool(true)));
    assert_eq!(report["verdicts"]["accepted"], 300);
    assert_eq!(report["exits"]["expected"], 60);
    assert_eq!(report["exits"]["received"], 60);

    let (url, token) = (place["services"]["ingest"]["url"].as_str().unwrap(), place["write_token"].as_str().unwrap());
    let (code, report) = load(&dev, &["--url", url, "--token", token, "--rate", "50", "--batch", "1"]);
    assert_eq!((code, &report["verdicts"]["accepted"]), (0, &Value::from(50)));

    let (code, report) = load(&dev, &["--url", url, "--token", "gpw_nobody", "--rate", "100"]);
    assert_eq!((code, &report["verdicts"]["unknown"]), (1, &Value::from(100)));
    assert_eq!(report["verdicts"]["codes"]["status 401"], 1);

    dev.signal(nix::sys::signal::Signal::SIGTERM);
    dev.end();
}
