//! System calls that a daemon has no use for end it. Each is tried in a running daemon, which is then started anew.

use crate::injection::{Argument, Call, Outcome, call, inject};
use crate::needs_tracing;
use Argument::{Number, Text, Zeroes};
use chancel_tests::{Daemon, Installation, Options};
use nix::libc;
use std::path::Path;

type Named<'a> = (&'static str, Call<'a>);

/// Running programs and making processes.
fn running_programs<'a>() -> Vec<Named<'a>> {
    const TRUE: &str = "/bin/true";
    let here = Number(libc::AT_FDCWD as u64);
    vec![
        ("execve", call(libc::SYS_execve, &[Text(TRUE), Zeroes, Zeroes])),
        (
            "execveat",
            call(libc::SYS_execveat, &[here, Text(TRUE), Zeroes, Zeroes, Number(0)]),
        ),
        ("fork", call(libc::SYS_fork, &[])),
        ("vfork", call(libc::SYS_vfork, &[])),
        (
            "clone",
            call(libc::SYS_clone, &[Number(libc::SIGCHLD as u64), Number(0)]),
        ),
        ("clone3", call(libc::SYS_clone3, &[Zeroes, Number(88)])),
    ]
}

/// Reaching into other processes.
fn other_processes<'a>() -> Vec<Named<'a>> {
    vec![
        (
            "ptrace",
            call(
                libc::SYS_ptrace,
                &[Number(u64::from(libc::PTRACE_TRACEME)), Number(0)],
            ),
        ),
        (
            "ptrace of another",
            call(
                libc::SYS_ptrace,
                &[Number(u64::from(libc::PTRACE_ATTACH)), Number(1)],
            ),
        ),
        (
            "process_vm_readv",
            call(
                libc::SYS_process_vm_readv,
                &[Number(1), Zeroes, Number(1), Zeroes, Number(1)],
            ),
        ),
        ("kill", call(libc::SYS_kill, &[Number(1), Number(0)])),
        ("pidfd_open", call(libc::SYS_pidfd_open, &[Number(1), Number(0)])),
    ]
}

/// The network, other than through sockets that exist.
fn network<'a>() -> Vec<Named<'a>> {
    let stream = Number(libc::SOCK_STREAM as u64);
    let family = |family: i32| Number(family as u64);
    vec![
        (
            "socket, IPv4",
            call(libc::SYS_socket, &[family(libc::AF_INET), stream, Number(0)]),
        ),
        (
            "socket, IPv6",
            call(libc::SYS_socket, &[family(libc::AF_INET6), stream, Number(0)]),
        ),
        (
            "socket, netlink",
            call(
                libc::SYS_socket,
                &[family(libc::AF_NETLINK), Number(libc::SOCK_RAW as u64), Number(0)],
            ),
        ),
        (
            "socket, vsock",
            call(libc::SYS_socket, &[family(libc::AF_VSOCK), stream, Number(0)]),
        ),
        (
            "io_uring_setup",
            call(libc::SYS_io_uring_setup, &[Number(8), Zeroes]),
        ),
    ]
}

/// Ways around the sandbox, and out of it.
fn ways_out<'a>() -> Vec<Named<'a>> {
    let anonymous = Number((libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64);
    let executable = Number((libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as u64);
    let none = Number(u64::MAX);
    vec![
        (
            "mmap, executable",
            call(
                libc::SYS_mmap,
                &[Number(0), Number(4096), executable, anonymous, none, Number(0)],
            ),
        ),
        (
            "prctl, dumpable",
            call(
                libc::SYS_prctl,
                &[Number(libc::PR_SET_DUMPABLE as u64), Number(1)],
            ),
        ),
        ("setuid", call(libc::SYS_setuid, &[Number(0)])),
        ("capset", call(libc::SYS_capset, &[Zeroes, Zeroes])),
        (
            "unshare",
            call(libc::SYS_unshare, &[Number(libc::CLONE_NEWUSER as u64)]),
        ),
        (
            "mount",
            call(
                libc::SYS_mount,
                &[
                    Text("/tmp"),
                    Text("/tmp"),
                    Zeroes,
                    Number(libc::MS_BIND),
                    Number(0),
                ],
            ),
        ),
        ("chroot", call(libc::SYS_chroot, &[Text("/tmp")])),
        ("bpf", call(libc::SYS_bpf, &[Number(0), Zeroes, Number(128)])),
        (
            "perf_event_open",
            call(
                libc::SYS_perf_event_open,
                &[Zeroes, Number(0), none, none, Number(0)],
            ),
        ),
        ("userfaultfd", call(libc::SYS_userfaultfd, &[Number(0)])),
        (
            "add_key",
            call(
                libc::SYS_add_key,
                &[Text("user"), Text("name"), Zeroes, Number(1), Number(0)],
            ),
        ),
        (
            "link",
            call(
                libc::SYS_link,
                &[Text("/etc/passwd"), Text("/tmp/chancel-sandbox-test")],
            ),
        ),
        (
            "symlink",
            call(
                libc::SYS_symlink,
                &[Text("/etc/passwd"), Text("/tmp/chancel-sandbox-test")],
            ),
        ),
        // The other numbering of the same machine: a filter that overlooks it has a second door.
        (
            "execve, x32",
            call(0x4000_0000 | 520, &[Text("/bin/true"), Zeroes, Zeroes]),
        ),
        ("no call at all", call(100_000, &[])),
    ]
}

/// Handing descriptors to other processes, where they outlive this one.
fn handing_on<'a>() -> Vec<Named<'a>> {
    vec![
        (
            "sendmsg",
            call(libc::SYS_sendmsg, &[Number(0), Zeroes, Number(0)]),
        ),
        (
            "sendmmsg",
            call(libc::SYS_sendmmsg, &[Number(0), Zeroes, Number(1), Number(0)]),
        ),
    ]
}

/// Tries each call in the daemon, which must die of it.
fn each_kills(system: &Installation, daemon: Daemon, calls: &[Named<'_>]) {
    for (name, call) in calls {
        let outcome = inject(system.pid(daemon), call);
        assert!(outcome.was_killed_by_seccomp(), "{daemon:?}, {name}: {outcome:?}");
        system.was_reaped(daemon);
        system.start(daemon);
    }
}

fn keyd_alone() -> Installation {
    let system = Installation::prepare(Options::default());
    system.start(Daemon::Keyd);
    system
}

#[test]
fn keyd_that_runs_a_program_is_killed() {
    let system = keyd_alone();
    needs_tracing!(system, "sandbox::keyd_that_runs_a_program_is_killed");
    each_kills(&system, Daemon::Keyd, &running_programs());
}

#[test]
fn keyd_that_opens_a_socket_is_killed() {
    let system = keyd_alone();
    needs_tracing!(system, "sandbox::keyd_that_opens_a_socket_is_killed");
    each_kills(&system, Daemon::Keyd, &network());
    let unix = call(
        libc::SYS_socket,
        &[
            Number(libc::AF_UNIX as u64),
            Number(libc::SOCK_STREAM as u64),
            Number(0),
        ],
    );
    let connect = call(libc::SYS_connect, &[Number(0), Zeroes, Number(16)]);
    each_kills(
        &system,
        Daemon::Keyd,
        &[("socket, Unix", unix), ("connect", connect)],
    );
}

#[test]
fn keyd_that_reaches_for_another_process_is_killed() {
    let system = keyd_alone();
    needs_tracing!(system, "sandbox::keyd_that_reaches_for_another_process_is_killed");
    each_kills(&system, Daemon::Keyd, &other_processes());
}

#[test]
fn keyd_that_tries_to_leave_its_sandbox_is_killed() {
    let system = keyd_alone();
    needs_tracing!(system, "sandbox::keyd_that_tries_to_leave_its_sandbox_is_killed");
    each_kills(&system, Daemon::Keyd, &ways_out());
}

#[test]
fn policyd_that_runs_a_program_traces_or_opens_a_network_socket_is_killed() {
    let system = keyd_alone();
    needs_tracing!(
        system,
        "sandbox::policyd_that_runs_a_program_traces_or_opens_a_network_socket_is_killed"
    );
    system.start(Daemon::Policyd);
    for calls in [running_programs(), other_processes(), network(), ways_out()] {
        each_kills(&system, Daemon::Policyd, &calls);
    }
}

#[test]
fn the_gateway_that_runs_a_program_traces_or_opens_a_network_socket_is_killed() {
    let system = Installation::new();
    needs_tracing!(
        system,
        "sandbox::the_gateway_that_runs_a_program_traces_or_opens_a_network_socket_is_killed"
    );
    for calls in [running_programs(), other_processes(), network(), ways_out()] {
        each_kills(&system, Daemon::Gateway, &calls);
    }
}

#[test]
fn the_gateway_that_hands_a_descriptor_on_is_killed() {
    let system = Installation::new();
    needs_tracing!(
        system,
        "sandbox::the_gateway_that_hands_a_descriptor_on_is_killed"
    );
    each_kills(&system, Daemon::Gateway, &handing_on());
}

#[test]
fn the_same_calls_in_an_ordinary_process_of_that_account_are_no_crime() {
    let system = keyd_alone();
    needs_tracing!(
        system,
        "sandbox::the_same_calls_in_an_ordinary_process_of_that_account_are_no_crime"
    );
    let ordinary = system.actor(system.accounts().keyd).rest(Path::new("/"));
    let mut tried = 0;
    for (name, call) in [other_processes(), network(), ways_out()].into_iter().flatten() {
        // Becoming traced for good would leave the process waiting for its parent.
        if name == "ptrace" {
            continue;
        }
        let outcome = inject(ordinary.pid(), &call);
        assert!(matches!(outcome, Outcome::Returned(_)), "{name}: {outcome:?}");
        if name == "socket, IPv4" || name == "mmap, executable" {
            assert!(outcome.succeeded(), "{name}: {outcome:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 2);
    // And what keyd does all day is no crime in keyd: its filter is no wall without a door.
    let time = call(libc::SYS_clock_gettime, &[Number(1), Zeroes]);
    assert_eq!(inject(system.pid(Daemon::Keyd), &time), Outcome::Returned(0));
}
