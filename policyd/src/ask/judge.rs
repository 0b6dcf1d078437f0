//! From a request to what the rules look at: counts, terms and rules are read here, and here alone.

use crate::api_keys::Standing;
use crate::decide::explain;
use crate::rules::{Context, Counters, KeyCounts};
use crate::store::{Read, StoreError, TenantScope};
use crate::usage::{Day, Month, Pending, Usage};
use chancel_domain::operation::Place;
use chancel_domain::plan::{Plans, Terms};
use chancel_domain::{Algorithm, BatchSize, DenyRule, Operation};
use chancel_wire::policyd::Explanation;
use std::net::IpAddr;

/// What a request is about, before it is judged.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) algorithm: Option<Algorithm>,
    /// For a key of which algorithm, where a ciphertext is to be rewrapped.
    pub(crate) target: Option<Algorithm>,
    /// With how many inputs, when they are a batch.
    pub(crate) batch: Option<BatchSize>,
    pub(crate) source: IpAddr,
    pub(crate) now_ms: i64,
    /// Whether it was carried out before, and is only to be answered again: then it takes no further place.
    pub(crate) is_repeated: bool,
}

/// What has been used.
#[derive(Clone, Copy)]
pub(crate) struct Counts<'a> {
    pub(crate) usage: &'a Usage,
    pub(crate) pending: &'a Pending,
}

impl Counts<'_> {
    fn calls(self, scope: &TenantScope<'_, Read>, month: Month) -> Result<u64, StoreError> {
        let counted = self.usage.calls(scope, month)?;
        Ok(counted.saturating_add(self.pending.calls(scope.tenant())))
    }

    fn uses(self, scope: &TenantScope<'_, Read>, algorithm: Algorithm, day: Day) -> Result<u64, StoreError> {
        let counted = self.usage.uses(scope, algorithm, day)?;
        Ok(counted.saturating_add(self.pending.uses(scope.tenant(), algorithm)))
    }
}

/// Puts together what the rules look at, as far as the operation needs it, and has it judged.
pub(crate) fn judge<T>(
    counts: Counts<'_>,
    plans: &Plans,
    scope: &TenantScope<'_, Read>,
    caller: &Standing,
    request: Request,
    judge: impl FnOnce(&Context<'_>) -> T,
) -> Result<T, StoreError> {
    let terms = plans.of(caller.plan);
    let counters = counters(counts, terms, scope, caller, request)?;
    let rules = if caller.has_deny_rules {
        own_rules(scope)?
    } else {
        Some(Vec::new())
    };
    Ok(judge(&Context {
        caller,
        operation: request.operation,
        algorithm: request.algorithm,
        target: request.target,
        batch: request.batch,
        source: request.source,
        now_ms: request.now_ms,
        terms,
        counters: &counters,
        deny_rules: rules.as_deref(),
    }))
}

/// The tenant's rules; `None` when one of them cannot be read, which denies this tenant's requests and nobody else's.
fn own_rules(scope: &TenantScope<'_, Read>) -> Result<Option<Vec<DenyRule>>, StoreError> {
    match scope.deny_rules() {
        Ok(views) => Ok(Some(views.into_iter().map(|view| view.rule).collect())),
        Err(StoreError::RowDamaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How a request would be judged: the same rules over the same values, and nothing comes of it.
pub(crate) fn explained(
    usage: &Usage,
    plans: &Plans,
    scope: &TenantScope<'_, Read>,
    caller: &Standing,
    mut request: Request,
) -> Result<Explanation, StoreError> {
    // A question may leave the algorithm out; a request for a use cannot.
    request.algorithm = request
        .algorithm
        .or_else(|| request.operation.family().map(Algorithm::default_for));
    let counts = Counts {
        usage,
        pending: &Pending::default(),
    };
    judge(counts, plans, scope, caller, request, explain)
}

fn counters(
    counts: Counts<'_>,
    terms: &Terms,
    scope: &TenantScope<'_, Read>,
    caller: &Standing,
    request: Request,
) -> Result<Counters, StoreError> {
    let limits = &terms.limits;
    let mut counters = Counters::default();
    if limits.calls_per_month.is_some() {
        counters.calls = Some(counts.calls(scope, Month::of(request.now_ms))?);
    }
    match (request.operation, request.algorithm) {
        (Operation::GenerateKey | Operation::RotateKey | Operation::RestoreKey, algorithm) => {
            let counted = algorithm.filter(|_| !request.is_repeated);
            counters.keys =
                Some(counted.map_or(Ok(KeyCounts::default()), |counted| scope.key_counts(counted))?);
        }
        (Operation::CreateApiKey, _) => {
            let held = if request.is_repeated {
                0
            } else {
                scope.unrevoked_api_keys()?
            };
            counters.api_keys = Some(held);
        }
        (operation, Some(algorithm)) if operation.place() == Place::PrivateKey => {
            let budget = if caller.has_budgets {
                scope.key_budget(algorithm)?
            } else {
                None
            };
            counters.budget = Some(budget);
            if budget.is_some() {
                counters.uses = Some(counts.uses(scope, algorithm, Day::of(request.now_ms))?);
            }
        }
        _ => {}
    }
    Ok(counters)
}
