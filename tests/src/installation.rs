//! An installation: the directory, the secrets, the configuration and the three daemons, all of a test's own.

mod addresses;

use crate::accounts::{Account, Accounts};
use crate::config::{self, Options};
use crate::http::Client;
use crate::janitor::Janitor;
use crate::layout::Layout;
use crate::process::{self, Plan, Process, describe};
use crate::wait::{PATIENCE, until};
use crate::{binaries, certificates};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// chancel-keyd.
    Keyd,
    /// chancel-policyd.
    Policyd,
    /// chancel-gateway.
    Gateway,
}

impl Daemon {
    /// All, in the order in which they are started.
    pub const ALL: [Self; 3] = [Self::Keyd, Self::Policyd, Self::Gateway];

    /// The name of its files: `keyd`, `policyd`, `gateway`.
    pub const fn stem(self) -> &'static str {
        match self {
            Self::Keyd => "keyd",
            Self::Policyd => "policyd",
            Self::Gateway => "gateway",
        }
    }
}

/// A running, or stopped, Chancel. Dropping it ends the daemons and removes the directory; when the test failed, the
/// directory is kept and its place printed.
#[derive(Debug)]
pub struct Installation {
    accounts: Accounts,
    layout: Layout,
    options: Options,
    binaries: PathBuf,
    processes: [Mutex<Option<Process>>; 3],
    janitor: Janitor,
}

impl Installation {
    /// Makes an installation and starts everything.
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    /// The same with options.
    pub fn with(options: Options) -> Self {
        let installation = Self::prepare(options);
        installation.start_all();
        installation
    }

    /// Makes an installation and starts nothing.
    ///
    /// # Panics
    /// When a program is missing: the message says what to run.
    pub fn prepare(options: Options) -> Self {
        let binaries = binaries::shipped();
        let accounts = Accounts::choose();
        let layout = Layout::make(&accounts);
        let janitor = Janitor::start(layout.root());
        if options.tls {
            certificates::make(&layout, accounts.gateway);
        }
        config::write_all(&layout, &accounts, &options);
        Self {
            accounts,
            layout,
            options,
            binaries,
            processes: Default::default(),
            janitor,
        }
    }

    /// Starts all three and waits until the whole answers.
    pub fn start_all(&self) {
        for daemon in Daemon::ALL {
            self.start(daemon);
        }
        self.wait_ready();
    }

    /// Starts one daemon and waits until it says that it is ready: for the gateway and policyd that is no promise that
    /// the others are.
    ///
    /// # Panics
    /// When it runs already, ends, or does not get ready.
    pub fn start(&self, daemon: Daemon) {
        self.spawn(daemon);
        self.wait_started(daemon);
    }

    /// Starts one daemon without waiting for anything.
    pub fn spawn(&self, daemon: Daemon) {
        self.spawn_in(daemon, &[]);
    }

    /// The same in an environment.
    pub fn spawn_in(&self, daemon: Daemon, environment: &[(&str, &str)]) {
        let mut slot = self.process(daemon);
        assert!(slot.is_none(), "{daemon:?} runs already");
        if daemon == Daemon::Gateway {
            for address in ["address", "monitor-address"] {
                let _ = fs::remove_file(self.layout.path(&format!("run/gateway/{address}")));
            }
        }
        let program = self.binaries.join(format!("chancel-{}", daemon.stem()));
        let process = Process::start(&Plan {
            program: &binaries::reachable(&program, &self.layout.path("bin")),
            config: &config::path(&self.layout, daemon),
            account: self.account(daemon),
            directory: &self.layout.path(&format!("{}/cwd", daemon.stem())),
            log: &self.log_file(daemon),
            environment,
        });
        self.janitor.started(process.pid());
        *slot = Some(process);
    }

    fn wait_started(&self, daemon: Daemon) {
        self.until(&format!("{daemon:?} to start"), || {
            // What each says only once its sandbox is sealed.
            let ready = self.log_of_this_run(daemon).contains(": ready ");
            ready.then_some(())
        });
    }

    /// Waits until the gateway says that it, policyd and keyd can work, and policyd has compared keys and rows.
    pub fn wait_ready(&self) {
        let monitor = self
            .monitor_url()
            .expect("the gateway wrote where it is monitored");
        let client = Client::plain(monitor, None);
        self.until("the installation to be ready", || {
            client
                .get("/readyz")
                .is_ok_and(|answer| answer.status == 200)
                .then_some(())
        });
        self.wait_compared();
    }

    /// Waits until policyd has met keyd and compared its files with the database.
    pub fn wait_compared(&self) {
        self.until("policyd to compare keyd's files with its rows", || {
            let status = self.try_cli(&["status"]).ok()?;
            (status["keyd"].is_object() && status["reconciliation"].is_object()).then_some(())
        });
    }

    /// Waits for something to come true, and fails at once when a daemon ends meanwhile.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        until(what, || {
            if let Some(found) = look() {
                return Some(found);
            }
            for daemon in Daemon::ALL {
                let ended = self.process(daemon).as_mut().and_then(Process::ended);
                if let Some(status) = ended {
                    let log = self.log(daemon);
                    panic!("waiting for {what}: {daemon:?} {}:\n{log}", describe(status));
                }
            }
            if started.elapsed() + Duration::from_secs(1) > PATIENCE {
                let logs = Daemon::ALL.map(|daemon| format!("{daemon:?}:\n{}", self.log(daemon)));
                panic!("waited too long for {what}; the logs:\n{}", logs.join("\n"));
            }
            None
        })
    }

    /// Asks a daemon to end, as its service manager would.
    pub fn stop(&self, daemon: Daemon) -> ExitStatus {
        self.end(daemon, Process::stop)
    }

    /// Ends a daemon with SIGKILL.
    pub fn kill9(&self, daemon: Daemon) -> ExitStatus {
        self.end(daemon, Process::kill9)
    }

    fn end(&self, daemon: Daemon, how: fn(&mut Process) -> ExitStatus) -> ExitStatus {
        let mut slot = self.process(daemon);
        let mut process = slot.take().unwrap_or_else(|| panic!("{daemon:?} does not run"));
        let status = how(&mut process);
        self.janitor.ended(process.pid());
        status
    }

    /// Waits for a daemon that something else ends.
    pub fn wait_end(&self, daemon: Daemon) -> ExitStatus {
        let status = until(&format!("{daemon:?} to end"), || {
            self.process(daemon).as_mut().and_then(Process::ended)
        });
        self.kill9(daemon);
        status
    }

    /// Forgets a daemon whose end a tracer of the calling test has seen and waited for.
    pub fn was_reaped(&self, daemon: Daemon) {
        if let Some(process) = self.process(daemon).take() {
            self.janitor.ended(process.pid());
            process.reaped_elsewhere();
        }
    }

    /// Stops a daemon and starts it again.
    pub fn restart(&self, daemon: Daemon) {
        self.stop(daemon);
        self.start(daemon);
    }

    /// Freezes a daemon, and waits until all its threads hold still: the signal alone reaches them one after the other.
    pub fn sigstop(&self, daemon: Daemon) {
        self.signal(daemon, Signal::SIGSTOP);
        let pid = self.pid(daemon);
        until(&format!("{daemon:?} to hold still"), || {
            process::is_frozen(pid).then_some(())
        });
    }

    /// Unfreezes it.
    pub fn sigcont(&self, daemon: Daemon) {
        self.signal(daemon, Signal::SIGCONT);
    }

    /// Sends a daemon a signal.
    pub fn signal(&self, daemon: Daemon, signal: Signal) {
        self.process(daemon)
            .as_mut()
            .unwrap_or_else(|| panic!("{daemon:?} does not run"))
            .signal(signal);
    }

    /// A running daemon's pid.
    pub fn pid(&self, daemon: Daemon) -> Pid {
        self.process(daemon)
            .as_ref()
            .unwrap_or_else(|| panic!("{daemon:?} does not run"))
            .pid()
    }

    /// Everything a daemon logged, over all its runs.
    pub fn log(&self, daemon: Daemon) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file(daemon)).unwrap_or_default()).into_owned()
    }

    /// What a daemon logged since it was last started.
    pub fn log_of_this_run(&self, daemon: Daemon) -> String {
        let start = self.process(daemon).as_ref().map_or(0, Process::log_start);
        let log = fs::read(self.log_file(daemon)).unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(0).min(log.len());
        String::from_utf8_lossy(&log[start..]).into_owned()
    }

    fn log_file(&self, daemon: Daemon) -> PathBuf {
        self.layout.path(&format!("log/{}.log", daemon.stem()))
    }

    /// Which account a daemon runs under.
    pub const fn account(&self, daemon: Daemon) -> Account {
        match daemon {
            Daemon::Keyd => self.accounts.keyd,
            Daemon::Policyd => self.accounts.policyd,
            Daemon::Gateway => self.accounts.gateway,
        }
    }

    /// All accounts.
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Where everything is.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the programs are.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    fn process(&self, daemon: Daemon) -> MutexGuard<'_, Option<Process>> {
        let index = match daemon {
            Daemon::Keyd => 0,
            Daemon::Policyd => 1,
            Daemon::Gateway => 2,
        };
        self.processes[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the directory for somebody to look at, and says where it is.
    pub(crate) fn keep(&self) {
        self.janitor.keep();
        crate::note(&format!(
            "installation kept in {} (log/ has what the daemons said)",
            self.layout.root().display()
        ));
    }
}

impl Default for Installation {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
        }
        for daemon in Daemon::ALL {
            if let Some(mut process) = self.process(daemon).take() {
                process.kill9();
                self.janitor.ended(process.pid());
            }
        }
        self.janitor.finish();
    }
}
