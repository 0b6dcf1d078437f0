//! Key files on a real file system: what is stored opens, and whatever else lies there is told by name.

use chancel_domain::{Algorithm, KeyHandle, KeyVersion, TenantId};
use chancel_keyd::audit_key::{AuditKey, AuditKeyError};
use chancel_keyd::config::KekConfig;
use chancel_keyd::kek::Kek;
use chancel_keyd::keydir::{KeyDirectory, KeyDirectoryError};
use chancel_keyd::keyring::Keyring;
use chancel_sandbox::SecretArena;
use chancel_wire::keyd::{KeyFileDamage, KeyIdentity, KeydError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

/// A keyring over a directory of its own.
struct Rig {
    home: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("kek"), [0x5a; 32]).unwrap();
        fs::set_permissions(home.path().join("kek"), fs::Permissions::from_mode(0o600)).unwrap();
        Self { home }
    }

    fn keyring(&self, slots: usize, generation: u32) -> Keyring {
        let arena = SecretArena::new(slots, 4096).unwrap();
        let config = KekConfig::File {
            path: self.home.path().join("kek"),
            generation,
        };
        let kek = Kek::obtain(&config, &arena).unwrap();
        Keyring::new(kek, KeyDirectory::open(&self.keys()).unwrap(), arena)
    }

    fn keys(&self) -> PathBuf {
        self.home.path().join("keys")
    }

    fn path(&self, key: &KeyIdentity) -> PathBuf {
        let name = format!("{}.{}.{}.key", key.algorithm, key.version, key.handle);
        self.keys().join(key.tenant.to_string()).join(name)
    }
}

fn key(tenant: u8, algorithm: Algorithm, version: u32, handle: u8) -> KeyIdentity {
    KeyIdentity {
        tenant: TenantId::from_bytes([tenant; 16]),
        algorithm,
        version: KeyVersion::new(version).unwrap(),
        handle: KeyHandle::from_bytes([handle; 16]),
    }
}

#[track_caller]
fn damage(keyring: &Keyring, key: &KeyIdentity) -> KeyFileDamage {
    match keyring.key(key).err() {
        Some(KeydError::KeyFileDamaged(damage)) => {
            assert_eq!(
                keyring.damage_of(key),
                Some(damage),
                "the inventory says the same"
            );
            damage
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stored_key_opens_after_a_restart_with_the_same_public_key() {
    let rig = Rig::new();
    for algorithm in [Algorithm::MlKem768, Algorithm::MlDsa65] {
        let identity = key(1, algorithm, 1, 1);
        let made = rig.keyring(3, 1).generate(&identity).unwrap().public().to_vec();
        assert_eq!(rig.keyring(3, 1).key(&identity).unwrap().public(), made);
        let mode = fs::metadata(rig.path(&identity)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_key_is_found_by_its_whole_identity_only() {
    let rig = Rig::new();
    let keyring = rig.keyring(3, 1);
    let identity = key(1, Algorithm::MlKem768, 1, 1);
    keyring.generate(&identity).unwrap();
    for other in [
        key(2, Algorithm::MlKem768, 1, 1),
        key(1, Algorithm::MlDsa65, 1, 1),
        key(1, Algorithm::MlKem768, 2, 1),
        key(1, Algorithm::MlKem768, 1, 2),
    ] {
        assert_eq!(keyring.key(&other).err(), Some(KeydError::KeyNotFound));
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_key_file_is_refused() {
    let rig = Rig::new();
    let identity = key(1, Algorithm::MlDsa65, 1, 1);
    rig.keyring(2, 1).generate(&identity).unwrap();
    let keyring = rig.keyring(2, 1);
    let sound = fs::read(rig.path(&identity)).unwrap();
    for bit in 0..sound.len() * 8 {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(rig.path(&identity), flipped).unwrap();
        damage(&keyring, &identity);
    }
    for length in 0..sound.len() {
        fs::write(rig.path(&identity), &sound[..length]).unwrap();
        assert_eq!(damage(&keyring, &identity), KeyFileDamage::Malformed);
    }
    fs::write(rig.path(&identity), [sound.as_slice(), &[0]].concat()).unwrap();
    assert_eq!(damage(&keyring, &identity), KeyFileDamage::Malformed);
    fs::write(rig.path(&identity), sound).unwrap();
    assert!(keyring.key(&identity).is_ok());
}

#[test]
fn a_file_moved_to_another_tenant_version_or_handle_does_not_open() {
    let rig = Rig::new();
    let keyring = rig.keyring(2, 1);
    let identity = key(1, Algorithm::MlKem768, 1, 1);
    keyring.generate(&identity).unwrap();
    fs::create_dir(
        rig.keys()
            .join(key(2, Algorithm::MlKem768, 1, 1).tenant.to_string()),
    )
    .unwrap();
    for other in [
        key(2, Algorithm::MlKem768, 1, 1),
        key(1, Algorithm::MlKem768, 2, 1),
        key(1, Algorithm::MlKem768, 1, 2),
    ] {
        fs::copy(rig.path(&identity), rig.path(&other)).unwrap();
        assert_eq!(damage(&keyring, &other), KeyFileDamage::Misplaced);
    }
}

#[test]
fn another_kek_and_another_generation_are_told_apart() {
    let rig = Rig::new();
    let identity = key(1, Algorithm::MlKem768, 1, 1);
    rig.keyring(2, 1).generate(&identity).unwrap();
    assert_eq!(
        damage(&rig.keyring(2, 2), &identity),
        KeyFileDamage::OtherKekGeneration
    );
    fs::write(rig.home.path().join("kek"), [0x5b; 32]).unwrap();
    assert_eq!(damage(&rig.keyring(2, 1), &identity), KeyFileDamage::NotAuthentic);
}

#[test]
fn equal_keys_would_give_different_files() {
    // Two files of one directory share nothing behind the header: salt, IV and ciphertext are all fresh.
    let rig = Rig::new();
    let keyring = rig.keyring(3, 1);
    let (one, two) = (key(1, Algorithm::MlDsa65, 1, 1), key(1, Algorithm::MlDsa65, 2, 2));
    keyring.generate(&one).unwrap();
    keyring.generate(&two).unwrap();
    let (one, two) = (
        fs::read(rig.path(&one)).unwrap(),
        fs::read(rig.path(&two)).unwrap(),
    );
    assert_ne!(one[50..82], two[50..82], "salt");
    assert_ne!(one[82..94], two[82..94], "IV");
    assert_ne!(one[94..], two[94..], "ciphertext");
}

#[test]
fn a_destroyed_key_is_gone_from_disk_and_cache() {
    let rig = Rig::new();
    let keyring = rig.keyring(2, 1);
    let identity = key(1, Algorithm::MlKem768, 1, 1);
    keyring.generate(&identity).unwrap();
    keyring.destroy(&identity).unwrap();
    assert_eq!(keyring.key(&identity).err(), Some(KeydError::KeyNotFound));
    assert!(!rig.path(&identity).exists());
    keyring
        .destroy(&identity)
        .expect("destroying nothing is no error");
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let rig = Rig::new();
    let keyring = rig.keyring(3, 1);
    let identity = key(1, Algorithm::MlKem768, 1, 1);
    keyring.generate(&identity).unwrap();
    let before = fs::read(rig.path(&identity)).unwrap();
    assert_eq!(keyring.generate(&identity).err(), Some(KeydError::KeyExists));
    assert_eq!(fs::read(rig.path(&identity)).unwrap(), before);
}

#[test]
fn more_keys_than_slots_take_turns_in_memory() {
    let rig = Rig::new();
    // One slot is the key-encryption key's.
    let keyring = rig.keyring(3, 1);
    let keys: Vec<_> = (1..=6)
        .map(|n| key(1, Algorithm::MlKem768, u32::from(n), n))
        .collect();
    let public: Vec<_> = keys
        .iter()
        .map(|key| keyring.generate(key).unwrap().public().to_vec())
        .collect();
    for _ in 0..3 {
        for (key, public) in keys.iter().zip(&public) {
            assert_eq!(keyring.key(key).unwrap().public(), public);
        }
    }
    let held: Vec<_> = keys[..2].iter().map(|key| keyring.key(key).unwrap()).collect();
    assert_eq!(keyring.key(&keys[5]).err(), Some(KeydError::Overloaded));
    drop(held);
    assert!(keyring.key(&keys[5]).is_ok());
}

#[test]
fn leftovers_of_an_interrupted_write_are_removed_and_strange_files_passed_over() {
    let rig = Rig::new();
    let identity = key(1, Algorithm::MlKem768, 1, 1);
    rig.keyring(2, 1).generate(&identity).unwrap();
    let directory = rig.path(&identity).parent().unwrap().to_owned();
    let leftover = directory.join("half.tmp");
    fs::write(&leftover, b"half").unwrap();
    fs::write(directory.join("README"), b"not a key").unwrap();
    fs::write(directory.join("ML-KEM-768.01.x.key"), b"not a key").unwrap();
    fs::write(rig.keys().join("lost+found"), b"").unwrap();
    // The same tenant in another of the forms of a UUID.
    let alias = rig.keys().join(identity.tenant.to_string().replace('-', ""));
    fs::create_dir(&alias).unwrap();
    fs::copy(
        rig.path(&identity),
        alias.join(rig.path(&identity).file_name().unwrap()),
    )
    .unwrap();
    let keyring = rig.keyring(2, 1);
    assert!(!leftover.exists());
    assert_eq!(keyring.list().unwrap(), [identity]);
}

#[test]
fn a_directory_that_others_can_reach_is_refused() {
    let rig = Rig::new();
    fs::create_dir(rig.keys()).unwrap();
    for mode in [0o750, 0o701, 0o720] {
        fs::set_permissions(rig.keys(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(
            KeyDirectory::open(&rig.keys()),
            Err(KeyDirectoryError::NotPrivate(_))
        ));
    }
    assert!(KeyDirectory::open(Path::new("/nonexistent/keys")).is_err());
}

#[test]
fn a_directory_serves_one_process_at_a_time() {
    let rig = Rig::new();
    let first = KeyDirectory::open(&rig.keys()).unwrap();
    assert!(matches!(
        KeyDirectory::open(&rig.keys()),
        Err(KeyDirectoryError::InUse(_))
    ));
    drop(first);
    KeyDirectory::open(&rig.keys()).unwrap();
}

#[test]
fn a_key_that_is_made_and_destroyed_many_times_at_once_is_whole_or_absent() {
    let rig = Rig::new();
    let keyring = rig.keyring(16, 1);
    let identity = key(1, Algorithm::MlDsa65, 1, 1);
    for _ in 0..50 {
        let made = thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| keyring.generate(&identity).map(|key| key.public().to_vec())))
                .collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect::<Vec<_>>()
        });
        let (won, lost): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert!(
            lost.iter().all(|lost| *lost == Err(KeydError::KeyExists)),
            "{lost:?}"
        );
        assert_eq!(won.len(), 1);
        assert_eq!(keyring.damage_of(&identity), None);
        assert_eq!(keyring.key(&identity).unwrap().public(), won[0].clone().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| keyring.destroy(&identity).unwrap());
            scope.spawn(|| keyring.generate(&identity));
        });
        let listed = keyring.list().unwrap().contains(&identity);
        assert_eq!(keyring.key(&identity).is_ok(), listed, "cache and disk agree");
        keyring.destroy(&identity).unwrap();
    }
}

#[test]
fn an_audit_key_that_does_not_open_is_refused_and_never_replaced() {
    let rig = Rig::new();
    let public = AuditKey::obtain(&rig.keyring(3, 1)).unwrap().public().to_vec();
    let path = rig.keys().join("audit.key");
    let sound = fs::read(&path).unwrap();
    let refused = |generation| match AuditKey::obtain(&rig.keyring(3, generation)) {
        Err(AuditKeyError::Damaged(damage)) => damage,
        _ => panic!("taken"),
    };
    assert_eq!(refused(2), KeyFileDamage::OtherKekGeneration);
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, damage) in [
        (flipped, KeyFileDamage::NotAuthentic),
        (sound[..100].to_vec(), KeyFileDamage::Malformed),
        (Vec::new(), KeyFileDamage::Malformed),
    ] {
        fs::write(&path, &bytes).unwrap();
        assert_eq!(refused(1), damage);
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it is");
    }
    fs::write(&path, &sound).unwrap();
    assert_eq!(AuditKey::obtain(&rig.keyring(3, 1)).unwrap().public(), public);
    // A tenant's key in its place is no audit key.
    let identity = key(1, Algorithm::MlDsa65, 1, 1);
    rig.keyring(3, 1).generate(&identity).unwrap();
    fs::copy(rig.path(&identity), &path).unwrap();
    assert_eq!(refused(1), KeyFileDamage::Misplaced);
}

#[test]
fn half_an_audit_key_of_an_interrupted_first_start_is_removed() {
    let rig = Rig::new();
    drop(rig.keyring(3, 1));
    let leftover = rig.keys().join("audit.key.tmp");
    fs::write(&leftover, b"half").unwrap();
    AuditKey::obtain(&rig.keyring(3, 1)).unwrap();
    assert!(!leftover.exists());
}
