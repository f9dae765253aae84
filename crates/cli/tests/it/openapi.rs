//! The committed OpenAPI documents are those that the services give out.

use std::path::Path;
use std::process::Command;

use crate::goalpost::PROGRAM;

#[expect(clippy::disallowed_methods, reason = "it is for the one who runs the test, and no setting")]
fn is_to_be_updated() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn the_committed_documents_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-schemas/http");
    for service in ["ingest", "goals", "evaluator", "analytics"] {
        let output = Command::new(PROGRAM).args(["openapi", service]).output().unwrap();
        assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stderr));
        let path = folder.join(format!("{service}.json"));
        if is_to_be_updated() {
            std::fs::write(path, output.stdout).unwrap();
            continue;
        }
        let committed = std::fs::read(&path).unwrap();
        assert!(
            committed == output.stdout,
            "{} differs from `goalpost openapi {service}`; set UPDATE_GOLDEN=1 to write it anew, and read the difference",
            path.display()
        );
    }
}
