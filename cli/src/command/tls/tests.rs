//! What becomes of the two files, with a sealer that seals by base64 and writes down how it was called. The real one is
//! what `tests/system/scenarios/configure.sh` imports by.

use super::*;
use crate::host::credentials;
use crate::test_certificates::Made;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let seals = format!(
            "#!/bin/sh\nset -e\ncd {}\necho \"$@\" >>calls\n[ ! -e broken ] || {{ echo 'no TPM today' >&2; exit 1; }}\n\
             mkdir -p credentials\nbase64 >credentials/tls-key.cred\n",
            host.0.path().display()
        );
        fs::write(host.path("sealer"), seals).unwrap();
        fs::set_permissions(host.path("sealer"), Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn place(&self, chain: &str, key: &str) -> Result<(), Failure> {
        let pair = Pair::check(chain.as_bytes(), key.as_bytes(), Timestamp::now()).unwrap();
        let sealer = self.path("sealer");
        place(self.0.path(), sealer.to_str().unwrap(), &pair, key.as_bytes())
    }

    fn in_place(&self) -> (String, String) {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        (
            read(chain_file(self.0.path())),
            read(credentials::file(self.0.path(), TLS_KEY)),
        )
    }
}

#[test]
fn a_pair_is_put_in_place_its_key_by_the_sealer_alone() {
    let host = Host::new();
    let made = Made::self_signed(&["kms.example"]);
    host.place(&made.chain, &made.key).unwrap();
    let (chain, sealed) = host.in_place();
    assert_eq!(chain, made.chain);
    assert!(!sealed.is_empty());
    assert_eq!(fs::read_to_string(host.path("calls")).unwrap(), "seal tls-key\n");
    let mode = fs::metadata(chain_file(host.0.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn of_a_file_with_certificate_and_key_only_the_certificate_can_be_read_by_all() {
    let host = Host::new();
    let made = Made::self_signed(&["kms.example"]);
    for combined in [
        format!("{}{}", made.chain, made.key),
        format!("{}{}", made.key, made.chain),
    ] {
        host.place(&combined, &combined).unwrap();
        assert_eq!(host.in_place().0, made.chain);
    }
}

#[test]
fn a_key_that_is_not_sealed_changes_nothing() {
    let host = Host::new();
    let (first, second) = (
        Made::self_signed(&["kms.example"]),
        Made::self_signed(&["kms.example"]),
    );
    host.place(&first.chain, &first.key).unwrap();
    let before = host.in_place();
    fs::write(host.path("broken"), "").unwrap();
    let failed = host.place(&second.chain, &second.key).unwrap_err();
    assert_eq!(failed.code(), "not-sealed");
    assert!(failed.to_string().contains("no TPM today"), "{failed}");
    assert_eq!(host.in_place(), before);
    let left = fs::read_dir(host.path("tls")).unwrap().count();
    assert_eq!(left, 2, "the chain and the lock");
}
