//! Replacing a file as a whole: at any time, and after any loss of power, the old one or the new one is there.

use crate::failure::Failure;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file that is written and not in its place yet. Removed again when it is dropped.
#[derive(Debug)]
pub struct Staged {
    beside: PathBuf,
    target: PathBuf,
    is_put: bool,
}

/// The directory of a file, made when it is missing, locked until the value is dropped.
///
/// # Errors
/// [`Failure::NotStored`].
pub fn lock_directory_of(file: &Path) -> Result<File, Failure> {
    let directory = directory_of(file);
    let lock = || {
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        let lock = File::open(directory)?;
        lock.lock()?;
        Ok(lock)
    };
    lock().map_err(not_stored(directory))
}

impl Staged {
    /// Writes beside the target, to the disk.
    ///
    /// # Errors
    /// [`Failure::NotStored`].
    pub fn write(target: &Path, bytes: &[u8], mode: u32) -> Result<Self, Failure> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".new");
        let staged = Self {
            beside: directory_of(target).join(name),
            target: target.to_owned(),
            is_put: false,
        };
        staged.fill(bytes, mode).map_err(not_stored(&staged.beside))?;
        Ok(staged)
    }

    fn fill(&self, bytes: &[u8], mode: u32) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory_of(&self.target))?;
        // What an interrupted run left. Never opened: it might be anything.
        match fs::remove_file(&self.beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&self.beside)?;
        file.write_all(bytes)?;
        // Whatever the umask.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    }

    /// Puts it in its place, for good.
    ///
    /// # Errors
    /// [`Failure::NotStored`].
    pub fn put(mut self) -> Result<(), Failure> {
        let put = fs::rename(&self.beside, &self.target);
        put.map_err(not_stored(&self.target))?;
        self.is_put = true;
        let directory = directory_of(&self.target);
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(not_stored(directory))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_put {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

fn not_stored(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
    |source| Failure::NotStored {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_old_file_is_there_until_the_new_one_is_and_modes_are_as_said() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("credentials/x.cred");
        Staged::write(&target, b"old", 0o600).unwrap().put().unwrap();
        let staged = Staged::write(&target, b"new", 0o644).unwrap();
        assert_eq!(
            (fs::read(&target).unwrap(), mode(&target)),
            (b"old".to_vec(), 0o600)
        );
        staged.put().unwrap();
        assert_eq!(
            (fs::read(&target).unwrap(), mode(&target)),
            (b"new".to_vec(), 0o644)
        );
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_what_was_left_is_no_hindrance() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("x");
        drop(Staged::write(&target, b"new", 0o600).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, b"mine").unwrap();
        std::os::unix::fs::symlink(&elsewhere, directory.path().join(".x.new")).unwrap();
        Staged::write(&target, b"new", 0o600).unwrap().put().unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"mine", "a link is not followed");
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn who_has_the_directory_locked_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x");
        let held = lock_directory_of(&file).unwrap();
        let second = File::open(directory.path()).unwrap();
        assert!(second.try_lock().is_err());
        drop(held);
        second.try_lock().unwrap();
    }
}
