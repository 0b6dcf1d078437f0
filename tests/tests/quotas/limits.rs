//! Calls a month, keys, versions, API keys, uses of a key a day.

use chancel_ledger::LedgerName;
use chancel_tests::api::{Failure, KEM, SIGNATURE, refused};
use chancel_tests::plans::{self, Terms};
use chancel_tests::shared::Common;
use chancel_tests::{Api, ApiKey, Installation, Options, Shared, Tenant, wait};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

static SYSTEM: Common = Common::new();
const QUOTA: (u16, &str) = (403, "ERR_QUOTA_001");
const BUDGET: (u16, &str) = (403, "ERR_QUOTA_002");
const CALLS: u64 = 10;
const VERSIONS: u64 = 3;
const API_KEYS: u64 = 4;

fn system() -> Shared<'static> {
    SYSTEM.join_or(|| {
        Installation::with(Options {
            plans: Some(plans::file(&[
                Terms {
                    plan: "free",
                    figures: &[("calls_per_month", CALLS)],
                    features: None,
                },
                Terms {
                    plan: "starter",
                    figures: &[("versions_per_key", VERSIONS), ("api_keys", API_KEYS)],
                    features: Some(&["key-rotation", "api-key-rotation"]),
                },
            ])),
            ..Options::default()
        })
    })
}

fn party(system: &Installation, name: &str, plan: &str) -> (Tenant, ApiKey, Api) {
    let tenant = system.tenant(name, plan);
    let api_key = system.api_key(&tenant, "*");
    let api = system.api(&api_key);
    (tenant, api_key, api)
}

/// Calls until the answer is another than to come again.
fn patiently<T>(call: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
    wait::until("an answer that is not to come again", || {
        Some(call()).filter(|outcome| !outcome.as_ref().is_err_and(|failure| failure.code().0 == 503))
    })
}

#[test]
fn calls_beyond_the_months_number_are_denied_and_exactly_that_number_is_allowed() {
    let system = system();
    let (tenant, _, api) = party(&system, "calls", "free");
    api.first_key(SIGNATURE);
    let left = CALLS - system.calls(&tenant);
    // Many at once: the last place is given once.
    let allowed = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    match api.sign(b"m") {
                        Ok(_) => _ = allowed.fetch_add(1, Ordering::Relaxed),
                        outcome => _ = refused(outcome, QUOTA.0, QUOTA.1),
                    }
                }
            });
        }
    });
    assert_eq!(allowed.into_inner(), left);
    assert_eq!(system.calls(&tenant), CALLS, "denied calls do not count");
    // Reading is a call as well.
    refused(api.get("/api/v1/tenants/"), QUOTA.0, QUOTA.1);
    let id = tenant.id.to_string();
    let allowed = system.records(LedgerName::Decisions);
    let allowed = allowed
        .kind("allow")
        .filter(|record| record["tenant"] == id)
        .count();
    assert_eq!(allowed as u64, CALLS);
}

#[test]
fn true_usage_is_shown_over_the_api_and_by_the_command_line() {
    let system = system();
    let (tenant, _, api) = party(&system, "usage", "free");
    api.first_key(SIGNATURE);
    for _ in 0..3 {
        api.sign(b"m").expect("a signature");
    }
    let before = system.calls(&tenant);
    let shown = api.get("/api/v1/tenants/").expect("itself");
    let shown = &shown["tenants"][0];
    assert_eq!(
        shown["usage"]["api_calls"],
        before + 1,
        "this call included: {shown}"
    );
    assert_eq!(shown["limits"]["api_calls"], CALLS);
    assert_eq!(shown["usage"]["sig_keys"], 1);
    assert_eq!(shown["usage"]["kem_keys"], 0);
    assert_eq!(shown["usage"]["api_keys"], 1);
    assert_eq!(system.calls(&tenant), before + 1);
}

#[test]
fn versions_beyond_the_plans_number_are_denied_until_one_is_archived() {
    let system = system();
    let (_, _, api) = party(&system, "versions", "starter");
    api.first_key(SIGNATURE);
    for version in 2..=VERSIONS {
        assert_eq!(api.rotate(SIGNATURE).expect("a version"), version);
    }
    refused(api.rotate(SIGNATURE), QUOTA.0, QUOTA.1);
    assert_eq!(api.keys(SIGNATURE).expect("a list").len() as u64, VERSIONS);
    api.step("archive", SIGNATURE, 1).expect("archived");
    assert_eq!(api.rotate(SIGNATURE).expect("a version"), VERSIONS + 1);
    refused(api.rotate(SIGNATURE), QUOTA.0, QUOTA.1);
    // The other algorithm has a number of its own, and what was archived does not come back over the limit.
    api.first_key(KEM);
    let back = api.step("restore", SIGNATURE, 1);
    refused(back, QUOTA.0, QUOTA.1);
}

#[test]
fn versions_made_at_once_do_not_pass_the_plans_number() {
    let system = system();
    let (_, _, api) = party(&system, "versions at once", "starter");
    api.first_key(KEM);
    thread::scope(|scope| {
        for _ in 0..8 {
            // Each is made, denied, or told that another is being made.
            scope.spawn(|| api.rotate(KEM).map_err(|failure| failure.code().0));
        }
    });
    let keys = api.keys(KEM).expect("a list");
    assert!(keys.len() as u64 <= VERSIONS, "{keys:?}");
}

#[test]
fn api_keys_beyond_the_plans_number_are_denied_over_the_api_and_by_the_command_line() {
    let system = system();
    let (tenant, _, api) = party(&system, "api keys", "starter");
    let path = format!("/api/v1/tenants/{}/api-keys", tenant.id);
    let body = json!({"name": "further", "scopes": ["sign"]});
    let made = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..8 {
            // What a tenant changes at once is bounded: the others are told to come again.
            scope.spawn(|| match patiently(|| api.post(&path, &body)) {
                Ok(_) => _ = made.fetch_add(1, Ordering::Relaxed),
                outcome => _ = refused(outcome, QUOTA.0, QUOTA.1),
            });
        }
    });
    assert_eq!(made.into_inner(), API_KEYS, "also at once");
    let over = system.try_cli(&[
        "api-key",
        "create",
        "--tenant",
        &tenant.id.to_string(),
        "--name",
        "x",
    ]);
    assert!(over.is_err(), "{over:?}");
    let listed = api.get(&path).expect("a list");
    let keys = listed["api_keys"].as_array().expect("a list");
    assert_eq!(keys.len() as u64, API_KEYS);
    // One that is revoked makes room.
    let other = keys
        .iter()
        .find(|key| key["name"] == "further")
        .expect("one of those just made");
    let id = other["key_id"].as_str().expect("an id");
    api.delete(&format!("{path}/{id}")).expect("revoked");
    api.post(&path, &body).expect("there is room");
}

#[test]
fn a_tenant_that_is_put_on_a_smaller_plan_keeps_what_it_has_and_makes_nothing_new() {
    let system = system();
    let (tenant, _, api) = party(&system, "downgraded", "enterprise");
    api.first_key(SIGNATURE);
    for _ in 1..=VERSIONS {
        api.rotate(SIGNATURE).expect("a version");
    }
    let signature = api.sign(b"m").expect("a signature");
    let old = system.api_key(&tenant, "*");
    for _ in 0..API_KEYS {
        system.api_key(&tenant, "*");
    }
    system.cli(&["tenant", "set-plan", &tenant.id.to_string(), "starter"]);
    assert!(api.verify(b"m", &signature).expect("an answer"));
    system.api(&old).sign(b"m").expect("a signature");
    refused(api.rotate(SIGNATURE), QUOTA.0, QUOTA.1);
    let path = format!("/api/v1/tenants/{}/api-keys", tenant.id);
    let body = json!({"name": "further", "scopes": ["sign"]});
    refused(api.post(&path, &body), QUOTA.0, QUOTA.1);
}

#[test]
fn a_keys_budget_allows_exactly_its_number_of_uses_a_day_of_all_versions_and_callers() {
    let system = system();
    let (tenant, _, api) = party(&system, "budget", "enterprise");
    let other = system.api(&system.api_key(&tenant, "sign"));
    for algorithm in [KEM, SIGNATURE] {
        api.first_key(algorithm);
    }
    const USES: u64 = 6;
    let body = json!({"algorithm": SIGNATURE, "uses_per_day": USES});
    api.post("/api/v1/kms/keys/budget", &body).expect("a budget");
    let signature = api.sign(b"m").expect("the first use");
    api.rotate(SIGNATURE).expect("a version");
    let allowed = AtomicU64::new(1);
    thread::scope(|scope| {
        for api in [&api, &other, &api] {
            let allowed = &allowed;
            scope.spawn(move || {
                for _ in 0..USES {
                    match api.sign(b"m") {
                        Ok(_) => _ = allowed.fetch_add(1, Ordering::Relaxed),
                        outcome => _ = refused(outcome, BUDGET.0, BUDGET.1),
                    }
                }
            });
        }
    });
    assert_eq!(allowed.into_inner(), USES);
    // Public-key work and the other algorithm are not limited by it.
    assert!(api.verify(b"m", &signature).expect("an answer"));
    let sealed = api.encrypt(b"m").expect("encrypted");
    assert_eq!(api.decrypt(&sealed).expect("decrypted"), b"m");
    let id = tenant.id.to_string();
    system.cli(&["key-budget", "set", &id, SIGNATURE, &(USES + 1).to_string()]);
    api.sign(b"m").expect("one more");
    refused(api.sign(b"m"), BUDGET.0, BUDGET.1);
    system.cli(&["key-budget", "set", &id, SIGNATURE, "none"]);
    api.sign(b"m").expect("no limit");
}
