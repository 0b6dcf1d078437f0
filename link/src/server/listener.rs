//! The listening socket: taken without ever displacing a living process, served with a bounded number of
//! connections.

use super::admission::{Admission, Refused};
use super::{Handler, Refusal, Refusals, connection};
use crate::stream::Stream;
use chancel_wire::limits::LIFECYCLE_DEADLINE;
use std::fs::{self, Permissions};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

/// Connections at once. A service needs one a peer, and operators few.
pub const MAX_CONNECTIONS: usize = 64;

/// How long work under way may take when the server stops: as long as the longest, a change of keys.
pub const DRAIN_TIMEOUT: Duration = LIFECYCLE_DEADLINE.saturating_add(Duration::from_secs(2));

/// How long accepting rests when the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a socket could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("another process listens on {}", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is in the way; it is left alone.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}: {source}", path.display())]
    System {
        /// The socket's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A Unix socket that this process listens on.
#[derive(Debug)]
pub struct Listener(UnixListener);

impl Listener {
    /// Takes the socket at `path` and gives it `mode`. A socket that a dead process left behind is removed.
    /// Needs no runtime.
    ///
    /// # Errors
    /// [`BindError`]; a process that listens there is not disturbed.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, BindError> {
        let system = |source| BindError::System {
            path: path.to_owned(),
            source,
        };
        let socket = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                clear_stale(path)?;
                UnixListener::bind(path)
            }
            outcome => outcome,
        }
        .map_err(system)?;
        // Until here the socket has the mode of the umask, which does no harm: no byte is read from a peer
        // whose credentials do not suffice.
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(system)?;
        socket.set_nonblocking(true).map_err(system)?;
        Ok(Self(socket))
    }

    /// Admits peers and answers their requests until `stop` resolves; then nothing new is accepted or read,
    /// work under way is finished (for at most five seconds) and answered.
    ///
    /// # Errors
    /// When the runtime cannot take the socket over.
    ///
    /// # Panics
    /// Outside a tokio runtime with its time and I/O drivers enabled.
    pub async fn serve<H: Handler>(
        self,
        admission: Admission,
        handler: Arc<H>,
        refusals: Arc<Refusals>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.0)?;
        let admission = Arc::new(admission);
        let (stopper, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => {
                    if ended.is_err() {
                        error!("a connection's task failed");
                    }
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => Stream::Unix(stream),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let recognised = match admission.recognise(stream) {
                Ok(recognised) if connections.len() < MAX_CONNECTIONS => recognised,
                Ok(_) => {
                    report(
                        &refusals,
                        &Refused {
                            refusal: Refusal::TooManyConnections,
                            credentials: None,
                        },
                    );
                    continue;
                }
                Err(refused) => {
                    report(&refusals, &refused);
                    continue;
                }
            };
            let (admission, handler) = (admission.clone(), handler.clone());
            let (refusals, stopped) = (refusals.clone(), stopped.clone());
            connections.spawn(async move {
                match admission.admit(recognised).await {
                    Err(refused) => report(&refusals, &refused),
                    Ok((peer, stream)) => {
                        debug!(
                            role = peer.role().name(),
                            uid = peer.uid(),
                            pid = peer.pid(),
                            "connected"
                        );
                        if let Err(refusal) = connection::serve(stream, peer, &*handler, stopped).await {
                            let Some(count) = refusals.add(refusal) else {
                                return;
                            };
                            let (role, uid, pid) = (peer.role().name(), peer.uid(), peer.pid());
                            warn!(role, uid, pid, reason = %refusal, count, "connection cut");
                        }
                    }
                }
            });
        }
        // Those that still listen hear it; no receiver at all is fine, too.
        let _ = stopper.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(DRAIN_TIMEOUT, all).await.is_err() {
            warn!("work under way was not finished in time");
        }
        Ok(())
    }
}

fn report(refusals: &Refusals, refused: &Refused) {
    let Some(count) = refusals.add(refused.refusal) else {
        return;
    };
    let uid = refused.credentials.map(|peer| peer.uid);
    let pid = refused.credentials.map(|peer| peer.pid);
    warn!(uid, pid, reason = %refused.refusal, count, "connection refused");
}

fn clear_stale(path: &Path) -> Result<(), BindError> {
    let system = |source| BindError::System {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(BindError::NotASocket(path.to_owned())),
        // It has gone by itself.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(system),
        // Connected, or anything else that is no clear sign of a dead socket.
        _ => Err(BindError::InUse(path.to_owned())),
    }
}
