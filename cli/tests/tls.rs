//! `chancel tls` as somebody runs it, with a `systemd-creds` that seals by base64 and writes down how it was called: what
//! is tried here is what becomes of the two files.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const SEALS: &str =
    "#!/bin/sh\necho \"$@\" >>\"$CALLS\"\ncase $1 in encrypt) base64 ;; decrypt) base64 -d ;; esac\n";

struct Host {
    root: TempDir,
}

impl Host {
    fn new(systemd_creds: &str) -> Self {
        let host = Self {
            root: tempfile::tempdir().expect("a directory"),
        };
        fs::create_dir(host.path("bin")).expect("a directory");
        let program = host.path("bin/systemd-creds");
        fs::write(&program, systemd_creds).expect("a program");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("its mode");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A new pair, as files.
    fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let files = (
            self.path(&format!("{name}.crt")),
            self.path(&format!("{name}.key")),
        );
        fs::write(&files.0, cert.pem()).expect("a file");
        fs::write(&files.1, signing_key.serialize_pem()).expect("a file");
        files
    }

    fn chancel(&self, arguments: &[&str]) -> Output {
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        Command::new(env!("CARGO_BIN_EXE_chancel"))
            .env("PATH", path)
            .env("CALLS", self.path("calls"))
            .arg("--config-directory")
            .arg(self.path("etc"))
            .args(arguments)
            .output()
            .expect("chancel can be started")
    }

    fn import(&self, certificate: &Path, key: &Path) -> Output {
        self.chancel(&[
            "--json",
            "tls",
            "import",
            "--no-reload",
            "--certificate",
            certificate.to_str().expect("text"),
            "--key",
            key.to_str().expect("text"),
        ])
    }

    fn in_place(&self) -> (String, String) {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        (read("etc/tls/chain.pem"), read("etc/credentials/tls-key.cred"))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_pair_is_put_in_place_sealed_and_then_shown() {
    let host = Host::new(SEALS);
    fs::create_dir_all(host.path("etc/credentials")).expect("a directory");
    fs::write(host.path("etc/credentials/sealed-by"), "host+tpm2\n").expect("a file");
    let (certificate, key) = host.pair("kms.example");
    let output = host.import(&certificate, &key);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let imported: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(imported["sealed_by"], "host+tpm2");
    assert_eq!(imported["reloaded"], false);

    let (chain, sealed) = host.in_place();
    assert_eq!(chain, fs::read_to_string(&certificate).expect("a file"));
    let plain = fs::read_to_string(&key).expect("a file");
    let body = plain.lines().nth(1).expect("a line");
    assert!(
        !sealed.is_empty() && !sealed.contains(body),
        "the key is as it was"
    );
    let mode = |name: &str| {
        let metadata = fs::metadata(host.path(name)).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("etc/tls/chain.pem"), 0o644);
    assert_eq!(mode("etc/credentials/tls-key.cred"), 0o600);
    assert_eq!(
        fs::read_to_string(host.path("calls")).expect("calls"),
        "encrypt --with-key=host+tpm2 --tpm2-pcrs=16 --name=tls-key - -\ndecrypt --name=tls-key - -\n"
    );
    for said in [&output.stdout, &output.stderr] {
        assert!(!text(said).contains(body), "the key was printed");
    }

    let shown: Value =
        serde_json::from_slice(&host.chancel(&["--json", "tls", "show"]).stdout).expect("JSON");
    assert_eq!(shown, imported["certificate"]);
    assert_eq!(shown["names"][0], "kms.example");
    assert_eq!(shown["self_signed"], true);
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let host = Host::new(SEALS);
    let (certificate, key) = host.pair("first.example");
    assert!(host.import(&certificate, &key).status.success());
    let before = host.in_place();
    let (_, other) = host.pair("second.example");
    let output = host.import(&certificate, &other);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("chancel: unfit: nothing was changed"), "{said}");
    assert_eq!(host.in_place(), before);
}

#[test]
fn a_key_that_is_not_sealed_or_would_not_open_again_changes_nothing() {
    for (creds, says) in [
        (
            "#!/bin/sh\ncat >/dev/null\necho 'no TPM today' >&2\nexit 1\n",
            "no TPM today",
        ),
        (
            "#!/bin/sh\ncat >/dev/null\necho something else\n",
            "as something else",
        ),
    ] {
        let host = Host::new(creds);
        let (certificate, key) = host.pair("kms.example");
        let output = host.import(&certificate, &key);
        let said = text(&output.stderr);
        assert!(said.contains("not-sealed") && said.contains(says), "{said}");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(host.in_place(), (String::new(), String::new()));
    }
}
