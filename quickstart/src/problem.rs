//! Everything that can go wrong, each with what the person at the terminal can do about it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why the quickstart could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file or directory could not be made, read or changed.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Neither `--state` nor a home directory.
    #[error("no home directory to keep state in: name one with --state DIR")]
    NoHome,
    /// The daemons' configuration is text, so the path must be.
    #[error("{} is not UTF-8: choose another --state", .0.display())]
    PathNotText(PathBuf),
    /// The kernel's limit on the path of a Unix socket.
    #[error(
        "{} has {} bytes, but a Unix socket's path may have {}: choose a shorter --state",
        path.display(), path.as_os_str().len(), limit
    )]
    SocketPathTooLong {
        /// The longest path that would be needed.
        path: PathBuf,
        /// How long it may be.
        limit: usize,
    },
    /// The daemons run under accounts of their own, which must reach the directory.
    #[error(
        "{} is closed to other accounts, so the daemons cannot reach their state below it: choose another --state",
        .0.display()
    )]
    Closed(PathBuf),
    /// State made by other accounts than this run would use.
    #[error(
        "{} belongs to uid {found}, this run would use uid {wanted}: start it as before, or choose another --state",
        path.display()
    )]
    OtherOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The account it must belong to in this run.
        wanted: u32,
    },
    /// A fixed numeric account is somebody's.
    #[error(
        "uid {uid} belongs to the account {name:?} here: create the accounts chancel-keyd, chancel-policyd and chancel-gateway"
    )]
    AccountTaken {
        /// The uid.
        uid: u32,
        /// Whose it is.
        name: String,
    },
    /// Looking up an account failed.
    #[error("looking up accounts: {0}")]
    Accounts(nix::Error),
    /// Signals cannot be taken over.
    #[error("taking over signals: {0}")]
    Signals(io::Error),
    /// Two on one state would fight for sockets and database.
    #[error("another quickstart is running on {}", .0.display())]
    Running(PathBuf),
    /// `--listen` is no address.
    #[error("--listen {text}: {reason}; it takes HOST:PORT, for example 127.0.0.1:8480")]
    Listen {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// API keys would cross a network in the clear.
    #[error(
        "{0} can be reached from outside this machine, and plain HTTP would show API keys to the network: add --tls"
    )]
    PlainOffLoopback(SocketAddr),
    /// The port is taken.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --listen, port 0 takes a free one"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
    /// A binary is not where it was built.
    #[error("{} is missing: build it with ./dev build", .0.display())]
    NoBinary(PathBuf),
    /// The system's random numbers failed.
    #[error("no random numbers from the operating system")]
    Random,
    /// The private certificate authority could not be made or read.
    #[error("making certificates: {0}")]
    Certificates(String),
    /// A daemon could not be started.
    #[error("starting {name}: {source}")]
    Start {
        /// Which.
        name: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// A daemon ended by itself.
    #[error("{name} ended by itself ({status}). The end of {}:\n{tail}", log.display())]
    Died {
        /// Which.
        name: &'static str,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A daemon runs but the whole does not answer.
    #[error("{name} was not ready within {seconds} s. The end of {}:\n{tail}", log.display())]
    NotReady {
        /// Which.
        name: &'static str,
        /// How long it had.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A daemon did not end well when asked to.
    #[error("{name} did not stop cleanly: {how}")]
    Stop {
        /// Which.
        name: &'static str,
        /// What it did instead.
        how: String,
    },
    /// The command line refused.
    #[error("chancel {arguments}: {message}")]
    CommandLine {
        /// What was asked.
        arguments: String,
        /// What it said.
        message: String,
    },
    /// No answer over HTTP.
    #[error("{request}: {source}")]
    Http {
        /// The request.
        request: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// An answer that is not the expected one.
    #[error("{request}: the gateway answered {status} {body}")]
    Refused {
        /// The request.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// An operation succeeded with a wrong result.
    #[error("{0}")]
    Wrong(&'static str),
    /// A signal arrived before everything ran.
    #[error("interrupted")]
    Interrupted,
}

/// Names the file in an I/O error.
pub trait Context<T> {
    /// Says what was tried on which file.
    ///
    /// # Errors
    /// [`Problem::File`] in the place of the I/O error.
    fn on(self, action: &'static str, path: &Path) -> Result<T, Problem>;
}

impl<T> Context<T> for io::Result<T> {
    fn on(self, action: &'static str, path: &Path) -> Result<T, Problem> {
        self.map_err(|source| Problem::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
