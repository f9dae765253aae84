//! What it says to somebody who starts it the wrong way; how it works is shown by the whole way of a team (`scripts/examples`).

use std::process::Command;

fn ends_with(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_goalpost-example-exits");
    let output = Command::new(program).args(arguments).env_remove("AMQP_URL").output().expect("it starts");
    assert!(!output.status.success(), "{}", output.status);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_missing_is_named() {
    assert!(ends_with(&[]).contains("the file to write to is missing"));
    assert!(ends_with(&["/dev/null"]).contains("AMQP_URL is missing"));
}
