//! The quickstart as a person runs it: the first start, the second on the same state, with TLS, without privileges,
//! and with a daemon that dies. Needs the built daemons: `CHANCEL_BIN_DIR`, or those beside the quickstart.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Nobody's uid, for runs without privileges.
const STRANGER: u32 = 60_900;
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that other accounts can pass, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/tmp/cq-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("scratch directory");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("mode");
        Self(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn quickstart(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancel-quickstart"));
    command
        .arg("--state")
        .arg(state)
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments);
    // Proxies and bundles of the machine are no business of a service on loopback.
    command
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9");
    command
}

fn once(mut command: Command) -> Output {
    let output = command.arg("--once").output().expect("quickstart runs");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn env_value(state: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(state.join("env")).expect("env");
    let prefix = format!("export {name}=");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(str::to_owned)
}

/// A quickstart that keeps serving, and the lines it prints.
struct Serving {
    child: Child,
    lines: Receiver<String>,
}

impl Serving {
    fn start(state: &Path) -> Self {
        let mut child = quickstart(state, &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("quickstart");
        let output = child.stdout.take().expect("stdout");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The line that begins with a word.
    fn line(&self, beginning: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .expect("the line before the time is up");
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// The pid that the report gives for a daemon.
    fn pid(report: &str, daemon: &str) -> i32 {
        let (_, rest) = report
            .split_once(&format!("{daemon} ("))
            .expect("the daemon in the report");
        rest.split_once(')').expect("a pid").0.parse().expect("a pid")
    }

    fn signal(pid: i32, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("signal");
    }

    fn own_pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pid")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            Self::signal(self.own_pid(), nix::sys::signal::Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Whether a process runs. One that has ended and that nobody waits for has no command line any more.
fn runs(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_second_start_keeps_keys_tenant_and_api_key() {
    let scratch = Scratch::new("again");
    let state = scratch.state();
    let first = text(&once(quickstart(&state, &[])));
    assert!(first.contains("verify     valid"), "{first}");
    assert!(first.contains("of both ledgers are sound"), "{first}");
    let api_key = env_value(&state, "QPHER_API_KEY").expect("an API key");
    assert!(api_key.starts_with("qph_"));
    assert!(!first.contains(&api_key), "the API key is printed");

    let second = text(&once(quickstart(&state, &[])));
    assert!(second.contains("of both ledgers are sound"), "{second}");
    assert!(
        second.contains("what the first start encrypted opens"),
        "{second}"
    );
    assert_eq!(
        env_value(&state, "QPHER_API_KEY").as_deref(),
        Some(api_key.as_str())
    );
    assert_eq!(
        fs::metadata(state.join("env")).expect("env").mode() & 0o777,
        0o600
    );
}

#[test]
fn with_tls_the_certificate_is_kept_too_and_clients_are_told_where_it_is() {
    let scratch = Scratch::new("tls");
    let state = scratch.state();
    once(quickstart(&state, &["--tls"]));
    let authority = fs::read(state.join("tls/ca.crt")).expect("authority");
    assert!(
        env_value(&state, "QPHER_API_URL")
            .expect("URL")
            .starts_with("https://127.0.0.1:")
    );
    let told = env_value(&state, "REQUESTS_CA_BUNDLE").expect("bundle");
    assert_eq!(fs::read(told).expect("bundle"), authority);
    once(quickstart(&state, &["--tls"]));
    assert_eq!(fs::read(state.join("tls/ca.crt")).expect("authority"), authority);
}

#[test]
fn as_root_each_daemon_has_an_account_that_owns_its_secrets() {
    if !is_root() {
        eprintln!("not root: nothing to see");
        return;
    }
    let scratch = Scratch::new("root");
    let state = scratch.state();
    let serving = Serving::start(&state);
    let report = serving.line("daemons");
    let mut uids = Vec::new();
    for (daemon, secret) in [
        ("keyd", "keyd/kek"),
        ("policyd", "policyd/api-key.secret"),
        ("gateway", "gateway/gateway-keyd.token"),
    ] {
        let pid = Serving::pid(&report, &format!("chancel-{daemon}"));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("field");
            line.split_whitespace()
                .map(|id| id.parse().expect("id"))
                .collect::<Vec<u32>>()
        };
        let uid = field("Uid:")[0];
        assert_eq!(field("Uid:"), [uid; 4]);
        assert!(field("Gid:").iter().all(|gid| *gid != 0));
        assert_eq!(field("Groups:"), [0; 0], "{daemon} kept groups");
        let file = fs::metadata(state.join(secret)).expect("secret");
        assert_eq!((file.uid(), file.mode() & 0o777), (uid, 0o600));
        uids.push(uid);
    }
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), 3);
    assert!(!uids.contains(&0));
}

#[test]
fn without_privileges_it_works_and_says_what_is_weaker() {
    let scratch = Scratch::new("user");
    let mut command = if is_root() {
        // The built program may lie below a closed home directory.
        let own = scratch.0.join("bin");
        fs::create_dir(&own).expect("bin");
        let built = std::env::var_os("CHANCEL_BIN_DIR").map_or_else(
            || {
                Path::new(env!("CARGO_BIN_EXE_chancel-quickstart"))
                    .parent()
                    .expect("directory")
                    .to_owned()
            },
            PathBuf::from,
        );
        for name in ["chancel-keyd", "chancel-policyd", "chancel-gateway", "chancel"] {
            fs::copy(built.join(name), own.join(name)).expect("copy");
        }
        fs::copy(
            env!("CARGO_BIN_EXE_chancel-quickstart"),
            own.join("chancel-quickstart"),
        )
        .expect("copy");
        let home = scratch.0.join("home");
        fs::create_dir(&home).expect("home");
        std::os::unix::fs::chown(&home, Some(STRANGER), Some(STRANGER)).expect("owner");
        let mut command = Command::new(own.join("chancel-quickstart"));
        command.uid(STRANGER).gid(STRANGER).current_dir("/");
        command
            .env_clear()
            .env("HOME", &home)
            .env("CHANCEL_BIN_DIR", &own);
        command.args(["--listen", "127.0.0.1:0"]);
        command
    } else {
        quickstart(&scratch.state(), &[])
    };
    command.stdin(Stdio::null());
    let said = text(&once(command));
    assert!(said.contains("WEAKER"), "{said}");
    assert!(said.contains("verify     valid"), "{said}");
    assert!(
        said.contains("chains (keyd says its audit key to root alone)"),
        "{said}"
    );
}

#[test]
fn a_daemon_that_dies_is_named_with_the_end_of_its_log() {
    let scratch = Scratch::new("dies");
    let mut serving = Serving::start(&scratch.state());
    let report = serving.line("daemons");
    serving.line("Serving");
    Serving::signal(
        Serving::pid(&report, "chancel-policyd"),
        nix::sys::signal::Signal::SIGKILL,
    );
    let status = serving.child.wait().expect("status");
    assert_eq!(status.code(), Some(1));
    let mut errors = String::new();
    std::io::Read::read_to_string(&mut serving.child.stderr.take().expect("stderr"), &mut errors)
        .expect("text");
    assert!(errors.contains("chancel-policyd ended by itself"), "{errors}");
    assert!(errors.contains("policyd.log"), "{errors}");
    for daemon in ["chancel-keyd", "chancel-gateway"] {
        assert!(!runs(Serving::pid(&report, daemon)), "{daemon} is left");
    }
}

#[test]
fn a_second_quickstart_is_refused_and_a_signal_ends_the_first_with_all_daemons() {
    let scratch = Scratch::new("lock");
    let state = scratch.state();
    let mut serving = Serving::start(&state);
    let report = serving.line("daemons");
    serving.line("Serving");
    let second = quickstart(&state, &["--once"]).output().expect("quickstart");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another quickstart is running"));
    Serving::signal(serving.own_pid(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(serving.child.wait().expect("status").code(), Some(0));
    for daemon in ["chancel-keyd", "chancel-policyd", "chancel-gateway"] {
        assert!(!runs(Serving::pid(&report, daemon)), "{daemon} is left");
    }
}

#[test]
fn daemons_left_by_a_killed_quickstart_are_ended_by_the_next() {
    let scratch = Scratch::new("left");
    let state = scratch.state();
    let mut serving = Serving::start(&state);
    let report = serving.line("daemons");
    serving.line("Serving");
    Serving::signal(serving.own_pid(), nix::sys::signal::Signal::SIGKILL);
    serving.child.wait().expect("status");
    assert!(runs(Serving::pid(&report, "chancel-keyd")));
    let next = text(&once(quickstart(&state, &[])));
    assert!(next.contains("chancel-keyd of an earlier start"), "{next}");
    assert!(!runs(Serving::pid(&report, "chancel-keyd")));
}
