//! The rule chain from outside: each rule denies in its own name, says so in the ledger, and has said so before to
//! whoever asked for an explanation.

use crate::keyd::Keyd;
use crate::peers::{
    Gateway, SOURCE, address, denied, failure, is_done, is_granted, outcome, question, terms,
};
use crate::support::{Installation, name, run};
use chancel_domain::deny_rule::{RawWindow, Sources, Window};
use chancel_domain::operation::OPERATIONS;
use chancel_domain::{Algorithm, ApiKeyId, DenyRule, KeyVersion, Operation, Plan, TenantId, TenantStatus};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{
    Ask, AskFailure, DenyReason, Finding, NewApiKeyTerms, Outcome, PolicydReply, Question, Quota, Rule,
    Verdict,
};

const ML_DSA: Algorithm = Algorithm::MlDsa65;

fn sign() -> Ask {
    Ask::Use {
        operation: Operation::Sign,
        algorithm: ML_DSA,
        version: None,
        payload: Some(PayloadDigest::of(b"input")),
        batch: None,
    }
}

fn verify() -> Ask {
    Ask::Use {
        operation: Operation::Verify,
        algorithm: ML_DSA,
        version: Some(KeyVersion::FIRST),
        payload: None,
        batch: None,
    }
}

/// A deny rule without any condition.
pub fn deny_rule(called: &str) -> DenyRule {
    DenyRule {
        name: name(called),
        operations: Vec::new(),
        algorithms: Vec::new(),
        window: None,
        sources: None,
    }
}

/// Asks how a request would be judged, then makes it; both must say the same.
async fn judged_as_explained(gateway: &Gateway, api_key: &str, ask: Ask) -> Option<(Rule, DenyReason)> {
    let about = Question {
        algorithm: ask.algorithm(),
        ..question(ask.operation())
    };
    let explanation = gateway.explain(api_key, about).await;
    let judged = denied(&gateway.ask(api_key, ask).await);
    assert_eq!(explanation.denial(), judged, "{:?}", explanation.steps);
    judged
}

#[test]
fn each_rule_denies_in_its_name_as_it_was_explained_and_as_it_is_recorded() {
    let installation = Installation::new();
    installation.write_plans("[growth]\ncalls_per_month = 3\n");
    let policyd = installation.start();
    let tenants = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let mut tenants = Vec::new();
        let mut expect = |tenant: TenantId, rule: Rule, reason: DenyReason| {
            tenants.push((tenant.to_string(), rule.name(), reason.name()));
            Some((rule, reason))
        };

        let narrow = operator.tenant("narrow", Plan::Starter).await.id;
        let (_, text) = operator.api_key(narrow, "verify explain-policy").await;
        let expected = expect(narrow, Rule::Scope, DenyReason::OutOfScope);
        assert_eq!(judged_as_explained(&gateway, &text, sign()).await, expected);

        let free = operator.tenant("free", Plan::Free).await.id;
        let (_, text) = operator.api_key(free, "*").await;
        let expected = expect(free, Rule::PlanFeature, DenyReason::NotInPlan);
        let rotate = Ask::RotateKey(ML_DSA);
        assert_eq!(judged_as_explained(&gateway, &text, rotate).await, expected);

        let busy = operator.tenant("busy", Plan::Growth).await.id;
        let (_, text) = operator.api_key(busy, "*").await;
        for _ in 0..3 {
            assert_eq!(judged_as_explained(&gateway, &text, Ask::ReadTenant).await, None);
        }
        let expected = expect(busy, Rule::Quota, DenyReason::QuotaSpent(Quota::Calls));
        assert_eq!(
            judged_as_explained(&gateway, &text, Ask::ReadTenant).await,
            expected
        );

        let frugal = operator.tenant("frugal", Plan::Enterprise).await.id;
        let (_, text) = operator.api_key(frugal, "*").await;
        outcome(gateway.ask(&text, Ask::GenerateKey(ML_DSA)).await);
        outcome(gateway.ask(&text, Ask::SetKeyBudget(ML_DSA, Some(2))).await);
        for _ in 0..2 {
            assert_eq!(judged_as_explained(&gateway, &text, sign()).await, None);
        }
        let expected = expect(frugal, Rule::KeyBudget, DenyReason::KeyBudgetSpent);
        assert_eq!(judged_as_explained(&gateway, &text, sign()).await, expected);
        assert!(
            is_granted(&gateway.ask(&text, verify()).await),
            "public-key work has no budget"
        );

        let strict = operator.tenant("strict", Plan::Enterprise).await.id;
        let (_, text) = operator.api_key(strict, "*").await;
        let mut rule = deny_rule("nothing is read");
        rule.operations = vec![Operation::ReadTenant];
        outcome(gateway.ask(&text, Ask::AddDenyRule(rule)).await);
        let expected = expect(strict, Rule::TenantRule, DenyReason::TenantRule);
        assert_eq!(
            judged_as_explained(&gateway, &text, Ask::ReadTenant).await,
            expected
        );
        tenants
    });
    policyd.kill();
    for (tenant, rule, reason) in tenants {
        let recorded = installation.records(|record| {
            let of_tenant = record.tenant.as_deref() == Some(tenant.as_str()) && record.kind == "deny";
            of_tenant.then(|| record.rule.as_deref().unwrap().to_owned())
        });
        assert_eq!(recorded, [rule], "{tenant} {reason}");
    }
}

#[test]
fn the_rules_of_standing_deny_whatever_is_asked_and_from_the_next_request_on() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let (key, text) = operator.api_key(tenant, "*").await;
        let bound = NewApiKeyTerms {
            networks: "192.0.2.0/24 2001:db8::/32".parse().unwrap(),
            ..terms("*")
        };
        let (_, here) = operator.api_key_of(tenant, bound).await;
        for (source, is_inside) in [
            (SOURCE, true),
            ("192.0.2.255", true),
            ("::ffff:192.0.2.7", true),
            ("2001:db8::1", true),
            ("192.0.3.1", false),
            ("198.51.100.1", false),
            ("2001:db9::1", false),
            ("::", false),
        ] {
            let foreign = Some((Rule::SourceNetwork, DenyReason::ForeignNetwork));
            let judged = denied(&gateway.ask_from(source, &here, Ask::ReadTenant).await);
            assert_eq!(judged, if is_inside { None } else { foreign }, "{source}");
            assert!(is_done(&gateway.ask_from(source, &text, Ask::ReadTenant).await));
        }
        let outside = Question {
            source: Some(address("198.51.100.1")),
            ..question(Operation::ReadTenant)
        };
        let explanation = gateway.explain(&here, outside).await;
        assert_eq!(
            explanation.denial(),
            Some((Rule::SourceNetwork, DenyReason::ForeignNetwork))
        );

        operator.ask(AdminRequest::RevokeApiKey(tenant, key)).await;
        for ask in [Ask::ReadTenant, sign(), Ask::Explain(question(Operation::Sign))] {
            let revoked = Some((Rule::ApiKeyStanding, DenyReason::NotAuthenticated));
            assert_eq!(denied(&gateway.ask(&text, ask).await), revoked);
        }
        operator.set_status(tenant, TenantStatus::Suspended).await;
        for ask in [Ask::ReadTenant, sign(), Ask::Explain(question(Operation::Sign))] {
            let suspended = Some((Rule::TenantStanding, DenyReason::TenantSuspended));
            assert_eq!(denied(&gateway.ask(&here, ask.clone()).await), suspended);
            assert_eq!(
                denied(&gateway.ask(&text, ask).await),
                suspended,
                "the first rule that denies is the one that is named"
            );
        }
    });
}

#[test]
fn a_deny_rule_holds_from_the_next_request_on_until_it_is_removed_and_for_its_tenant_alone() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let other = operator.tenant("Other", Plan::Enterprise).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let (_, theirs) = operator.api_key(other, "*").await;
        outcome(gateway.ask(&text, Ask::GenerateKey(ML_DSA)).await);
        outcome(gateway.ask(&theirs, Ask::GenerateKey(ML_DSA)).await);

        let by_rule = Some((Rule::TenantRule, DenyReason::TenantRule));
        let minutes = |from, until, days| Window::try_from(RawWindow { from, until, days }).unwrap();
        let mut of_sign = deny_rule("no signatures");
        of_sign.operations = vec![Operation::Sign];
        let mut of_algorithm = deny_rule("no ML-DSA");
        of_algorithm.algorithms = vec![ML_DSA];
        let mut from_outside = deny_rule("not from outside");
        from_outside.sources = Some(Sources::Outside("198.51.100.0/24".parse().unwrap()));
        from_outside.operations = vec![Operation::Sign];
        let mut always = deny_rule("at no time");
        always.operations = vec![Operation::Sign];
        // Two windows of which one holds at any time.
        let halves = [minutes(0, 720, 0), minutes(720, 0, 0)];

        for rule in [of_sign.clone(), of_algorithm, from_outside] {
            assert!(is_granted(&gateway.ask(&text, sign()).await), "{}", rule.name);
            let added = match outcome(gateway.ask(&text, Ask::AddDenyRule(rule.clone())).await) {
                Outcome::DenyRule(view) => view,
                other => panic!("{other:?}"),
            };
            assert_eq!(added.rule, rule);
            assert_eq!(
                denied(&gateway.ask(&text, sign()).await),
                by_rule,
                "{}",
                rule.name
            );
            assert!(is_granted(&gateway.ask(&theirs, sign()).await), "{}", rule.name);
            let reply = gateway.ask(&theirs, Ask::RemoveDenyRule(added.id)).await;
            assert_eq!(failure(&reply), Some(AskFailure::DenyRuleNotFound));
            outcome(gateway.ask(&text, Ask::RemoveDenyRule(added.id)).await);
        }

        for window in halves {
            let mut rule = always.clone();
            rule.window = Some(window);
            let AdminReply::DenyRule(_) = operator.ask(AdminRequest::AddDenyRule(tenant, rule)).await else {
                panic!("not added")
            };
        }
        assert_eq!(denied(&gateway.ask(&text, sign()).await), by_rule);
        let AdminReply::DenyRules(rules) = operator.ask(AdminRequest::ListDenyRules(tenant)).await else {
            panic!("not listed")
        };
        assert_eq!(rules.len(), 2);
        for rule in rules {
            operator.ask(AdminRequest::RemoveDenyRule(tenant, rule.id)).await;
        }
        assert!(is_granted(&gateway.ask(&text, sign()).await));
    });
}

#[test]
fn deny_rules_hold_again_after_a_restart() {
    let installation = Installation::new();
    let policyd = installation.start();
    let text = run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Enterprise).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let mut rule = deny_rule("nothing is read");
        rule.operations = vec![Operation::ReadTenant];
        outcome(gateway.ask(&text, Ask::AddDenyRule(rule)).await);
        text
    });
    policyd.kill();
    let policyd = installation.start();
    run(async {
        let reply = policyd.gateway().ask(&text, Ask::ReadTenant).await;
        assert_eq!(denied(&reply), Some((Rule::TenantRule, DenyReason::TenantRule)));
    });
}

#[test]
fn an_explanation_has_a_step_for_every_rule_counts_nothing_and_asks_keyd_nothing() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let (tenant, key, text) = operator.tenant_at_work(&gateway, Plan::Starter).await;
        outcome(gateway.ask(&text, Ask::SetKeyBudget(ML_DSA, Some(1))).await);
        let (counted, asked) = (operator.usage(tenant).await.calls, keyd.asked());

        let about = Question {
            algorithm: Some(ML_DSA),
            ..question(Operation::Sign)
        };
        for _ in 0..5 {
            let explanation = gateway.explain(&text, about.clone()).await;
            let rules: Vec<_> = explanation.steps.iter().map(|step| step.rule).collect();
            assert_eq!(
                rules,
                [
                    Rule::TenantStanding,
                    Rule::ApiKeyStanding,
                    Rule::SourceNetwork,
                    Rule::Scope,
                    Rule::PlanFeature,
                    Rule::Quota,
                    Rule::KeyBudget,
                    Rule::TenantRule,
                ]
            );
            assert_eq!(explanation.denial(), None);
            assert!(explanation.steps.iter().all(|step| step.finding == Finding::Pass));
            let said = explanation
                .steps
                .iter()
                .filter(|step| step.rule != Rule::TenantRule);
            assert!(
                said.clone().all(|step| !step.saw.is_empty()),
                "{:?}",
                explanation.steps
            );
        }
        let by_operator = Question {
            api_key: Some(key),
            ..about
        };
        let AdminReply::Explained(same) = operator.ask(AdminRequest::Explain(tenant, by_operator)).await
        else {
            panic!("not explained")
        };
        assert_eq!(same.denial(), None);
        assert_eq!(operator.usage(tenant).await.calls, counted);
        assert_eq!(keyd.asked(), asked);
        assert!(
            is_granted(&gateway.ask(&text, sign()).await),
            "the budget of 1 is untouched"
        );
        assert_eq!(
            denied(&gateway.ask(&text, sign()).await),
            Some((Rule::KeyBudget, DenyReason::KeyBudgetSpent))
        );
    });
}

#[test]
fn an_api_key_of_another_tenant_is_not_explained() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let a = operator.tenant("A", Plan::Starter).await.id;
        let b = operator.tenant("B", Plan::Starter).await.id;
        let (_, text) = operator.api_key(a, "*").await;
        let (theirs, _) = operator.api_key(b, "*").await;
        let mut heard = Vec::new();
        for key in [theirs, ApiKeyId::from_bytes([1; 16])] {
            let about = Question {
                api_key: Some(key),
                ..question(Operation::Sign)
            };
            heard.push(failure(&gateway.ask(&text, Ask::Explain(about)).await));
        }
        assert_eq!(heard, [Some(AskFailure::ApiKeyNotFound); 2]);
    });
}

#[test]
fn numbers_of_keys_versions_and_api_keys_are_limited_and_what_is_archived_makes_room() {
    let installation = Installation::new();
    installation.write_plans("[growth]\nversions_per_key = 2\napi_keys = 2\n");
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let keyd = Keyd::serve(&installation);
        keyd.met(&gateway).await;
        let tenant = operator.tenant("Example", Plan::Growth).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        let spent = |quota| Some((Rule::Quota, DenyReason::QuotaSpent(quota)));
        outcome(gateway.ask(&text, Ask::GenerateKey(ML_DSA)).await);
        outcome(gateway.ask(&text, Ask::RotateKey(ML_DSA)).await);
        let rotate = Ask::RotateKey(ML_DSA);
        assert_eq!(
            judged_as_explained(&gateway, &text, rotate.clone()).await,
            spent(Quota::KeyVersions)
        );
        outcome(
            gateway
                .ask(&text, Ask::ArchiveKey(ML_DSA, KeyVersion::FIRST))
                .await,
        );
        outcome(gateway.ask(&text, rotate).await);

        let create = Ask::CreateApiKey(tenant, terms("verify"));
        outcome(gateway.ask(&text, create.clone()).await);
        assert_eq!(
            judged_as_explained(&gateway, &text, create).await,
            spent(Quota::ApiKeys)
        );
    });
}

#[test]
fn a_question_without_an_algorithm_is_answered_and_no_rule_fails_over_it() {
    let installation = Installation::new();
    let policyd = installation.start();
    run(async {
        let (operator, gateway) = (policyd.operator(), policyd.gateway());
        let tenant = operator.tenant("Example", Plan::Starter).await.id;
        let (_, text) = operator.api_key(tenant, "*").await;
        for (operation, _) in OPERATIONS {
            let reply = gateway.ask(&text, Ask::Explain(question(operation))).await;
            if let PolicydReply::Judged {
                verdict: Verdict::Done(Outcome::Explained(explanation)),
                ..
            } = &reply
            {
                let failed = explanation
                    .steps
                    .iter()
                    .find(|step| step.finding == Finding::Deny(DenyReason::RuleFailed));
                assert_eq!(failed, None, "{operation}");
            }
        }
    });
    assert_eq!(installation.said("could not be evaluated"), 0);
}
