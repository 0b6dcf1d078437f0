//! Tenants: making, changing and deleting them, and how one sees itself.

use crate::actor::Actor;
use crate::admin::Operator;
use crate::failure::Failure;
use crate::idempotency::Slot;
use crate::keys::usual_destruction;
use crate::record::Recorder;
use crate::store::{Read, StoreError, TenantScope, Writer};
use crate::usage::{Month, Usage};
use crate::{clock, identifier};
use chancel_domain::plan::Plans;
use chancel_domain::tenant::Name;
use chancel_domain::{Plan, TenantId, TenantStatus};
use chancel_ledger::Change;
use chancel_wire::admin::TenantRecord;
use chancel_wire::policyd::{AskFailure, Outcome, TenantView};
use std::borrow::Cow;
use std::sync::Arc;

/// Changes tenants.
#[derive(Clone)]
pub struct TenantChanges {
    /// Where changes go.
    pub writer: Writer,
    /// Writes the ledger.
    pub recorder: Recorder,
    /// What the plans offer.
    pub plans: Arc<crate::plans::PlanTable>,
}

/// What can be changed of a tenant.
#[derive(Debug, Clone, Copy)]
pub enum TenantChange {
    /// Its standing: suspended or not.
    Status(TenantStatus),
    /// Its plan.
    Plan(Plan),
}

impl TenantChanges {
    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn create(
        &self,
        operator: Operator,
        name: Name,
        plan: Plan,
        slot: Option<Slot>,
    ) -> Result<(TenantRecord, Outcome), Failure> {
        let now_ms = clock::now_ms();
        let tenant = TenantRecord {
            id: TenantId::from_bytes(identifier::fresh()),
            name,
            plan,
            status: TenantStatus::Active,
            created_at_ms: now_ms,
        };
        let view = TenantView {
            id: tenant.id,
            name: tenant.name.as_str().to_owned(),
            plan,
            status: tenant.status,
            limits: self.plans.current().of(plan).limits,
            calls: 0,
            renews_at_ms: Month::of(now_ms).end_ms(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            kem_keys: 0,
            signature_keys: 0,
            api_keys: 0,
        };
        let stored = tenant.clone();
        let recorder = self.recorder.clone();
        let outcome = self
            .writer
            .change(move |change| {
                if !change.operators(&operator).insert_tenant(&stored)? {
                    return Err(Failure::from(AskFailure::NameTaken));
                }
                let outcome = Outcome::Tenant(view);
                if let (Some(slot), Some(context)) = (&slot, operator.context()) {
                    slot.keep(&change.tenant(context), &outcome)?;
                }
                let value = Some(plan.name().into());
                record(&recorder, operator, "tenant-created", stored.id, value)?;
                Ok(outcome)
            })
            .await?;
        Ok((tenant, outcome))
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn set(
        &self,
        operator: Operator,
        id: TenantId,
        what: TenantChange,
    ) -> Result<TenantRecord, Failure> {
        let (name, value) = match what {
            TenantChange::Status(TenantStatus::Suspended) => ("tenant-suspended", None),
            TenantChange::Status(TenantStatus::Active) => ("tenant-resumed", None),
            // Deleting is more than a word in a column.
            TenantChange::Status(TenantStatus::Deleted) => return Err(AskFailure::IllegalTransition.into()),
            TenantChange::Plan(plan) => ("tenant-plan-set", Some(plan.name().into())),
        };
        let recorder = self.recorder.clone();
        self.writer
            .change(move |view| {
                let operators = view.operators(&operator);
                match what {
                    TenantChange::Status(status) => {
                        operators.set_tenant_status(id, status, clock::now_ms())?
                    }
                    TenantChange::Plan(plan) => operators.set_tenant_plan(id, plan, clock::now_ms())?,
                }
                let tenant = operators.tenant(id)?;
                let tenant = tenant.ok_or_else(|| Failure::from(AskFailure::TenantNotFound))?;
                record(&recorder, operator, name, id, value)?;
                Ok(tenant)
            })
            .await
    }

    /// Deletes a tenant: its keys are destroyed after the usual time, everything else of it is gone now. The ledgers
    /// keep what it did.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn delete(&self, operator: Operator, id: TenantId) -> Result<TenantRecord, Failure> {
        let recorder = self.recorder.clone();
        let tenant = self
            .writer
            .change(move |view| {
                let operators = view.operators(&operator);
                let tenant = operators
                    .tenant(id)?
                    .ok_or_else(|| Failure::from(AskFailure::TenantNotFound))?;
                let now_ms = clock::now_ms();
                operators.delete_tenant(id, usual_destruction(now_ms), now_ms)?;
                record(&recorder, operator, "tenant-deleted", id, None)?;
                Ok::<_, Failure>(tenant)
            })
            .await?;
        Ok(TenantRecord {
            status: TenantStatus::Deleted,
            ..tenant
        })
    }
}

/// The last thing in a transaction.
fn record(
    recorder: &Recorder,
    operator: Operator,
    what: &'static str,
    tenant: TenantId,
    value: Option<Cow<'static, str>>,
) -> Result<(), Failure> {
    let (uid, pid) = (operator.uid(), operator.pid());
    tracing::info!(uid, pid, %tenant, "{what}");
    let change = Actor::Operator(operator).change(what, Some(tenant));
    Ok(recorder.before_commit(Change { value, ..change })?)
}

/// A tenant with its limits and what it has used; `None` when it has been deleted.
///
/// # Errors
/// [`StoreError`] when the database cannot answer.
pub fn view(
    scope: &TenantScope<'_, Read>,
    usage: &Usage,
    plans: &Plans,
) -> Result<Option<TenantView>, StoreError> {
    let Some(row) = scope.own_tenant()? else {
        return Ok(None);
    };
    let month = Month::of(clock::now_ms());
    Ok(Some(TenantView {
        id: row.record.id,
        name: row.record.name.into(),
        plan: row.record.plan,
        status: row.record.status,
        limits: plans.of(row.record.plan).limits,
        calls: usage.calls(scope, month)?,
        renews_at_ms: month.end_ms(),
        created_at_ms: row.record.created_at_ms,
        updated_at_ms: row.updated_at_ms,
        kem_keys: row.kem_keys,
        signature_keys: row.signature_keys,
        api_keys: row.api_keys,
    }))
}
