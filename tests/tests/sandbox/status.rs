//! What `/proc` says of the daemons.

use chancel_tests::actor::Resting;
use chancel_tests::shared::Common;
use chancel_tests::{Daemon, Installation, Shared, needs_separate_accounts};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

static SYSTEM: Common = Common::new();

fn system() -> Shared<'static> {
    SYSTEM.join()
}

/// A line of `/proc/PID/task/TID/status`, for each thread.
fn of_each_thread(pid: Pid, line: &str) -> Vec<String> {
    let mut values = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("the process's threads") {
        let path = thread.expect("a thread").path().join("status");
        let status = fs::read_to_string(&path).expect("a thread's status");
        let value = status
            .lines()
            .find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("no {line} in {}", path.display()));
        values.push(value.trim().to_owned());
    }
    values
}

#[track_caller]
fn assert_each(pid: Pid, line: &str, wanted: &str) {
    let values = of_each_thread(pid, line);
    assert!(!values.is_empty());
    assert!(values.iter().all(|value| value == wanted), "{line}: {values:?}");
}

/// An ordinary process under a daemon's account: what the daemons differ from.
fn ordinary(system: &Installation) -> Resting {
    system.actor(system.accounts().keyd).rest(Path::new("/"))
}

#[test]
fn no_thread_of_a_daemon_has_a_capability() {
    let system = system();
    for daemon in Daemon::ALL {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_each(system.pid(daemon), set, "0000000000000000");
        }
    }
}

#[test]
fn every_thread_of_a_daemon_has_a_seccomp_filter_and_no_way_to_new_privileges() {
    let system = system();
    for daemon in Daemon::ALL {
        assert_each(system.pid(daemon), "Seccomp", "2");
        assert_each(system.pid(daemon), "NoNewPrivs", "1");
    }
    let ordinary = ordinary(&system);
    assert_each(ordinary.pid(), "Seccomp", "0");
}

#[test]
fn each_daemon_runs_as_its_own_account_alone() {
    let system = system();
    for daemon in Daemon::ALL {
        let account = system.account(daemon);
        let four = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
        assert_each(system.pid(daemon), "Uid", &four(account.uid));
        assert_each(system.pid(daemon), "Gid", &four(account.gid));
        if system.accounts().separate() {
            assert_each(system.pid(daemon), "Groups", "");
        }
    }
}

#[test]
fn core_dumps_are_forbidden_and_the_kernel_hides_each_daemon_from_its_own_account() {
    let system = system();
    for daemon in Daemon::ALL {
        let pid = system.pid(daemon);
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .expect("a limit on core dumps");
        let words: Vec<_> = core.split_ascii_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{core}");
    }
    needs_separate_accounts!(
        system,
        "sandbox::core_dumps_are_forbidden_and_the_kernel_hides_each_daemon_from_its_own_account"
    );
    for daemon in Daemon::ALL {
        let pid = system.pid(daemon);
        // An undumpable process's directory belongs to root, and its account may not look inside or trace it.
        let owner = fs::metadata(format!("/proc/{pid}/mem")).expect("a process").uid();
        assert_eq!(owner, 0, "{daemon:?}");
        let same_account = system.actor(system.account(daemon));
        for file in ["mem", "environ", "maps", "auxv"] {
            let path = format!("/proc/{pid}/{file}");
            let error = same_account.read(path.as_ref()).expect_err(&path);
            assert!(error.contains("Permission denied"), "{path}: {error}");
        }
    }
    let ordinary = ordinary(&system);
    let path = format!("/proc/{}/maps", ordinary.pid());
    let same_account = system.actor(system.accounts().keyd);
    assert!(
        !same_account
            .read(path.as_ref())
            .expect("an ordinary process is open to its account")
            .is_empty()
    );
}
