//! Stage 4: what later stages know of a request. The tenant is policyd's word; nothing a caller sends can
//! become one, because there is no other way to make this value.

use crate::deadline::Deadline;
use crate::keyd_client::KeydClient;
use chancel_domain::{RequestId, TenantId};
use chancel_wire::policyd::Subject;

/// The context of a request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// For whom work is done.
    pub tenant: TenantId,
    /// The request's id.
    pub request: RequestId,
    /// The daemon that holds the keys.
    pub keyd: &'a KeydClient,
    /// By when the caller is answered.
    pub deadline: Deadline,
}

impl<'a> Context<'a> {
    pub(super) fn attach(
        subject: &Subject,
        request: RequestId,
        keyd: &'a KeydClient,
        deadline: Deadline,
    ) -> Self {
        Self {
            tenant: subject.tenant,
            request,
            keyd,
            deadline,
        }
    }
}
