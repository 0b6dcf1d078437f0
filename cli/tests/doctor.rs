//! `chancel doctor` as somebody runs it, where nothing is installed.

use serde_json::Value;
use std::process::Command;

#[test]
fn a_host_with_nothing_on_it_is_looked_over_and_the_exit_code_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_chancel"))
        .arg("--config-directory")
        .arg(directory.path())
        .args(["--json", "doctor"])
        .output()
        .expect("chancel can be started");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["well"], false);
    let configuration = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["check"] == "configuration" && finding["verdict"] == "fail");
    assert_eq!(configuration.count(), 3, "{report}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("chancel: not-well:"), "{said}");
}
