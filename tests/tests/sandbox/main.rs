//! The sandbox of the running daemons, seen from outside: what the kernel says of them, what it refuses them, what is in
//! their memory, and that they leave no core dump.
//!
//! No daemon has a door for tests. What they may do is tried in their own processes: root attaches to the running daemon
//! as a debugger does and has it execute a system call ([`injection`]), so that the answer is the kernel's to exactly
//! that process. Needs root, and x86_64 for the registers.

#[cfg(target_arch = "x86_64")]
mod confinement;
mod core_dumps;
#[cfg(target_arch = "x86_64")]
mod injection;
mod memory;
mod required;
mod secrets;
mod status;
#[cfg(target_arch = "x86_64")]
mod system_calls;

use chancel_tests::Installation;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use std::path::Path;

/// Ends a test that looks into daemons, with a visible note, where this process may not or all have one account.
macro_rules! needs_tracing {
    ($system:expr, $test:literal) => {
        chancel_tests::needs_separate_accounts!($system, $test);
        if !crate::may_trace(&$system) {
            chancel_tests::skipped($test, "needs CAP_SYS_PTRACE, which root lacks in this container");
            return;
        }
    };
}
use needs_tracing;

/// Whether this process may trace one of another account. Any other error than a refusal fails the test.
fn may_trace(system: &Installation) -> bool {
    let resting = system.actor(system.accounts().stranger).rest(Path::new("/"));
    match ptrace::attach(resting.pid()) {
        Ok(()) => {
            waitpid(resting.pid(), Some(WaitPidFlag::__WALL)).expect("it stops");
            ptrace::detach(resting.pid(), None).expect("detached");
            true
        }
        Err(Errno::EPERM) => false,
        Err(error) => panic!("tracing: {error}"),
    }
}
