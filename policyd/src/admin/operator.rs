//! Proof that an operator asks.

use chancel_link::AuthenticatedPeer;
use chancel_wire::hello::Role;

/// Somebody the admin socket has let in. Opens the views of the database that are not one tenant's.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    uid: u32,
    pid: i32,
}

impl Operator {
    /// Takes an authenticated peer whose role is an operator's.
    pub(super) fn from_peer(peer: &AuthenticatedPeer) -> Option<Self> {
        (peer.role() == Role::Operator).then(|| Self {
            uid: peer.uid(),
            pid: peer.pid(),
        })
    }

    /// The operator's user, for the log.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The operator's process when it connected, for the log.
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// An operator that no socket let in, for tests of what comes after.
    #[cfg(test)]
    pub(crate) const fn for_tests() -> Self {
        Self { uid: 0, pid: 1 }
    }
}
