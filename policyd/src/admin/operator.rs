//! Proof that an operator asks.

use crate::api_keys::ServiceContext;
use crate::decide::Grant;
use chancel_domain::TenantId;
use chancel_link::AuthenticatedPeer;
use chancel_wire::hello::Role;

/// An operator: somebody the admin socket has let in, or who was granted a request under an operator's API key. Opens the
/// views of the database that are not one tenant's.
#[derive(Debug, Clone, Copy)]
pub struct Operator(By);

#[derive(Debug, Clone, Copy)]
enum By {
    Peer { uid: u32, pid: i32 },
    ApiKey(ServiceContext),
}

impl Operator {
    /// Takes an authenticated peer whose role is an operator's.
    pub(super) fn from_peer(peer: &AuthenticatedPeer) -> Option<Self> {
        (peer.role() == Role::Operator).then(|| {
            Self(By::Peer {
                uid: peer.uid(),
                pid: peer.pid(),
            })
        })
    }

    /// Takes a grant under an operator's API key.
    pub(crate) fn from_grant(grant: &Grant) -> Option<Self> {
        let context = *grant.context();
        (context.tenant() == TenantId::OPERATORS).then_some(Self(By::ApiKey(context)))
    }

    /// Whether what belongs to a tenant is this operator's to manage. An API key makes no API keys of operators: that
    /// takes somebody on the host.
    pub fn may_manage(&self, tenant: TenantId) -> bool {
        tenant != TenantId::OPERATORS || matches!(self.0, By::Peer { .. })
    }

    /// The operator's account on the host, where one is known.
    pub const fn uid(&self) -> Option<u32> {
        match self.0 {
            By::Peer { uid, .. } => Some(uid),
            By::ApiKey(_) => None,
        }
    }

    /// The operator's process when it connected.
    pub const fn pid(&self) -> Option<i32> {
        match self.0 {
            By::Peer { pid, .. } => Some(pid),
            By::ApiKey(_) => None,
        }
    }

    /// The operator's API key and request, where it came with one.
    pub const fn context(&self) -> Option<&ServiceContext> {
        match &self.0 {
            By::Peer { .. } => None,
            By::ApiKey(context) => Some(context),
        }
    }

    /// An operator that no socket let in, for tests of what comes after.
    #[cfg(test)]
    pub(crate) const fn for_tests() -> Self {
        Self(By::Peer { uid: 0, pid: 1 })
    }
}
