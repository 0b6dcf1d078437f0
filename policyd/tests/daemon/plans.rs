//! The plans file: read at start, read again at SIGHUP, and never taken by halves.

use crate::peers::{denied, failure, is_done, terms};
use crate::support::{Installation, run, until};
use chancel_domain::plan::Plans;
use chancel_domain::{Algorithm, Plan, TenantId};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::policyd::{Ask, AskFailure, DenyReason, Quota, Rule};
use nix::sys::signal::Signal;

/// Files that are refused, each with the line that the reason must name.
const BAD: [(&str, usize); 9] = [
    ("[growth]\ncalls_per_month = -1\n", 2),
    ("[growth]\ncalls_per_month = \"many\"\n", 2),
    ("[growth]\n\ncalls_per_week = 5\n", 3),
    ("[platinum]\ncalls_per_month = 5\n", 1),
    ("[growth]\nfeatures = [\"teleportation\"]\n", 2),
    ("[growth]\nrate = { per_second = 0, burst = 10 }\n", 2),
    ("[growth]\nrate = { per_second = 10, burst = 0 }\n", 2),
    ("[growth]\ncalls_per_month = 5\n[growth]\n", 3),
    ("[growth\n", 1),
];

#[test]
fn terms_change_at_sighup_and_a_bad_file_changes_nothing() {
    let installation = Installation::new();
    installation.write_plans("[growth]\ncalls_per_month = 2\n");
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Growth).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let spent = Some((Rule::Quota, DenyReason::QuotaSpent(Quota::Calls)));
        for _ in 0..2 {
            assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
        }
        assert_eq!(denied(&gateway.ask(&text, Ask::ReadTenant).await), spent);

        for (bad, line) in BAD {
            let refused = installation.said("plans");
            installation.write_plans(bad);
            policyd.signal(Signal::SIGHUP);
            until("the file is refused", async || {
                installation.said("plans") > refused
            })
            .await;
            let log = installation.log();
            let said = log.lines().rfind(|line| line.contains("plans")).unwrap();
            assert!(said.contains(&format!("plans.toml:{line}:")), "{bad:?}: {said}");
            assert_eq!(
                denied(&gateway.ask(&text, Ask::ReadTenant).await),
                spent,
                "{bad:?}"
            );
        }

        installation.write_plans("[growth]\ncalls_per_month = 3\n");
        policyd.signal(Signal::SIGHUP);
        until("the new terms hold", async || {
            operator.usage(tenant).await.limits.calls_per_month == Some(3)
        })
        .await;
        assert!(is_done(&gateway.ask(&text, Ask::ReadTenant).await));
        assert_eq!(denied(&gateway.ask(&text, Ask::ReadTenant).await), spent);
        let AdminReply::Plans(plans) = operator.ask(AdminRequest::ReadPlans).await else {
            panic!("no plans")
        };
        let mut expected = Plans::default().of(Plan::Growth).clone();
        expected.limits.calls_per_month = Some(3);
        assert_eq!(
            plans.of(Plan::Growth),
            &expected,
            "what is not given stays as it is by default"
        );
        assert_eq!(plans.of(Plan::Pro), Plans::default().of(Plan::Pro));
    });
}

#[test]
fn a_bad_plans_file_is_refused_at_start() {
    for (bad, line) in BAD {
        let installation = Installation::new();
        installation.write_plans(bad);
        let (code, said) = installation.start_in_vain();
        assert_eq!(code, Some(1), "{bad:?}");
        assert!(said.contains(&format!("plans.toml:{line}:")), "{bad:?}: {said}");
    }
}

#[test]
fn a_downgrade_takes_effect_at_once_and_takes_nothing_away_that_is_there() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Pro).await.id;
        let mut texts = Vec::new();
        for _ in 0..4 {
            texts.push(operator.api_key(tenant, "*").await.1);
        }
        let plan = Plan::Free;
        let AdminReply::Tenant(changed) = operator.ask(AdminRequest::SetTenantPlan { tenant, plan }).await
        else {
            panic!("not changed")
        };
        assert_eq!(changed.plan, Plan::Free);
        for text in &texts {
            assert!(is_done(&gateway.ask(text, Ask::ReadTenant).await));
            assert_eq!(
                denied(&gateway.ask(text, Ask::RotateKey(Algorithm::MlDsa65)).await),
                Some((Rule::PlanFeature, DenyReason::NotInPlan))
            );
        }
        let another = Ask::CreateApiKey(tenant, terms("verify"));
        assert_eq!(
            denied(&gateway.ask(&texts[0], another).await),
            Some((Rule::Quota, DenyReason::QuotaSpent(Quota::ApiKeys)))
        );
    });
}

#[test]
fn operators_are_bound_by_no_plan() {
    let installation = Installation::new();
    let nothing =
        "features = []\ncalls_per_month = 1\napi_keys = 1\nkeys_per_family = 1\nversions_per_key = 1\n";
    installation.write_plans(&format!(
        "[enterprise]\n{nothing}rate = {{ per_second = 1, burst = 1 }}\n"
    ));
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Pro).await.id;
        let (_, _) = operator.api_key(TenantId::OPERATORS, "*").await;
        let (_, text) = operator.api_key(TenantId::OPERATORS, "*").await;
        let (theirs, _) = operator.api_key(tenant, "verify").await;
        for ask in [
            Ask::ListTenants(None),
            Ask::CreateApiKey(tenant, terms("verify")),
            Ask::RotateApiKey(tenant, Some(theirs)),
        ] {
            let reply = gateway.ask(&text, ask.clone()).await;
            assert!(is_done(&reply), "{ask:?}: {reply:?}");
        }
    });
}

#[test]
fn the_limit_of_api_keys_is_that_of_the_tenant_they_are_for_whoever_makes_them() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Free).await.id;
        let (_, text) = operator.api_key(TenantId::OPERATORS, "*").await;
        let create = Ask::CreateApiKey(tenant, terms("verify"));
        assert!(is_done(&gateway.ask(&text, create.clone()).await));
        let reply = gateway.ask(&text, create).await;
        // No rule denies an operator: its own quota is not what is spent.
        assert_eq!(
            failure(&reply),
            Some(AskFailure::QuotaSpent(Quota::ApiKeys)),
            "{reply:?}"
        );
    });
}
