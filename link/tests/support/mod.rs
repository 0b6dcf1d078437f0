//! What the tests of both ends share: a directory, an echoing handler, ready-made ends.
#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses its own part"
)]

use chancel_link::AuthenticatedPeer;
use chancel_link::{
    Admission, Client, Endpoint, Expected, Handled, Handler, Incoming, Listener, Refusals, Reply,
};
use chancel_wire::hello::{HELLO_LEN, Hello, Role, ServiceToken};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A fresh directory, removed at the end of its test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "chancel-link-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a fresh directory");
        Self(path)
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("test.sock")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn token() -> ServiceToken {
    ServiceToken::from_bytes([7; 32])
}

/// The user the tests run as: the owner of a file they have just made.
pub fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    std::fs::metadata(&scratch.0).expect("the directory exists").uid()
}

pub fn endpoint(path: &Path) -> Endpoint {
    Endpoint::Unix {
        path: path.to_owned(),
        uid: own_uid(),
    }
}

pub fn client(path: &Path) -> Client {
    Client::new(endpoint(path), Role::Gateway, token())
}

pub fn services() -> Admission {
    Admission::Services(vec![Expected {
        role: Role::Gateway,
        uid: own_uid(),
        token: token(),
    }])
}

/// Answers a number with itself plus one: even ones now, odd ones after some milliseconds.
pub struct Successor {
    pub pause: Duration,
}

impl Handler for Successor {
    type Turn = ();

    fn handle(&self, _peer: &AuthenticatedPeer, request: Incoming<'_>, (): &mut ()) -> Handled {
        let Ok(number) = chancel_wire::decode::<u64>(request.body) else {
            return Handled::now(&u64::MAX);
        };
        if number % 2 == 0 {
            return Handled::now(&(number + 1));
        }
        let pause = self.pause;
        Handled::later(async move {
            tokio::time::sleep(pause).await;
            Reply::new(&(number + 1))
        })
    }

    fn overloaded(&self) -> Reply {
        Reply::new(&0u64)
    }
}

/// A running server.
pub struct Served {
    pub refusals: Arc<Refusals>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    pub fn start(path: &Path, admission: Admission, pause: Duration) -> Self {
        let listener = Listener::bind(path, 0o600).expect("the path is free");
        let refusals = Arc::new(Refusals::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let counted = refusals.clone();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            listener
                .serve(admission, Arc::new(Successor { pause }), counted, stopped)
                .await
                .expect("a runtime is there");
        });
        Self { refusals, stop, task }
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the server ends in order");
    }

    /// As a killed process: nothing is finished, nothing answered.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A raw connection that has said a hello.
pub fn greeted(path: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).expect("the server listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time-out is set");
    stream
        .write_all(&Hello::new(Role::Gateway, token()).to_bytes())
        .expect("the hello fits");
    let mut welcome = [0; 6];
    stream.read_exact(&mut welcome).expect("a welcome comes");
    stream
}

/// Whether the peer ends the connection without another byte.
pub fn is_cut(stream: &mut UnixStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Accepts one connection and welcomes it, whatever its hello says.
pub fn welcome(listener: &std::os::unix::net::UnixListener) -> UnixStream {
    let (mut stream, _) = listener.accept().expect("a client comes");
    let mut hello = [0; HELLO_LEN];
    stream.read_exact(&mut hello).expect("a hello comes");
    stream
        .write_all(&chancel_wire::hello::welcome())
        .expect("the welcome fits");
    stream
}
