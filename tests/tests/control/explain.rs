//! A question about a request comes to what the request itself comes to, and leaves nothing behind.

use crate::scene::{ELSEWHERE, Party, encrypt, explained, question, rotate};
use chancel_ledger::LedgerName;
use chancel_tests::api::{Failure, KEM, SIGNATURE, refused};
use chancel_tests::shared::Common;
use chancel_tests::{Api, Installation, Options, plans};
use serde_json::{Value, json};

static SYSTEM: Common = Common::new();

fn system() -> chancel_tests::Shared<'static> {
    // Alone: one test counts.
    SYSTEM.alone_or(|| {
        Installation::with(Options {
            plans: Some(plans::of("free", &[("api_keys", 20)])),
            ..Options::default()
        })
    })
}

/// The rule that a denied call's record names; `None` for a call that was allowed.
#[track_caller]
fn outcome(system: &Installation, outcome: Result<Value, Failure>) -> Option<String> {
    match outcome {
        Ok(_) => None,
        Err(failure) => Some(system.denying_rule(failure.answer().request_id())),
    }
}

type Call = fn(&Api) -> Result<Value, Failure>;

const CALLS: [(&str, Option<&str>, Call); 5] = [
    ("sign", Some(SIGNATURE), |api| {
        api.sign(b"m").map(|made| json!(made.version))
    }),
    ("encrypt", Some(KEM), encrypt),
    ("rotate-key", Some(SIGNATURE), |api| {
        rotate(api).map(|version| json!(version))
    }),
    ("read-tenant", None, |api| api.get("/api/v1/tenants/")),
    ("list-deny-rules", None, |api| api.get("/api/v1/policy/rules")),
];

#[test]
fn what_is_explained_is_what_then_happens_for_every_api_key_and_operation() {
    let system = system();
    for (name, plan) in [("explained", "free"), ("explained as well", "enterprise")] {
        let party = Party::new(&system, name, plan);
        party.add_rule(&json!({"name": "no encryption", "operations": ["encrypt"], "algorithms": [KEM]}));
        party.set_budget(SIGNATURE, Some(u32::from(plan == "enterprise")));
        let tenant = &party.tenant;
        let keys = [
            party.api_key.clone(),
            system.api_key(tenant, "sign:ML-DSA-65 rotate-key"),
            system.api_key(tenant, "encrypt"),
            system.api_key_with(tenant, "*", &["--network", ELSEWHERE]),
            system.api_key_with(tenant, "*", &["--network", "127.0.0.0/8"]),
        ];
        for api_key in &keys {
            for (operation, algorithm, call) in CALLS {
                let mut question = question(operation, algorithm);
                question["api_key_id"] = api_key.id.to_string().into();
                let said = explained(&party.api, &question);
                let rule = outcome(&system, call(&system.api(api_key)));
                let what = format!("{plan} {api_key:?} {operation}: {said}");
                assert_eq!(said["allowed"], rule.is_none(), "{what}; {rule:?}");
                assert_eq!(said["rule"].as_str(), rule.as_deref(), "{what}");
            }
        }
        // The whole chain, in its order, whatever came of it.
        let said = explained(&party.api, &question("sign", Some(SIGNATURE)));
        let rules: Vec<_> = said["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .map(|step| step["rule"].as_str().expect("a rule's name"))
            .collect();
        assert_eq!(
            rules,
            [
                "tenant-standing",
                "api-key-standing",
                "source-network",
                "scope",
                "plan-feature",
                "quota",
                "key-budget",
                "tenant-rule"
            ]
        );
    }
}

#[test]
fn explaining_counts_nothing_and_uses_no_key() {
    let system = system();
    let party = Party::new(&system, "curious", "enterprise");
    party.set_budget(SIGNATURE, Some(1));
    let calls = system.calls(&party.tenant);
    let uses = system.records(LedgerName::Uses).kind("use").count();
    for _ in 0..20 {
        let said = explained(&party.api, &question("sign", Some(SIGNATURE)));
        assert_eq!(said["allowed"], true, "{said}");
    }
    assert_eq!(system.calls(&party.tenant), calls);
    assert_eq!(system.records(LedgerName::Uses).kind("use").count(), uses);
    party.api.sign(b"m").expect("the budget is still there");
    refused(party.api.sign(b"m"), 403, "ERR_QUOTA_002");
    assert_eq!(system.calls(&party.tenant), calls + 1);
}

#[test]
fn the_command_line_explains_as_the_api_does() {
    let system = system();
    let party = Party::new(&system, "explained twice", "enterprise");
    party.add_rule(&json!({"name": "no signatures", "operations": ["sign"]}));
    for (operation, algorithm) in [("sign", SIGNATURE), ("decrypt", KEM)] {
        let over_api = explained(&party.api, &question(operation, Some(algorithm)));
        let over_cli = system.cli(&[
            "policy",
            "explain",
            &party.id(),
            "--api-key",
            &party.api_key.id.to_string(),
            "--operation",
            operation,
            "--algorithm",
            algorithm,
            "--source",
            "127.0.0.1",
        ]);
        assert_eq!(
            over_api["rule"], over_cli["denied_by"],
            "{operation}: {over_api} {over_cli}"
        );
        assert_eq!(over_api["reason"], over_cli["reason"], "{operation}");
    }
}

#[test]
fn nobody_asks_about_another_tenants_api_key() {
    let system = system();
    let (ours, theirs) = (
        Party::new(&system, "asks", "enterprise"),
        Party::new(&system, "is asked about", "enterprise"),
    );
    let ask = |id: &str| {
        let mut question = question("sign", Some(SIGNATURE));
        question["api_key_id"] = id.into();
        ours.api.post("/api/v1/policy/explain", &question)
    };
    let of_theirs = refused(ask(&theirs.api_key.id.to_string()), 404, "ERR_NOT_FOUND_001");
    let of_nobody = refused(
        ask("0190b6c0-0000-4000-8000-000000000000"),
        404,
        "ERR_NOT_FOUND_001",
    );
    assert_eq!(of_theirs.json["error"], of_nobody.json["error"]);
}
