//! Descriptors that the service manager hands to the process it starts (sd_listen_fds(3)).

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{Backlog, Shutdown, UnixAddr, getsockname, getsockopt, listen, shutdown, sockopt};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
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
    let descriptors = take_all()?;
    if descriptors.is_empty() {
        return Ok(None);
    }
    for descriptor in descriptors {
        if listens(&descriptor) && is_at(&descriptor, path) {
            listen(&descriptor, Backlog::MAXCONN)?;
            return Ok(Some(UnixListener::from(descriptor)));
        }
    }
    let what = format!(
        "the service manager handed over no socket that listens at {}",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// Takes over the listening TCP sockets at some addresses, as far as the service manager has handed them to this process, as
/// it does with what the process before this one gave it to keep. Others stop listening: that one may have listened
/// elsewhere. At most once a process.
///
/// # Errors
/// When descriptors were said to be handed over and are not there.
pub fn tcp_listeners<const N: usize>(addresses: [SocketAddr; N]) -> io::Result<[Option<TcpListener>; N]> {
    let mut found = [const { None }; N];
    for descriptor in take_all()?.into_iter().filter(listens) {
        let listener = TcpListener::from(descriptor);
        let local = listener.local_addr().ok();
        let wanted = addresses.iter().position(|address| Some(*address) == local);
        match wanted.and_then(|index| found.get_mut(index)) {
            Some(place @ None) => {
                // Whatever the one before has asked for: as many may wait as ever.
                listen(&listener, Backlog::MAXCONN)?;
                *place = Some(listener);
            }
            // What cannot be stopped may be in the way: who wants its address then hears of it.
            _ => _ = stop(&listener),
        }
    }
    Ok(found)
}

/// Stops a socket that others have open, too. Closing it here would not do: the service manager closes its own in its own
/// time, also after it was told to let go, and as long as one of them listens, nobody else can listen at `[::]` beside
/// `127.0.0.1`.
fn stop(listener: &TcpListener) -> io::Result<()> {
    shutdown(listener.as_raw_fd(), Shutdown::Both).map_err(io::Error::from)
}

/// All that were handed over; none the second time.
fn take_all() -> io::Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let count = handed_over();
    if count == 0 || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    (FIRST..FIRST + count)
        .map(|number| {
            // SAFETY: by the protocol these descriptors are open and this process's own; nothing else in it knows of
            // them, and the flag above lets this happen once.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            Ok(descriptor)
        })
        .collect()
}

/// How many there are for this process; the variables may have been inherited from another's start.
fn handed_over() -> RawFd {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == process::id() => RawFd::try_from(count).unwrap_or(0).min(MOST),
        _ => 0,
    }
}

fn listens(descriptor: &OwnedFd) -> bool {
    getsockopt(descriptor, sockopt::AcceptConn).unwrap_or(false)
}

fn is_at(descriptor: &OwnedFd, path: &Path) -> bool {
    let address = getsockname::<UnixAddr>(descriptor.as_raw_fd());
    address.is_ok_and(|address| address.path() == Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_stopped_is_in_nobodys_way_though_others_hold_it() {
        let kept = TcpListener::bind("127.0.0.1:0").expect("a port");
        let held = kept.try_clone().expect("a second descriptor");
        let port = kept.local_addr().expect("an address").port();
        let every = || TcpListener::bind(("0.0.0.0", port));
        every().expect_err("the port is taken");
        drop(kept);
        every().expect_err("the port is taken as long as somebody has it open");
        stop(&held).expect("stopped");
        every().expect("the port is free");
    }
}
