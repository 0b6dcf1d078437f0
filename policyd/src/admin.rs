//! The admin socket: what operators may ask. Who may connect is decided by the kernel's word on the peer (root,
//! policyd's own user, the admin group); every act stands in the log and in the ledger with the operator's uid.

mod operator;
mod read;

pub use operator::Operator;

use crate::actor::Actor;
use crate::api_keys::{ApiKeyChanges, By};
use crate::failure::Failure;
use crate::keyd::KeydState;
use crate::keys::Reconciler;
use crate::plans::PlanTable;
use crate::policies::PolicyChanges;
use crate::record::Recorder;
use crate::store::Reader;
use crate::tenants::{TenantChange, TenantChanges};
use crate::usage::Usage;
use chancel_domain::TenantId;
use chancel_link::{AuthenticatedPeer, Handled, Handler, Incoming, Reply};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest};
use chancel_wire::policyd::{AskFailure, NewApiKeyTerms, Outcome};
use std::sync::Arc;
use zeroize::Zeroize;

/// Answers operators.
pub struct Admin {
    /// Where look-ups go.
    pub reader: Arc<Reader>,
    /// Changes tenants.
    pub tenants: TenantChanges,
    /// Changes API keys.
    pub api_keys: ApiKeyChanges,
    /// Changes deny rules and budgets.
    pub policies: PolicyChanges,
    /// What the plans offer.
    pub plans: Arc<PlanTable>,
    /// What is used.
    pub usage: Arc<Usage>,
    /// The ledger.
    pub recorder: Recorder,
    /// How keyd is.
    pub keyd: Arc<KeydState>,
    /// What became of the last comparison.
    pub reconciler: Arc<Reconciler>,
}

impl Handler for Admin {
    type Turn = ();

    fn handle(&self, peer: &AuthenticatedPeer, request: Incoming<'_>, (): &mut ()) -> Handled {
        let Some(operator) = Operator::from_peer(peer) else {
            return refused(AdminError::Malformed);
        };
        match chancel_wire::decode(request.body) {
            Ok(request) => self.answer(operator, request),
            Err(_) => refused(AdminError::Malformed),
        }
    }

    fn overloaded(&self) -> Reply {
        Reply::new(&AdminReply::Failed(AdminError::Storage))
    }
}

impl Admin {
    fn answer(&self, operator: Operator, request: AdminRequest) -> Handled {
        if is_for_tenants(&request) == Some(TenantId::OPERATORS) {
            return refused(AdminError::NotForOperators);
        }
        let actor = Actor::Operator(operator);
        let (tenants, policies) = (self.tenants.clone(), self.policies.clone());
        match request {
            AdminRequest::CreateTenant { name, plan } => later(operator, async move {
                let (record, _) = tenants.create(operator, name, plan, None).await?;
                Ok(AdminReply::Tenant(record))
            }),
            AdminRequest::SetTenantStatus { tenant, status } => later(operator, async move {
                let change = TenantChange::Status(status);
                tenants
                    .set(operator, tenant, change)
                    .await
                    .map(AdminReply::Tenant)
            }),
            AdminRequest::SetTenantPlan { tenant, plan } => later(operator, async move {
                tenants
                    .set(operator, tenant, TenantChange::Plan(plan))
                    .await
                    .map(AdminReply::Tenant)
            }),
            AdminRequest::DeleteTenant(tenant) => later(operator, async move {
                tenants.delete(operator, tenant).await.map(AdminReply::Tenant)
            }),
            AdminRequest::CreateApiKey { tenant, terms } => self.create_api_key(operator, tenant, terms),
            AdminRequest::RotateApiKey(tenant, id) => {
                let api_keys = self.api_keys.clone();
                later(operator, async move {
                    let by = By {
                        actor,
                        bounds: None,
                        limit: None,
                        slot: None,
                    };
                    api_keys.rotate(by, tenant, id).await.map(api_key)
                })
            }
            AdminRequest::RevokeApiKey(tenant, id) => {
                let api_keys = self.api_keys.clone();
                later(operator, async move {
                    api_keys.revoke(actor, tenant, id).await.map(api_key)
                })
            }
            AdminRequest::AddDenyRule(tenant, rule) => later(operator, async move {
                policies.add(actor, tenant, rule).await.map(AdminReply::DenyRule)
            }),
            AdminRequest::RemoveDenyRule(tenant, id) => later(operator, async move {
                policies.remove(actor, tenant, id).await.map(AdminReply::DenyRule)
            }),
            AdminRequest::SetKeyBudget(tenant, algorithm, uses) => later(operator, async move {
                policies
                    .set_budget(actor, tenant, algorithm, uses)
                    .await
                    .map(AdminReply::KeyBudget)
            }),
            AdminRequest::ListTenants { .. }
            | AdminRequest::ListApiKeys { .. }
            | AdminRequest::ListDenyRules(_)
            | AdminRequest::ReadUsage(_)
            | AdminRequest::ReadPlans
            | AdminRequest::Explain(..)
            | AdminRequest::Status => Handled::Now(reply(operator, self.read(operator, request))),
        }
    }

    fn create_api_key(&self, operator: Operator, tenant: TenantId, terms: NewApiKeyTerms) -> Handled {
        let limit = self.reader.look(|view| {
            let plan = view
                .operators(&operator)
                .tenant(tenant)?
                .map(|tenant| tenant.plan);
            let plan = plan.ok_or(AskFailure::TenantNotFound)?;
            // Operators have no plan.
            let limits = self.plans.current().of(plan).limits;
            Ok::<_, Failure>(limits.api_keys.filter(|_| tenant != TenantId::OPERATORS))
        });
        let api_keys = self.api_keys.clone();
        later(operator, async move {
            let by = By {
                actor: Actor::Operator(operator),
                bounds: None,
                limit: limit?,
                slot: None,
            };
            api_keys.create(by, tenant, terms).await.map(api_key)
        })
    }
}

/// The tenant of what operators do not have: a standing, a plan, keys, rules, an end.
const fn is_for_tenants(request: &AdminRequest) -> Option<TenantId> {
    match request {
        AdminRequest::SetTenantStatus { tenant, .. }
        | AdminRequest::SetTenantPlan { tenant, .. }
        | AdminRequest::DeleteTenant(tenant)
        | AdminRequest::AddDenyRule(tenant, _)
        | AdminRequest::RemoveDenyRule(tenant, _)
        | AdminRequest::SetKeyBudget(tenant, ..) => Some(*tenant),
        _ => None,
    }
}

fn api_key(outcome: Outcome) -> AdminReply {
    match outcome {
        Outcome::ApiKeySecret(record, secret) => AdminReply::ApiKey(record, secret),
        Outcome::ApiKey(record) => AdminReply::Revoked(record),
        _ => AdminReply::Failed(AdminError::Malformed),
    }
}

fn later(
    operator: Operator,
    work: impl Future<Output = Result<AdminReply, Failure>> + Send + 'static,
) -> Handled {
    Handled::later(async move { reply(operator, work.await) })
}

fn refused(error: AdminError) -> Handled {
    Handled::now(&AdminReply::Failed(error))
}

fn reply(operator: Operator, outcome: Result<AdminReply, Failure>) -> Reply {
    let (uid, pid) = (operator.uid(), operator.pid());
    let mut message = match outcome {
        Ok(message) => message,
        Err(failure) => {
            let error = error_of(&failure);
            if error == AdminError::Storage {
                tracing::error!(uid, pid, error = %failure, "the database could not do what an operator asked");
            } else {
                tracing::info!(uid, pid, reason = %error, "what an operator asked cannot be done");
            }
            AdminReply::Failed(error)
        }
    };
    let reply = Reply::new(&message);
    if let AdminReply::ApiKey(_, text) = &mut message {
        text.0.zeroize();
    }
    reply
}

fn error_of(failure: &Failure) -> AdminError {
    match failure {
        Failure::Ask(AskFailure::TenantNotFound) => AdminError::TenantNotFound,
        Failure::Ask(AskFailure::NameTaken) => AdminError::NameTaken,
        Failure::Ask(AskFailure::ApiKeyNotFound) => AdminError::ApiKeyNotFound,
        Failure::Ask(AskFailure::ApiKeyRevoked) => AdminError::ApiKeyRevoked,
        Failure::Ask(AskFailure::DenyRuleNotFound) => AdminError::DenyRuleNotFound,
        Failure::Ask(AskFailure::TooManyDenyRules) => AdminError::TooManyDenyRules,
        Failure::Ask(AskFailure::QuotaSpent(_)) => AdminError::PlanLimit,
        Failure::Ledger(_) => AdminError::LedgerUnwritable,
        Failure::Ask(_) => AdminError::Malformed,
        Failure::Storage(_) | Failure::Keyd(_) => AdminError::Storage,
    }
}
