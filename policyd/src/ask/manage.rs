//! What policyd itself carries out: keys, API keys, tenants, rules, and reading about all of them.

use super::{Asks, Request, done, explained, failed, not_answered, not_answered_now};
use crate::actor::Actor;
use crate::admin::Operator;
use crate::api_keys::{By, Standing};
use crate::clock;
use crate::decide::Grant;
use crate::failure::Failure;
use crate::idempotency::{Begun, Slot};
use crate::keys::Order;
use crate::paging::page;
use crate::store::{Read, ReadView, StoreError, TenantScope};
use crate::tenants;
use chancel_domain::plan::Plans;
use chancel_domain::{ApiKeyId, TenantId};
use chancel_link::{Handled, Reply};
use chancel_wire::policyd::{
    Ask, AskFailure, KeyView, Outcome, PolicydFailure, PolicydReply, Question, Subject, Verdict,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Keys in one answer, the newest versions first: an answer of two kilobytes a key must stay cheap to ask for.
const MOST_KEYS: usize = 100;

/// A request that no rule denied.
pub(super) struct Granted<'a> {
    pub(super) grant: Grant,
    pub(super) subject: Subject,
    pub(super) standing: &'a Standing,
    pub(super) plans: Arc<Plans>,
    pub(super) budget: Duration,
    /// What its `Idempotency-Key` met.
    pub(super) begun: Option<Begun>,
}

impl Asks {
    pub(super) fn manage(
        &self,
        view: ReadView<'_>,
        mut granted: Granted<'_>,
        ask: Ask,
        source: IpAddr,
    ) -> Result<Handled, StoreError> {
        let slot = match granted.begun.take() {
            None => None,
            Some(Begun::First(slot)) => Some(slot),
            Some(Begun::Again(outcome)) => return Ok(self.answered(granted.subject, Ok(outcome))),
            Some(Begun::Refused(failure)) => return Ok(self.answered(granted.subject, Err(failure))),
        };
        if ask.is_change() {
            return Ok(self.change(view, granted, ask, slot));
        }
        self.read(view, granted, ask, source)
    }

    fn answered(&self, subject: Subject, outcome: Result<Outcome, AskFailure>) -> Handled {
        Handled::now(&done(&self.metrics, subject, outcome.map_err(Failure::Ask)))
    }

    /// What lasts: answered when it is on the disk, in the database and in the ledger.
    fn change(&self, view: ReadView<'_>, granted: Granted<'_>, ask: Ask, slot: Option<Slot>) -> Handled {
        let actor = Actor::of(&granted.grant);
        let own = granted.grant.context().tenant();
        let subject = granted.subject;
        let (api_keys, policies) = (self.api_keys.clone(), self.policies.clone());
        let by = |tenant: TenantId, slot: Option<Slot>| -> Result<By, Failure> {
            let (bounds, limit) = match &actor {
                Actor::Tenant(_) => {
                    let limit = granted.plans.of(granted.standing.plan).limits.api_keys;
                    (Some(granted.standing.clone()), limit)
                }
                Actor::Operator(operator) => {
                    let plan = view.operators(operator).tenant(tenant)?.map(|tenant| tenant.plan);
                    let plan = plan.ok_or(AskFailure::TenantNotFound)?;
                    (None, granted.plans.of(plan).limits.api_keys)
                }
            };
            Ok(By {
                actor,
                bounds,
                limit,
                slot,
            })
        };
        let lifecycle = self.lifecycle.clone();
        let order = |grant, slot| Order {
            grant,
            limits: granted.plans.of(granted.standing.plan).limits,
            budget: granted.budget,
            slot,
        };
        match ask {
            Ask::GenerateKey(algorithm) => {
                let order = order(granted.grant, slot);
                self.later(subject, async move { lifecycle.generate(order, algorithm).await })
            }
            Ask::RotateKey(algorithm) => {
                let order = order(granted.grant, slot);
                self.later(subject, async move { lifecycle.rotate(order, algorithm).await })
            }
            Ask::RetireKey(algorithm, version)
            | Ask::ArchiveKey(algorithm, version)
            | Ask::RestoreKey(algorithm, version)
            | Ask::CancelDestruction(algorithm, version) => {
                let order = order(granted.grant, slot);
                self.later(subject, async move {
                    lifecycle.change_state(order, algorithm, version, None).await
                })
            }
            Ask::ScheduleDestruction(algorithm, version, days) => {
                let order = order(granted.grant, slot);
                self.later(subject, async move {
                    lifecycle.change_state(order, algorithm, version, days).await
                })
            }
            Ask::SetKeyBudget(algorithm, uses) => self.later(subject, async move {
                policies
                    .set_budget(actor, own, algorithm, uses)
                    .await
                    .map(Outcome::KeyBudget)
            }),
            Ask::AddDenyRule(rule) => self.later(subject, async move {
                policies.add(actor, own, rule).await.map(Outcome::DenyRule)
            }),
            Ask::RemoveDenyRule(id) => self.later(subject, async move {
                policies.remove(actor, own, id).await.map(Outcome::DenyRule)
            }),
            Ask::CreateApiKey(tenant, terms) => match by(tenant, slot) {
                Ok(by) => self.later(subject, async move { api_keys.create(by, tenant, terms).await }),
                Err(failure) => Handled::now(&done(&self.metrics, subject, Err(failure))),
            },
            Ask::RotateApiKey(tenant, id) => {
                let id = id.unwrap_or(subject.api_key);
                match by(tenant, slot) {
                    Ok(by) => self.later(subject, async move { api_keys.rotate(by, tenant, id).await }),
                    Err(failure) => Handled::now(&done(&self.metrics, subject, Err(failure))),
                }
            }
            Ask::RevokeApiKey(tenant, id) => {
                self.later(subject, async move { api_keys.revoke(actor, tenant, id).await })
            }
            Ask::CreateTenant(name, plan) => match Operator::from_grant(&granted.grant) {
                None => not_answered_now(&self.metrics, PolicydFailure::Malformed),
                Some(operator) => {
                    let tenants = self.tenants.clone();
                    self.later(subject, async move {
                        tenants
                            .create(operator, name, plan, slot)
                            .await
                            .map(|(_, outcome)| outcome)
                    })
                }
            },
            Ask::Use { .. }
            | Ask::Prepare { .. }
            | Ask::Rewrap { .. }
            | Ask::ReadActiveKey(_)
            | Ask::ReadKey(..)
            | Ask::ListKeys(..)
            | Ask::ReadTenant
            | Ask::ListApiKeys(..)
            | Ask::ListDenyRules
            | Ask::Explain(_)
            | Ask::ReadEvents(_)
            | Ask::ReadTenantById(_)
            | Ask::ListTenants(_) => not_answered_now(&self.metrics, PolicydFailure::Malformed),
        }
    }

    /// What only reads: answered on the spot.
    fn read(
        &self,
        view: ReadView<'_>,
        granted: Granted<'_>,
        ask: Ask,
        source: IpAddr,
    ) -> Result<Handled, StoreError> {
        let scope = view.tenant(granted.grant.context());
        let actor = Actor::of(&granted.grant);
        let subject = granted.subject;
        let plans = &granted.plans;
        let found = match ask {
            Ask::ReadActiveKey(algorithm) => key(self, &scope, scope.active_key(algorithm)?),
            Ask::ReadKey(algorithm, version) => key(self, &scope, scope.key(algorithm, version)?),
            Ask::ListKeys(algorithm, state) => Ok(Outcome::Keys {
                keys: scope
                    .keys(algorithm, state, MOST_KEYS)?
                    .into_iter()
                    .map(|key| self.with_last_use(&scope, key))
                    .collect(),
                total: scope.count_keys(algorithm, state)?,
            }),
            Ask::ReadTenant => self.tenant(&scope, plans)?,
            Ask::ReadTenantById(id) => match actor.look(view, id) {
                Ok(scope) => self.tenant(&scope, plans)?,
                Err(failure) => return Ok(Handled::now(&done(&self.metrics, subject, Err(failure)))),
            },
            Ask::ListTenants(after) => match Operator::from_grant(&granted.grant) {
                None => return Ok(not_answered_now(&self.metrics, PolicydFailure::Malformed)),
                Some(operator) => self.tenants_after(view, &operator, after, plans)?,
            },
            Ask::ListApiKeys(tenant, after) => match actor.look(view, tenant) {
                Ok(scope) => Ok(api_keys(&scope, after)?),
                Err(failure) => return Ok(Handled::now(&done(&self.metrics, subject, Err(failure)))),
            },
            Ask::ListDenyRules => Ok(Outcome::DenyRules(scope.deny_rules()?)),
            Ask::Explain(question) => self.explain(&scope, granted.standing, plans, &question, source)?,
            Ask::ReadEvents(filter) => {
                let (events, metrics) = (self.events.clone(), self.metrics.clone());
                let tenant = scope.tenant();
                return Ok(Handled::later(async move {
                    let verdict = match events.page(tenant, filter).await {
                        Some(Ok(page)) => Verdict::Done(Outcome::Events {
                            records: page.lines,
                            next: page.next,
                        }),
                        Some(Err(error)) => {
                            tracing::error!(%tenant, %error, "the ledger could not be read");
                            return Reply::new(&not_answered(&metrics, PolicydFailure::Storage));
                        }
                        None => return Reply::new(&not_answered(&metrics, PolicydFailure::Overloaded)),
                    };
                    Reply::new(&PolicydReply::Judged { subject, verdict })
                }));
            }
            _ => return Ok(not_answered_now(&self.metrics, PolicydFailure::Malformed)),
        };
        Ok(Handled::now(&match found {
            Ok(outcome) => PolicydReply::Judged {
                subject,
                verdict: Verdict::Done(outcome),
            },
            Err(failure) => failed(&self.metrics, subject, failure),
        }))
    }

    fn tenant(
        &self,
        scope: &TenantScope<'_, Read>,
        plans: &Plans,
    ) -> Result<Result<Outcome, AskFailure>, StoreError> {
        let view = tenants::view(scope, &self.usage, plans)?;
        Ok(view.map(Outcome::Tenant).ok_or(AskFailure::TenantNotFound))
    }

    fn tenants_after(
        &self,
        view: ReadView<'_>,
        operator: &Operator,
        after: Option<TenantId>,
        plans: &Plans,
    ) -> Result<Result<Outcome, AskFailure>, StoreError> {
        let operators = view.operators(operator);
        let (records, more) = page(|most| operators.tenants_after(after, most))?;
        let mut tenants = Vec::with_capacity(records.len());
        for record in &records {
            if let Some((_, scope)) = operators.scope(record.id)? {
                tenants.extend(tenants::view(&scope, &self.usage, plans)?);
            }
        }
        Ok(Ok(Outcome::Tenants { tenants, more }))
    }

    /// Looks at another API key of the tenant as at the caller's own.
    fn explain(
        &self,
        scope: &TenantScope<'_, Read>,
        caller: &Standing,
        plans: &Plans,
        question: &Question,
        source: IpAddr,
    ) -> Result<Result<Outcome, AskFailure>, StoreError> {
        let other = match question.api_key {
            Some(id) if id != caller.api_key => match scope.standing(id)? {
                Some(standing) => Some(standing),
                None => return Ok(Err(AskFailure::ApiKeyNotFound)),
            },
            _ => None,
        };
        let request = Request {
            operation: question.operation,
            algorithm: question.algorithm,
            target: question.target,
            batch: question.batch,
            source: question.source.unwrap_or(source),
            now_ms: question.at_ms.unwrap_or_else(clock::now_ms),
            is_repeated: false,
        };
        let standing = other.as_ref().unwrap_or(caller);
        explained(&self.usage, plans, scope, standing, request)
            .map(|explained| Ok(Outcome::Explained(explained)))
    }

    fn with_last_use(&self, scope: &TenantScope<'_, Read>, mut key: KeyView) -> KeyView {
        let newer = self.usage.last_used(scope.tenant(), key.algorithm, key.version);
        key.last_used_at_ms = key.last_used_at_ms.max(newer);
        key
    }
}

fn key(asks: &Asks, scope: &TenantScope<'_, Read>, key: Option<KeyView>) -> Result<Outcome, AskFailure> {
    use chancel_domain::KeyState;
    match key {
        None => Err(AskFailure::KeyNotFound),
        Some(key) if key.state == KeyState::Destroyed => Err(AskFailure::KeyDestroyed),
        Some(key) => Ok(Outcome::Key(asks.with_last_use(scope, key))),
    }
}

fn api_keys(scope: &TenantScope<'_, Read>, after: Option<ApiKeyId>) -> Result<Outcome, StoreError> {
    let (api_keys, more) = page(|most| scope.api_keys_after(after, most))?;
    Ok(Outcome::ApiKeys { api_keys, more })
}
