//! Reading a secret from a file that only its owner can have read or written.
//!
//! A wrong owner or mode is a refusal and not a warning: a secret that others could read is no secret, and the operator
//! must replace it, not only the mode.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use chancel_sandbox::file_acl::grants_only_reading_to;
use nix::{errno::Errno, fcntl::OFlag, unistd::geteuid};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a secret was not read.
#[derive(Debug, Error)]
pub enum SecretFileError {
    /// The file is not there or may not be opened.
    #[error("{}: cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path ends in a symbolic link: who may change the link chooses the secret.
    #[error("{}: is a symbolic link; name the file itself", .0.display())]
    SymbolicLink(PathBuf),
    /// A directory, pipe or device.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file belongs to another user, who can change it and its mode.
    #[error("{}: belongs to user {owner}; it must belong to root or to user {expected}", .path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user this process runs as.
        expected: u32,
    },
    /// Group or others have some permission.
    #[error("{}: has mode {mode:04o}; group and others must have no permission (chmod 0400)", .path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// More than was asked for.
    #[error("{}: larger than {max} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most it may hold.
        max: usize,
    },
    /// Not the exact length of a key or token.
    #[error("{}: holds {found} bytes; it must be exactly {expected}, raw, without a line break", .path.display())]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Bytes it holds.
        found: usize,
        /// Bytes it must hold.
        expected: usize,
    },
}

/// Reads a secret of at most `max` bytes.
///
/// The file must be a regular one, not reached through a final symbolic link, belong to root or the effective user, and
/// give group and others no permission. A credential from systemd passes: it is root's, mode 0400, and on file systems
/// with access lists has one entry that lets this user read, which `stat` shows as 0440.
pub fn read(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    // Without waiting for a writer, should it be a pipe, and without becoming a terminal's session leader.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = File::options().read(true).custom_flags(flags.bits()).open(path);
    let mut file = opened.map_err(|source| match source.raw_os_error() {
        Some(code) if code == Errno::ELOOP as i32 => SecretFileError::SymbolicLink(path.to_path_buf()),
        _ => unreadable(source),
    })?;
    // Judged by the descriptor: the name may lead elsewhere by now.
    let euid = geteuid().as_raw();
    let metadata = file.metadata().map_err(unreadable)?;
    let only_reader = || grants_only_reading_to(&file, euid).map_err(unreadable);
    judge(path, &Facts::from(&metadata), euid, only_reader)?;

    // One buffer of the final size: one that grows would leave copies behind.
    let mut secret = Zeroizing::new(vec![0; max.saturating_add(1)]);
    let mut length = 0;
    while let Some(rest) = secret.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if length > max {
        return Err(SecretFileError::TooLarge {
            path: path.to_path_buf(),
            max,
        });
    }
    secret.truncate(length);
    Ok(secret)
}

/// Reads a key or token of exactly 32 raw bytes.
pub fn read_exact_32(path: &Path) -> Result<Zeroizing<[u8; 32]>, SecretFileError> {
    const EXPECTED: usize = 32;
    let wrong_length = |found| SecretFileError::WrongLength {
        path: path.to_path_buf(),
        found,
        expected: EXPECTED,
    };
    // Longer than needed, so that the usual mistake (hexadecimal, Base64, a line break) is named with its length.
    let bytes = read(path, 4 * EXPECTED)?;
    let mut secret = Zeroizing::new([0; EXPECTED]);
    match bytes.len() {
        EXPECTED => secret.copy_from_slice(&bytes),
        found => return Err(wrong_length(found)),
    }
    Ok(secret)
}

/// What a file is judged by.
#[derive(Debug, Clone, Copy)]
struct Facts {
    regular: bool,
    owner: u32,
    mode: u32,
}

impl From<&Metadata> for Facts {
    fn from(metadata: &Metadata) -> Self {
        Self {
            regular: metadata.is_file(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

/// `only_reader` says whether an access list explains the group bits; it is asked only when they are all that is wrong.
fn judge(
    path: &Path,
    facts: &Facts,
    euid: u32,
    only_reader: impl FnOnce() -> Result<bool, SecretFileError>,
) -> Result<(), SecretFileError> {
    const ROOT: u32 = 0;
    const GROUP_AND_OTHERS: u32 = 0o077;
    const GROUP_READS: u32 = 0o040;
    let path = || path.to_path_buf();
    if !facts.regular {
        return Err(SecretFileError::NotAFile(path()));
    }
    if facts.owner != euid && facts.owner != ROOT {
        return Err(SecretFileError::ForeignOwner {
            path: path(),
            owner: facts.owner,
            expected: euid,
        });
    }
    let private = match facts.mode & GROUP_AND_OTHERS {
        0 => true,
        GROUP_READS if facts.owner == ROOT => only_reader()?,
        _ => false,
    };
    match private {
        true => Ok(()),
        false => Err(SecretFileError::OpenToOthers {
            path: path(),
            mode: facts.mode,
        }),
    }
}

#[cfg(test)]
mod tests;
