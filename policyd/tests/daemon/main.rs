//! The daemon as a process of its own, sandboxed as it ships, with no keyd to be found: what operators and the
//! gateway hear, what survives a kill, and what the kernel confirms.

mod audience;
mod idempotency;
mod keyd;
mod ledger;
mod memory;
mod peers;
mod plans;
mod rules;
mod storage;
mod support;
mod usage;

use chancel_domain::{Algorithm, Operation, Plan, TenantStatus};
use chancel_wire::admin::{AdminError, AdminReply, AdminRequest};
use chancel_wire::limits::ADMIN_PAGE;
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{
    Ask, AskFailure, DenyReason, Outcome, PolicydFailure, PolicydReply, Rule, Verdict,
};
use nix::sys::signal::Signal;
use peers::{denied, failure, is_done};
use support::{Installation, Policyd, name, run};

fn sign() -> Ask {
    Ask::Use {
        operation: Operation::Sign,
        algorithm: Algorithm::MlDsa65,
        version: None,
        payload: Some(PayloadDigest::of(b"input")),
        batch: None,
    }
}

#[test]
fn each_rule_denies_from_the_next_request_on() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let (key, text) = operator.api_key(tenant, "*").await;
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));

        operator.set_status(tenant, TenantStatus::Suspended).await;
        let suspended = Some((Rule::TenantStanding, DenyReason::TenantSuspended));
        assert_eq!(denied(&gateway.ask(&text, Ask::ReadTenant).await), suspended);
        operator.set_status(tenant, TenantStatus::Active).await;
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));

        let AdminReply::ApiKey(rotated, new) = operator.ask(AdminRequest::RotateApiKey(tenant, key)).await
        else {
            panic!("not rotated")
        };
        assert_eq!((rotated.id, rotated.version), (key, 2));
        assert!(matches!(
            gateway.ask(&text, Ask::ReadTenant).await,
            PolicydReply::Unauthenticated
        ));
        assert!(is_done(&gateway.ask(&new.0, Ask::ReadTenant).await));

        operator.ask(AdminRequest::RevokeApiKey(tenant, key)).await;
        let revoked = Some((Rule::ApiKeyStanding, DenyReason::NotAuthenticated));
        assert_eq!(denied(&gateway.ask(&new.0, Ask::ReadTenant).await), revoked);
        assert_eq!(
            operator.refusal(AdminRequest::RotateApiKey(tenant, key)).await,
            AdminError::ApiKeyRevoked
        );

        let (_, narrow) = operator.api_key(tenant, "verify sign:ML-DSA-65").await;
        let out_of_scope = Some((Rule::Scope, DenyReason::OutOfScope));
        assert_eq!(denied(&gateway.ask(&narrow, Ask::ReadTenant).await), out_of_scope);
        assert_eq!(
            failure(&gateway.ask(&narrow, sign()).await),
            Some(AskFailure::KeyNotFound)
        );

        let free = operator.tenant("Small", Plan::Free).await.id;
        let (_, text) = operator.api_key(free, "*").await;
        let not_in_plan = Some((Rule::PlanFeature, DenyReason::NotInPlan));
        assert_eq!(
            denied(&gateway.ask(&text, Ask::RotateKey(Algorithm::MlDsa65)).await),
            not_in_plan
        );
        for nobody in [
            "",
            "qph_",
            "qph_0000000000000000000000000000000000",
            &"x".repeat(10_000),
        ] {
            assert!(matches!(
                gateway.ask(nobody, Ask::ReadTenant).await,
                PolicydReply::Unauthenticated
            ));
        }
    });
}

#[test]
fn an_expired_api_key_is_as_good_as_none() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Pro).await.id;
        let text = operator.api_key_until(tenant, Some(1)).await;
        let expired = Some((Rule::ApiKeyStanding, DenyReason::NotAuthenticated));
        assert_eq!(denied(&gateway.ask(&text, Ask::ReadTenant).await), expired);
        let text = operator.api_key_until(tenant, Some(i64::MAX)).await;
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
    });
}

#[test]
fn without_keyd_what_needs_it_fails_and_nothing_half_made_is_left() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        for _ in 0..2 {
            let reply = gateway.ask(&text, Ask::GenerateKey(Algorithm::MlDsa65)).await;
            assert_eq!(failure(&reply), Some(AskFailure::KeydUnavailable));
        }
        let reply = gateway.ask(&text, Ask::ListKeys(None, None)).await;
        let PolicydReply::Judged {
            verdict: Verdict::Done(Outcome::Keys { keys, .. }),
            ..
        } = reply
        else {
            panic!("no list: {reply:?}")
        };
        assert!(keys.is_empty());
        assert!(matches!(
            gateway.health().await,
            PolicydReply::Failed(PolicydFailure::KeydUnavailable)
        ));
    });
    policyd.stop(Signal::SIGTERM);
    let rows: u32 = installation
        .database()
        .query_row("SELECT count(*) FROM keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn a_use_for_the_wrong_family_or_place_is_no_key() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let of = |operation, algorithm| Ask::Use {
            operation,
            algorithm,
            version: None,
            payload: Some(PayloadDigest::of(b"input")),
            batch: None,
        };
        for (operation, algorithm) in [
            (Operation::Sign, Algorithm::MlKem768),
            (Operation::Decrypt, Algorithm::MlDsa65),
        ] {
            let reply = gateway.ask(&text, of(operation, algorithm)).await;
            assert_eq!(failure(&reply), Some(AskFailure::KeyNotFound));
        }
        let reply = gateway
            .ask(&text, of(Operation::RotateKey, Algorithm::MlDsa65))
            .await;
        assert!(matches!(reply, PolicydReply::Failed(PolicydFailure::Malformed)));
    });
}

#[test]
fn operators_are_told_what_cannot_be_done() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let operator = policyd.operator();
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let taken = AdminRequest::CreateTenant {
            name: name("Example"),
            plan: Plan::Free,
        };
        assert_eq!(operator.refusal(taken).await, AdminError::NameTaken);
        for _ in 0..3 {
            operator.api_key(tenant, "*").await;
        }
        assert_eq!(
            operator.refusal(operator.wanted(tenant, "*")).await,
            AdminError::PlanLimit
        );
        let nobody = chancel_domain::TenantId::from_bytes([1; 16]);
        assert_eq!(
            operator.refusal(operator.wanted(nobody, "*")).await,
            AdminError::TenantNotFound
        );
        let nothing = chancel_domain::ApiKeyId::from_bytes([1; 16]);
        assert_eq!(
            operator
                .refusal(AdminRequest::RevokeApiKey(tenant, nothing))
                .await,
            AdminError::ApiKeyNotFound
        );
    });
}

#[test]
fn an_api_key_of_one_tenant_cannot_be_named_through_another() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let a = operator.tenant("A", Plan::Starter).await.id;
        let b = operator.tenant("B", Plan::Starter).await.id;
        let (key, text) = operator.api_key(a, "*").await;
        for request in [
            AdminRequest::RevokeApiKey(b, key),
            AdminRequest::RotateApiKey(b, key),
        ] {
            assert_eq!(operator.refusal(request).await, AdminError::ApiKeyNotFound);
        }
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
    });
}

#[test]
fn long_lists_come_in_pages() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let operator = policyd.operator();
        let count = ADMIN_PAGE + 6;
        for number in 0..count {
            operator.tenant(&format!("Tenant {number}"), Plan::Free).await;
        }
        let mut ids = std::collections::BTreeSet::new();
        let mut after = None;
        loop {
            let AdminReply::Tenants { tenants, more } =
                operator.ask(AdminRequest::ListTenants { after }).await
            else {
                panic!("no list")
            };
            assert!(tenants.len() <= ADMIN_PAGE);
            after = tenants.last().map(|tenant| tenant.id);
            ids.extend(tenants.iter().map(|tenant| tenant.id));
            if !more {
                break;
            }
        }
        assert_eq!(ids.len(), count);
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let installation = Installation::new();
    let policyd = installation.start();
    let text = run(async {
        let tenant = policyd.operator().tenant("Example", Plan::Starter).await.id;
        policyd.operator().api_key(tenant, "*").await.1
    });
    policyd.kill();
    let policyd = installation.start();
    assert!(is_done(&run(async {
        policyd.gateway().ask(&text, Ask::ReadTenant).await
    })));
}

#[test]
fn a_signal_ends_it_cleanly_with_the_database_in_one_file() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let installation = Installation::new();
        let policyd = installation.start();
        run(async { policyd.operator().tenant("Example", Plan::Starter).await });
        policyd.stop(signal);
        assert_eq!(installation.database_files(), ["chancel.db"]);
    }
}

#[test]
fn the_kernel_confirms_the_sandbox() {
    let installation = Installation::new();
    let policyd = installation.start();
    let status = policyd.kernel_status();
    for line in [
        "Seccomp:\t2",
        "NoNewPrivs:\t1",
        "CapEff:\t0000000000000000",
        "Threads:\t4",
    ] {
        assert!(status.contains(line), "{line} is not in\n{status}");
    }
}

#[test]
fn api_keys_are_in_no_log_and_in_no_file() {
    let installation = Installation::new();
    let policyd: Policyd = installation.start();
    let texts = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let (key, old) = operator.api_key(tenant, "verify").await;
        gateway.ask(&old, Ask::ReadTenant).await;
        let AdminReply::ApiKey(_, new) = operator.ask(AdminRequest::RotateApiKey(tenant, key)).await else {
            panic!("not rotated")
        };
        gateway.ask(&old, Ask::ReadTenant).await;
        gateway.ask(&new.0, Ask::ReadTenant).await;
        let misspelt = format!("{old}x");
        gateway.ask(&misspelt, Ask::ReadTenant).await;
        [old, new.0]
    });
    policyd.kill();
    let log = installation.log();
    assert!(
        log.contains("api-key-rotated") && log.contains("denied"),
        "the log must be the real one:\n{log}"
    );
    let mut written = installation.everything_on_disk();
    assert!(written.len() > 10_000);
    written.extend(log.into_bytes());
    for text in &texts {
        // Without prefix and checksum, too: any long part of it would do for somebody who finds it.
        for part in [&text[4..20], &text[16..31]] {
            assert!(
                !written
                    .windows(part.len())
                    .any(|window| window == part.as_bytes()),
                "found a secret"
            );
        }
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let installation = Installation::new();
    installation.start().stop(Signal::SIGTERM);
    installation
        .database()
        .pragma_update(None, "user_version", 9999)
        .unwrap();
    installation.chown_database();
    let (code, said) = installation.start_in_vain();
    assert_eq!(code, Some(1));
    assert!(said.contains("schema version 9999"), "{said}");
}
