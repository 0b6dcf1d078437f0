//! A file system of a few hundred kilobytes, mounted for real: what a full disk does is what the kernel does.

use crate::accounts::Account;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Bytes of it: room for some hundred records.
pub const SIZE: u64 = 512 << 10;
/// Room is given out in pages.
const PAGE: u64 = 4096;
const FILLING: &str = "filling";

/// A small file system in the place of a directory. Dropping it unmounts it: what is on it is gone.
#[derive(Debug)]
pub struct SmallDisk {
    directory: PathBuf,
}

impl SmallDisk {
    /// Mounts one over a directory, with what lies in it, for an account. `None`, with a visible note, where mounting is
    /// not permitted.
    ///
    /// # Panics
    /// When it cannot be mounted for another reason.
    pub fn at(directory: &Path, account: Account, test: &str) -> Option<Self> {
        let files: Vec<_> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| (path.clone(), fs::read(&path).expect("a file")))
            .collect();
        let options = format!("size={SIZE},mode=0700,uid={},gid={}", account.uid, account.gid);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        match mount(
            Some("chancel-test"),
            directory,
            Some("tmpfs"),
            flags,
            Some(options.as_str()),
        ) {
            Ok(()) => {}
            Err(Errno::EPERM | Errno::EACCES | Errno::ENODEV) => {
                crate::skipped(test, "needs the permission to mount a tmpfs");
                return None;
            }
            Err(error) => panic!("mounting {}: {error}", directory.display()),
        }
        for (path, bytes) in files {
            fs::write(&path, bytes).expect("a file");
            account.own(&path);
        }
        Some(Self {
            directory: directory.to_owned(),
        })
    }

    /// Fills it to the last byte.
    ///
    /// # Panics
    /// When it fails in another way than by being full.
    pub fn fill(&self) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join(FILLING))
            .expect("a file to fill it with");
        for size in [4096, 1] {
            loop {
                match file.write(&[0; 4096][..size]) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("filling {}: {error}", self.directory.display()),
                }
            }
        }
    }

    /// Fills it so that so many bytes are left, and what completes them to pages.
    ///
    /// # Panics
    /// When it cannot.
    pub fn leave(&self, bytes: u64) {
        self.fill();
        let filling = OpenOptions::new()
            .write(true)
            .open(self.directory.join(FILLING))
            .expect("what fills it");
        let length = filling.metadata().expect("metadata").len();
        filling
            .set_len(length.saturating_sub(bytes.next_multiple_of(PAGE)))
            .expect("cut off");
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When it cannot.
    pub fn free(&self) {
        fs::remove_file(self.directory.join(FILLING)).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a daemon of a test that failed may still hold it.
        let _ = umount2(&self.directory, MntFlags::MNT_DETACH);
    }
}
