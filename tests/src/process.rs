//! One daemon as a child process: started as its account with nothing of the test's environment, its output in a file.

use crate::accounts::Account;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a daemon may take to stop when it is asked to.
const STOP_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// What to start.
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Path,
    pub(crate) config: &'a Path,
    pub(crate) account: Account,
    /// Its working directory, in which it could write a core dump.
    pub(crate) directory: &'a Path,
    pub(crate) log: &'a Path,
    /// All that there is of an environment.
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

/// A started daemon; not ended by dropping it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where this run's part of the log begins.
    log_start: u64,
}

impl Process {
    pub(crate) fn start(plan: &Plan<'_>) -> Self {
        let log = open_log(plan.log);
        let log_start = log.metadata().expect("a log has metadata").len();
        let mut command = Command::new(plan.program);
        command
            .arg("--config")
            .arg(plan.config)
            .env_clear()
            .envs(plan.environment.iter().copied())
            .current_dir(plan.directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle on the log"))
            .stderr(log);
        let child = plan
            .account
            .applied_to(&mut command)
            .spawn()
            .unwrap_or_else(|error| panic!("starting {}: {error}", plan.program.display()));
        Self { child, log_start }
    }

    pub(crate) fn pid(&self) -> Pid {
        // NOTE(expect): Linux's pids end at 4,194,304.
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    pub(crate) const fn log_start(&self) -> u64 {
        self.log_start
    }

    /// How it ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        // A child that was not waited for keeps its pid, so this can reach nobody else.
        if self.ended().is_none() {
            kill(self.pid(), signal).expect("a child can be signalled");
        }
    }

    /// Ends it at once.
    pub(crate) fn kill9(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("a child can be waited for")
    }

    /// Asks it to end; the status of one that does not is that of being killed.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_WITHIN {
            if let Some(status) = self.ended() {
                return status;
            }
            thread::sleep(POLL);
        }
        self.kill9()
    }

    /// Takes over the status that a tracer got in this process's stead.
    pub(crate) fn reaped_elsewhere(self) {
        // The child is gone; without this the handle would count as running.
        drop(self.child);
    }
}

/// Whether all threads of a process are stopped.
pub(crate) fn is_frozen(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process's threads");
    threads.map_while(Result::ok).all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    })
}

/// How a daemon ended, for messages.
pub(crate) fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("ended by signal {signal}"),
        None => format!("ended with {status}"),
    }
}

fn open_log(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .unwrap_or_else(|error| panic!("opening {}: {error}", path.display()))
}
