//! Stage 4: what later stages know of a request. The tenant is policyd's word; nothing a caller sends can
//! become one, because there is no other way to make this value.

use super::Gateway;
use crate::deadline::Deadline;
use crate::helpers::Helpers;
use crate::keyd_client::KeydClient;
use crate::metrics::Metrics;
use chancel_domain::{RequestId, TenantId};
use chancel_wire::policyd::Subject;
use std::sync::Arc;

/// The context of a request.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// For whom work is done.
    pub tenant: TenantId,
    /// The request's id.
    pub request: RequestId,
    /// The daemon that holds the keys.
    pub keyd: &'a KeydClient,
    /// Threads for work that takes long.
    pub helpers: &'a Helpers,
    /// Counters.
    pub metrics: &'a Arc<Metrics>,
    /// By when the caller is answered.
    pub deadline: Deadline,
}

impl<'a> Context<'a> {
    pub(super) fn attach(
        subject: &Subject,
        request: RequestId,
        gateway: &'a Gateway,
        deadline: Deadline,
    ) -> Self {
        Self {
            tenant: subject.tenant,
            request,
            keyd: &gateway.keyd,
            helpers: &gateway.helpers,
            metrics: &gateway.metrics,
            deadline,
        }
    }
}
