//! What the kernel does to a confined process: each case runs in a child of its own, which is this same program started
//! with the name of its part in the environment.
//!
//! The standard harness runs tests in threads, and a confined process must have begun with one: hence a `main` here. It
//! takes a part of a test's name as argument, like the standard one.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::{Arc, Barrier},
    thread,
};

use chancel_sandbox::{
    Access, Confinement, ConfinementError, Restricted, SecretArena, SecretMemoryError, capabilities, process,
};
use nix::sys::{
    prctl,
    resource::{Resource, getrlimit, setrlimit},
};

/// Names the child's part.
const PART: &str = "CHANCEL_TEST_PART";
/// Where the child finds its compiled filter.
const FILTER: &str = "CHANCEL_TEST_FILTER";

/// A test: the name, the child's part, and what must be seen of the child.
type Case = (&'static str, fn(), fn(Child));

const CASES: &[Case] = &[
    (
        "a_sealed_process_works_and_shows_its_restrictions",
        sealed_and_waiting,
        shows_restrictions,
    ),
    ("inspection_is_forbidden", forbids_inspection, succeeds),
    ("files_outside_the_rules_are_denied", opens_files, succeeds),
    ("a_forbidden_call_kills", forbidden_call, dies_of_sigsys),
    (
        "a_forbidden_call_in_another_thread_kills",
        forbidden_call_in_a_thread,
        dies_of_sigsys,
    ),
    ("starting_a_program_kills", starts_a_program, dies_of_sigsys),
    ("a_new_socket_kills", makes_a_socket, dies_of_sigsys),
    ("an_x32_call_kills", x32_call, dies_of_sigsys),
    ("a_second_thread_prevents_the_sandbox", second_thread, succeeds),
    ("a_missing_path_prevents_the_sandbox", missing_path, succeeds),
    ("a_low_limit_on_locked_memory_is_named", low_lock_limit, succeeds),
    (
        "a_soft_limit_on_locked_memory_is_raised",
        soft_lock_limit,
        succeeds,
    ),
];

fn main() -> ExitCode {
    if let Some(part) = env::var_os(PART) {
        let (_, act, _) = CASES
            .iter()
            .find(|(name, ..)| *name == part)
            .expect("a known part");
        act();
        return ExitCode::SUCCESS;
    }
    let filter = compiled_filter();
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    for (name, _, judge) in CASES {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            judge(start(name, &filter));
            println!("test {name} ... ok");
        }
    }
    fs::remove_file(filter).expect("clean up");
    ExitCode::SUCCESS
}

fn compiled_filter() -> PathBuf {
    let json = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/filter")
        .join(env::consts::ARCH)
        .with_extension("json");
    let out = env::temp_dir().join(format!("chancel-confinement-{}.bpf", std::process::id()));
    chancel_seccomp_compiler::compile(&json, &out).expect("compiles");
    out
}

fn start(part: &str, filter: &Path) -> Child {
    Command::new(env::current_exe().expect("own path"))
        .env(PART, part)
        .env(FILTER, filter)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

// What must be seen of a child.

fn succeeds(child: Child) {
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{:?}", output.status);
}

/// The child says "sealed" before the call that must kill it, so that it cannot have died of something earlier.
fn dies_of_sigsys(child: Child) {
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "sealed\n");
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{:?}", output.status);
}

fn shows_restrictions(mut child: Child) {
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut line).expect("reads");
    assert_eq!(line, "sealed\n");
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let threads: Vec<_> = fs::read_dir(process.join("task")).expect("threads").collect();
    assert_eq!(threads.len(), 3);
    for task in threads {
        let status = fs::read_to_string(task.expect("thread").path().join("status")).expect("readable");
        for expected in [
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "CapInh:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
            "CapAmb:\t0000000000000000",
        ] {
            assert!(
                status.lines().any(|line| line == expected),
                "{expected} is not in:\n{status}"
            );
        }
    }
    let limits = fs::read_to_string(process.join("limits")).expect("readable");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("a line");
    assert_eq!(
        core.split_whitespace().collect::<Vec<_>>()[4..6],
        ["0", "0"],
        "{core}"
    );
    drop(child.stdin.take());
    let status: ExitStatus = child.wait().expect("ends");
    assert!(status.success(), "{status:?}");
}

// The parts of the children.

fn filter() -> Vec<u8> {
    fs::read(env::var_os(FILTER).expect("set by the parent")).expect("readable")
}

fn restricted(filesystem: &[(&Path, Access)]) -> Result<Restricted, ConfinementError> {
    Confinement {
        filesystem,
        deny_tcp: true,
        seccomp: &filter(),
    }
    .restrict_this_thread()
}

/// Enters the whole sandbox and says so.
fn seal() {
    restricted(&[]).expect("restricted").seal().expect("sealed");
    say_sealed();
}

fn say_sealed() {
    // Unbuffered: what stays in a buffer dies with the process.
    std::io::stdout().write_all(b"sealed\n").expect("writes");
    std::io::stdout().flush().expect("writes");
}

fn sealed_and_waiting() {
    let restricted = restricted(&[(Path::new("/usr"), Access::ReadOnly)]).expect("restricted");
    let running = Arc::new(Barrier::new(3));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let running = Arc::clone(&running);
            thread::spawn(move || {
                running.wait();
                thread::park();
            })
        })
        .collect();
    running.wait();
    let _proof = restricted.seal().expect("sealed");
    say_sealed();
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("the parent closes it");
    for worker in workers {
        worker.thread().unpark();
        worker.join().expect("ends");
    }
}

fn forbids_inspection() {
    setrlimit(Resource::RLIMIT_CORE, 0, 4096).expect("a hard limit that is not zero yet");
    assert_eq!(prctl::get_dumpable(), Ok(true));
    process::forbid_inspection().expect("forbidden");
    assert_eq!(prctl::get_dumpable(), Ok(false));
    assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
    // Root reads it anyhow, by CAP_SYS_PTRACE and CAP_DAC_OVERRIDE.
    capabilities::drop_all().expect("dropped");
    if !nix::unistd::geteuid().is_root() {
        let error = fs::File::open("/proc/self/mem").expect_err("belongs to root now");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 4096).expect_err("the hard limit cannot be raised again");
}

fn opens_files() {
    let executable = env::current_exe().expect("own path");
    fs::read("/etc/passwd").expect("readable before");
    let landlock = restricted(&[(&executable, Access::ReadOnly)])
        .expect("restricted")
        .landlock();
    for path in ["/etc/passwd", "/proc/self/status", "/dev/null"] {
        let error = fs::read(path).expect_err("denied after");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{path}");
    }
    fs::read(&executable).expect("what is listed is readable");
    assert_eq!(TcpListener::bind("127.0.0.1:0").is_err(), landlock.tcp);
}

fn forbidden_call() {
    seal();
    let _ = nix::unistd::getppid();
}

fn forbidden_call_in_a_thread() {
    let (running, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let restricted = restricted(&[]).expect("restricted");
    let worker = thread::spawn({
        let (running, go) = (Arc::clone(&running), Arc::clone(&go));
        move || {
            running.wait();
            go.wait();
            nix::unistd::getppid();
        }
    });
    running.wait();
    restricted.seal().expect("sealed");
    say_sealed();
    go.wait();
    // Not reached again: the whole process ends, not the thread.
    let _ = worker.join();
}

fn starts_a_program() {
    let name = c"/bin/true";
    seal();
    let _ = nix::unistd::execv(name, &[name]);
}

fn makes_a_socket() {
    seal();
    let _ = std::os::unix::net::UnixDatagram::unbound();
}

/// Number 0 is `read`, which the filter allows; with the bit of the x32 ABI it is another call.
fn x32_call() {
    seal();
    // SAFETY: whatever the kernel makes of the number, a read into no bytes touches no memory.
    unsafe { libc::syscall(0x4000_0000, 0, std::ptr::null_mut::<u8>(), 0) };
}

fn second_thread() {
    let worker = thread::spawn(thread::park);
    let refused = restricted(&[]);
    assert!(
        matches!(refused, Err(ConfinementError::ThreadsRunning(2))),
        "{refused:?}"
    );
    fs::read("/etc/passwd").expect("nothing was restricted");
    worker.thread().unpark();
    worker.join().expect("ends");
}

fn missing_path() {
    let refused = restricted(&[(Path::new("/nonexistent/chancel"), Access::ReadWrite)]);
    assert!(
        matches!(refused, Err(ConfinementError::Landlock(_))),
        "{refused:?}"
    );
}

fn low_lock_limit() {
    capabilities::drop_all().expect("CAP_IPC_LOCK would lift the limit");
    setrlimit(Resource::RLIMIT_MEMLOCK, 8192, 8192).expect("lowered");
    SecretArena::new(1, 64).expect("a page is within the limit");
    match SecretArena::new(1024, 64) {
        Err(
            error @ SecretMemoryError::LockLimitTooLow {
                needed: 65536,
                limit: 8192,
            },
        ) => {
            let text = error.to_string();
            assert!(text.contains("65536") && text.contains("8192"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    setrlimit(Resource::RLIMIT_MEMLOCK, 0, 0).expect("lowered");
    assert!(matches!(
        SecretArena::new(1, 64),
        Err(SecretMemoryError::LockLimitTooLow { limit: 0, .. })
    ));
}

fn soft_lock_limit() {
    capabilities::drop_all().expect("CAP_IPC_LOCK would lift the limit");
    let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).expect("limits");
    setrlimit(Resource::RLIMIT_MEMLOCK, 4096, hard).expect("lowered");
    SecretArena::new(1024, 64).expect("64 KiB are within the usual hard limit");
    assert_eq!(getrlimit(Resource::RLIMIT_MEMLOCK), Ok((hard, hard)));
}
