//! Files: a daemon opens what is in its own directory and nothing else, whatever its account may read. Tried in the
//! running daemons; they go on working afterwards.

use crate::injection::{Argument, Outcome, call, inject};
use crate::needs_tracing;
use chancel_tests::api::KEM;
use chancel_tests::{Daemon, Installation};
use nix::libc;
use nix::unistd::Pid;
use std::fs;
use std::path::Path;

/// A file that everybody may read.
const OPEN_TO_ALL: &str = "/etc/passwd";

fn open(pid: Pid, path: &str, flags: i32) -> Outcome {
    inject(
        pid,
        &call(
            libc::SYS_openat,
            &[
                Argument::Number(libc::AT_FDCWD as u64),
                Argument::Text(path),
                Argument::Number(flags as u64),
                Argument::Number(0o600),
            ],
        ),
    )
}

#[track_caller]
fn denied(pid: Pid, path: &str, flags: i32) {
    let outcome = open(pid, path, flags);
    assert!(outcome.failed_with(libc::EACCES), "{path}: {outcome:?}");
}

#[test]
fn keyd_opens_nothing_outside_its_key_directory() {
    let system = Installation::new();
    needs_tracing!(system, "sandbox::keyd_opens_nothing_outside_its_key_directory");
    let (tenant, api_key) = system.tenant_with_api_key("tenant");
    let api = system.api(&api_key);
    api.first_key(KEM);
    let layout = system.layout();
    let pid = system.pid(Daemon::Keyd);
    let text = |path: &Path| path.to_str().expect("text").to_owned();

    // What an ordinary process of keyd's account may open: the control for all that follows.
    let ordinary = system.actor(system.accounts().keyd).rest(Path::new("/"));
    let kek = text(&layout.path("keyd/kek"));
    let new_file = text(&layout.path("keyd/new"));
    let own = "/proc/self/maps";
    for path in [OPEN_TO_ALL, &kek, own] {
        let outcome = open(ordinary.pid(), path, libc::O_RDONLY);
        assert!(outcome.succeeded(), "{path}: {outcome:?}");
    }
    assert!(open(ordinary.pid(), &new_file, libc::O_WRONLY | libc::O_CREAT).succeeded());
    fs::remove_file(&new_file).expect("it was made");
    drop(ordinary);

    for path in [
        OPEN_TO_ALL,
        &kek,
        own,
        "/proc/self/mem",
        "/proc/1/cmdline",
        "/dev/null",
        "/etc/../etc/passwd",
        &text(&layout.path("keyd/gateway-keyd.token")),
        &format!("{}/../kek", text(&layout.key_directory())),
    ] {
        denied(pid, path, libc::O_RDONLY);
    }
    for path in ["/", "/tmp", "/etc", &text(layout.root())] {
        denied(pid, path, libc::O_RDONLY | libc::O_DIRECTORY);
    }
    // It may write to its own account's directory and to /tmp by their modes, not by Landlock.
    for path in [
        &new_file,
        "/tmp/chancel-sandbox-test",
        &text(&layout.path("keyd/cwd/new")),
    ] {
        denied(pid, path, libc::O_WRONLY | libc::O_CREAT);
        assert!(!Path::new(path).exists());
    }
    let make = call(
        libc::SYS_mkdir,
        &[Argument::Text(&new_file), Argument::Number(0o700)],
    );
    let outcome = inject(pid, &make);
    assert!(outcome.failed_with(libc::EACCES), "mkdir: {outcome:?}");
    let remove = call(libc::SYS_unlink, &[Argument::Text(&kek)]);
    let outcome = inject(pid, &remove);
    assert!(outcome.failed_with(libc::EACCES), "unlink: {outcome:?}");
    // Out of its directory by rename, and into it.
    let key_file = fs::read_dir(layout.key_directory().join(tenant.id.to_string()))
        .expect("the tenant's directory")
        .map(|entry| text(&entry.expect("an entry").path()))
        .find(|path| path.ends_with(".key"))
        .expect("a key file");
    let outcome = inject(
        pid,
        &call(
            libc::SYS_rename,
            &[Argument::Text(&key_file), Argument::Text(&new_file)],
        ),
    );
    assert!(
        outcome.failed_with(libc::EACCES) || outcome.failed_with(libc::EXDEV),
        "rename: {outcome:?}"
    );

    // What it needs, it has.
    for (path, flags) in [
        (text(&layout.key_directory()), libc::O_RDONLY | libc::O_DIRECTORY),
        (key_file, libc::O_RDONLY),
    ] {
        let outcome = open(pid, &path, flags);
        assert!(outcome.succeeded(), "{path}: {outcome:?}");
    }
    // And works on.
    let made = api.encrypt(b"after all that").expect("encrypted");
    assert_eq!(api.decrypt(&made).expect("decrypted"), b"after all that");
}

#[test]
fn policyd_opens_nothing_outside_its_database_directory() {
    let system = Installation::new();
    needs_tracing!(
        system,
        "sandbox::policyd_opens_nothing_outside_its_database_directory"
    );
    let (_, api_key) = system.tenant_with_api_key("tenant");
    let layout = system.layout();
    let pid = system.pid(Daemon::Policyd);
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    for path in [
        OPEN_TO_ALL,
        "/proc/self/maps",
        "/dev/null",
        &text(&layout.path("etc/policyd.toml")),
        &text(&layout.path("keyd/kek")),
    ] {
        denied(pid, path, libc::O_RDONLY);
    }
    denied(pid, "/tmp/chancel-sandbox-test", libc::O_WRONLY | libc::O_CREAT);
    let outcome = open(pid, &text(&layout.path("policyd/chancel.db")), libc::O_RDONLY);
    assert!(outcome.succeeded(), "{outcome:?}");
    system.api(&api_key).generate(KEM).expect("policyd works on");
}

#[test]
fn the_gateway_opens_no_file_at_all() {
    let system = Installation::new();
    needs_tracing!(system, "sandbox::the_gateway_opens_no_file_at_all");
    let token = system.layout().path("gateway/gateway-keyd.token");
    for path in [OPEN_TO_ALL, token.to_str().expect("text")] {
        let outcome = open(system.pid(Daemon::Gateway), path, libc::O_RDONLY);
        let denied = outcome.was_killed_by_seccomp() || outcome.failed_with(libc::EACCES);
        assert!(denied, "{path}: {outcome:?}");
        if outcome.was_killed_by_seccomp() {
            system.was_reaped(Daemon::Gateway);
            system.start(Daemon::Gateway);
        }
    }
    system.wait_ready();
}
