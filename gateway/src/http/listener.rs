//! Accepts connections, takes TLS off, and serves HTTP/1.1 on them: each in a task of its own, every wait
//! bounded, a bounded number at once.
//!
//! One thread accepts and gives each connection to the serving thread that has the fewest. There it stays: a
//! request that never changes threads costs no wake-ups between them, which at this size of work would be half
//! of what it costs.

use super::cut::Cut;
use super::refused_head::Enveloping;
use super::request_id;
use super::response::Response;
use crate::envelope;
use crate::error::ApiError;
use crate::limits::{DRAIN_TIMEOUT, HANDSHAKE_TIMEOUT, HEADER_TIMEOUT, MAX_HEAD, MAX_HEADERS, WRITE_TIMEOUT};
use crate::metrics::{Connections, Turned};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use nix::sys::socket::{setsockopt, sockopt};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long accepting rests when the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is served where.
pub struct Site {
    /// The bound socket, in non-blocking mode.
    pub listener: std::net::TcpListener,
    /// How TLS is taken off, at present; `None` for plain HTTP.
    pub tls: Option<watch::Receiver<TlsAcceptor>>,
    /// Connections at once.
    pub most_connections: usize,
}

/// Answers requests.
pub trait Served: Clone + Send + Sync + 'static {
    /// Answers one request that came from `source`.
    fn respond(&self, request: Request<Incoming>, source: IpAddr) -> impl Future<Output = Response> + Send;

    /// Where connections are counted.
    fn connections(&self) -> &Connections;
}

/// A thread that serves: its runtime, and what answers there.
pub struct Place<S> {
    runtime: Handle,
    served: S,
    open: Arc<AtomicUsize>,
}

impl<S> Place<S> {
    /// A place in a runtime; one of a single thread is meant, though any will do.
    pub fn new(runtime: Handle, served: S) -> Self {
        Self {
            runtime,
            served,
            open: Arc::default(),
        }
    }

    /// What answers there.
    pub const fn served(&self) -> &S {
        &self.served
    }
}

/// A connection's share of its place, given back when dropped.
struct Share(Arc<AtomicUsize>);

impl Share {
    fn of(place: &Arc<AtomicUsize>) -> Self {
        place.fetch_add(1, Ordering::Relaxed);
        Self(place.clone())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a site until `stop` resolves; then nothing new is accepted, and requests under way are finished.
///
/// # Errors
/// When the runtime cannot take the socket over.
///
/// # Panics
/// Without any place.
pub async fn serve<S: Served>(
    site: Site,
    places: &[Place<S>],
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(site.listener)?;
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let idlest = places
            .iter()
            .min_by_key(|place| place.open.load(Ordering::Relaxed));
        let place = idlest.expect("a site has a place");
        match accepted {
            Ok((stream, _)) if connections.count() >= site.most_connections => {
                place.served.connections().turned_away(Turned::TooMany);
                if site.tls.is_none() {
                    // As much as fits at once; nobody waits for a client here.
                    let _ = stream.try_write(&too_many());
                }
            }
            Ok((stream, source)) => {
                let Ok(stream) = stream.into_std() else { continue };
                let tls = site.tls.as_ref().map(|tls| tls.borrow().clone());
                let served = place.served.clone();
                let (share, watcher) = (Share::of(&place.open), connections.watcher());
                place.runtime.spawn(async move {
                    let _share = share;
                    // The stream belongs to the runtime it is made in, so it is made there.
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        connection(stream, source, tls, served, watcher).await;
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests under way were not finished in time");
    }
    Ok(())
}

async fn connection<S: Served>(
    stream: TcpStream,
    source: SocketAddr,
    tls: Option<TlsAcceptor>,
    served: S,
    watcher: Watcher,
) {
    let counted = served.clone();
    let _open = counted.connections().opened();
    let source = source.ip().to_canonical();
    if prepare(&stream).is_err() {
        // The client has gone already.
        return;
    }
    let Some(tls) = tls else {
        return requests(stream, source, served, watcher).await;
    };
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, source, served, watcher).await,
        Ok(Err(_)) => served.connections().turned_away(Turned::HandshakeFailed),
        Err(_) => served.connections().turned_away(Turned::HandshakeTimeout),
    }
}

/// What a client without TLS is told when there are too many connections.
fn too_many() -> Vec<u8> {
    let json = envelope::error(request_id::fresh(), &ApiError::Unavailable);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        json.len()
    );
    [head.as_bytes(), &json].concat()
}

/// Answers leave at once, and a client that stops reading loses its connection.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let limit = u32::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    setsockopt(stream, sockopt::TcpUserTimeout, &limit)?;
    Ok(())
}

async fn requests<S: Served>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    source: IpAddr,
    served: S,
    watcher: Watcher,
) {
    let counted = served.clone();
    let cut = Cut::default();
    let of_requests = cut.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let served = served.clone();
        request.extensions_mut().insert(of_requests.clone());
        async move { Ok::<_, Infallible>(served.respond(request, source).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        // A client that has said all it wants may close its sending side and still gets its answer.
        .half_close(true);
    let connection = http.serve_connection(TokioIo::new(Enveloping::new(stream)), service);
    let ended = tokio::select! {
        ended = watcher.watch(connection) => ended,
        () = cut.wait() => return counted.connections().turned_away(Turned::TooSlow),
    };
    if let Err(error) = ended {
        let turned = if error.is_parse() {
            Turned::Malformed
        } else {
            Turned::Broken
        };
        counted.connections().turned_away(turned);
    }
}
