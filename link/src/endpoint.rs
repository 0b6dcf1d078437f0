//! Where a peer listens, and the proof that it is the peer: the transport's own is checked before a single
//! byte is sent, so that whoever has taken the peer's place never sees the service token.

use crate::stream::Stream;
use chancel_sandbox::peer_credentials;
use chancel_wire::hello::{self, Hello, HelloError, Role, ServiceToken, WELCOME_LEN};
use std::fmt;
use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// Where a peer listens and who it must be. One variant a transport.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Endpoint {
    /// A Unix socket on this host.
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// The user that must be listening there.
        uid: u32,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Nothing listens there, or the kernel refused.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// Somebody else listens there.
    #[error("the listener runs as uid {found}, not as {expected}")]
    WrongUser {
        /// Who must listen.
        expected: u32,
        /// Who does.
        found: u32,
    },
    /// The peer hung up instead of answering the hello: it refused it, or it is going away.
    #[error("the peer ended the connection instead of answering the hello: {0}")]
    HungUp(#[source] io::Error),
    /// The peer answered something else.
    #[error(transparent)]
    NotAWelcome(#[from] HelloError),
    /// The peer did not answer the hello in time.
    #[error("the peer does not answer the hello")]
    Silent,
}

impl ConnectError {
    /// Whether the peer may just be restarting. An imposter or another version does not go away by itself; who does not
    /// answer the hello may, where a restart `is_announced`: the service manager holds the socket meanwhile.
    pub(crate) const fn may_pass(&self, is_announced: bool) -> bool {
        match self {
            Self::Connect(_) | Self::HungUp(_) => true,
            Self::Silent => is_announced,
            _ => false,
        }
    }
}

impl Endpoint {
    /// Connects, checks who listens, and exchanges hello and welcome.
    pub(crate) async fn connect(&self, role: Role, token: &ServiceToken) -> Result<Stream, ConnectError> {
        let mut stream = match self {
            Self::Unix { path, uid } => {
                let stream = UnixStream::connect(path).await.map_err(ConnectError::Connect)?;
                let found = peer_credentials(&stream).map_err(ConnectError::Connect)?.uid;
                if found != *uid {
                    return Err(ConnectError::WrongUser {
                        expected: *uid,
                        found,
                    });
                }
                Stream::Unix(stream)
            }
        };
        let hello = Zeroizing::new(Hello::new(role, token.clone()).to_bytes());
        stream
            .write_all(hello.as_slice())
            .await
            .map_err(ConnectError::HungUp)?;
        let mut welcome = [0; WELCOME_LEN];
        stream
            .read_exact(&mut welcome)
            .await
            .map_err(ConnectError::HungUp)?;
        hello::check_version(welcome)?;
        Ok(stream)
    }
}
