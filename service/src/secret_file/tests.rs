//! Tests of reading secrets: each refusal, and the limits at n and n + 1.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

/// A file that is removed at the end.
struct Secret(PathBuf);

impl Secret {
    fn new(name: &str, contents: &[u8], mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("chancel-secret-{}-{name}", std::process::id()));
        fs::write(&path, contents).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        Self(path)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("clean up");
    }
}

fn never() -> Result<bool, SecretFileError> {
    panic!("the access list must not matter here")
}

fn judged(owner: u32, mode: u32, euid: u32, only_reader: bool) -> Result<(), SecretFileError> {
    judge(
        Path::new("secret"),
        &Facts {
            regular: true,
            owner,
            mode,
        },
        euid,
        || Ok(only_reader),
    )
}

#[test]
fn a_private_file_is_read() {
    for mode in [0o400, 0o600, 0o700] {
        let secret = Secret::new(&format!("private-{mode:o}"), b"text", mode);
        assert_eq!(read(&secret.0, 4).expect("read").as_slice(), b"text");
    }
    let empty = Secret::new("empty", b"", 0o400);
    assert_eq!(read(&empty.0, 4).expect("read").as_slice(), b"");
}

#[test]
fn any_permission_of_group_or_others_is_refused() {
    for bit in [0o001, 0o002, 0o004, 0o010, 0o020, 0o040] {
        let secret = Secret::new(&format!("open-{bit:o}"), b"text", 0o400 | bit);
        let error = read(&secret.0, 4).expect_err("refused");
        assert!(
            matches!(error, SecretFileError::OpenToOthers { mode, .. } if mode == 0o400 | bit),
            "{error:?}"
        );
    }
}

#[test]
fn a_symbolic_link_is_refused() {
    let secret = Secret::new("target", b"text", 0o400);
    let link = secret.0.with_extension("link");
    std::os::unix::fs::symlink(&secret.0, &link).expect("link");
    let error = read(&link, 4);
    fs::remove_file(&link).expect("clean up");
    assert!(
        matches!(error, Err(SecretFileError::SymbolicLink(_))),
        "{error:?}"
    );
}

#[test]
fn what_is_no_regular_file_is_refused() {
    for path in [std::env::temp_dir(), PathBuf::from("/dev/null")] {
        let error = read(&path, 4).expect_err("refused");
        assert!(matches!(error, SecretFileError::NotAFile(_)), "{error:?}");
    }
    let pipe = std::env::temp_dir().join(format!("chancel-secret-{}-pipe", std::process::id()));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("pipe");
    let error = read(&pipe, 4);
    fs::remove_file(&pipe).expect("clean up");
    assert!(
        matches!(error, Err(SecretFileError::NotAFile(_))),
        "without waiting: {error:?}"
    );
    let error = read(Path::new("/nonexistent/secret"), 4).expect_err("refused");
    assert!(matches!(error, SecretFileError::Unreadable { .. }), "{error:?}");
}

#[test]
fn the_owner_is_root_or_this_user() {
    judge(
        Path::new("secret"),
        &Facts {
            regular: true,
            owner: 0,
            mode: 0o400,
        },
        1000,
        never,
    )
    .expect("root's");
    judge(
        Path::new("secret"),
        &Facts {
            regular: true,
            owner: 1000,
            mode: 0o600,
        },
        1000,
        never,
    )
    .expect("ours");
    let error = judged(1001, 0o400, 1000, true).expect_err("another user's");
    assert!(
        matches!(
            error,
            SecretFileError::ForeignOwner {
                owner: 1001,
                expected: 1000,
                ..
            }
        ),
        "{error:?}"
    );
    judged(1000, 0o400, 0, true).expect_err("another user's, even for root");
}

#[test]
fn an_access_list_explains_only_reading_of_a_file_of_root() {
    judged(0, 0o440, 1000, true).expect("as systemd hands out a credential");
    judged(0, 0o440, 1000, false).expect_err("a group reads");
    judged(1000, 0o440, 1000, true).expect_err("not handed out by root");
    for mode in [0o460, 0o450, 0o444, 0o442] {
        judged(0, mode, 1000, true).expect_err("more than reading");
    }
}

/// What systemd does with a credential of an unprivileged service: root's file, mode 0400, and an access list by which
/// the service's user reads. Only root can make one, so another user's run proves this part by the test above alone.
#[test]
fn a_credential_with_an_access_list_is_read_and_one_for_another_user_is_not() {
    let euid = geteuid();
    if !euid.is_root() {
        return;
    }
    for (reader, accepted) in [(euid.as_raw(), true), (12345, false)] {
        let secret = Secret::new(&format!("credential-{reader}"), &[7; 32], 0o400);
        // Version 2; owner r, the reader r, group none, mask r, others none.
        let mut list = vec![2, 0, 0, 0];
        for (tag, permissions, id) in [
            (1_u16, 4_u16, u32::MAX),
            (2, 4, reader),
            (4, 0, u32::MAX),
            (16, 4, u32::MAX),
            (32, 0, u32::MAX),
        ] {
            list.extend(tag.to_le_bytes());
            list.extend(permissions.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        let file = File::open(&secret.0).expect("opens");
        let flags = rustix::fs::XattrFlags::empty();
        match rustix::fs::fsetxattr(&file, "system.posix_acl_access", &list, flags) {
            // A file system without access lists has no such credentials: systemd changes the owner there.
            Err(rustix::io::Errno::OPNOTSUPP) => continue,
            outcome => outcome.expect("the list is set"),
        }
        assert_eq!(file.metadata().expect("metadata").mode() & 0o777, 0o440);
        assert_eq!(read(&secret.0, 32).is_ok(), accepted, "reader {reader}");
    }
}

#[test]
fn the_size_is_bounded() {
    let secret = Secret::new("size", &[1; 100], 0o400);
    assert_eq!(read(&secret.0, 100).expect("read").len(), 100);
    let error = read(&secret.0, 99).expect_err("refused");
    assert!(
        matches!(error, SecretFileError::TooLarge { max: 99, .. }),
        "{error:?}"
    );
}

#[test]
fn a_key_has_exactly_32_bytes() {
    let exact = Secret::new("exact", &[7; 32], 0o400);
    assert_eq!(*read_exact_32(&exact.0).expect("read"), [7; 32]);
    for length in [0, 31, 33, 64] {
        let other = Secret::new(&format!("length-{length}"), &vec![7; length], 0o400);
        let error = read_exact_32(&other.0).expect_err("refused");
        assert!(
            matches!(error, SecretFileError::WrongLength { found, .. } if found == length),
            "{error:?}"
        );
    }
    let large = Secret::new("large", &[7; 1000], 0o400);
    assert!(matches!(
        read_exact_32(&large.0),
        Err(SecretFileError::TooLarge { .. })
    ));
}
