//! Dropping every capability, and asking the kernel whether they are gone.
//!
//! A daemon runs under its own user and needs none. Started by root or with ambient capabilities by mistake, it must not
//! keep them.

use caps::{CapSet, Capability, errors::CapsError};
use thiserror::Error;

use crate::status::{StatusError, StatusFile};

/// Why some capability may be left.
#[derive(Debug, Error)]
pub enum CapabilityError {
    /// The kernel did not accept an empty set.
    #[error("the {set:?} capability set cannot be cleared: {source}")]
    NotCleared {
        /// The set.
        set: CapSet,
        /// What the system said.
        source: CapsError,
    },
    /// The sets were cleared, and one is not empty.
    #[error("capabilities are left in {set}: {mask:#x}")]
    Left {
        /// The set, by its name in `/proc/PID/status`.
        set: &'static str,
        /// The capabilities, a bit each.
        mask: u64,
    },
    /// The kernel could not be asked.
    #[error(transparent)]
    StatusUnknown(#[from] StatusError),
}

/// Clears the effective, permitted, inheritable and ambient set of the calling thread, and the bounding set when the
/// thread holds `CAP_SETPCAP`, the privilege to do so; then reads back that the first four are empty.
///
/// **Call it before other threads are started**: capabilities belong to a thread, and a thread gets a copy of its
/// parent's when it starts. Threads that run already keep theirs.
pub fn drop_all() -> Result<(), CapabilityError> {
    // As under a service manager, whose filter may forbid the system call; without CAP_SETPCAP the bounding set stays anyway.
    if left()?.is_none() {
        return Ok(());
    }
    // First, because the permission to do it is one of the capabilities that go. Without the permission the bounding set
    // stays, and matters little: it only limits what a program gains by execve, which no_new_privs excludes.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        clear(CapSet::Bounding)?;
    }
    clear(CapSet::Ambient)?;
    clear(CapSet::Inheritable)?;
    // Clears the effective set with it, which cannot be larger.
    clear(CapSet::Permitted)?;
    match left()? {
        None => Ok(()),
        Some((set, mask)) => Err(CapabilityError::Left { set, mask }),
    }
}

/// A set of the calling thread that is not empty, and what is in it. Asked of /proc and not of the library, which knows the
/// names of its day: a mask shows newer bits as well.
fn left() -> Result<Option<(&'static str, u64)>, StatusError> {
    Ok(StatusFile::open()?.read()?.remaining_capabilities())
}

fn clear(set: CapSet) -> Result<(), CapabilityError> {
    caps::clear(None, set).map_err(|source| CapabilityError::NotCleared { set, source })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// In a thread of its own: the other tests keep their capabilities.
    #[test]
    fn nothing_is_left_and_nothing_comes_back() {
        thread::spawn(|| {
            let held_setpcap = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).expect("asks");
            drop_all().expect("dropped");
            for set in [
                CapSet::Effective,
                CapSet::Permitted,
                CapSet::Inheritable,
                CapSet::Ambient,
            ] {
                assert!(caps::read(None, set).expect("reads").is_empty(), "{set:?}");
            }
            assert!(!held_setpcap || caps::read(None, CapSet::Bounding).expect("reads").is_empty());
            caps::raise(None, CapSet::Effective, Capability::CAP_CHOWN).expect_err("must not come back");
            drop_all().expect("a second time is no error");
        })
        .join()
        .expect("thread");
    }

    #[test]
    fn threads_started_later_have_none_either() {
        let inherited = thread::spawn(|| {
            drop_all().expect("dropped");
            thread::spawn(|| caps::read(None, CapSet::Permitted))
                .join()
                .expect("inner thread")
        });
        assert!(inherited.join().expect("thread").expect("reads").is_empty());
    }
}
