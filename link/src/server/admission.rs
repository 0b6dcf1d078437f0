//! From an accepted stream to an authenticated peer. The kernel's word on the peer's user comes first and
//! without reading a byte; then the hello, its role and its token.

use super::Refusal;
use crate::stream::Stream;
use chancel_sandbox::{PeerCredentials, peer_credentials, peer_groups};
use chancel_wire::hello::{self, HELLO_LEN, Hello, Role, ServiceToken};
use chancel_wire::limits::HELLO_TIMEOUT;
use std::os::fd::AsFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Who may connect to a socket.
#[derive(Debug)]
pub enum Admission {
    /// These services, each with its user and its token.
    Services(Vec<Expected>),
    /// Operators, by user or group; they send no token.
    Operators(OperatorRule),
}

/// A service that may connect.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What it says it is.
    pub role: Role,
    /// The user it must run as.
    pub uid: u32,
    /// The token it must send.
    pub token: ServiceToken,
}

/// Which processes count as an operator's.
#[derive(Debug, Clone, Default)]
pub struct OperatorRule {
    /// These users.
    pub uids: Vec<u32>,
    /// Members of this group, as their main group or a supplementary one.
    pub gid: Option<u32>,
}

/// Proof that a connection's peer is who it says: made by a successful admission and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatedPeer {
    role: Role,
    uid: u32,
    pid: i32,
}

impl AuthenticatedPeer {
    /// What the peer is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The user it runs as.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Its process when it connected; for the log, never for a decision.
    pub const fn pid(&self) -> i32 {
        self.pid
    }
}

/// A stream whose peer's user may connect; what it says has not been read yet.
#[derive(Debug)]
pub(super) struct Recognised {
    stream: Stream,
    credentials: PeerCredentials,
}

/// A refusal, and of whom as far as known.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) credentials: Option<PeerCredentials>,
}

impl Admission {
    /// Asks the kernel who has connected. Reads nothing from the peer.
    pub(super) fn recognise(&self, stream: Stream) -> Result<Recognised, Refused> {
        let Stream::Unix(socket) = &stream;
        let Ok(credentials) = peer_credentials(socket) else {
            return Err(Refused {
                refusal: Refusal::UnknownCredentials,
                credentials: None,
            });
        };
        let known = match self {
            Self::Services(expected) => expected.iter().any(|service| service.uid == credentials.uid),
            Self::Operators(rule) => rule.covers(&credentials, socket),
        };
        if known {
            Ok(Recognised { stream, credentials })
        } else {
            Err(Refused {
                refusal: Refusal::WrongUser,
                credentials: Some(credentials),
            })
        }
    }

    /// Reads and checks the hello, and welcomes the peer.
    pub(super) async fn admit(&self, recognised: Recognised) -> Result<(AuthenticatedPeer, Stream), Refused> {
        let Recognised {
            mut stream,
            credentials,
        } = recognised;
        let refused = |refusal| Refused {
            refusal,
            credentials: Some(credentials),
        };
        let mut bytes = Zeroizing::new([0; HELLO_LEN]);
        match timeout(HELLO_TIMEOUT, stream.read_exact(bytes.as_mut_slice())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(refused(Refusal::NoHello)),
        }
        let hello = Hello::parse(&bytes).map_err(|_| refused(Refusal::WrongHello))?;
        self.check(&hello, credentials.uid).map_err(refused)?;
        // Six bytes into an empty socket buffer.
        stream
            .write_all(&hello::welcome())
            .await
            .map_err(|_| refused(Refusal::NoHello))?;
        let peer = AuthenticatedPeer {
            role: hello.role,
            uid: credentials.uid,
            pid: credentials.pid,
        };
        Ok((peer, stream))
    }

    fn check(&self, hello: &Hello, uid: u32) -> Result<(), Refusal> {
        match self {
            Self::Services(expected) => {
                let mut candidates = expected
                    .iter()
                    .filter(|service| service.role == hello.role && service.uid == uid)
                    .peekable();
                if candidates.peek().is_none() {
                    return Err(Refusal::WrongHello);
                }
                if candidates.any(|service| service.token.matches(hello)) {
                    Ok(())
                } else {
                    Err(Refusal::WrongToken)
                }
            }
            Self::Operators(_) if hello.role == Role::Operator => Ok(()),
            Self::Operators(_) => Err(Refusal::WrongHello),
        }
    }
}

impl OperatorRule {
    fn covers(&self, credentials: &PeerCredentials, socket: impl AsFd) -> bool {
        if self.uids.contains(&credentials.uid) {
            return true;
        }
        let Some(gid) = self.gid else { return false };
        // Groups that cannot be read grant nothing.
        credentials.gid == gid || peer_groups(socket).is_ok_and(|groups| groups.contains(&gid))
    }
}
