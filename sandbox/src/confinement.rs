//! The sandbox of a daemon as one value, applied in two steps in the only order that works.
//!
//! Capabilities and Landlock belong to a thread and are inherited by the threads it starts, so they come while there is
//! one thread. The seccomp filter forbids what starting threads needs, so it comes after, on all of them at once.

use std::path::Path;

use thiserror::Error;

use crate::{
    capabilities::{self, CapabilityError},
    landlock::{self, Access, Enforced, LandlockError},
    process::{self, ProcessError},
    seccomp::{Filter, SeccompError},
    status::{StatusError, StatusFile},
};

/// What a daemon asks the kernel to confine it to.
#[derive(Debug, Clone, Copy)]
pub struct Confinement<'a> {
    /// The files and directories it may still open. Everything else is out of reach.
    pub filesystem: &'a [(&'a Path, Access)],
    /// Whether TCP `bind` and `connect` go, where the kernel can (Linux 6.7). Sockets that exist keep working.
    pub deny_tcp: bool,
    /// The compiled seccomp filter: `include_bytes!` of what `chancel-seccomp-compiler` made. It must allow `read`,
    /// `lseek` and `close`, with which [`Restricted::seal`] verifies the outcome.
    pub seccomp: &'a [u8],
}

/// Why the daemon is not confined. It must not go on.
#[derive(Debug, Error)]
pub enum ConfinementError {
    /// Too late: what belongs to a thread would miss the others.
    #[error("{0} threads run already; the sandbox must be entered with one")]
    ThreadsRunning(u64),
    /// Core dumps, tracing or new privileges.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A capability is or may be left.
    #[error(transparent)]
    Capabilities(#[from] CapabilityError),
    /// The file system is not restricted.
    #[error(transparent)]
    Landlock(#[from] LandlockError),
    /// The system calls are not restricted.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The kernel could not be asked.
    #[error(transparent)]
    StatusUnknown(#[from] StatusError),
    /// Every step reported success, and the kernel says otherwise.
    #[error("the kernel does not confirm the sandbox: {0}")]
    NotConfirmed(&'static str),
}

/// The first half is done: a thread that was restricted alone, and whose later threads inherit it.
#[must_use = "the sandbox has a second half: call seal() once all threads run"]
#[derive(Debug)]
pub struct Restricted {
    filter: Filter,
    status: StatusFile,
    landlock: Enforced,
}

/// Proof that everything in a [`Confinement`] is in force on every thread. Only [`Restricted::seal`] makes one.
#[derive(Debug)]
pub struct Sandboxed(());

impl Confinement<'_> {
    /// Gives up new privileges, core dumps, being traced, every capability, and all files but the listed ones.
    ///
    /// **Call it while the process has one thread**; with more it is an error and changes nothing.
    pub fn restrict_this_thread(&self) -> Result<Restricted, ConfinementError> {
        // What can be found wrong without consequences comes first.
        let filter = Filter::parse(self.seccomp)?;
        let mut status = StatusFile::open()?;
        match status.read()?.threads {
            1 => {}
            more => return Err(ConfinementError::ThreadsRunning(more)),
        }
        process::set_no_new_privs()?;
        process::forbid_inspection()?;
        capabilities::drop_all()?;
        let landlock = landlock::restrict_filesystem(self.filesystem, self.deny_tcp)?;
        // Again, because a change of credentials can undo it; dropping capabilities does not, today.
        process::check_inspection_forbidden()?;
        Ok(Restricted {
            filter,
            status,
            landlock,
        })
    }
}

impl Restricted {
    /// What the running kernel's Landlock enforces beyond the minimum, for the log.
    pub fn landlock(&self) -> Enforced {
        self.landlock
    }

    /// Puts the seccomp filter on all threads and has the kernel confirm the whole sandbox.
    ///
    /// **Call it when every thread has reported that it runs**, not only when `spawn` has returned: a thread begins with
    /// system calls of its own (`rseq`, `set_robust_list`, `sigaltstack`, `sched_getaffinity`, `prctl` for its name), and
    /// a filter that does not list them kills the process in the middle of that, now and then. A barrier is enough.
    /// Threads started later inherit the filter.
    pub fn seal(mut self) -> Result<Sandboxed, ConfinementError> {
        self.filter.install_on_all_threads()?;
        // Landlock has put /proc out of reach; the descriptor was opened before. The kernel puts the filter on all
        // threads or none, so asking about one is enough.
        let status = self.status.read()?;
        let confirmed = [
            (status.seccomp_mode == 2, "no seccomp filter"),
            (status.no_new_privs, "new privileges are possible"),
            (status.remaining_capabilities().is_none(), "capabilities are left"),
        ];
        match confirmed.into_iter().find(|(holds, _)| !holds) {
            None => Ok(Sandboxed(())),
            Some((_, missing)) => Err(ConfinementError::NotConfirmed(missing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Success needs a process of one thread: tests/confinement.rs. The test harness always has two or more.
    #[test]
    fn a_process_with_threads_is_refused_untouched() {
        let program = [
            0x20, 0, 0, 0, 4, 0, 0, 0, 0x15, 0, 1, 0, 0x3e, 0, 0, 0xc0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f,
        ];
        let confinement = Confinement {
            filesystem: &[],
            deny_tcp: true,
            seccomp: &program,
        };
        if cfg!(target_arch = "x86_64") {
            let refused = confinement.restrict_this_thread();
            assert!(
                matches!(refused, Err(ConfinementError::ThreadsRunning(2..))),
                "{refused:?}"
            );
        }
        std::fs::read("/etc/passwd").expect("nothing was restricted");
    }

    #[test]
    fn a_broken_filter_is_refused_before_anything_else() {
        let confinement = Confinement {
            filesystem: &[],
            deny_tcp: true,
            seccomp: &[1, 2, 3],
        };
        let refused = confinement.restrict_this_thread();
        assert!(matches!(
            refused,
            Err(ConfinementError::Seccomp(SeccompError::PartialInstruction(3)))
        ));
    }
}
