//! The Unix socket: binding it, and the threads that each accept a connection, serve it, and accept the next.
//!
//! All threads exist before the sandbox is sealed, so the number of connections is bounded by construction
//! and the filter allows no new threads.

use super::{AccountOf, Admission, AuthenticatedPeer, Refusal, Stop};
use crate::connection;
use crate::pool::Pools;
use chancel_sandbox::{Sandboxed, inherited, peer_credentials};
use chancel_wire::hello::{HELLO_LEN, Hello, welcome};
use chancel_wire::limits::HELLO_TIMEOUT;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Connections of one account, so that the gateway's cannot crowd policyd's out.
const CONNECTIONS_PER_ACCOUNT: usize = 8;
/// Connections of the operator's account.
const OPERATOR_CONNECTIONS: usize = 2;
/// Connections that are served at once, and the threads that serve them: nobody's share is taken from another's.
pub const CONNECTIONS: usize = 2 * CONNECTIONS_PER_ACCOUNT + OPERATOR_CONNECTIONS;

/// The socket: the service manager's, which goes on to queue connections while keyd restarts, or one that is bound here.
///
/// # Errors
/// `AddrInUse` when another process listens there or the path is no socket; what the file system says; and when the service
/// manager handed over another socket than the configured one.
pub fn take(path: &Path) -> io::Result<UnixListener> {
    let listener = match inherited::unix_listener(path)? {
        Some(listener) => listener,
        None => bind(path)?,
    };
    // Who waits for a connection waits for the end as well, and another thread may have been faster.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds the socket. A stale socket file is replaced, one that somebody answers on is not.
///
/// # Errors
/// `AddrInUse` when another process listens there or the path is no socket; what the file system says.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            // Anything but a refusal, a full backlog for instance, is no sign of a dead process.
            match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                _ => return Err(ErrorKind::AddrInUse.into()),
            }
        }
        Ok(_) => return Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // Who may talk is decided by the peer's kernel credentials and token, for everyone who can reach it.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Starts the threads that accept and serve; each reports at `running` and then waits for the sandbox. They end after `stop`,
/// when their peers are answered; then the channel that is returned is closed.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(
    listener: UnixListener,
    admission: Admission,
    pools: &Arc<Pools>,
    running: &Arc<Barrier>,
    stop: Stop,
) -> io::Result<Receiver<()>> {
    let (alive, ended) = mpsc::channel();
    let shared = Arc::new(Acceptor {
        listener,
        admission,
        open: Mutex::default(),
        stop,
    });
    for number in 0..CONNECTIONS {
        let shared = Arc::clone(&shared);
        let pools = Arc::clone(pools);
        let running = Arc::clone(running);
        let alive = alive.clone();
        thread::Builder::new()
            .name(format!("peer-{number}"))
            .spawn(move || {
                running.wait();
                shared.run(&pools, pools.keyd().sandboxed());
                drop(alive);
            })?;
    }
    Ok(ended)
}

struct Acceptor {
    listener: UnixListener,
    admission: Admission,
    /// Open connections of each account.
    open: Mutex<HashMap<u32, usize>>,
    stop: Stop,
}

impl Acceptor {
    fn run(&self, pools: &Arc<Pools>, _sandboxed: &Sandboxed) {
        while self.wait() {
            match self.listener.accept() {
                // A panic ends the connection alone: nobody could start another thread in this one's place.
                Ok((stream, _)) => {
                    let _ = catch_unwind(AssertUnwindSafe(|| self.serve(stream, pools)));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => {
                    tracing::error!(%error, "accept failed");
                    // Out of descriptors, most likely: wait for one to come back instead of spinning.
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Waits for a connection; `false` when there is to be none any more.
    fn wait(&self) -> bool {
        let waited = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut both = [waited(self.listener.as_fd()), waited(self.stop.as_fd())];
        // What the system says of a failed wait, accepting says as well.
        let _ = poll(&mut both, PollTimeout::NONE);
        let [_, stop] = &both;
        !stop.any().unwrap_or(true)
    }

    fn serve(&self, stream: UnixStream, pools: &Arc<Pools>) {
        let Ok(kernel) = peer_credentials(&stream) else {
            return;
        };
        let refuse = |refusal: &Refusal| {
            if let Some(count) = pools.keyd().metrics().connection_refused(refusal.name()) {
                tracing::warn!(uid = kernel.uid, pid = kernel.pid, %refusal, count, "connection refused");
            }
        };
        let most = match self.admission.account(kernel.uid) {
            Some(AccountOf::Daemon) => CONNECTIONS_PER_ACCOUNT,
            Some(AccountOf::Operator) => OPERATOR_CONNECTIONS,
            None => return refuse(&Refusal::WrongAccount),
        };
        let Some(_share) = Share::take(&self.open, kernel.uid, most) else {
            return refuse(&Refusal::TooManyConnections);
        };
        match authenticate(&self.admission, &stream, kernel.uid, kernel.pid) {
            Ok(peer) => {
                tracing::info!(peer = peer.role().name(), pid = peer.pid(), "connected");
                let ended = connection::serve(stream, peer, pools, &self.stop);
                if let Some(reason) = ended.as_fault() {
                    let _ = pools.keyd().metrics().connection_refused(reason);
                }
                tracing::info!(peer = peer.role().name(), pid = peer.pid(), %ended, "disconnected");
            }
            Err(refusal) => refuse(&refusal),
        }
    }
}

fn authenticate(
    admission: &Admission,
    mut stream: &UnixStream,
    uid: u32,
    pid: i32,
) -> Result<AuthenticatedPeer, Refusal> {
    let hello = read_hello(stream)?;
    let peer = admission.admit(uid, pid, &Hello::parse(&hello)?)?;
    stream.write_all(&welcome()).map_err(|_| Refusal::NoHello)?;
    Ok(peer)
}

/// Reads the hello within [`HELLO_TIMEOUT`] in all, however slowly its bytes come.
fn read_hello(mut stream: &UnixStream) -> Result<Zeroizing<[u8; HELLO_LEN]>, Refusal> {
    let until = Instant::now() + HELLO_TIMEOUT;
    let mut bytes = Zeroizing::new([0; HELLO_LEN]);
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(Refusal::NoHello);
        }
        match stream.read(rest) {
            Ok(count) if count > 0 => rest = rest.get_mut(count..).ok_or(Refusal::NoHello)?,
            _ => return Err(Refusal::NoHello),
        }
    }
    Ok(bytes)
}

/// One account's claim to one of its connections; given back when dropped.
struct Share<'a> {
    open: &'a Mutex<HashMap<u32, usize>>,
    uid: u32,
}

impl<'a> Share<'a> {
    fn take(open: &'a Mutex<HashMap<u32, usize>>, uid: u32, most: usize) -> Option<Self> {
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(uid).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { open, uid })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.uid) {
            *count = count.saturating_sub(1);
        }
    }
}
