//! Replacing a file as a whole: at any time, and after any loss of power, the old one or the new one is there.

use crate::failure::Failure;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Others hold a lock for as long as it takes to seal a key or open it.
pub const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A file that is written and not in its place yet. Removed again when it is dropped.
#[derive(Debug)]
pub struct Staged {
    beside: PathBuf,
    target: PathBuf,
    is_put: bool,
}

/// A file, made for its owner alone when it is missing, locked until the value is dropped.
///
/// # Errors
/// [`Failure::NotStored`]; [`Failure::Locked`] when another has it for longer than `patience`.
pub fn lock(file: &Path, patience: Duration) -> Result<File, Failure> {
    let open = || {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory_of(file))?;
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(file)
    };
    let lock = open().map_err(not_stored(file))?;
    let deadline = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(source)) => return Err(not_stored(file)(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Failure::Locked(file.to_owned()));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
        }
    }
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
    fn a_lock_is_its_owners_alone_and_waited_for_so_long_and_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("made/.lock");
        let held = lock(&file, PATIENCE).unwrap();
        assert_eq!(mode(&file), 0o600);
        let refused = lock(&file, Duration::ZERO).unwrap_err();
        assert!(matches!(refused, Failure::Locked(path) if path == file));
        let waits = thread::scope(|scope| {
            let waits = scope.spawn(|| lock(&file, PATIENCE).map(|_| ()));
            drop(held);
            waits.join().unwrap()
        });
        waits.unwrap();
    }

    #[test]
    fn who_locks_the_directory_hinders_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let stranger = File::open(directory.path()).unwrap();
        stranger.lock().unwrap();
        lock(&directory.path().join(".lock"), Duration::ZERO).unwrap();
    }
}
