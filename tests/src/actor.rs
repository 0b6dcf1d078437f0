//! A process under another account that does what a test tells it: the kernel vouches for it as for the daemon whose
//! account it has. What an attacker would do is written in the tests; that it is done with the real credentials of the
//! attacked account is this module's part, and src/bin/attacker.rs's.

use crate::accounts::Account;
use crate::binaries;
use crate::installation::Installation;
use crate::raw::{Line, Peer};
use chancel_wire::hello::{Role, ServiceToken};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

    /// A command that runs this crate's program as the account, with one of its verbs.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).env_clear().current_dir("/");
        self.account.applied_to(&mut command);
        command
    }
}
