//! A process under another account that does what a test tells it: the kernel vouches for it as for the daemon whose
//! account it has. What an attacker would do is written in the tests; that it is done with the real credentials of the
//! attacked account is this module's part, and src/bin/attacker.rs's.

use crate::accounts::Account;
use crate::binaries;
use crate::installation::Installation;
use crate::raw::{Line, Peer};
use chancel_wire::hello::{Role, ServiceToken};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Somebody who runs code under an account.
#[derive(Debug, Clone)]
pub struct Actor {
    program: PathBuf,
    account: Account,
}

/// A connection that a process of the actor's made, and that process.
#[derive(Debug)]
pub struct Held<T> {
    /// The connection.
    pub line: T,
    process: OneProcess,
}

#[derive(Debug)]
struct OneProcess(Child);

impl Drop for OneProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.line
    }
}

impl<T> std::ops::DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.line
    }
}

impl Installation {
    /// Somebody who runs code under an account.
    pub fn actor(&self, account: Account) -> Actor {
        let program = binaries::own("chancel-attacker");
        Actor {
            program: binaries::reachable(&program, &self.layout().path("bin")),
            account,
        }
    }

    /// Somebody who runs code in the gateway: its account, and so its service tokens.
    pub fn attacker_in_gateway(&self) -> Actor {
        self.actor(self.accounts().gateway)
    }
}

impl Actor {
    /// Connects to a Unix socket.
    ///
    /// # Panics
    /// When the process cannot be started.
    pub fn connect(&self, socket: &Path) -> Held<Line> {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let mut command = Command::new(&self.program);
        command
            .arg("connect")
            .arg(socket)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null());
        let child = self
            .account
            .applied_to(&mut command)
            .spawn()
            .expect("an attacker");
        Held {
            line: Line::over(ours),
            process: OneProcess(child),
        }
    }

    /// Connects and introduces itself.
    ///
    /// # Errors
    /// When it is not welcomed.
    pub fn peer(&self, socket: &Path, role: Role, token: &ServiceToken) -> io::Result<Held<Peer>> {
        let Held { line, process } = self.connect(socket);
        let line = line.hello(role, token)?;
        Ok(Held { line, process })
    }

    /// Reads a file as far as the account may.
    ///
    /// # Errors
    /// What the process said, when it could not.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let mut command = Command::new(&self.program);
        command.arg("read").arg(path).env_clear().current_dir("/");
        let output = self
            .account
            .applied_to(&mut command)
            .output()
            .expect("an attacker");
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Reads a service token.
    ///
    /// # Panics
    /// When the account may not read it.
    #[track_caller]
    pub fn token(&self, path: &Path) -> ServiceToken {
        let bytes = self
            .read(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        ServiceToken::from_bytes(bytes.try_into().expect("a token has 32 bytes"))
    }

    /// Starts a process that does nothing until it is dropped, and waits until it does that.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn rest(&self, directory: &Path) -> Resting {
        let mut command = Command::new(&self.program);
        command
            .arg("rest")
            .env_clear()
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = self.account.applied_to(&mut command).spawn().expect("a process");
        let mut output = child.stdout.take().expect("a pipe");
        output.read_exact(&mut [0]).expect("the process rests");
        Resting {
            process: OneProcess(child),
        }
    }
}

/// A process that does nothing: what daemons differ from.
#[derive(Debug)]
pub struct Resting {
    process: OneProcess,
}

impl Resting {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        // NOTE(expect): Linux's pids end at 4,194,304.
        Pid::from_raw(i32::try_from(self.process.0.id()).expect("a pid"))
    }

    /// Sends it a signal that ends it, and says how it ended.
    ///
    /// # Panics
    /// When it cannot be signalled.
    pub fn end_by(mut self, signal: Signal) -> ExitStatus {
        kill(self.pid(), signal).expect("a child can be signalled");
        self.process.0.wait().expect("a child can be waited for")
    }
}
