//! Counting: whatever happens to the process, a call that was allowed is counted once.

use crate::keyd::Keyd;
use crate::peers::{Gateway, SOURCE, denied, failure, is_done, is_granted, outcome};
use crate::support::{Installation, PATIENCE, run};
use chancel_domain::{Algorithm, KeyVersion, Operation, Plan, TenantId};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, AskFailure, DenyReason, Outcome, PolicydReply, Quota, Rule};
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

const ML_DSA: Algorithm = Algorithm::MlDsa65;
const QUOTA_SPENT: Option<(Rule, DenyReason)> = Some((Rule::Quota, DenyReason::QuotaSpent(Quota::Calls)));

fn sign() -> Ask {
    Ask::Use {
        operation: Operation::Sign,
        algorithm: ML_DSA,
        version: None,
        payload: Some(PayloadDigest::of(b"input")),
        batch: None,
    }
}

/// Records of allowed calls of a tenant.
fn allowed(installation: &Installation, tenant: TenantId) -> u64 {
    let tenant = tenant.to_string();
    let found = installation.records(|record| {
        (record.kind == "allow" && record.tenant.as_deref() == Some(tenant.as_str())).then_some(())
    });
    found.len() as u64
}

/// Reads until policyd is gone; returns how many answers came.
async fn read_until_gone(gateway: &Gateway, text: &str) -> u64 {
    let mut answered = 0;
    while let Some(reply) = gateway.try_ask(SOURCE, text, Ask::ReadTenant).await {
        assert!(is_done(&reply), "{reply:?}");
        answered += 1;
    }
    answered
}

#[test]
fn over_kills_at_any_moment_no_allowed_call_is_forgotten_and_none_is_counted_twice() {
    const ROUNDS: u64 = 12;
    let installation = Installation::new();
    let policyd = installation.start();
    let (tenant, text) = run(async {
        let operator = policyd.operator();
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        (tenant, operator.api_key(tenant, "*").await.1)
    });
    policyd.kill();
    let mut answered = 0;
    for round in 0..ROUNDS {
        let policyd = installation.start();
        // A while of its own in each round; some rounds are longer than the pause between two writes of the counts.
        let killed_after = Duration::from_millis(if round == ROUNDS / 2 {
            6_000
        } else {
            5 + 37 * round
        });
        answered += run(async {
            let gateway = policyd.gateway();
            let calls = async {
                let (a, b, c) = tokio::join!(
                    read_until_gone(&gateway, &text),
                    read_until_gone(&gateway, &text),
                    read_until_gone(&gateway, &text)
                );
                a + b + c
            };
            let end = async {
                tokio::time::sleep(killed_after).await;
                policyd.signal(Signal::SIGKILL);
            };
            tokio::join!(calls, end).0
        });
        drop(policyd);
    }
    let policyd = installation.start();
    let counted = run(async { policyd.operator().usage(tenant).await.calls });
    let recorded = allowed(&installation, tenant);
    assert_eq!(counted, recorded, "each allowed call is counted once");
    assert!(counted >= answered, "{answered} answers, {counted} counted");
    assert!(answered > ROUNDS, "too few calls to say anything: {answered}");
    policyd.stop(Signal::SIGTERM);
    let policyd = installation.start();
    assert_eq!(
        run(async { policyd.operator().usage(tenant).await.calls }),
        counted
    );
    policyd.kill();
    installation.check_ledger();
}

#[test]
fn a_quota_is_exact_over_kills_and_for_many_calls_at_once() {
    let installation = Installation::new();
    installation.write_plans("[growth]\ncalls_per_month = 20\n");
    let policyd = installation.start();
    let (tenant, text) = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Growth).await.id;
        let text = operator.api_key(tenant, "*").await.1;
        for _ in 0..7 {
            assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
        }
        (tenant, text)
    });
    policyd.kill();
    let policyd = installation.start();
    run(async {
        let gateway = policyd.gateway();
        let several = async || {
            let mut done = 0;
            for _ in 0..10 {
                let reply = gateway.ask(&text, Ask::ReadTenant).await;
                assert!(is_done(&reply) || denied(&reply) == QUOTA_SPENT, "{reply:?}");
                done += u64::from(is_done(&reply));
            }
            done
        };
        let (a, b, c) = tokio::join!(several(), several(), several());
        assert_eq!(a + b + c, 13);
        assert_eq!(policyd.operator().usage(tenant).await.calls, 20);
    });
    policyd.kill();
    let policyd = installation.start();
    run(async {
        let reply = policyd.gateway().ask(&text, Ask::ReadTenant).await;
        assert_eq!(
            denied(&reply),
            QUOTA_SPENT,
            "denied calls neither count nor clear the count"
        );
        assert_eq!(policyd.operator().usage(tenant).await.calls, 20);
    });
}

#[test]
fn the_budget_of_a_key_is_exact_over_kills_and_its_own() {
    let installation = Installation::new();
    let policyd = installation.start();
    let text = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let (_, _, text) = operator.tenant_at_work(&gateway, Plan::Enterprise).await;
        let set = outcome(gateway.ask(&text, Ask::SetKeyBudget(ML_DSA, Some(5))).await);
        assert!(matches!(set, Outcome::KeyBudget(Some(5))), "{set:?}");
        for _ in 0..3 {
            assert!(is_granted(&gateway.ask(&text, sign()).await));
        }
        // What is not granted uses nothing up.
        let absent = Ask::Use {
            operation: Operation::Sign,
            algorithm: ML_DSA,
            version: KeyVersion::new(99),
            payload: Some(PayloadDigest::of(b"input")),
            batch: None,
        };
        let reply = gateway.ask(&text, absent).await;
        assert_eq!(failure(&reply), Some(AskFailure::KeyNotFound));
        text
    });
    policyd.kill();
    let policyd = installation.start();
    run(async {
        let gateway = policyd.gateway();
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let spent = Some((Rule::KeyBudget, DenyReason::KeyBudgetSpent));
        let day = days_now();
        for _ in 0..2 {
            assert!(is_granted(&gateway.ask(&text, sign()).await));
        }
        let reply = gateway.ask(&text, sign()).await;
        // At midnight (UTC) a new budget begins.
        assert!(denied(&reply) == spent || days_now() != day, "{reply:?}");
        outcome(gateway.ask(&text, Ask::SetKeyBudget(ML_DSA, Some(0))).await);
        assert_eq!(denied(&gateway.ask(&text, sign()).await), spent);
        outcome(gateway.ask(&text, Ask::SetKeyBudget(ML_DSA, None)).await);
        assert!(is_granted(&gateway.ask(&text, sign()).await));
    });
}

#[test]
fn requests_that_are_read_together_do_not_share_the_last_places_of_a_budget_or_a_quota() {
    for sync in ["10ms", "every-record"] {
        let installation = Installation::with(sync);
        installation.write_plans("[growth]\ncalls_per_month = 60\n");
        let policyd = installation.start();
        run(async {
            let (operator, gateway) = (policyd.operator(), policyd.gateway());
            let keyd = Keyd::serve(&installation);
            keyd.met(&gateway).await;
            let (tenant, _, text) = operator.tenant_at_work(&gateway, Plan::Growth).await;
            outcome(gateway.ask(&text, Ask::SetKeyBudget(ML_DSA, Some(20))).await);
            let granted = |replies: &[PolicydReply]| replies.iter().filter(|reply| is_granted(reply)).count();
            let day = days_now();
            let replies = gateway.ask_all(&text, vec![sign(); 100]).await;
            // At midnight (UTC) a new budget begins.
            assert!(granted(&replies) == 20 || days_now() != day);
            let used = operator.usage(tenant).await.calls;
            let verify = Ask::Use {
                operation: Operation::Verify,
                algorithm: ML_DSA,
                version: None,
                payload: None,
                batch: None,
            };
            let replies = gateway.ask_all(&text, vec![verify; 100]).await;
            assert_eq!(granted(&replies) as u64, 60 - used);
            let denied = replies.iter().filter(|reply| denied(reply) == QUOTA_SPENT);
            assert_eq!(denied.count() as u64, 40 + used);
            assert_eq!(operator.usage(tenant).await.calls, 60);
            assert_eq!(allowed(&installation, tenant), 60);
        });
    }
}

fn days_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs() / 86_400
}

#[test]
fn a_database_from_a_backup_catches_up_with_the_ledger() {
    let installation = Installation::new();
    let policyd = installation.start();
    let (tenant, text) = run(async {
        let operator = policyd.operator();
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let text = operator.api_key(tenant, "*").await.1;
        assert!(is_done(&policyd.gateway().ask(&text, Ask::ReadTenant).await));
        (tenant, text)
    });
    policyd.stop(Signal::SIGTERM);
    let backup = fs::read(installation.path("data/chancel.db")).unwrap();
    let policyd = installation.start();
    run(async {
        for _ in 0..25 {
            assert!(is_done(&policyd.gateway().ask(&text, Ask::ReadTenant).await));
        }
    });
    policyd.stop(Signal::SIGTERM);
    fs::write(installation.path("data/chancel.db"), backup).unwrap();
    let policyd = installation.start();
    assert_eq!(run(async { policyd.operator().usage(tenant).await.calls }), 26);
    assert_eq!(allowed(&installation, tenant), 26);
}

#[test]
fn a_ledger_that_was_set_aside_takes_no_written_count_with_it() {
    let installation = Installation::new();
    let policyd = installation.start();
    let (tenant, text) = run(async {
        let operator = policyd.operator();
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let text = operator.api_key(tenant, "*").await.1;
        for _ in 0..5 {
            assert!(is_done(&policyd.gateway().ask(&text, Ask::ReadTenant).await));
        }
        (tenant, text)
    });
    policyd.stop(Signal::SIGTERM);
    for segment in fs::read_dir(installation.path("ledger")).unwrap() {
        fs::remove_file(segment.unwrap().path()).unwrap();
    }
    let policyd = installation.start();
    run(async {
        assert_eq!(policyd.operator().usage(tenant).await.calls, 5);
        assert!(is_done(&policyd.gateway().ask(&text, Ask::ReadTenant).await));
    });
    policyd.kill();
    let policyd = installation.start();
    assert_eq!(
        run(async { policyd.operator().usage(tenant).await.calls }),
        6,
        "the new ledger counts from its first record"
    );
}

#[test]
fn the_time_of_a_keys_last_use_is_known_after_a_kill() {
    let installation = Installation::new();
    let policyd = installation.start();
    let text = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let (_, _, text) = operator.tenant_at_work(&gateway, Plan::Enterprise).await;
        assert!(is_granted(&gateway.ask(&text, sign()).await));
        text
    });
    policyd.kill();
    let used = installation.records(|record| {
        (record.kind == "allow" && record.operation.as_deref() == Some("sign")).then_some(record.time)
    });
    let policyd = installation.start();
    run(async {
        let gateway = policyd.gateway();
        let end = Instant::now() + PATIENCE;
        loop {
            let key = match outcome(gateway.ask(&text, Ask::ReadActiveKey(ML_DSA)).await) {
                Outcome::Key(key) => key,
                other => panic!("{other:?}"),
            };
            if key.last_used_at_ms.is_some() {
                assert_eq!(key.last_used_at_ms, used.last().copied());
                break;
            }
            assert!(Instant::now() < end, "the last use is not known");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
