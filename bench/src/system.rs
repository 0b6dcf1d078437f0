//! The system that is measured: a quickstart with TLS on a state of its own, which starts the shipped daemons with
//! their sandboxes, as root each under its own account, and makes a tenant on the enterprise plan, which has no rate
//! limit.

use crate::http::Gateway;
use crate::problem::Problem;
use crate::report::DAEMONS;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What the quickstart says last before it waits.
const SERVING: &str = "Serving until Ctrl-C.";

/// The running system. Dropping it stops it.
pub struct System {
    quickstart: Child,
    gateway: Gateway,
    pids: [u32; DAEMONS.len()],
    _state: TempDir,
}

impl System {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// [`Problem::NotStarted`] with what the quickstart said.
    pub fn start() -> Result<Self, Problem> {
        let state = TempDir::with_prefix("chancel-bench-").map_err(|source| Problem::System {
            what: "making a directory",
            source,
        })?;
        // The daemons' accounts must be able to pass.
        fs::set_permissions(state.path(), Permissions::from_mode(0o711)).map_err(|source| {
            Problem::System {
                what: "opening the directory",
                source,
            }
        })?;
        let program = quickstart()?;
        let mut quickstart = Command::new(&program)
            .args(["--tls", "--listen", "127.0.0.1:0", "--state"])
            .arg(state.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(format!("{}: {error}", program.display())))?;
        let started = wait_until_serving(&mut quickstart).and_then(|()| {
            let pids = daemons_of(quickstart.id())?;
            Ok((read_gateway(&state.path().join("state/env"))?, pids))
        });
        match started {
            Ok((gateway, pids)) => Ok(Self {
                quickstart,
                gateway,
                pids,
                _state: state,
            }),
            Err(problem) => {
                // Whatever it was, the quickstart must not stay; it stops what it started.
                let _ = interrupt(&mut quickstart);
                Err(problem)
            }
        }
    }

    /// Where to send requests.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The daemons' pids, in the order of [`DAEMONS`].
    pub const fn pids(&self) -> [u32; DAEMONS.len()] {
        self.pids
    }

    /// How the daemons run, in one line.
    pub fn describe(&self) -> String {
        let accounts = if geteuid().is_root() {
            "each under its own account"
        } else {
            "all under one account (not root)"
        };
        let [gateway, policyd, keyd] = self.pids;
        format!("TLS 1.3, sandboxes, permits; {accounts}; pids {gateway}, {policyd}, {keyd}")
    }

    /// Stops it.
    ///
    /// # Errors
    /// [`Problem::Wrong`] when a daemon did not end well.
    pub fn stop(mut self) -> Result<(), Problem> {
        interrupt(&mut self.quickstart).map_err(|reason| Problem::Wrong(format!("stopping: {reason}")))
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Only an error path comes here with the system running, and it has its own message.
        let _ = interrupt(&mut self.quickstart);
    }
}

/// Asks the quickstart to stop, as Ctrl-C would, and says why when it did not do so well.
fn interrupt(quickstart: &mut Child) -> Result<(), String> {
    if let Ok(Some(status)) = quickstart.try_wait() {
        return if status.success() {
            Ok(())
        } else {
            Err(status.to_string())
        };
    }
    // NOTE(expect): Linux's pids end at 4,194,304.
    let pid = Pid::from_raw(i32::try_from(quickstart.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).map_err(|error| error.to_string())?;
    let status = quickstart.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{status}: {}", said(quickstart)))
}

/// `chancel-quickstart` beside the shipped daemons where the caller says where those are, else beside this program.
fn quickstart() -> Result<PathBuf, Problem> {
    let own = std::env::current_exe().map_err(|source| Problem::System {
        what: "finding this program",
        source,
    })?;
    let program = own.with_file_name("chancel-quickstart");
    if program.is_file() {
        Ok(program)
    } else {
        Err(not_started(format!(
            "{} is not there: run `./dev bench`",
            program.display()
        )))
    }
}

fn wait_until_serving(quickstart: &mut Child) -> Result<(), Problem> {
    let Some(output) = quickstart.stdout.take() else {
        return Err(not_started("it has no output".to_owned()));
    };
    for line in BufReader::new(output).lines() {
        if line.is_ok_and(|line| line == SERVING) {
            return Ok(());
        }
    }
    Err(not_started(said(quickstart)))
}

/// What it wrote to standard error.
fn said(quickstart: &mut Child) -> String {
    let mut text = String::new();
    if let Some(errors) = &mut quickstart.stderr {
        // What could be read is better than nothing.
        let _ = errors.read_to_string(&mut text);
    }
    text.trim().to_owned()
}

/// The three children by their names.
fn daemons_of(quickstart: u32) -> Result<[u32; DAEMONS.len()], Problem> {
    let processes = fs::read_dir("/proc").map_err(|source| Problem::System {
        what: "reading /proc",
        source,
    })?;
    let children: Vec<(u32, String)> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                Some(line.trim().to_owned())
            };
            (field("PPid:")?.parse() == Ok(quickstart)).then_some((pid, field("Name:")?))
        })
        .collect();
    let mut pids = [0; DAEMONS.len()];
    for (pid, daemon) in pids.iter_mut().zip(DAEMONS) {
        let name = format!("chancel-{daemon}");
        *pid = children
            .iter()
            .find(|(_, found)| *found == name)
            .map(|(pid, _)| *pid)
            .ok_or_else(|| not_started(format!("{name} does not run")))?;
    }
    Ok(pids)
}

/// What the quickstart writes for clients.
fn read_gateway(file: &Path) -> Result<Gateway, Problem> {
    let text = fs::read_to_string(file).map_err(|source| Problem::System {
        what: "reading the quickstart's env file",
        source,
    })?;
    let variable = |name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix("export ")?
                    .strip_prefix(name)?
                    .strip_prefix('=')
            })
            .map(|value| value.trim_matches('\'').to_owned())
            .ok_or_else(|| not_started(format!("its env file lacks {name}")))
    };
    let port = variable("QPHER_API_URL")?
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .ok_or_else(|| not_started("its URL has no port".to_owned()))?;
    let authority = fs::read(variable("SSL_CERT_FILE")?).map_err(|source| Problem::System {
        what: "reading the authority's certificate",
        source,
    })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Gateway::new(address, &authority, variable("QPHER_API_KEY")?)
}

fn not_started(reason: String) -> Problem {
    Problem::NotStarted(reason)
}
