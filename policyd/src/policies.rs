//! What a tenant forbids itself: deny rules, and budgets of its keys.

use crate::actor::Actor;
use crate::failure::Failure;
use crate::record::Recorder;
use crate::store::Writer;
use crate::{clock, identifier};
use chancel_domain::deny_rule::MOST_DENY_RULES;
use chancel_domain::{Algorithm, DenyRule, DenyRuleId, TenantId};
use chancel_ledger::Change;
use chancel_wire::policyd::{AskFailure, DenyRuleView};

/// Changes deny rules and budgets.
#[derive(Clone)]
pub struct PolicyChanges {
    /// Where changes go.
    pub writer: Writer,
    /// Writes the ledger.
    pub recorder: Recorder,
}

impl PolicyChanges {
    /// Adds a deny rule.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn add(&self, actor: Actor, tenant: TenantId, rule: DenyRule) -> Result<DenyRuleView, Failure> {
        let recorder = self.recorder.clone();
        let view = DenyRuleView {
            id: DenyRuleId::from_bytes(identifier::fresh()),
            rule,
            created_at_ms: clock::now_ms(),
        };
        let stored = view.clone();
        self.writer
            .change(move |view| {
                let scope = actor.scope(view, tenant)?;
                if scope.deny_rules()?.len() >= MOST_DENY_RULES {
                    return Err(Failure::from(AskFailure::TooManyDenyRules));
                }
                scope.insert_deny_rule(stored.id, &stored.rule, stored.created_at_ms)?;
                record(&recorder, "deny-rule-added", &actor, tenant, &stored)
            })
            .await?;
        Ok(view)
    }

    /// Removes a deny rule.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn remove(
        &self,
        actor: Actor,
        tenant: TenantId,
        id: DenyRuleId,
    ) -> Result<DenyRuleView, Failure> {
        let recorder = self.recorder.clone();
        self.writer
            .change(move |view| {
                let scope = actor.scope(view, tenant)?;
                let rules = scope.deny_rules()?;
                let removed = rules.into_iter().find(|rule| rule.id == id);
                let removed = removed.ok_or_else(|| Failure::from(AskFailure::DenyRuleNotFound))?;
                scope.delete_deny_rule(id)?;
                record(&recorder, "deny-rule-removed", &actor, tenant, &removed)?;
                Ok(removed)
            })
            .await
    }

    /// Sets or takes away the limit of a day's private-key uses.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn set_budget(
        &self,
        actor: Actor,
        tenant: TenantId,
        algorithm: Algorithm,
        uses_per_day: Option<u32>,
    ) -> Result<Option<u32>, Failure> {
        let recorder = self.recorder.clone();
        self.writer
            .change(move |view| {
                let scope = actor.scope(view, tenant)?;
                scope.set_key_budget(algorithm, uses_per_day)?;
                let value = uses_per_day.map_or_else(|| "unlimited".to_owned(), |uses| uses.to_string());
                recorder.before_commit(Change {
                    algorithm: Some(algorithm),
                    value: Some(value.into()),
                    ..actor.change("key-budget-set", Some(tenant))
                })?;
                Ok(uses_per_day)
            })
            .await
    }
}

/// The last thing in a transaction.
fn record(
    recorder: &Recorder,
    what: &'static str,
    actor: &Actor,
    tenant: TenantId,
    rule: &DenyRuleView,
) -> Result<(), Failure> {
    let subject = Some(rule.id.to_string().into());
    let change = actor.change(what, Some(tenant));
    Ok(recorder.before_commit(Change { subject, ..change })?)
}
