//! What holds for the chain whatever it is asked: no order, no further rule, no stricter term, no higher count and
//! nothing that is missing turns a denial into an allowance.

use super::*;
use crate::decide::first_denial;
use chancel_domain::deny_rule::{RawWindow, Window};
use chancel_domain::plan::FEATURES;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::MlKem768, Algorithm::MlDsa65];
const SOURCES: [&str; 4] = ["192.0.2.1", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.1"];
const NETWORKS: [&str; 4] = ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0"];

fn any_operation() -> impl Strategy<Value = Operation> {
    select(OPERATIONS.map(|(operation, _)| operation).to_vec())
}

fn any_networks() -> impl Strategy<Value = Networks> {
    subsequence(NETWORKS.to_vec(), 0..=2).prop_map(|networks| networks.join(" ").parse().unwrap())
}

/// Few of each, so that both sides of every limit come up.
fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, Just(u32::MAX)]
}

fn any_caller() -> impl Strategy<Value = Standing> {
    let scopes = prop_oneof![
        4 => Just(Ok(Scopes::all())),
        1 => Just(Err(InvalidScopes::Empty)),
        2 => subsequence(OPERATIONS.map(|(_, name)| name).to_vec(), 1..=12)
            .prop_map(|names| names.join(" ").parse()),
    ];
    let networks = prop_oneof![4 => any_networks().prop_map(Ok), 1 => Just("none".parse())];
    let statuses = vec![
        TenantStatus::Active,
        TenantStatus::Active,
        TenantStatus::Active,
        TenantStatus::Suspended,
        TenantStatus::Deleted,
    ];
    let tenants = select(vec![TenantId::from_bytes([1; 16]), TenantId::OPERATORS]);
    let standing = (select(statuses), prop::bool::weighted(0.2));
    let times = (NOW_MS - 5..NOW_MS, prop::option::of(NOW_MS - 2..NOW_MS + 20));
    (tenants, scopes, networks, standing, times).prop_map(
        |(tenant, scopes, networks, (tenant_status, is_revoked), (created_at_ms, expires_at_ms))| Standing {
            tenant,
            api_key: context_for_tests(tenant).api_key(),
            plan: Plan::Pro,
            tenant_status,
            scopes,
            networks,
            created_at_ms,
            expires_at_ms,
            is_revoked,
            has_deny_rules: false,
            has_budgets: false,
        },
    )
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let limit = || prop::option::of(any_count());
    let features = subsequence(FEATURES.map(|(feature, _)| feature).to_vec(), 0..=FEATURES.len());
    (features, limit(), limit(), limit(), limit()).prop_map(|(features, calls, keys, versions, api_keys)| {
        Terms {
            features,
            limits: Limits {
                rate: None,
                calls_per_month: calls.map(u64::from),
                keys_per_family: keys,
                versions_per_key: versions,
                api_keys,
            },
        }
    })
}

fn any_counters() -> impl Strategy<Value = Counters> {
    let known = || prop::option::weighted(0.9, any_count());
    let keys = prop::option::weighted(0.9, (any_count(), any_count()));
    let budget = prop::option::weighted(0.9, prop::option::of(any_count()));
    (known(), keys, known(), known(), budget).prop_map(|(calls, keys, api_keys, uses, budget)| Counters {
        calls: calls.map(u64::from),
        keys: keys.map(|(in_family, versions)| KeyCounts { in_family, versions }),
        api_keys,
        uses: uses.map(u64::from),
        budget,
    })
}

fn any_deny_rule() -> impl Strategy<Value = DenyRule> {
    let operations = subsequence(OPERATIONS.map(|(operation, _)| operation).to_vec(), 0..=3);
    let algorithms = subsequence(ALGORITHMS.to_vec(), 0..=1);
    let window = prop::option::of((0..1440_u16, 1..1440_u16, 0..=0x7f_u8).prop_map(
        |(from, length, days)| {
            let until = (from + length) % 1440;
            Window::try_from(RawWindow { from, until, days }).unwrap()
        },
    ));
    let sources = prop::option::of((any_networks(), any::<bool>()).prop_map(|(networks, within)| {
        if within {
            Sources::Within(networks)
        } else {
            Sources::Outside(networks)
        }
    }));
    (operations, algorithms, window, sources).prop_map(|(operations, algorithms, window, sources)| DenyRule {
        operations,
        algorithms,
        window,
        sources,
        ..deny_rule()
    })
}

fn any_world() -> impl Strategy<Value = World> {
    let deny_rules = prop::option::weighted(0.9, prop::collection::vec(any_deny_rule(), 0..3));
    let asked = (
        any_operation(),
        prop::option::of(select(ALGORITHMS.to_vec())),
        prop::option::of(select(ALGORITHMS.to_vec())),
        prop::option::of(1..=1000_u16),
        select(SOURCES.to_vec()),
    );
    (
        any_caller(),
        asked,
        NOW_MS..NOW_MS + 10,
        any_terms(),
        any_counters(),
        deny_rules,
    )
        .prop_map(
            |(caller, (operation, algorithm, target, batch, source), now_ms, terms, counters, deny_rules)| {
                World {
                    caller,
                    operation,
                    algorithm,
                    target: target.filter(|_| operation == Operation::Rewrap),
                    batch: batch.and_then(|items| BatchSize::try_from(items).ok()),
                    source: source.parse().unwrap(),
                    now_ms,
                    terms,
                    counters,
                    deny_rules,
                }
            },
        )
}

fn is_denied(chain: &[RuleEntry], world: &World) -> bool {
    first_denial(chain, &world.context()).is_some()
}

/// A rule that a later version could add.
fn any_further_rule() -> impl Strategy<Value = RuleEntry> {
    let rule = |judge| RuleEntry {
        rule: Rule::Scope,
        judge,
        saw: |_| Vec::new(),
    };
    select(vec![
        rule(|_| Ok(Ruling::Pass)),
        rule(|_| Ok(Ruling::Deny(DenyReason::OutOfScope))),
        rule(|_| Err(RuleError::ScopesUnreadable)),
    ])
}

fn lower<T: Ord + Copy>(limit: &mut Option<T>, to: T) {
    *limit = Some(limit.map_or(to, |limit| limit.min(to)));
}

/// One way to make a world stricter: less is offered, more is used or forbidden, less is known.
#[derive(Debug, Clone)]
enum Stricter {
    Calls(u64),
    Keys(u32),
    Versions(u32),
    ApiKeys(u32),
    Budget(u32),
    MoreCalls(u64),
    MoreUses(u64),
    MoreKeys(u32, u32),
    MoreApiKeys(u32),
    WithoutFeature(Index),
    Forbidden(DenyRule),
    Unknown(u8),
    Revoked,
    Suspended,
    Expired,
}

fn any_stricter() -> impl Strategy<Value = Stricter> {
    use Stricter as S;
    prop_oneof![
        any_count().prop_map(|to| S::Calls(to.into())),
        any_count().prop_map(S::Keys),
        any_count().prop_map(S::Versions),
        any_count().prop_map(S::ApiKeys),
        any_count().prop_map(S::Budget),
        any_count().prop_map(|more| S::MoreCalls(more.into())),
        any_count().prop_map(|more| S::MoreUses(more.into())),
        // A tenant that has more keys in a family has no fewer versions of any; a first version of a key that was not
        // there is a further key of its family.
        any_count().prop_map(|more| S::MoreKeys(more, 0)),
        any_count().prop_map(S::MoreApiKeys),
        any::<Index>().prop_map(S::WithoutFeature),
        any_deny_rule().prop_map(S::Forbidden),
        (0..6_u8).prop_map(S::Unknown),
        Just(S::Revoked),
        Just(S::Suspended),
        Just(S::Expired),
    ]
}

impl Stricter {
    fn apply(self, world: &mut World) {
        let World {
            caller,
            terms,
            counters,
            deny_rules,
            ..
        } = world;
        let limits = &mut terms.limits;
        match self {
            Self::Calls(to) => lower(&mut limits.calls_per_month, to),
            Self::Keys(to) => lower(&mut limits.keys_per_family, to),
            Self::Versions(to) => lower(&mut limits.versions_per_key, to),
            Self::ApiKeys(to) => lower(&mut limits.api_keys, to),
            Self::Budget(to) => {
                if let Some(budget) = &mut counters.budget {
                    lower(budget, to);
                }
            }
            Self::MoreCalls(more) => counters.calls = counters.calls.map(|calls| calls.saturating_add(more)),
            Self::MoreUses(more) => counters.uses = counters.uses.map(|uses| uses.saturating_add(more)),
            Self::MoreKeys(keys, versions) => {
                counters.keys = counters.keys.map(|known| KeyCounts {
                    in_family: known.in_family.saturating_add(keys),
                    versions: known.versions.saturating_add(versions),
                });
            }
            Self::MoreApiKeys(more) => {
                counters.api_keys = counters.api_keys.map(|keys| keys.saturating_add(more))
            }
            Self::WithoutFeature(which) => {
                if !terms.features.is_empty() {
                    terms.features.remove(which.index(terms.features.len()));
                }
            }
            Self::Forbidden(rule) => {
                if let Some(rules) = deny_rules {
                    rules.push(rule);
                }
            }
            Self::Unknown(0) => counters.calls = None,
            Self::Unknown(1) => counters.keys = None,
            Self::Unknown(2) => counters.api_keys = None,
            Self::Unknown(3) => counters.uses = None,
            Self::Unknown(4) => counters.budget = None,
            Self::Unknown(_) => *deny_rules = None,
            Self::Revoked => caller.is_revoked = true,
            Self::Suspended => caller.tenant_status = TenantStatus::Suspended,
            Self::Expired => lower(&mut caller.expires_at_ms, world.now_ms),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_order_of_the_rules_and_no_further_rule_turns_a_denial_into_an_allowance(
        world in any_world(),
        order in Just(CHAIN.to_vec()).prop_shuffle(),
        further in prop::collection::vec((any_further_rule(), any::<Index>()), 0..4),
        again in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let denied = is_denied(&CHAIN, &world);
        prop_assert_eq!(is_denied(&order, &world), denied, "order must not matter");
        let mut longer = order;
        for twice in again {
            longer.push(CHAIN[twice.index(CHAIN.len())]);
        }
        prop_assert_eq!(is_denied(&longer, &world), denied, "nor must asking twice");
        for (entry, at) in further {
            let at = at.index(longer.len() + 1);
            longer.insert(at, entry);
        }
        prop_assert!(!denied || is_denied(&longer, &world));
    }

    #[test]
    fn fewer_rules_deny_no_more_than_all(
        world in any_world(), fewer in subsequence(CHAIN.to_vec(), 0..=CHAIN.len()),
    ) {
        prop_assert!(!is_denied(&fewer, &world) || is_denied(&CHAIN, &world));
    }

    #[test]
    fn nothing_stricter_turns_a_denial_into_an_allowance(
        mut world in any_world(), steps in prop::collection::vec(any_stricter(), 1..4),
    ) {
        let mut was_denied = is_denied(&CHAIN, &world);
        for step in steps {
            let said = format!("{step:?}");
            step.apply(&mut world);
            let denied = is_denied(&CHAIN, &world);
            prop_assert!(denied || !was_denied, "{} allowed what was denied", said);
            was_denied = denied;
        }
    }

    #[test]
    fn what_decides_is_the_first_denial_of_the_explanation_and_always_the_same(world in any_world()) {
        let context = world.context();
        let first = first_denial(&CHAIN, &context);
        let explanation = explain(&context);
        prop_assert_eq!(explanation.denial(), first);
        prop_assert_eq!(&explanation, &explain(&context));
        prop_assert_eq!(matches!(decide(&world.proof(), &context), Decision::Allow(_)), first.is_none());
        let order: Vec<_> = explanation.steps.iter().map(|step| step.rule).collect();
        prop_assert_eq!(order, CHAIN.map(|entry| entry.rule).to_vec());
    }

    #[test]
    fn a_rule_that_errs_denies_wherever_it_stands(world in any_world(), at in 0..=CHAIN.len()) {
        let mut chain = CHAIN.to_vec();
        let erring = RuleEntry {
            rule: Rule::Scope,
            judge: |_| Err(RuleError::ScopesUnreadable),
            saw: |_| Vec::new(),
        };
        chain.insert(at, erring);
        prop_assert!(is_denied(&chain, &world));
    }

    #[test]
    fn a_suspended_tenant_is_always_denied_first(mut world in any_world()) {
        world.caller.tenant_status = TenantStatus::Suspended;
        prop_assert_eq!(
            first_denial(&CHAIN, &world.context()),
            Some((Rule::TenantStanding, DenyReason::TenantSuspended))
        );
    }
}
