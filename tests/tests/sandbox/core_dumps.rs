//! A daemon that crashes leaves no core dump, where an ordinary process of the same account does.

use chancel_tests::{Daemon, Installation};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

// Not SIGQUIT: a shell that starts a job in the background has it ignored, and children inherit that.
const DEADLY: [Signal; 2] = [Signal::SIGSEGV, Signal::SIGABRT];

/// Files in a directory.
fn files(directory: &Path) -> usize {
    fs::read_dir(directory).expect("a directory").count()
}

#[test]
fn a_daemon_that_crashes_leaves_no_core_dump() {
    // What children inherit: as much as they like.
    let limit = if geteuid().is_root() {
        RLIM_INFINITY
    } else {
        getrlimit(Resource::RLIMIT_CORE).expect("a limit").1
    };
    setrlimit(Resource::RLIMIT_CORE, limit, limit).expect("core dumps are allowed here");
    let system = Installation::new();
    for signal in DEADLY {
        for daemon in Daemon::ALL {
            let directory = system.layout().path(&format!("{}/cwd", daemon.stem()));
            system.signal(daemon, signal);
            let status = system.wait_end(daemon);
            // Rust's own handler for SIGSEGV makes a system call on its way out that no filter allows.
            let ends = [signal as i32, Signal::SIGSYS as i32].map(Some);
            assert!(ends.contains(&status.signal()), "{daemon:?}: {status:?}");
            assert!(!status.core_dumped(), "{daemon:?} dumped core on {signal}");
            assert_eq!(files(&directory), 0, "{daemon:?} left something on {signal}");
            system.start(daemon);
        }
    }
    system.wait_ready();

    let directory = system.layout().path("stranger/cwd");
    let ordinary = system.actor(system.accounts().stranger).rest(&directory);
    let status = ordinary.end_by(Signal::SIGABRT);
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    if !status.core_dumped() {
        chancel_tests::skipped(
            "sandbox::a_daemon_that_crashes_leaves_no_core_dump (its control)",
            "this host writes no core dumps for anybody",
        );
    }
}
