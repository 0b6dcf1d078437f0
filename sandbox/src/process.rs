//! What the process as a whole gives up: core dumps, being traced, and gaining privileges from a program it starts.
//!
//! A core dump or a debugger would copy keys out of the process, so both are closed before the first secret is read.

use nix::{
    errno::Errno,
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
    },
};
use thiserror::Error;

/// Which of the process's promises the kernel did not accept.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// The limit on core dumps could not be set or read.
    #[error("core dumps cannot be limited")]
    CoreLimitRefused(#[source] Errno),
    /// The limit was set, and is not zero.
    #[error("core dumps are still possible, up to {soft} bytes (hard limit {hard})")]
    CoreLimitNotZero {
        /// Soft limit in bytes.
        soft: u64,
        /// Hard limit in bytes.
        hard: u64,
    },
    /// The dumpable attribute could not be cleared or read.
    #[error("the process cannot be made undumpable")]
    UndumpableRefused(#[source] Errno),
    /// The attribute was cleared, and is set.
    #[error("the process is still dumpable: others may trace it")]
    StillDumpable,
    /// `PR_SET_NO_NEW_PRIVS` was refused or could not be read.
    #[error("the process cannot give up new privileges")]
    NoNewPrivsRefused(#[source] Errno),
    /// The attribute was set, and is not.
    #[error("the process may still gain privileges")]
    NoNewPrivsNotSet,
}

/// Forbids core dumps (soft and hard limit zero) and tracing by other processes of the same user (not dumpable), then
/// reads both back.
///
/// Not dumpable also gives `/proc/PID` to root, so that nobody else of this user reads the memory or environment there.
pub fn forbid_inspection() -> Result<(), ProcessError> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(ProcessError::CoreLimitRefused)?;
    prctl::set_dumpable(false).map_err(ProcessError::UndumpableRefused)?;
    check_inspection_forbidden()
}

/// Reads back what [`forbid_inspection`] set. Changing user or group resets the dumpable attribute to the system's
/// `fs.suid_dumpable`, so this is worth asking again after such steps.
pub(crate) fn check_inspection_forbidden() -> Result<(), ProcessError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(ProcessError::CoreLimitRefused)?;
    if (soft, hard) != (0, 0) {
        return Err(ProcessError::CoreLimitNotZero { soft, hard });
    }
    match prctl::get_dumpable().map_err(ProcessError::UndumpableRefused)? {
        false => Ok(()),
        true => Err(ProcessError::StillDumpable),
    }
}

/// Promises that no program this thread (and every thread it starts later) executes gains privileges by a set-uid bit or
/// file capabilities. Landlock and seccomp demand it of an unprivileged process.
pub fn set_no_new_privs() -> Result<(), ProcessError> {
    prctl::set_no_new_privs().map_err(ProcessError::NoNewPrivsRefused)?;
    match prctl::get_no_new_privs().map_err(ProcessError::NoNewPrivsRefused)? {
        true => Ok(()),
        false => Err(ProcessError::NoNewPrivsNotSet),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    // `forbid_inspection` is tested in a process of its own, in tests/confinement.rs: it would take /proc/self/mem from
    // the tests of secret memory.

    #[test]
    fn no_new_privs_holds_for_threads_started_later() {
        let inherited = thread::spawn(|| {
            set_no_new_privs().expect("set");
            thread::spawn(prctl::get_no_new_privs)
                .join()
                .expect("inner thread")
        });
        assert_eq!(inherited.join().expect("thread"), Ok(true));
    }
}
