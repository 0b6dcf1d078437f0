//! What a daemon tells the service manager that started it (sd_notify(3)): that it is ready, that it lives, that it ends.
//! Without one, nothing is said to nobody.

use nix::sys::socket::{ControlMessage, MsgFlags, send, sendmsg};
use std::env;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager.
#[derive(Debug)]
pub struct Manager {
    /// Connected before the sandbox closes: afterwards no socket can be made.
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Finds out who started this process.
    ///
    /// # Errors
    /// When there is a service manager, by its own word, and it cannot be reached.
    pub fn connect() -> io::Result<Self> {
        let socket = match env::var("NOTIFY_SOCKET") {
            Ok(name) => {
                let address = match name.strip_prefix('@') {
                    Some(name) => SocketAddr::from_abstract_name(name)?,
                    None => SocketAddr::from_pathname(&name)?,
                };
                let socket = UnixDatagram::unbound()?;
                socket.connect_addr(&address)?;
                Some(socket)
            }
            Err(_) => None,
        };
        Ok(Self {
            socket,
            watchdog: watchdog(),
        })
    }

    /// The process does what it is for.
    pub fn ready(&self, status: &str) {
        // Said once, so it waits for room. There is nobody else to tell that it cannot be said.
        let _ = self.send(&format!("READY=1\nSTATUS={status}"), None, MsgFlags::empty());
    }

    /// It ends of its own accord.
    pub fn stopping(&self) {
        self.mention("STOPPING=1");
    }

    /// It lives: to be said by what does the work, and not beside it.
    pub fn alive(&self) {
        self.mention("WATCHDOG=1");
    }

    /// Gives a socket into the manager's keeping, in place of what it keeps under this name. It hands it to the process that
    /// it starts in this one's place, and who connects meanwhile waits in line.
    ///
    /// # Errors
    /// When the manager cannot be told.
    pub fn keep(&self, name: &str, socket: impl AsFd) -> io::Result<()> {
        let wait = MsgFlags::empty();
        self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None, wait)?;
        self.send(&format!("FDSTORE=1\nFDNAME={name}"), Some(socket.as_fd()), wait)
    }

    /// How often the manager is to hear that; `None` when it does not ask.
    pub const fn pulse(&self) -> Option<Duration> {
        self.watchdog
    }

    /// What says it also does the work, and does not wait for a manager that does not listen: that will act on the silence.
    fn mention(&self, what: &str) {
        let _ = self.send(what, None, MsgFlags::MSG_DONTWAIT);
    }

    fn send(&self, what: &str, descriptor: Option<BorrowedFd<'_>>, how: MsgFlags) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let Some(descriptor) = descriptor else {
            send(socket.as_raw_fd(), what.as_bytes(), how)?;
            return Ok(());
        };
        let descriptors = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        sendmsg::<()>(
            socket.as_raw_fd(),
            &[IoSlice::new(what.as_bytes())],
            &rights,
            how,
            None,
        )?;
        Ok(())
    }
}

/// A third of the time after which the manager takes the process for hung (sd_watchdog_enabled(3)).
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC")
        .filter(|micros| is_ours && *micros > 0)
        .map(|micros| Duration::from_micros(micros / 3))
}
