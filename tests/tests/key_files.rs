//! Damaged key files on the whole system: the key answers a typed error and never anything else, all others work, and
//! the next start says which key it is and why.

use chancel_domain::TenantId;
use chancel_tests::api::{Failure, KEM, Made, SIGNATURE};
use chancel_tests::{Api, Daemon, Installation};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// The regions of a key file of ML-KEM-768 (docs and keyd's keyfile module), a bit in the first and last byte of each,
/// and what the log says of it.
const REGIONS: [(&str, std::ops::RangeInclusive<usize>, &str); 11] = [
    ("magic", 0..=6, NOT_A_KEY_FILE),
    ("format", 7..=7, NOT_A_KEY_FILE),
    ("KEK generation", 8..=11, OTHER_GENERATION),
    ("tenant", 12..=27, OTHER_KEY),
    ("algorithm", 28..=29, OTHER_KEY),
    ("version", 30..=33, OTHER_KEY),
    ("handle", 34..=49, OTHER_KEY),
    ("salt", 50..=81, NOT_AUTHENTIC),
    ("IV", 82..=93, NOT_AUTHENTIC),
    ("sealed seed", 94..=157, NOT_AUTHENTIC),
    ("tag", 158..=173, NOT_AUTHENTIC),
];
const FILE_LEN: usize = 174;
const NOT_A_KEY_FILE: &str = "the key file is truncated or not a key file";
const OTHER_GENERATION: &str = "the key file is sealed under another key-encryption key generation";
const OTHER_KEY: &str = "the key file belongs to another key";
const NOT_AUTHENTIC: &str = "the key file does not authenticate";

/// An installation whose tenant has a key in several versions, and a ciphertext for each.
struct Rig {
    system: Installation,
    tenant: TenantId,
    api: Api,
    ciphertexts: Vec<Made>,
}

fn plaintext(version: u64) -> Vec<u8> {
    format!("for version {version}").into_bytes()
}

impl Rig {
    fn new(versions: u64) -> Self {
        let system = Installation::new();
        let (tenant, api) = tenant(&system, "tenant");
        let ciphertexts = (1..=versions)
            .map(|version| {
                let current = match version {
                    1 => api.first_key(KEM).version,
                    _ => api.rotate(KEM).expect("a key"),
                };
                assert_eq!(current, version);
                api.encrypt(&plaintext(version)).expect("encrypted")
            })
            .collect();
        Self {
            system,
            tenant,
            api,
            ciphertexts,
        }
    }

    fn file(&self, version: u64) -> PathBuf {
        file(&self.system, self.tenant, "ML-KEM-768", version)
    }

    /// Starts keyd anew, and waits until policyd has compared its files and found so many of each kind.
    fn restart_keyd(&self, damaged: u64, missing: u64, unclaimed: u64) {
        self.system.restart(Daemon::Keyd);
        self.wait_found(damaged, missing, unclaimed);
    }

    fn wait_found(&self, damaged: u64, missing: u64, unclaimed: u64) {
        self.system
            .until("the comparison of key files to find what was done", || {
                let found = &self.system.try_cli(&["status"]).ok()?["reconciliation"];
                let counts = ["damaged", "missing", "unclaimed"].map(|name| found[name].as_u64());
                (counts == [damaged, missing, unclaimed].map(Some)).then_some(())
            });
        // Until gateway and policyd have both met the new keyd, callers hear 503.
        let last = self.ciphertexts.last().expect("a ciphertext");
        self.system
            .until("keys to be used again", || match self.api.decrypt(last) {
                Err(failure) if failure.code().0 == 503 => None,
                _ => Some(()),
            });
    }

    /// Which versions open their ciphertext, asserting that all others answer the one typed error.
    #[track_caller]
    fn working(&self) -> Vec<u64> {
        let mut working = Vec::new();
        for made in &self.ciphertexts {
            match self.api.decrypt(made) {
                Ok(opened) => {
                    assert_eq!(opened, plaintext(made.version), "another key's plaintext");
                    working.push(made.version);
                }
                Err(failure) => assert_unavailable(failure, made.version),
            }
        }
        working
    }

    /// policyd's log names the key, by its handle, and says why.
    #[track_caller]
    fn assert_reported(&self, file: &Path, why: &str) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let handle = name.split('.').nth(2).expect("a handle");
        let log = self.system.log(Daemon::Policyd);
        assert!(
            log.lines()
                .any(|line| line.contains("ERROR") && line.contains(handle) && line.contains(why)),
            "nothing of {handle} and \"{why}\" in:\n{log}"
        );
    }
}

#[track_caller]
fn assert_unavailable(failure: Failure, version: u64) {
    let Failure::Refused(answer) = &failure else {
        panic!("version {version}: no answer: {failure:?}");
    };
    assert!(answer.is_error_envelope(), "{}", answer.text);
    assert_eq!(
        failure.code(),
        (500, "ERR_KMS_003"),
        "version {version}: {}",
        answer.text
    );
}

fn tenant(system: &Installation, name: &str) -> (TenantId, Api) {
    let (tenant, api_key) = system.tenant_with_api_key(name);
    (tenant.id, system.api(&api_key))
}

/// The file of a key.
fn file(system: &Installation, tenant: TenantId, algorithm: &str, version: u64) -> PathBuf {
    let directory = system.layout().key_directory().join(tenant.to_string());
    let prefix = format!("{algorithm}.{version}.");
    fs::read_dir(&directory)
        .expect("the tenant's directory")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".key"))
        })
        .unwrap_or_else(|| panic!("no file of {algorithm} version {version}"))
}

/// Overwrites a file, which stays its owner's.
fn overwrite(path: &Path, bytes: &[u8]) {
    let owner = fs::metadata(path).expect("a key file");
    fs::write(path, bytes).expect("a key file can be overwritten by root");
    chown(path, Some(owner.uid()), Some(owner.gid())).expect("its owner");
}

#[test]
fn a_truncated_key_file_costs_that_key_alone() {
    let rig = Rig::new(7);
    // Every other key, so that each has a sound neighbour on both sides.
    let cuts = [(2, 0), (4, 60), (6, FILE_LEN - 1)];
    for (version, length) in cuts {
        let path = rig.file(version);
        let whole = fs::read(&path).expect("a key file");
        assert_eq!(whole.len(), FILE_LEN);
        overwrite(&path, &whole[..length]);
    }
    rig.restart_keyd(3, 0, 0);
    assert_eq!(rig.working(), [1, 3, 5, 7]);
    for (version, _) in cuts {
        rig.assert_reported(&rig.file(version), NOT_A_KEY_FILE);
    }
    // New keys can be made beside them.
    assert_eq!(rig.api.rotate(KEM).expect("a key"), 8);
    let made = rig.api.encrypt(b"new").expect("encrypted");
    assert_eq!(rig.api.decrypt(&made).expect("decrypted"), b"new");
}

#[test]
fn a_bit_flipped_in_any_region_of_a_key_file_costs_that_key_alone() {
    let rig = Rig::new(2 * REGIONS.len() as u64 + 2);
    // Version 1 and the last one stay as they are.
    let mut damaged = Vec::new();
    let mut version = 2;
    for (region, bytes, why) in REGIONS {
        for (byte, bit) in [(*bytes.start(), 0), (*bytes.end(), 7)] {
            let path = rig.file(version);
            let mut contents = fs::read(&path).expect("a key file");
            contents[byte] ^= 1 << bit;
            overwrite(&path, &contents);
            damaged.push((region, path, why));
            version += 1;
        }
    }
    rig.restart_keyd(damaged.len() as u64, 0, 0);
    assert_eq!(rig.working(), [1, version]);
    for (region, path, why) in &damaged {
        println!("{region}");
        rig.assert_reported(path, why);
    }
    // Put right, they all work again: nothing was done to the keys in the meantime.
    for ((_, path, _), (byte, bit)) in damaged.iter().zip(
        REGIONS
            .iter()
            .flat_map(|(_, bytes, _)| [(*bytes.start(), 0), (*bytes.end(), 7)]),
    ) {
        let mut contents = fs::read(path).expect("a key file");
        contents[byte] ^= 1 << bit;
        overwrite(path, &contents);
    }
    rig.restart_keyd(0, 0, 0);
    assert_eq!(rig.working().len(), rig.ciphertexts.len());
}

#[test]
fn a_key_file_under_another_tenants_or_versions_name_opens_for_nobody() {
    let rig = Rig::new(4);
    let (other, other_api) = tenant(&rig.system, "another tenant");
    other_api.first_key(KEM);
    other_api.first_key(SIGNATURE);
    let others = other_api.encrypt(b"another tenant's").expect("encrypted");

    // Version 1 gets the file of another tenant's version 1, version 2 that of version 3.
    let theirs = fs::read(file(&rig.system, other, "ML-KEM-768", 1)).expect("a key file");
    overwrite(&rig.file(1), &theirs);
    let third = fs::read(rig.file(3)).expect("a key file");
    overwrite(&rig.file(2), &third);
    rig.restart_keyd(2, 0, 0);
    assert_eq!(rig.working(), [3, 4]);
    for version in [1, 2] {
        rig.assert_reported(&rig.file(version), OTHER_KEY);
    }

    // What another tenant's key would open, does not open with its file under one's own name.
    let stolen = Made {
        version: 1,
        ..others.clone()
    };
    assert_unavailable(rig.api.decrypt(&stolen).expect_err("no plaintext"), 1);
    assert_eq!(
        other_api.decrypt(&others).expect("its own tenant opens it"),
        b"another tenant's"
    );

    // Nor is a signature's key one for decryption.
    let signature = fs::read(file(&rig.system, other, "ML-DSA-65", 1)).expect("a key file");
    overwrite(&rig.file(3), &signature);
    rig.restart_keyd(3, 0, 0);
    assert_eq!(rig.working(), [4]);
    rig.assert_reported(&rig.file(3), NOT_A_KEY_FILE);
}

#[test]
fn a_deleted_key_file_costs_that_key_alone() {
    let rig = Rig::new(3);
    let path = rig.file(2);
    let contents = fs::read(&path).expect("a key file");
    let owner = fs::metadata(&path).expect("a key file");
    fs::remove_file(&path).expect("root can remove it");
    rig.restart_keyd(0, 1, 0);
    assert_eq!(rig.working(), [1, 3]);
    rig.assert_reported(&path, "key file is missing");

    // A file that no row knows is told and left alone, and is of no use to anybody.
    let handle = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.split('.').nth(2))
        .expect("a handle")
        .to_owned();
    let elsewhere = path.with_file_name(format!("ML-KEM-768.9.{handle}.key"));
    fs::write(&elsewhere, &contents).expect("a file");
    chown(&elsewhere, Some(owner.uid()), Some(owner.gid())).expect("its owner");
    rig.restart_keyd(0, 1, 1);
    assert_eq!(rig.working(), [1, 3]);
    assert!(elsewhere.exists());

    // Restored from a backup, the key is back.
    fs::rename(&elsewhere, &path).expect("moved");
    rig.restart_keyd(0, 0, 0);
    assert_eq!(rig.working(), [1, 2, 3]);
}

#[test]
fn a_damaged_signing_key_signs_nothing_until_it_is_replaced() {
    let rig = Rig::new(1);
    rig.api.first_key(SIGNATURE);
    let signature = rig.api.sign(b"before").expect("signed");
    let path = file(&rig.system, rig.tenant, "ML-DSA-65", 1);
    let mut contents = fs::read(&path).expect("a key file");
    contents[100] ^= 1;
    overwrite(&path, &contents);
    rig.restart_keyd(1, 0, 0);
    assert_unavailable(rig.api.sign(b"after").expect_err("no signature"), 1);
    // Public-key work needs no key file.
    assert!(rig.api.verify(b"before", &signature).expect("verified"));
    assert_eq!(rig.api.rotate(SIGNATURE).expect("a key"), 2);
    let signature = rig.api.sign(b"after").expect("signed");
    assert!(rig.api.verify(b"after", &signature).expect("verified"));
}

#[test]
fn policyds_start_reports_damage_as_keyds_does() {
    let rig = Rig::new(2);
    let path = rig.file(1);
    overwrite(&path, b"not a key file");
    rig.system.restart(Daemon::Policyd);
    rig.wait_found(1, 0, 0);
    rig.assert_reported(&path, NOT_A_KEY_FILE);
    let metrics = rig.system.metrics();
    let damaged = [("finding", "damaged")];
    assert_eq!(metrics.value("chancel_policyd_reconciliation_keys", &damaged), 1);
    assert_eq!(rig.working().last(), Some(&2));
}

#[test]
fn a_key_encryption_key_that_opens_nothing_is_refused_by_name_even_where_no_check_value_is_left() {
    let rig = Rig::new(2);
    let kek = rig.system.layout().path("keyd/kek");
    let right = fs::read(&kek).expect("the key-encryption key");
    let keys = rig.system.layout().key_directory();
    rig.system.stop(Daemon::Keyd);
    for lost in ["kek-1.check", "audit.key"] {
        fs::remove_file(keys.join(lost)).expect("it was there");
    }
    overwrite(&kek, &[0x5a; 32]);
    rig.system.spawn(Daemon::Keyd);
    assert!(!rig.system.wait_end(Daemon::Keyd).success());
    let log = rig.system.log_of_this_run(Daemon::Keyd);
    assert!(log.contains("opens none of the 2 key files"), "{log}");
    for made in ["kek-1.check", "audit.key"] {
        assert!(!keys.join(made).exists(), "{made} was made under a wrong key");
    }
    overwrite(&kek, &right);
    rig.system.start(Daemon::Keyd);
    rig.wait_found(0, 0, 0);
    assert_eq!(rig.working(), [1, 2]);
    assert!(keys.join("kek-1.check").exists());
}
