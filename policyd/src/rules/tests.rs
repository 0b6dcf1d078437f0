//! What holds for the chain whatever it is asked: denials stay denials, however rules are ordered or added, and
//! a rule that errs denies.

use super::*;
use crate::api_keys::{Caller, context_for_tests};
use crate::decide::{Decision, decide, first_denial};
use chancel_domain::operation::OPERATIONS;
use chancel_domain::plan::PLANS;
use chancel_domain::scope::InvalidScopes;
use chancel_domain::{Plan, Scopes, TenantId, TenantStatus};
use chancel_wire::policyd::Rule;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const NOW_MS: i64 = 1_900_000_000_000;

fn caller() -> Caller {
    Caller {
        context: context_for_tests(TenantId::from_bytes([1; 16])),
        plan: Plan::Starter,
        tenant_status: TenantStatus::Active,
        scopes: Ok(Scopes::all()),
        created_at_ms: NOW_MS - 1000,
        expires_at_ms: None,
        is_revoked: false,
    }
}

fn judged(caller: &Caller, operation: Operation) -> Option<(Rule, DenyReason)> {
    let context = Context {
        caller,
        operation,
        algorithm: Some(Algorithm::MlDsa65),
        now_ms: NOW_MS,
    };
    match decide(&context) {
        Decision::Allow(grant) => {
            assert_eq!(grant.operation(), operation);
            assert_eq!(grant.context(), &caller.context);
            None
        }
        Decision::Deny { rule, reason } => Some((rule, reason)),
    }
}

#[test]
fn a_caller_in_good_standing_may_do_what_its_scopes_and_plan_cover() {
    for (operation, _) in OPERATIONS {
        assert_eq!(judged(&caller(), operation), None);
    }
}

#[test]
fn each_rule_denies_in_its_own_name() {
    let suspended = Caller {
        tenant_status: TenantStatus::Suspended,
        ..caller()
    };
    assert_eq!(
        judged(&suspended, Operation::Sign),
        Some((Rule::TenantStanding, DenyReason::TenantSuspended))
    );
    let revoked = Caller {
        is_revoked: true,
        ..caller()
    };
    assert_eq!(
        judged(&revoked, Operation::Sign),
        Some((Rule::ApiKeyStanding, DenyReason::NotAuthenticated))
    );
    let narrow = Caller {
        scopes: Ok("verify".parse().unwrap()),
        ..caller()
    };
    assert_eq!(judged(&narrow, Operation::Verify), None);
    assert_eq!(
        judged(&narrow, Operation::Sign),
        Some((Rule::Scope, DenyReason::OutOfScope))
    );
    let free = Caller {
        plan: Plan::Free,
        ..caller()
    };
    assert_eq!(judged(&free, Operation::GenerateKey), None);
    assert_eq!(
        judged(&free, Operation::RotateKey),
        Some((Rule::PlanFeature, DenyReason::NotInPlan))
    );
}

#[test]
fn an_api_key_works_until_the_millisecond_it_expires() {
    let expired = Some((Rule::ApiKeyStanding, DenyReason::NotAuthenticated));
    for (expires_at_ms, verdict) in [(NOW_MS + 1, None), (NOW_MS, expired), (NOW_MS - 1, expired)] {
        let caller = Caller {
            expires_at_ms: Some(expires_at_ms),
            ..caller()
        };
        assert_eq!(judged(&caller, Operation::Sign), verdict);
    }
}

#[test]
fn a_rule_that_errs_denies() {
    let failed = |rule| Some((rule, DenyReason::RuleFailed));
    let unreadable = Caller {
        scopes: Err(InvalidScopes::UnknownOperation),
        ..caller()
    };
    assert_eq!(judged(&unreadable, Operation::Sign), failed(Rule::Scope));
    let from_the_future = Caller {
        created_at_ms: NOW_MS + 24 * 3600 * 1000,
        expires_at_ms: Some(i64::MAX),
        ..caller()
    };
    assert_eq!(
        judged(&from_the_future, Operation::Sign),
        failed(Rule::ApiKeyStanding)
    );
}

fn any_caller() -> impl Strategy<Value = Caller> {
    let plans = PLANS.map(|(plan, _)| plan).to_vec();
    let scopes = prop_oneof![
        Just(Ok(Scopes::all())),
        Just(Err(InvalidScopes::Empty)),
        subsequence(OPERATIONS.map(|(_, name)| name).to_vec(), 1..=3)
            .prop_map(|names| names.join(" ").parse()),
    ];
    let statuses = vec![TenantStatus::Active, TenantStatus::Suspended];
    let times = (any::<i64>(), any::<Option<i64>>());
    (select(plans), scopes, select(statuses), any::<bool>(), times).prop_map(
        |(plan, scopes, tenant_status, is_revoked, (created_at_ms, expires_at_ms))| Caller {
            plan,
            tenant_status,
            scopes,
            created_at_ms,
            expires_at_ms,
            is_revoked,
            ..caller()
        },
    )
}

fn any_operation() -> impl Strategy<Value = Operation> {
    select(OPERATIONS.map(|(operation, _)| operation).to_vec())
}

/// A rule that a later version could add.
fn any_further_rule() -> impl Strategy<Value = RuleEntry> {
    select(vec![
        RuleEntry {
            rule: Rule::PlanFeature,
            judge: |_| Ok(Ruling::Pass),
        },
        RuleEntry {
            rule: Rule::Scope,
            judge: |_| Ok(Ruling::Deny(DenyReason::OutOfScope)),
        },
        RuleEntry {
            rule: Rule::Scope,
            judge: |_| Err(RuleError::ScopesUnreadable),
        },
    ])
}

proptest! {
    #[test]
    fn no_order_of_the_rules_and_no_further_rule_turns_a_denial_into_an_allowance(
        caller in any_caller(),
        operation in any_operation(),
        now_ms: i64,
        order in Just(CHAIN.to_vec()).prop_shuffle(),
        further in prop::collection::vec((any_further_rule(), any::<prop::sample::Index>()), 0..4),
    ) {
        let context = Context { caller: &caller, operation, algorithm: Some(Algorithm::MlKem768), now_ms };
        let denied = first_denial(&CHAIN, &context).is_some();
        prop_assert_eq!(first_denial(&order, &context).is_some(), denied, "order must not matter");
        let mut longer = order;
        for (entry, at) in further {
            let at = at.index(longer.len() + 1);
            longer.insert(at, entry);
        }
        prop_assert!(!denied || first_denial(&longer, &context).is_some());
    }

    #[test]
    fn asked_again_the_chain_says_the_same(caller in any_caller(), operation in any_operation(), now_ms: i64) {
        let context = Context { caller: &caller, operation, algorithm: None, now_ms };
        prop_assert_eq!(first_denial(&CHAIN, &context), first_denial(&CHAIN, &context));
        let allowed = matches!(decide(&context), Decision::Allow(_));
        prop_assert_eq!(allowed, first_denial(&CHAIN, &context).is_none());
    }

    #[test]
    fn a_rule_that_errs_denies_wherever_it_stands(
        caller in any_caller(), operation in any_operation(), now_ms: i64, at in 0..=CHAIN.len(),
    ) {
        let context = Context { caller: &caller, operation, algorithm: None, now_ms };
        let mut chain = CHAIN.to_vec();
        chain.insert(at, RuleEntry { rule: Rule::Scope, judge: |_| Err(RuleError::ScopesUnreadable) });
        prop_assert!(first_denial(&chain, &context).is_some());
    }

    #[test]
    fn a_suspended_tenant_is_always_denied_first(
        caller in any_caller(), operation in any_operation(), now_ms: i64,
    ) {
        let caller = Caller { tenant_status: TenantStatus::Suspended, ..caller };
        let context = Context { caller: &caller, operation, algorithm: None, now_ms };
        prop_assert_eq!(
            first_denial(&CHAIN, &context),
            Some((Rule::TenantStanding, DenyReason::TenantSuspended))
        );
    }
}
