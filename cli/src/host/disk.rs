//! Room on file systems.

use super::Look;
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// That a daemon can still use.
    pub free: u64,
    /// That there are.
    pub total: u64,
}

/// The room where a directory lies. Who may not look into it, or before it is made, is told of the nearest directory
/// above it.
pub fn space(directory: &Path) -> Look<Space> {
    let mut last = Errno::ENOENT;
    for directory in directory.ancestors() {
        match statvfs(directory) {
            Ok(found) => {
                return Look::Seen(Space {
                    free: found.blocks_available().saturating_mul(found.fragment_size()),
                    total: found.blocks().saturating_mul(found.fragment_size()),
                });
            }
            Err(errno @ (Errno::EACCES | Errno::ENOENT)) => last = errno,
            Err(errno) => return Look::Unseen(format!("{}: {errno}", directory.display())),
        }
    }
    Look::Unseen(format!("{}: {last}", directory.display()))
}

/// Bytes as people read them.
pub fn bytes(count: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (power, unit) in UNITS {
        let whole = count >> power;
        if whole >= 10 {
            return format!("{whole} {unit}");
        }
        if whole >= 1 {
            let tenth = ((count >> (power - 10)) & 1023) * 10 / 1024;
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{count} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_somewhere_and_also_for_what_is_not_made_yet() {
        let directory = tempfile::tempdir().unwrap();
        let here = space(directory.path());
        let space = here.seen().unwrap();
        assert!(space.total >= space.free && space.total > 0);
        let below = super::space(&directory.path().join("not/made/yet"));
        assert_eq!(
            below.seen().map(|space| space.total),
            here.seen().map(|space| space.total)
        );
    }

    #[test]
    fn bytes_are_rounded_down() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes((3 << 30) / 2), "1.5 GiB");
        assert_eq!(bytes(23 << 30), "23 GiB");
    }
}
