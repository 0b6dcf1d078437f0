//! `./dev quickstart`, run as the README says: the demo succeeds, a second start keeps the keys, TLS works, and
//! nothing is left running or readable that should not be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn quickstart(state: &Path, arguments: &[&str]) -> String {
    let repository: PathBuf = [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect();
    let output = Command::new(repository.join("dev"))
        .arg("quickstart")
        .arg("--state")
        .arg(state)
        .args(["--once", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .output()
        .expect("./dev runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaint}");
    said
}

/// What `. DIR/env` sets.
fn variable(state: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(state.join("env")).expect("the file that the README sources");
    let prefix = format!("export {name}=");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

/// Whether any process still has a path below the state directory on its command line.
fn is_running(state: &Path) -> bool {
    let state = state.to_str().expect("temporary paths are text").as_bytes();
    let processes = fs::read_dir("/proc").expect("/proc is there");
    processes.flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(state.len()).any(|window| window == state)
    })
}

#[test]
fn quickstart_demonstrates_everything_and_a_second_start_keeps_the_keys() {
    let home = tempfile::Builder::new()
        .prefix("chq")
        .tempdir()
        .expect("a directory");
    let state = home.path().join("s");
    let first = quickstart(&state, &[]);
    for step in ["generate", "encrypt", "decrypt", "sign", "verify"] {
        assert!(
            first.lines().any(|line| line.starts_with(step)),
            "{step} is missing:\n{first}"
        );
    }
    let mode = |name: &str| {
        fs::metadata(state.join(name))
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode("env") & 0o077, 0, "the API key is the owner's alone");
    assert!(variable(&state, "QPHER_API_URL").is_some_and(|url| url.starts_with("http://127.0.0.1:")));
    assert_eq!(variable(&state, "CHANCEL_STATE").as_deref(), state.to_str());
    let api_key = variable(&state, "QPHER_API_KEY");
    assert!(api_key.as_ref().is_some_and(|key| key.starts_with("qph_")));

    let second = quickstart(&state, &["--tls"]);
    assert!(second.lines().any(|line| line.starts_with("kept")), "{second}");
    assert_eq!(variable(&state, "QPHER_API_KEY"), api_key);
    assert!(variable(&state, "QPHER_API_URL").is_some_and(|url| url.starts_with("https://")));
    let authority = variable(&state, "REQUESTS_CA_BUNDLE").expect("what Python needs for TLS");
    assert!(
        fs::read_to_string(authority)
            .expect("it is there")
            .contains("BEGIN CERTIFICATE")
    );
    for said in [&first, &second] {
        let key = api_key.as_deref().unwrap_or_default();
        assert!(!said.contains(key), "the API key is in a file, not on the screen");
    }
    assert!(!is_running(&state), "--once stops what it started");
}
