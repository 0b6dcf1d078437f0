//! The three daemons as child processes: started in the order they need each other, watched, and stopped in the
//! reverse order. Each gets a process group of its own, so that Ctrl-C at the terminal reaches the quickstart alone.

use crate::accounts::{Account, Accounts};
use crate::problem::{Context, Problem};
use crate::state::{State, closed_ancestor, write_file};
use crate::stop_signal::StopSignal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a daemon may take from its start until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a daemon may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);
/// How much of the end of a log is shown.
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 8 << 10;

/// A started daemon.
#[derive(Debug)]
struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
    /// Where this run's part of the log begins.
    log_start: u64,
}

/// All that were started, in that order.
#[derive(Debug)]
pub struct Daemons {
    /// Where the binaries are run from.
    binaries: PathBuf,
    started: Vec<Daemon>,
}

const NAMES: [&str; 3] = ["chancel-keyd", "chancel-policyd", "chancel-gateway"];

impl Daemons {
    /// Finds the binaries beside this program. Where the daemons' accounts cannot reach that directory, the binaries
    /// are copied into the state; the second value says so.
    ///
    /// # Errors
    /// [`Problem`] when a binary is missing or cannot be copied.
    pub fn prepare(state: &State, accounts: &Accounts, built: &Path) -> Result<(Self, bool), Problem> {
        for name in NAMES {
            let binary = built.join(name);
            if !binary.is_file() {
                return Err(Problem::NoBinary(binary));
            }
        }
        let copied = accounts.separate && closed_ancestor(built)?.is_some();
        let binaries = if copied {
            let directory = state.path("bin");
            fs::create_dir_all(&directory).on("making", &directory)?;
            for name in NAMES {
                let from = built.join(name);
                let bytes = fs::read(&from).on("reading", &from)?;
                write_file(&directory.join(name), &bytes, 0o755, None)?;
            }
            directory
        } else {
            built.to_owned()
        };
        let started = Vec::with_capacity(NAMES.len());
        Ok((Self { binaries, started }, copied))
    }

    /// Starts one, with its configuration and nothing of this process's environment.
    ///
    /// # Errors
    /// [`Problem`] when it cannot be started.
    pub fn start(
        &mut self,
        state: &State,
        name: &'static str,
        account: Account,
        separate: bool,
    ) -> Result<u32, Problem> {
        let stem = name.trim_start_matches("chancel-");
        let log = state.path(&format!("log/{stem}.log"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log)
            .on("opening", &log)?;
        let log_start = file.metadata().on("reading", &log)?.len();
        let mut command = Command::new(self.binaries.join(name));
        command
            .arg("--config")
            .arg(state.path(&format!("etc/{stem}.toml")))
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone().on("opening", &log)?)
            .stderr(file);
        if separate {
            // As root, `uid` also drops every supplementary group (the standard library calls setgroups).
            command.uid(account.uid).gid(account.gid);
        }
        let child = command
            .spawn()
            .map_err(|source| Problem::Start { name, source })?;
        let pid = child.id();
        self.started.push(Daemon {
            name,
            child,
            log,
            log_start,
        });
        Ok(pid)
    }

    /// Waits until `ready`, while all started daemons run.
    ///
    /// # Errors
    /// [`Problem`] when one ends, time runs out, or a signal asks to stop.
    pub fn wait(&mut self, signal: &StopSignal, mut ready: impl FnMut() -> bool) -> Result<(), Problem> {
        let started = Instant::now();
        while !ready() {
            self.check()?;
            if signal.within(POLL) {
                return Err(Problem::Interrupted);
            }
            if started.elapsed() > READY_WITHIN
                && let Some(last) = self.started.last()
            {
                return Err(Problem::NotReady {
                    name: last.name,
                    seconds: READY_WITHIN.as_secs(),
                    log: last.log.clone(),
                    tail: last.tail(),
                });
            }
        }
        Ok(())
    }

    /// Whether all still run.
    ///
    /// # Errors
    /// [`Problem::Died`] for the first that does not.
    pub fn check(&mut self) -> Result<(), Problem> {
        for daemon in &mut self.started {
            if let Some(status) = daemon.child.try_wait().on("waiting for", &daemon.log)? {
                return Err(Problem::Died {
                    name: daemon.name,
                    status: status.to_string(),
                    log: daemon.log.clone(),
                    tail: daemon.tail(),
                });
            }
        }
        Ok(())
    }

    /// Stops all, the last started first, each before the next. Those that do not end well are reported after all
    /// have been stopped.
    ///
    /// # Errors
    /// [`Problem::Stop`] for the first that did not.
    pub fn stop(&mut self) -> Result<(), Problem> {
        let mut outcome = Ok(());
        while let Some(mut daemon) = self.started.pop() {
            let stopped = daemon.stop();
            if outcome.is_ok() {
                outcome = stopped;
            }
        }
        outcome
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        // Only an error path comes here with daemons left, and it has its own message.
        let _ = self.stop();
    }
}

impl Daemon {
    fn stop(&mut self) -> Result<(), Problem> {
        let name = self.name;
        let failed = |how: String| Problem::Stop { name, how };
        if let Some(status) = self.child.try_wait().map_err(|error| failed(error.to_string()))? {
            return Err(failed(format!("it had ended already ({status})")));
        }
        terminate(self.child.id()).map_err(|error| failed(error.to_string()))?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_WITHIN {
            match self.child.try_wait().map_err(|error| failed(error.to_string()))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(failed(ended(status))),
                None => thread::sleep(POLL),
            }
        }
        self.child.kill().map_err(|error| failed(error.to_string()))?;
        self.child.wait().map_err(|error| failed(error.to_string()))?;
        Err(failed(format!("it was killed after {} s", STOP_WITHIN.as_secs())))
    }

    /// The last lines that this run wrote to the log.
    fn tail(&self) -> String {
        tail(&self.log, self.log_start).unwrap_or_else(|error| format!("(unreadable: {error})"))
    }
}

fn ended(status: ExitStatus) -> String {
    format!("it ended with {status}")
}

fn terminate(pid: u32) -> nix::Result<()> {
    // NOTE(expect): Linux's pids end at 4,194,304.
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGTERM)
}

fn tail(log: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

/// Ends daemons of this state that an earlier quickstart left running, because it was killed. Returns their names.
///
/// # Errors
/// [`Problem::Stop`] when one does not end.
pub fn end_leftovers(state: &State) -> Result<Vec<&'static str>, Problem> {
    let mut ended = Vec::new();
    for name in NAMES.into_iter().rev() {
        let stem = name.trim_start_matches("chancel-");
        let configuration = state.path(&format!("etc/{stem}.toml"));
        for pid in running(name, &configuration) {
            // It is no child of this process, so its end can only be seen by looking.
            let asked = Instant::now();
            let gone = || !running(name, &configuration).contains(&pid);
            let _ = terminate(pid);
            while !gone() {
                if asked.elapsed() > STOP_WITHIN {
                    let how = format!("it is left from an earlier start and still running, with pid {pid}");
                    return Err(Problem::Stop { name, how });
                }
                thread::sleep(POLL);
            }
            ended.push(name);
        }
    }
    Ok(ended)
}

/// Pids of processes that were started as `name --config configuration`.
fn running(name: &str, configuration: &Path) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = arguments.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            program.ends_with(format!("/{name}").as_bytes())
                && words.any(|word| word == configuration.as_os_str().as_encoded_bytes())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_log_is_of_this_run_and_short() {
        let path = std::env::temp_dir().join(format!("chancel-quickstart-tail-{}", std::process::id()));
        let earlier = "earlier run\n";
        let lines: Vec<_> = (0..20).map(|line| format!("line {line}")).collect();
        fs::write(&path, format!("{earlier}{}\n", lines.join("\n"))).expect("log");
        let all = tail(&path, earlier.len() as u64).expect("tail");
        assert_eq!(all, lines[5..].join("\n"));
        fs::write(&path, format!("{earlier}one line\n")).expect("log");
        assert_eq!(tail(&path, earlier.len() as u64).expect("tail"), "one line");
        fs::remove_file(&path).expect("clean up");
    }
}
