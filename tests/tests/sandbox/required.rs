//! A daemon that cannot be confined in full does not start: on a kernel that lacks a part of the sandbox it ends with
//! a reason, before it has made its socket useful to anybody.

use chancel_tests::{Daemon, Installation, Options, binaries};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs a daemon on a kernel without some system calls, until it ends.
fn start_without(system: &Installation, missing: &str, daemon: Daemon) -> Output {
    let reachable = |program: PathBuf| binaries::reachable(&program, &system.layout().path("bin"));
    let program = system.binaries().join(format!("chancel-{}", daemon.stem()));
    let mut command = Command::new("timeout");
    command
        .arg("20")
        .arg(reachable(binaries::own("chancel-hobbled")))
        .arg(missing)
        .arg(reachable(program))
        .arg("--config");
    command.arg(system.layout().path(&format!("etc/{}.toml", daemon.stem())));
    system
        .account(daemon)
        .applied_to(&mut command)
        .output()
        .expect("it runs")
}

#[track_caller]
fn does_not_start(system: &Installation, missing: &str, daemon: Daemon) {
    let output = start_without(system, missing, daemon);
    let said = String::from_utf8_lossy(&output.stderr);
    let ready = said.contains(": ready ");
    assert!(!ready, "{daemon:?} without {missing} started:\n{said}");
    assert_eq!(
        output.status.code(),
        Some(1),
        "{daemon:?} without {missing}: {said}"
    );
    assert!(
        said.contains(&format!("chancel-{}: ", daemon.stem())),
        "it says why: {said}"
    );
}

#[test]
fn no_daemon_starts_where_its_sandbox_cannot_be_applied() {
    let system = Installation::prepare(Options::default());
    for daemon in Daemon::ALL {
        for missing in ["landlock_create_ruleset", "landlock_restrict_self", "seccomp"] {
            does_not_start(&system, missing, daemon);
        }
    }
}

#[test]
fn keyd_does_not_start_where_no_memory_can_be_locked() {
    let system = Installation::prepare(Options::default());
    does_not_start(&system, "memfd_secret,mlock,mlock2", Daemon::Keyd);
}

/// What may be connected to is named by the directory above a neighbour's. Were that one missing and the next one above it
/// taken, a gateway that is started too early could reach more than one that is not.
#[test]
fn a_neighbours_place_that_is_missing_opens_nothing_wider() {
    for daemon in [Daemon::Policyd, Daemon::Gateway] {
        let system = Installation::prepare(Options::default());
        let config = system.layout().path(&format!("etc/{}.toml", daemon.stem()));
        let text = fs::read_to_string(&config).expect("the configuration");
        let missing = system.layout().path("run/missing");
        let moved = text.replace(
            &system.layout().keyd_socket().display().to_string(),
            &missing.join("keyd/keyd.sock").display().to_string(),
        );
        assert_ne!(moved, text);
        fs::write(&config, moved).expect("the configuration is writable");
        system.spawn(daemon);
        assert_eq!(system.wait_end(daemon).code(), Some(1));
        let said = system.log(daemon);
        let reason = format!("{}: cannot be opened for a Landlock rule", missing.display());
        assert!(said.contains(&reason), "{daemon:?}: {said}");
    }
}
