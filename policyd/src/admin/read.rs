//! What operators read.

use super::{Admin, Operator};
use crate::ask::{Request, explained};
use crate::clock;
use crate::failure::Failure;
use crate::paging::page;
use crate::tenants;
use chancel_domain::TenantId;
use chancel_wire::admin::{AdminReply, AdminRequest, Status};
use chancel_wire::policyd::{AskFailure, Question};
use std::net::{IpAddr, Ipv4Addr};

/// Where a question is taken to come from that does not say.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Admin {
    pub(super) fn read(&self, operator: Operator, request: AdminRequest) -> Result<AdminReply, Failure> {
        match request {
            AdminRequest::ListTenants { after } => self.reader.look(|view| {
                let operators = view.operators(&operator);
                let (tenants, more) = page(|most| operators.tenants_after(after, most))?;
                Ok(AdminReply::Tenants { tenants, more })
            }),
            AdminRequest::ListApiKeys { tenant, after } => self.reader.look(|view| {
                let found = view.operators(&operator).scope(tenant)?;
                let (_, scope) = found.ok_or(AskFailure::TenantNotFound)?;
                let (api_keys, more) = page(|most| scope.api_keys_after(after, most))?;
                Ok(AdminReply::ApiKeys { api_keys, more })
            }),
            AdminRequest::ListDenyRules(tenant) => self.reader.look(|view| {
                let found = view.operators(&operator).scope(tenant)?;
                let (_, scope) = found.ok_or(AskFailure::TenantNotFound)?;
                Ok(AdminReply::DenyRules(scope.deny_rules()?))
            }),
            AdminRequest::ReadUsage(tenant) => self.reader.look(|view| {
                let found = view.operators(&operator).scope(tenant)?;
                let (_, scope) = found.ok_or(AskFailure::TenantNotFound)?;
                let view = tenants::view(&scope, &self.usage, &self.plans.current())?;
                Ok(AdminReply::Usage(view.ok_or(AskFailure::TenantNotFound)?))
            }),
            AdminRequest::ReadPlans => Ok(AdminReply::Plans((*self.plans.current()).clone())),
            AdminRequest::Explain(tenant, question) => self.explain(operator, tenant, &question),
            AdminRequest::Status => Ok(AdminReply::Status(self.status())),
            _ => Err(AskFailure::IllegalTransition.into()),
        }
    }

    fn explain(
        &self,
        operator: Operator,
        tenant: TenantId,
        question: &Question,
    ) -> Result<AdminReply, Failure> {
        let plans = self.plans.current();
        self.reader.look(|view| {
            let found = view.operators(&operator).scope(tenant)?;
            let (_, scope) = found.ok_or(AskFailure::TenantNotFound)?;
            let id = question.api_key.ok_or(AskFailure::ApiKeyNotFound)?;
            let standing = scope.standing(id)?.ok_or(AskFailure::ApiKeyNotFound)?;
            let request = Request {
                operation: question.operation,
                algorithm: question.algorithm,
                target: question.target,
                batch: question.batch,
                source: question.source.unwrap_or(NOWHERE),
                now_ms: question.at_ms.unwrap_or_else(clock::now_ms),
                is_repeated: false,
            };
            Ok(AdminReply::Explained(explained(
                &self.usage,
                &plans,
                &scope,
                &standing,
                request,
            )?))
        })
    }

    fn status(&self) -> Status {
        Status {
            policyd_version: env!("CARGO_PKG_VERSION").to_owned(),
            keyd: self.keyd.health(),
            ledger: self.recorder.ledger().health().name().to_owned(),
            reconciliation: self.reconciler.last(),
        }
    }
}
