//! `chancel tls` as somebody runs it where nothing is installed: what is refused, and that nothing is touched then.
//! `tests/system/scenarios/configure.sh` imports into an installation.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A configuration directory, and beside it a pair.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a directory"));
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["kms.example".to_owned()]).expect("a certificate");
        host.write("given.crt", &cert.pem());
        host.write("given.key", &signing_key.serialize_pem());
        host
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).expect("a file")
    }

    fn chancel(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_chancel"))
            .current_dir(&self.0)
            .args(["--json", "--config-directory", "etc"])
            .args(arguments)
            .output()
            .expect("chancel can be started")
    }
}

#[test]
fn what_is_in_place_is_shown() {
    let host = Host::new();
    host.write("etc/tls/chain.pem", &host.read("given.crt"));
    let output = host.chancel(&["tls", "show"]);
    assert!(output.status.success());
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["names"][0], "kms.example");
    assert_eq!(shown["self_signed"], true);
    host.write("etc/tls/chain.pem", &host.read("given.key"));
    let refused = host.chancel(&["tls", "show"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("chancel: not-a-chain: "), "{said}");
}

#[test]
fn a_certificate_and_its_key_do_not_come_into_two_installations() {
    let host = Host::new();
    let refused = host.chancel(&["tls", "import", "given.crt", "given.key", "--no-reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("chancel: not-sealed: nothing was changed: keys are sealed for /etc/chancel alone"),
        "{said}"
    );
    assert!(!host.0.path().join("etc").exists());
}
