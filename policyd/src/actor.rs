//! Who changes something: an operator, or the API key of a tenant. Decides whose rows a change may touch, and signs it
//! in the ledger.

use crate::admin::Operator;
use crate::api_keys::ServiceContext;
use crate::decide::Grant;
use crate::failure::Failure;
use crate::store::{Read, ReadView, TenantScope, Write, WriteView};
use chancel_domain::TenantId;
use chancel_ledger::Change;
use chancel_wire::policyd::AskFailure;

/// Who changes something.
#[derive(Debug, Clone, Copy)]
pub enum Actor {
    /// An operator, on the admin socket or with an operator's API key.
    Operator(Operator),
    /// A tenant, which reaches itself alone.
    Tenant(ServiceContext),
}

impl Actor {
    /// Who was granted a request.
    pub fn of(grant: &Grant) -> Self {
        Operator::from_grant(grant).map_or_else(|| Self::Tenant(*grant.context()), Self::Operator)
    }

    /// The rows of a tenant, to change them.
    ///
    /// # Errors
    /// `TenantNotFound` for a tenant that is not there and for one that is another's, alike.
    pub fn scope<'a>(
        &self,
        view: WriteView<'a>,
        tenant: TenantId,
    ) -> Result<TenantScope<'a, Write>, Failure> {
        match self {
            Self::Operator(operator) if operator.may_manage(tenant) => Ok(view
                .operators(operator)
                .scope(tenant)?
                .ok_or(AskFailure::TenantNotFound)?
                .1),
            Self::Tenant(context) if context.tenant() == tenant => {
                let scope = view.tenant(context);
                // Deleted since it asked, perhaps.
                scope.own_tenant()?.ok_or(AskFailure::TenantNotFound)?;
                Ok(scope)
            }
            _ => Err(AskFailure::TenantNotFound.into()),
        }
    }

    /// The rows of a tenant, to read them.
    ///
    /// # Errors
    /// As [`Self::scope`].
    pub fn look<'a>(&self, view: ReadView<'a>, tenant: TenantId) -> Result<TenantScope<'a, Read>, Failure> {
        match self {
            Self::Operator(operator) if operator.may_manage(tenant) => Ok(view
                .operators(operator)
                .scope(tenant)?
                .ok_or(AskFailure::TenantNotFound)?
                .1),
            Self::Tenant(context) if context.tenant() == tenant => Ok(view.tenant(context)),
            _ => Err(AskFailure::TenantNotFound.into()),
        }
    }

    /// The beginning of the record of a change.
    pub fn change(&self, what: &'static str, tenant: Option<TenantId>) -> Change<'static> {
        let context = match self {
            Self::Operator(operator) => operator.context(),
            Self::Tenant(context) => Some(context),
        };
        let uid = match self {
            Self::Operator(operator) => operator.uid(),
            Self::Tenant(_) => None,
        };
        Change {
            what,
            tenant,
            uid,
            api_key: context.map(ServiceContext::api_key),
            request: context.map(ServiceContext::request),
            ..Change::default()
        }
    }
}
