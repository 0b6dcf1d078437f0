//! What is possible while break-glass is open, for whom, and what is said of it.

use crate::needs_root;
use crate::scene::{Scene, is_503};
use chancel_tests::api::{KEM, SIGNATURE, encoded};
use chancel_tests::{Api, Daemon};
use serde_json::json;

#[test]
fn with_policyd_away_uses_go_on_for_callers_that_are_known_and_only_while_it_is_open() {
    let scene = Scene::new().without_policyd();
    needs_root!(
        scene.system,
        "break_glass::with_policyd_away_uses_go_on_for_callers_that_are_known_and_only_while_it_is_open"
    );
    assert!(scene.is_shut(), "not opened yet");
    assert!(
        is_503(scene.api.encrypt(b"m").map(|_| ())),
        "public-key work as well"
    );
    scene.open("1m");
    scene.wait_open();
    assert_eq!(scene.api.decrypt(&scene.sealed).expect("decrypted"), b"m");
    let made = scene.api.encrypt(b"in need").expect("encrypted");
    assert_eq!(scene.api.decrypt(&made).expect("decrypted"), b"in need");
    let signature = scene.api.sign(b"in need").expect("signed");
    assert!(scene.api.verify(b"in need", &signature).expect("an answer"));
    let answer = scene
        .api
        .client()
        .post("/api/v1/signature/sign", &json!({"message": ""}))
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("x-chancel-break-glass"), Some("open"));
    scene.system.cli(&["break-glass", "close"]);
    scene
        .system
        .until("it to be shut", || scene.is_shut().then_some(()));

    // When policyd is back, everything is judged again, and nothing is marked.
    scene.system.start(Daemon::Policyd);
    scene.wait_open();
    let answer = scene
        .api
        .client()
        .post("/api/v1/signature/sign", &json!({"message": ""}))
        .expect("an answer");
    assert_eq!(answer.header("x-chancel-break-glass"), None);
}

#[test]
fn with_policyd_hanging_break_glass_works_within_what_callers_wait() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::with_policyd_hanging_break_glass_works_within_what_callers_wait"
    );
    scene.system.sigstop(Daemon::Policyd);
    scene.open("1m");
    scene.wait_open();
    assert_eq!(scene.api.decrypt(&scene.sealed).expect("decrypted"), b"m");
    scene.system.sigcont(Daemon::Policyd);
}

#[test]
fn lifecycle_and_management_stay_denied_in_break_glass() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::lifecycle_and_management_stay_denied_in_break_glass"
    );
    let id = scene.tenant.id.to_string();
    let operator = scene.system.api(&scene.system.operator_key());
    operator.get("/api/v1/tenants/").expect("the operator is known");
    scene.api.rotate(KEM).expect("a version");
    let keys = scene.api.keys(KEM).expect("a list");
    let scene = scene.without_policyd();
    scene.open("1m");
    scene.wait_open();
    let api_keys = format!("/api/v1/tenants/{id}/api-keys");
    let named = json!({"algorithm": KEM, "key_version": 1});
    for (path, body) in [
        ("/api/v1/kms/keys/generate", json!({"algorithm": KEM})),
        ("/api/v1/kms/keys/rotate", json!({"algorithm": KEM})),
        ("/api/v1/kms/keys/retire", named.clone()),
        ("/api/v1/kms/keys/archive", named.clone()),
        ("/api/v1/kms/keys/restore", named.clone()),
        ("/api/v1/kms/keys/cancel-destruction", named.clone()),
        (
            "/api/v1/kms/keys/budget",
            json!({"algorithm": KEM, "uses_per_day": null}),
        ),
        (&api_keys, json!({"name": "x", "scopes": ["*"]})),
        (&format!("{api_keys}/rotate"), json!({})),
        (
            "/api/v1/policy/rules",
            json!({"name": "x", "operations": ["sign"]}),
        ),
        ("/api/v1/policy/explain", json!({"operation": "sign"})),
    ] {
        assert!(is_503(scene.api.post(path, &body).map(|_| ())), "{path}");
    }
    for path in [
        "/api/v1/tenants/",
        "/api/v1/audit/events",
        "/api/v1/policy/rules",
        &api_keys,
        &format!("/api/v1/kms/keys?algorithm={KEM}"),
        &format!("/api/v1/kms/keys/1?algorithm={KEM}"),
    ] {
        assert!(is_503(scene.api.get(path).map(|_| ())), "{path}");
    }
    assert!(is_503(scene.api.destroy(KEM, 1, None).map(|_| ())));
    let outcome = operator.post("/api/v1/tenants", &json!({"name": "x", "plan": "free"}));
    assert!(is_503(outcome.map(|_| ())));
    scene.system.start(Daemon::Policyd);
    scene.system.wait_ready();
    assert_eq!(scene.api.keys(KEM).expect("a list"), keys, "nothing has changed");
}

#[test]
fn api_keys_that_are_unknown_dead_or_from_elsewhere_stay_out_of_break_glass() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::api_keys_that_are_unknown_dead_or_from_elsewhere_stay_out_of_break_glass"
    );
    let system = &scene.system;
    let never_seen = system.api_key(&scene.tenant, "*");
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let expiring = system.api_key_with(&scene.tenant, "*", &["--expires", &at.to_string()]);
    let elsewhere = system.api_key_with(&scene.tenant, "*", &["--network", "192.0.2.0/24"]);
    let revoked = system.api_key(&scene.tenant, "*");
    for api_key in [&expiring, &revoked] {
        system.api(api_key).sign(b"m").expect("seen");
    }
    assert!(system.api(&elsewhere).sign(b"m").is_err());
    let id = scene.tenant.id.to_string();
    system.cli(&[
        "api-key",
        "revoke",
        "--tenant",
        &id,
        "--id",
        &revoked.id.to_string(),
    ]);
    // The gateway hears that it is dead by trying.
    assert!(system.api(&revoked).sign(b"m").is_err());
    let (other_tenant, other_key) = system.tenant_with_api_key("another");
    let other = system.api(&other_key);
    other.first_key(SIGNATURE);
    other.sign(b"m").expect("seen");
    system.kill9(Daemon::Policyd);
    scene.open("2m");
    scene.wait_open();
    let mut flipped = scene.api_key.text.clone().into_bytes();
    let last = flipped.len() - 8;
    flipped[last] = if flipped[last] == b'a' { b'b' } else { b'a' };
    let guess = Api::new(system.client(Some(&String::from_utf8(flipped).expect("text"))));
    let out = |api: &Api| {
        let code = api.sign(b"m").expect_err("it stays out").code().0;
        assert!([401, 403, 503].contains(&code), "{code}");
    };
    out(&guess);
    for api_key in [&never_seen, &elsewhere, &revoked] {
        out(&system.api(api_key));
    }
    system.until("the API key to expire", || {
        (jiff::Timestamp::now() > at).then_some(())
    });
    out(&system.api(&expiring));
    // A known caller still has its own tenant's keys alone.
    let body = json!({"ciphertext": encoded(&scene.sealed.bytes), "key_version": 1});
    assert!(other.post("/api/v1/kem/decrypt", &body).is_err());
    other.sign(b"m").expect("its own");
    let of_other = scene
        .uses()
        .iter()
        .filter(|record| record["tenant"] == other_tenant.id.to_string())
        .count();
    assert_eq!(of_other, 1);
}

#[test]
fn break_glass_overrides_no_denial() {
    let scene = Scene::new();
    needs_root!(scene.system, "break_glass::break_glass_overrides_no_denial");
    let id = scene.tenant.id.to_string();
    scene.open("1m");
    scene.system.cli(&["tenant", "suspend", &id]);
    let denied = scene.api.sign(b"m").expect_err("suspended");
    assert_eq!(denied.code(), (403, "ERR_POLICY_001"));
    // The gateway has heard of it and does not forget it when policyd goes.
    scene.system.kill9(Daemon::Policyd);
    for _ in 0..5 {
        let refused = scene.api.sign(b"m").expect_err("still suspended").code().0;
        assert!([403, 503].contains(&refused), "{refused}");
    }
    assert!(scene.uses().is_empty());
}

#[test]
fn each_use_in_break_glass_is_in_the_ledger_the_log_and_the_metrics() {
    let scene = Scene::new().without_policyd();
    needs_root!(
        scene.system,
        "break_glass::each_use_in_break_glass_is_in_the_ledger_the_log_and_the_metrics"
    );
    scene.open("1m");
    scene.wait_open();
    let before = scene.uses().len();
    let (log_before, metrics_before) = (scene.system.log(Daemon::Keyd).len(), scene.system.metrics());
    let mut requests = Vec::new();
    for number in 0..5 {
        let answer = scene
            .api
            .client()
            .post(
                "/api/v1/signature/sign",
                &json!({"message": encoded(&[number; 3])}),
            )
            .expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        requests.push(answer.request_id().to_owned());
    }
    let uses = scene.uses();
    assert_eq!(uses.len(), before + 5);
    for request in &requests {
        let of_request: Vec<_> = uses
            .iter()
            .filter(|record| record["request"] == **request)
            .collect();
        assert_eq!(of_request.len(), 1, "{request}");
        assert_eq!(of_request[0]["tenant"], scene.tenant.id.to_string());
        assert_eq!(of_request[0]["api_key"], scene.api_key.id.to_string());
        assert!(of_request[0]["permit"].is_null());
        assert!(of_request[0]["payload"].is_string());
    }
    let log = scene.system.log(Daemon::Keyd);
    let said = log[log_before..]
        .lines()
        .filter(|line| line.contains("break-glass") && (line.contains("WARN") || line.contains("ERROR")))
        .count();
    assert!(said >= 5, "{said} lines");
    assert!(scene.system.log(Daemon::Gateway).contains("break-glass"));
    let metrics = scene.system.metrics();
    for (name, at_least) in [
        ("chancel_keyd_break_glass_uses_total", 5),
        ("chancel_gateway_break_glass_requests_total", 5),
    ] {
        assert!(metrics.sum(name) >= metrics_before.sum(name) + at_least, "{name}");
    }
    assert_eq!(metrics.sum("chancel_keyd_break_glass_open"), 1);
    scene.system.start(Daemon::Policyd);
    scene.system.wait_ready();
    let key = scene.system.audit_key();
    let report = scene.system.assert_sound(&key);
    assert_eq!(
        report.break_glass,
        uses.len() as u64,
        "and the verifier counts them"
    );
}

#[test]
fn an_api_key_that_was_revoked_a_moment_ago_is_not_served_in_break_glass() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::an_api_key_that_was_revoked_a_moment_ago_is_not_served_in_break_glass"
    );
    let id = scene.tenant.id.to_string();
    let path = format!("/api/v1/tenants/{id}/api-keys");
    let made = scene
        .api
        .post(&path, &json!({"name": "stolen", "scopes": ["*"]}))
        .expect("an API key");
    let thief = Api::new(scene.system.client(made["api_key"].as_str()));
    thief.sign(b"m").expect("seen by the gateway");
    let key_id = made["key_id"].as_str().expect("its id");
    let gone = format!("{path}/{key_id}");
    assert_eq!(scene.api.client().delete(&gone).expect("an answer").status, 200);
    let scene = scene.without_policyd();
    scene.open("1m");
    scene.wait_open();
    assert_eq!(thief.sign(b"m").expect_err("revoked").code().0, 503);
    scene.api.sign(b"m").expect("the one that was not revoked");
}
