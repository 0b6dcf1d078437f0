//! The admin socket: what operators may ask. Who may connect is decided by the kernel's word on the peer (root,
//! policyd's own user, the admin group); every act is logged with the operator's uid and process.

mod api_keys;
mod operator;
mod tenants;

pub use operator::Operator;

use crate::api_keys::ApiKeyHasher;
use crate::keyd::KeydState;
use crate::keys::Reconciler;
use crate::store::{Reader, StoreError, Writer};
use chancel_link::{AuthenticatedPeer, Handled, Handler, Incoming, Reply};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest, Status};
use std::sync::Arc;
use zeroize::Zeroize;

/// Answers operators.
pub struct Admin {
    /// Where look-ups go.
    pub reader: Arc<Reader>,
    /// Where changes go.
    pub writer: Writer,
    /// Hashes API keys.
    pub hasher: Arc<ApiKeyHasher>,
    /// How keyd is.
    pub keyd: Arc<KeydState>,
    /// What became of the last comparison.
    pub reconciler: Arc<Reconciler>,
}

/// Why an act was not carried out.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// For a reason the operator is told.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// Because the database failed; the log says more than the operator hears.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

impl Handler for Admin {
    fn handle(&self, peer: &AuthenticatedPeer, request: Incoming<'_>) -> Handled {
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
        let (writer, hasher) = (self.writer.clone(), self.hasher.clone());
        let now = |outcome| Handled::Now(reply(operator, outcome));
        match request {
            AdminRequest::ListTenants { after } => now(self
                .reader
                .look(|view| tenants::list(&view.operators(&operator), after))),
            AdminRequest::ListApiKeys { tenant, after } => now(self
                .reader
                .look(|view| api_keys::list(&view.operators(&operator), tenant, after))),
            AdminRequest::Status => now(Ok(AdminReply::Status(self.status()))),
            AdminRequest::CreateTenant { name, plan } => later(operator, async move {
                tenants::create(&writer, operator, name, plan).await
            }),
            AdminRequest::SetTenantStatus { tenant, status } => later(operator, async move {
                tenants::set_status(&writer, operator, tenant, status).await
            }),
            AdminRequest::CreateApiKey {
                tenant,
                name,
                scopes,
                expires_at_ms,
            } => {
                let wanted = api_keys::Wanted {
                    tenant,
                    name,
                    scopes,
                    expires_at_ms,
                };
                later(operator, async move {
                    api_keys::create(&writer, &hasher, operator, wanted).await
                })
            }
            AdminRequest::RotateApiKey(tenant, api_key) => later(operator, async move {
                api_keys::rotate(&writer, &hasher, operator, tenant, api_key).await
            }),
            AdminRequest::RevokeApiKey(tenant, api_key) => later(operator, async move {
                api_keys::revoke(&writer, operator, tenant, api_key).await
            }),
        }
    }

    fn status(&self) -> Status {
        Status {
            policyd_version: env!("CARGO_PKG_VERSION").to_owned(),
            keyd: self.keyd.health(),
            reconciliation: self.reconciler.last(),
        }
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
        Err(Failure::Refused(error)) => {
            tracing::info!(uid, pid, reason = %error, "what an operator asked cannot be done");
            AdminReply::Failed(error)
        }
        Err(Failure::Storage(error)) => {
            tracing::error!(uid, pid, %error, "the database could not do what an operator asked");
            AdminReply::Failed(AdminError::Storage)
        }
    };
    let reply = Reply::new(&message);
    if let AdminReply::ApiKey(_, text) = &mut message {
        text.0.zeroize();
    }
    reply
}
