//! The directory of a daemon's ledger, looked at before anything is written to it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why the ledger's directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerDirectoryError {
    /// It cannot be made or looked at.
    #[error("ledger directory {0}: {1}")]
    Io(PathBuf, io::Error),
    /// Somebody else could change it, or everybody read it.
    #[error(
        "ledger directory {0} must belong to this account, grant its group no writing and others nothing"
    )]
    NotPrivate(PathBuf),
}

/// Makes the directory where it is missing, and refuses one that others could change or everybody read. Its group may
/// read it: that is how auditors do.
///
/// # Errors
/// [`LedgerDirectoryError`]; nothing is repaired.
pub fn prepare(directory: &Path) -> Result<(), LedgerDirectoryError> {
    let io = |error| LedgerDirectoryError::Io(directory.to_owned(), error);
    match DirBuilder::new().mode(0o750).create(directory) {
        Ok(()) => {
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Some(parent) = parent {
                File::open(parent)
                    .and_then(|parent| parent.sync_all())
                    .map_err(io)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    let found = fs::metadata(directory).map_err(io)?;
    let owned = found.uid() == nix::unistd::geteuid().as_raw();
    if !found.is_dir() || !owned || found.mode() & 0o027 != 0 {
        return Err(LedgerDirectoryError::NotPrivate(directory.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_could_change_or_everybody_read_is_refused() {
        let path = std::env::temp_dir().join(format!("chancel-ledger-{}", std::process::id()));
        prepare(&path).unwrap();
        prepare(&path).unwrap();
        for mode in [0o770, 0o755, 0o751] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = prepare(&path);
            assert!(
                matches!(refused, Err(LedgerDirectoryError::NotPrivate(_))),
                "{mode:o}"
            );
        }
        fs::remove_dir(&path).unwrap();
        let orphan = prepare(Path::new("/nonexistent/ledger"));
        assert!(matches!(orphan, Err(LedgerDirectoryError::Io(..))));
    }
}
