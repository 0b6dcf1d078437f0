//! Descriptors that the service manager hands to the process it starts (sd_listen_fds(3)).

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{Backlog, UnixAddr, getsockname, getsockopt, listen, sockopt};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, process};

/// The first of them.
const FIRST: RawFd = 3;

/// More than any unit of ours hands over: what says so is broken.
const MOST: RawFd = 16;

/// Takes over the listening Unix socket at a path, if the service manager has handed one to this process. At most once a
/// process: afterwards there is none.
///
/// Whoever connects is told by the kernel who listens, and that is whose process called `listen` last. So it is called
/// again here: until then it is the service manager, which is root and whom our clients refuse. They come back.
///
/// # Errors
/// When descriptors were handed over and none of them is that socket: a unit and a configuration that do not agree.
pub fn unix_listener(path: &Path) -> io::Result<Option<UnixListener>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let count = handed_over();
    if count == 0 || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let mut found = None;
    for number in FIRST..FIRST + count {
        // SAFETY: by the protocol these descriptors are open and this process's own; nothing else in it knows of them,
        // and the flag above lets this happen once.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        if listens_at(&descriptor, path) {
            listen(&descriptor, Backlog::MAXCONN)?;
            found = Some(UnixListener::from(descriptor));
        }
    }
    found.map(Some).ok_or_else(|| {
        let what = format!(
            "the service manager handed over no socket that listens at {}",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })
}

/// How many there are for this process; the variables may have been inherited from another's start.
fn handed_over() -> RawFd {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == process::id() => RawFd::try_from(count).unwrap_or(0).min(MOST),
        _ => 0,
    }
}

fn listens_at(descriptor: impl AsFd, path: &Path) -> bool {
    use std::os::fd::AsRawFd;
    let listens = getsockopt(&descriptor, sockopt::AcceptConn).unwrap_or(false);
    let address = getsockname::<UnixAddr>(descriptor.as_fd().as_raw_fd());
    listens && address.is_ok_and(|address| address.path() == Some(path))
}
