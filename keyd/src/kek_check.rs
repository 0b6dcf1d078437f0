//! The check value of the key-encryption key: what is stored of it, so that another one is refused by name at the start,
//! before a key file is opened or made under it.

use crate::kek::{CHECK_LEN, Kek};
use crate::keydir::KeyDirectory;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::io::{self, ErrorKind};

/// Why keyd does not go on with the key-encryption key that it has.
#[derive(Debug, thiserror::Error)]
pub enum KekCheckError {
    /// Its check value is another one than was stored.
    #[error(
        "key-encryption key: the one from {origin} is not generation {generation} of this installation: its check value \
         differs from {file} in the key directory. No key was touched: bring back the right one"
    )]
    Wrong {
        /// Where it came from.
        origin: &'static str,
        /// The generation it was said to be.
        generation: u32,
        /// The file with the check value.
        file: String,
    },
    /// What is stored is no check value.
    #[error(
        "key-encryption key: {file} in the key directory is damaged: bring it back from a backup. Only when it is lost, move \
         it aside: a key-encryption key that opens the key files is then taken for the right one"
    )]
    Damaged {
        /// The file.
        file: String,
    },
    /// No check value is stored for its generation, and it opens none of the key files.
    #[error(
        "key-encryption key: the one from {origin}, said to be generation {generation}, opens none of the {files} key files. \
         No key was touched: bring back the right one"
    )]
    OpensNothing {
        /// Where it came from.
        origin: &'static str,
        /// The generation it was said to be.
        generation: u32,
        /// How many key files there are.
        files: usize,
    },
    /// The check value could not be read or stored.
    #[error("key-encryption key: its check value in the key directory: {0}")]
    Io(#[from] io::Error),
}

/// Whether a check value is stored for the generation, which then is this key's.
///
/// # Errors
/// [`KekCheckError`].
pub fn is_confirmed(kek: &Kek, directory: &KeyDirectory) -> Result<bool, KekCheckError> {
    let stored = match directory.read_check(kek.generation()) {
        Ok(stored) => stored,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let file = KeyDirectory::check_name(kek.generation());
    if stored.len() != CHECK_LEN {
        return Err(KekCheckError::Damaged { file });
    }
    verify_slices_are_equal(&stored, &value_of(kek)?)
        .map(|()| true)
        .map_err(|_| KekCheckError::Wrong {
            origin: kek.source(),
            generation: kek.generation(),
            file,
        })
}

/// Stores the check value of a generation for which there is none. To be called when the key has opened what was there.
///
/// # Errors
/// [`KekCheckError::Io`].
pub fn store(kek: &Kek, directory: &KeyDirectory) -> Result<(), KekCheckError> {
    Ok(directory.store_check(kek.generation(), &value_of(kek)?)?)
}

fn value_of(kek: &Kek) -> io::Result<[u8; CHECK_LEN]> {
    kek.check_value()
        .ok_or_else(|| io::Error::other("the library derived none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KekConfig;
    use chancel_sandbox::SecretArena;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn kek(byte: u8, generation: u32) -> Kek {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        fs::write(&path, [byte; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let arena = SecretArena::new(2, 64).unwrap();
        Kek::obtain(&KekConfig::File { path, generation }, &arena).unwrap()
    }

    #[test]
    fn another_key_is_refused_by_name_and_another_generation_is_another_key() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = KeyDirectory::open(&scratch.path().join("keys")).unwrap();
        let right = kek(1, 1);
        assert!(!is_confirmed(&right, &directory).unwrap());
        store(&right, &directory).unwrap();
        assert!(is_confirmed(&right, &directory).unwrap());
        let refused = is_confirmed(&kek(2, 1), &directory).unwrap_err().to_string();
        assert!(
            refused.contains("generation 1") && refused.contains("kek-1.check"),
            "{refused}"
        );
        assert!(!is_confirmed(&kek(2, 2), &directory).unwrap());
        // Half a file is not taken for none.
        let file = scratch.path().join("keys/kek-1.check");
        fs::write(&file, &fs::read(&file).unwrap()[..16]).unwrap();
        let refused = is_confirmed(&right, &directory).unwrap_err();
        assert!(matches!(refused, KekCheckError::Damaged { .. }), "{refused}");
    }
}
