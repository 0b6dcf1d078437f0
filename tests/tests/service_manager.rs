//! What the service manager hears from the daemons, with this test in its place: sd_notify(3).

use chancel_tests::{Daemon, Installation};
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The next message that says something.
fn next_with(manager: &UnixDatagram, what: &str) -> String {
    loop {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).expect("a message in time");
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        if message.contains(what) {
            return message;
        }
    }
}

#[test]
fn each_daemon_says_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let system = Installation::new();
    for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
        system.stop(daemon);
        let path = system.layout().path(&format!("notify-{daemon:?}"));
        let manager = UnixDatagram::bind(&path).expect("a socket");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("a mode");
        manager
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time-out");
        let environment = [
            ("NOTIFY_SOCKET", path.to_str().expect("text")),
            ("WATCHDOG_USEC", "300000"),
        ];
        system.spawn_in(daemon, &environment);
        let ready = next_with(&manager, "READY=1");
        assert!(ready.contains("STATUS=serving"), "{daemon:?}: {ready}");
        for _ in 0..2 {
            next_with(&manager, "WATCHDOG=1");
        }
        // One that is frozen says nothing: then the service manager kills it.
        system.signal(daemon, Signal::SIGSTOP);
        manager
            .set_read_timeout(Some(Duration::from_millis(1500)))
            .expect("a time-out");
        let mut message = [0; 64];
        while manager.recv(&mut message).is_ok() {}
        system.signal(daemon, Signal::SIGCONT);
        manager
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time-out");
        next_with(&manager, "WATCHDOG=1");
        system.stop(daemon);
        next_with(&manager, "STOPPING=1");
    }
}

#[test]
fn a_service_manager_that_is_not_there_keeps_a_daemon_from_starting() {
    let system = Installation::new();
    system.stop(Daemon::Keyd);
    system.spawn_in(Daemon::Keyd, &[("NOTIFY_SOCKET", "/nonexistent/notify")]);
    assert_eq!(system.wait_end(Daemon::Keyd).code(), Some(1));
}

/// Variables of another process's start, inherited by accident, hand over nothing.
#[test]
fn descriptors_that_were_handed_to_another_process_are_left_alone() {
    let system = Installation::new();
    system.stop(Daemon::Keyd);
    system.spawn_in(Daemon::Keyd, &[("LISTEN_PID", "1"), ("LISTEN_FDS", "1")]);
    system.until("keyd binds its own socket", || {
        std::os::unix::net::UnixStream::connect(system.layout().keyd_socket()).ok()
    });
}
