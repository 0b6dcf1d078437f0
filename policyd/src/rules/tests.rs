//! What each rule of the chain says, at and beside its limits.

mod properties;

use super::*;
use crate::api_keys::{ServiceContext, Standing, context_for_tests};
use crate::decide::{Decision, Grant, decide, explain};
use chancel_domain::deny_rule::Sources;
use chancel_domain::operation::{Audience, OPERATIONS, Place};
use chancel_domain::plan::{Limits, Plans, Rate};
use chancel_domain::scope::InvalidScopes;
use chancel_domain::tenant::Name;
use chancel_domain::{BatchSize, Feature, Networks, Plan, Scopes, TenantId, TenantStatus};
use chancel_wire::policyd::{Quota, Rule};

const NOW_MS: i64 = 1_900_000_000_000;

/// Everything a context refers to.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) caller: Standing,
    pub(crate) operation: Operation,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) target: Option<Algorithm>,
    pub(crate) batch: Option<BatchSize>,
    pub(crate) source: IpAddr,
    pub(crate) now_ms: i64,
    pub(crate) terms: Terms,
    pub(crate) counters: Counters,
    pub(crate) deny_rules: Option<Vec<DenyRule>>,
}

impl World {
    /// A tenant in good standing, with room left in everything, that asks for something.
    pub(crate) fn asking(operation: Operation) -> Self {
        let tenant = match operation.audience() {
            Audience::Operators => TenantId::OPERATORS,
            Audience::Tenants | Audience::Both => TenantId::from_bytes([1; 16]),
        };
        Self {
            caller: Standing {
                tenant,
                api_key: context_for_tests(tenant).api_key(),
                plan: Plan::Enterprise,
                tenant_status: TenantStatus::Active,
                scopes: Ok(Scopes::all()),
                networks: Ok(Networks::default()),
                created_at_ms: NOW_MS - 1000,
                expires_at_ms: None,
                is_revoked: false,
                has_deny_rules: false,
                has_budgets: false,
            },
            operation,
            algorithm: Some(Algorithm::MlDsa65),
            target: None,
            batch: None,
            source: IpAddr::from([192, 0, 2, 1]),
            now_ms: NOW_MS,
            terms: Plans::default().of(Plan::Enterprise).clone(),
            counters: Counters {
                calls: Some(0),
                keys: Some(KeyCounts::default()),
                api_keys: Some(0),
                uses: Some(0),
                budget: Some(None),
            },
            deny_rules: Some(Vec::new()),
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            caller: &self.caller,
            operation: self.operation,
            algorithm: self.algorithm,
            target: self.target,
            batch: self.batch,
            source: self.source,
            now_ms: self.now_ms,
            terms: &self.terms,
            counters: &self.counters,
            deny_rules: self.deny_rules.as_deref(),
        }
    }

    /// Who asks.
    pub(crate) const fn proof(&self) -> ServiceContext {
        context_for_tests(self.caller.tenant)
    }

    /// The rule that denies and why, as all ways to find out agree.
    fn judged(&self) -> Option<(Rule, DenyReason)> {
        let context = self.context();
        let judged = match decide(&self.proof(), &context) {
            Decision::Allow(grant) => {
                assert_eq!(grant.operation(), self.operation);
                assert_eq!(grant.algorithm(), self.algorithm);
                assert_eq!(grant.source(), self.source);
                assert_eq!(grant.context(), &self.proof());
                None
            }
            Decision::Deny { rule, reason } => Some((rule, reason)),
        };
        assert_eq!(explain(&context).denial(), judged);
        judged
    }
}

/// A grant to sign, for tests of what comes after the chain.
pub(crate) fn grant() -> Grant {
    let world = World::asking(Operation::Sign);
    match decide(&world.proof(), &world.context()) {
        Decision::Allow(grant) => grant,
        Decision::Deny { rule, .. } => panic!("denied by {rule:?}"),
    }
}

/// A deny rule without any condition.
fn deny_rule() -> DenyRule {
    DenyRule {
        name: Name::try_from("rule".to_owned()).unwrap(),
        operations: Vec::new(),
        algorithms: Vec::new(),
        window: None,
        sources: None,
    }
}

const UNLIMITED: Limits = Limits {
    rate: None,
    calls_per_month: None,
    keys_per_family: None,
    versions_per_key: None,
    api_keys: None,
};

#[test]
fn a_caller_in_good_standing_with_room_left_may_do_everything_that_is_for_it() {
    for (operation, _) in OPERATIONS {
        assert_eq!(World::asking(operation).judged(), None, "{operation}");
    }
}

#[test]
fn the_rules_of_standing_come_first_and_deny_whatever_is_asked() {
    assert_eq!(
        CHAIN[..STANDING]
            .iter()
            .map(|entry| entry.rule)
            .collect::<Vec<_>>(),
        [Rule::TenantStanding, Rule::ApiKeyStanding, Rule::SourceNetwork]
    );
    type Spoil = fn(&mut Standing);
    let cases: [(Spoil, Rule, DenyReason); 5] = [
        (
            |caller| caller.tenant_status = TenantStatus::Suspended,
            Rule::TenantStanding,
            DenyReason::TenantSuspended,
        ),
        (
            |caller| caller.tenant_status = TenantStatus::Deleted,
            Rule::TenantStanding,
            DenyReason::NotAuthenticated,
        ),
        (
            |caller| caller.is_revoked = true,
            Rule::ApiKeyStanding,
            DenyReason::NotAuthenticated,
        ),
        (
            |caller| caller.expires_at_ms = Some(NOW_MS),
            Rule::ApiKeyStanding,
            DenyReason::NotAuthenticated,
        ),
        (
            |caller| caller.networks = Ok("198.51.100.0/24".parse().unwrap()),
            Rule::SourceNetwork,
            DenyReason::ForeignNetwork,
        ),
    ];
    for (operation, _) in OPERATIONS {
        for (spoil, rule, reason) in cases {
            let mut world = World::asking(operation);
            spoil(&mut world.caller);
            assert_eq!(world.judged(), Some((rule, reason)), "{operation}");
        }
    }
}

#[test]
fn an_api_key_works_until_the_millisecond_it_expires() {
    let expired = Some((Rule::ApiKeyStanding, DenyReason::NotAuthenticated));
    for (expires_at_ms, verdict) in [(NOW_MS + 1, None), (NOW_MS, expired), (NOW_MS - 1, expired)] {
        let mut world = World::asking(Operation::Sign);
        world.caller.expires_at_ms = Some(expires_at_ms);
        assert_eq!(world.judged(), verdict);
    }
}

#[test]
fn a_bound_api_key_works_in_its_networks_alone_however_an_address_is_written() {
    let foreign = Some((Rule::SourceNetwork, DenyReason::ForeignNetwork));
    for (source, verdict) in [
        ("192.0.2.1", None),
        ("::ffff:192.0.2.255", None),
        ("192.0.3.1", foreign),
        ("2001:db8::1", foreign),
        ("::", foreign),
    ] {
        let mut world = World::asking(Operation::Sign);
        world.caller.networks = Ok("192.0.2.0/24".parse().unwrap());
        world.source = source.parse().unwrap();
        assert_eq!(world.judged(), verdict, "{source}");
    }
}

#[test]
fn scopes_and_audience_both_must_allow() {
    let out_of_scope = Some((Rule::Scope, DenyReason::OutOfScope));
    for (operation, _) in OPERATIONS {
        let mut world = World::asking(operation);
        world.caller.scopes = Ok("verify".parse().unwrap());
        let covered = operation == Operation::Verify;
        assert_eq!(
            world.judged(),
            if covered { None } else { out_of_scope },
            "{operation}"
        );

        for (tenant, other) in [
            (TenantId::from_bytes([1; 16]), Audience::Operators),
            (TenantId::OPERATORS, Audience::Tenants),
        ] {
            let mut world = World::asking(operation);
            world.caller.tenant = tenant;
            let is_theirs = operation.audience() == other;
            assert_eq!(
                world.judged(),
                if is_theirs { out_of_scope } else { None },
                "{operation}"
            );
        }
    }
}

#[test]
fn features_are_those_of_the_terms_in_force_and_not_of_a_plans_name() {
    for (operation, feature) in [
        (Operation::RotateKey, Feature::KeyRotation),
        (Operation::RotateApiKey, Feature::ApiKeyRotation),
        (Operation::ScheduleDestruction, Feature::KeyDestruction),
    ] {
        let mut world = World::asking(operation);
        world.terms.features.retain(|included| *included != feature);
        assert_eq!(world.judged(), Some((Rule::PlanFeature, DenyReason::NotInPlan)));
        world.caller.plan = Plan::Free;
        world.terms.features = vec![feature];
        assert_eq!(world.judged(), None);
    }
}

#[test]
fn a_month_has_as_many_calls_as_the_plan_says_and_explaining_is_none() {
    for (operation, _) in OPERATIONS {
        for (calls, is_spent) in [(0, false), (4, false), (5, true), (u64::MAX, true)] {
            let mut world = World::asking(operation);
            world.terms.limits.calls_per_month = Some(5);
            world.counters.calls = Some(calls);
            let spent = Some((Rule::Quota, DenyReason::QuotaSpent(Quota::Calls)));
            // Operators have no plan.
            let counts = operation != Operation::ExplainPolicy && !world.caller.is_operator();
            let expected = if is_spent && counts { spent } else { None };
            assert_eq!(world.judged(), expected, "{operation} {calls}");
        }
    }
}

#[test]
fn limits_of_number_hold_where_something_is_added_and_nowhere_else() {
    let keys = |in_family, versions| Some(KeyCounts { in_family, versions });
    let spent = |quota| Some((Rule::Quota, DenyReason::QuotaSpent(quota)));
    let limits = Limits {
        keys_per_family: Some(2),
        versions_per_key: Some(3),
        api_keys: Some(4),
        ..UNLIMITED
    };
    let cases = [
        // Another algorithm's key is a further key; another version of a key is not.
        (Operation::GenerateKey, keys(1, 0), 0, None),
        (Operation::GenerateKey, keys(2, 0), 0, spent(Quota::Keys)),
        (Operation::GenerateKey, keys(2, 1), 0, None),
        (Operation::GenerateKey, keys(3, 1), 0, spent(Quota::Keys)),
        (Operation::GenerateKey, keys(1, 2), 0, None),
        (Operation::GenerateKey, keys(1, 3), 0, spent(Quota::KeyVersions)),
        (Operation::RotateKey, keys(1, 2), 0, None),
        (Operation::RotateKey, keys(1, 3), 0, spent(Quota::KeyVersions)),
        (Operation::RotateKey, keys(9, 1), 0, None),
        (Operation::RestoreKey, keys(2, 0), 0, spent(Quota::Keys)),
        (Operation::RestoreKey, keys(1, 3), 0, spent(Quota::KeyVersions)),
        (Operation::CreateApiKey, keys(9, 9), 3, None),
        (Operation::CreateApiKey, keys(0, 0), 4, spent(Quota::ApiKeys)),
        // A downgrade takes nothing away.
        (Operation::Sign, keys(9, 9), 9, None),
        (Operation::ReadKey, keys(9, 9), 9, None),
        (Operation::RetireKey, keys(9, 9), 9, None),
        (Operation::RevokeApiKey, keys(9, 9), 9, None),
        (Operation::RotateApiKey, keys(9, 9), 9, None),
    ];
    for (operation, keys, api_keys, verdict) in cases {
        let mut world = World::asking(operation);
        world.terms.limits = limits;
        world.counters.keys = keys;
        world.counters.api_keys = Some(api_keys);
        assert_eq!(world.judged(), verdict, "{operation} {keys:?} {api_keys}");
    }
}

#[test]
fn a_budget_limits_the_uses_of_private_keys_alone() {
    let spent = Some((Rule::KeyBudget, DenyReason::KeyBudgetSpent));
    for (operation, _) in OPERATIONS {
        let is_private = operation.place() == Place::PrivateKey;
        for (uses, budget, is_spent) in [
            (0, Some(0), true),
            (0, Some(1), false),
            (1, Some(1), true),
            (u64::MAX, Some(u32::MAX), true),
            (u64::MAX, None, false),
        ] {
            let mut world = World::asking(operation);
            world.counters.uses = Some(uses);
            world.counters.budget = Some(budget);
            let expected = if is_private && is_spent { spent } else { None };
            assert_eq!(world.judged(), expected, "{operation} {uses} {budget:?}");
        }
    }
}

#[test]
fn a_batch_takes_as_much_as_it_has_items_or_nothing() {
    let batch = BatchSize::try_from(4u16).ok();
    for (used, is_spent) in [(0, false), (6, false), (7, true), (10, true)] {
        for budget in [false, true] {
            let mut world = World::asking(Operation::Sign);
            world.batch = batch;
            let spent = if budget {
                world.counters.uses = Some(used);
                world.counters.budget = Some(Some(10));
                (Rule::KeyBudget, DenyReason::KeyBudgetSpent)
            } else {
                world.terms.limits.calls_per_month = Some(10);
                world.counters.calls = Some(used);
                (Rule::Quota, DenyReason::QuotaSpent(Quota::Calls))
            };
            assert_eq!(world.judged(), is_spent.then_some(spent), "{used}");
        }
    }
}

#[test]
fn rewrapping_is_judged_by_both_algorithms() {
    let rewrap = |target| {
        let mut world = World::asking(Operation::Rewrap);
        world.algorithm = Some(Algorithm::MlKem768);
        world.target = Some(target);
        world
    };
    assert_eq!(rewrap(Algorithm::XWing).judged(), None);
    for (scopes, target, is_covered) in [
        ("rewrap", Algorithm::XWing, true),
        ("rewrap:Kyber768", Algorithm::MlKem768, true),
        ("rewrap:Kyber768", Algorithm::XWing, false),
        ("rewrap:X-Wing", Algorithm::XWing, false),
        ("rewrap:Kyber768 rewrap:X-Wing", Algorithm::XWing, true),
    ] {
        let mut world = rewrap(target);
        world.caller.scopes = Ok(scopes.parse().unwrap());
        let out_of_scope = (Rule::Scope, DenyReason::OutOfScope);
        assert_eq!(world.judged(), (!is_covered).then_some(out_of_scope), "{scopes}");
    }
    let mut world = rewrap(Algorithm::XWing);
    world.terms.features.retain(|feature| *feature != Feature::Hybrid);
    assert_eq!(world.judged(), Some((Rule::PlanFeature, DenyReason::NotInPlan)));
    // Away from what the plan no longer has is open for ever.
    world.algorithm = Some(Algorithm::XWing);
    world.target = Some(Algorithm::MlKem768);
    assert_eq!(world.judged(), None);
    for (algorithm, is_denied) in [
        (Algorithm::MlKem768, true),
        (Algorithm::XWing, true),
        (Algorithm::MlKem512, false),
    ] {
        let mut world = rewrap(Algorithm::XWing);
        world.deny_rules = Some(vec![DenyRule {
            algorithms: vec![algorithm],
            ..deny_rule()
        }]);
        let denied = (Rule::TenantRule, DenyReason::TenantRule);
        assert_eq!(world.judged(), is_denied.then_some(denied), "{algorithm}");
    }
}

#[test]
fn one_deny_rule_that_applies_is_enough() {
    let denied = Some((Rule::TenantRule, DenyReason::TenantRule));
    let elsewhere = DenyRule {
        sources: Some(Sources::Within("198.51.100.0/24".parse().unwrap())),
        ..deny_rule()
    };
    let mut world = World::asking(Operation::Sign);
    world.deny_rules = Some(vec![elsewhere.clone()]);
    assert_eq!(world.judged(), None);
    world.deny_rules = Some(vec![elsewhere, deny_rule()]);
    assert_eq!(world.judged(), denied);
}

#[test]
fn what_cannot_be_judged_is_denied() {
    let failed = |rule| Some((rule, DenyReason::RuleFailed));
    type Spoil = fn(&mut World);
    let cases: [(Operation, Spoil, Rule); 9] = [
        (
            Operation::Sign,
            |world| world.caller.scopes = Err(InvalidScopes::UnknownOperation),
            Rule::Scope,
        ),
        (
            Operation::Sign,
            |world| world.caller.networks = "here".parse(),
            Rule::SourceNetwork,
        ),
        (
            Operation::Sign,
            |world| {
                world.caller.created_at_ms = NOW_MS + 24 * 3600 * 1000;
                world.caller.expires_at_ms = Some(i64::MAX);
            },
            Rule::ApiKeyStanding,
        ),
        (
            Operation::Verify,
            |world| world.counters.calls = None,
            Rule::Quota,
        ),
        (
            Operation::RotateKey,
            |world| world.counters.keys = None,
            Rule::Quota,
        ),
        (
            Operation::CreateApiKey,
            |world| world.counters.api_keys = None,
            Rule::Quota,
        ),
        (
            Operation::Decrypt,
            |world| world.counters.uses = None,
            Rule::KeyBudget,
        ),
        (
            Operation::Decrypt,
            |world| world.counters.budget = None,
            Rule::KeyBudget,
        ),
        (
            Operation::Verify,
            |world| world.deny_rules = None,
            Rule::TenantRule,
        ),
    ];
    for (operation, spoil, rule) in cases {
        let mut world = World::asking(operation);
        world.terms.limits = Limits {
            rate: Some(Rate {
                per_second: 1,
                burst: 1,
            }),
            calls_per_month: Some(9),
            keys_per_family: Some(9),
            versions_per_key: Some(9),
            api_keys: Some(9),
        };
        world.counters.budget = Some(Some(9));
        assert_eq!(world.judged(), None);
        spoil(&mut world);
        assert_eq!(world.judged(), failed(rule), "{operation}");
    }
}
