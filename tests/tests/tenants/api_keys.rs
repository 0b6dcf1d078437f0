//! A tenant's own API keys: made, listed, rotated, revoked; and never more than the maker has.

use chancel_ledger::LedgerName;
use chancel_tests::api::{KEM, SIGNATURE, encoded, refused};
use chancel_tests::shared::Common;
use chancel_tests::{Api, ApiKey, Daemon, Installation, Tenant};
use serde_json::{Value, json};

static SYSTEM: Common = Common::new();

const POLICY: (u16, &str) = (403, "ERR_POLICY_001");
const UNKNOWN: (u16, &str) = (401, "ERR_AUTH_001");

fn party(system: &Installation, name: &str) -> (Tenant, Api) {
    let (tenant, api_key) = system.tenant_with_api_key(name);
    let api = system.api(&api_key);
    api.first_key(SIGNATURE);
    (tenant, api)
}

fn path(tenant: &Tenant) -> String {
    format!("/api/v1/tenants/{}/api-keys", tenant.id)
}

/// The API key that an answer shows this once.
#[track_caller]
fn shown(answer: &Value, tenant: &Tenant) -> ApiKey {
    ApiKey {
        id: answer["key_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id"),
        tenant: tenant.id,
        text: answer["api_key"].as_str().expect("the API key's text").to_owned(),
    }
}

#[track_caller]
fn make(api: &Api, tenant: &Tenant, body: &Value) -> ApiKey {
    let answer = api
        .post(&path(tenant), body)
        .unwrap_or_else(|failure| panic!("{body}: {failure:?}"));
    shown(&answer, tenant)
}

#[test]
fn an_api_key_made_over_the_api_does_what_its_scopes_say_and_is_shown_once() {
    let system = SYSTEM.join();
    let (tenant, api) = party(&system, "maker");
    let answer = api
        .post(
            &path(&tenant),
            &json!({"name": "signer", "scopes": ["sign:Dilithium3", "read-key"], "networks": ["127.0.0.0/8"]}),
        )
        .expect("an API key");
    let made = shown(&answer, &tenant);
    assert!(made.text.starts_with("qph_"));
    let signer = system.api(&made);
    signer.sign(b"m").expect("in its scopes");
    signer.key(SIGNATURE, 1).expect("in its scopes");
    refused(signer.keys(SIGNATURE), POLICY.0, POLICY.1);
    refused(signer.rotate(SIGNATURE), POLICY.0, POLICY.1);
    refused(signer.get(&path(&tenant)), POLICY.0, POLICY.1);

    let listed = api.get(&path(&tenant)).expect("a list");
    assert!(!listed.to_string().contains(&made.text));
    assert!(!listed.to_string().contains("qph_"), "{listed}");
    let listed = listed["api_keys"].as_array().expect("a list");
    let of_made = |key: &&Value| key["key_id"] == made.id.to_string();
    let key = listed.iter().find(of_made).expect("the new one is listed");
    assert_eq!(key["name"], "signer");
    assert_eq!(key["networks"], json!(["127.0.0.0/8"]));
    assert_eq!(key["version"], 1);
    assert_eq!(key["revoked_at"], Value::Null);
    let records = system.records(LedgerName::Decisions);
    let change = records.changes("api-key-created");
    assert!(
        change
            .iter()
            .any(|record| record["subject"] == made.id.to_string())
    );
    for daemon in Daemon::ALL {
        assert!(!system.log(daemon).contains(&made.text), "{daemon:?}");
    }
    for record in &records.0 {
        assert!(!record.to_string().contains(&made.text));
    }
}

#[test]
fn a_rotated_api_keys_old_text_is_dead_on_the_next_request() {
    let system = SYSTEM.join();
    let (tenant, api) = party(&system, "rotates");
    let first = make(&api, &tenant, &json!({"name": "one", "scopes": ["sign"]}));
    let user = system.api(&first);
    user.sign(b"m").expect("a signature");
    let rotate = format!("{}/rotate", path(&tenant));
    let answer = api
        .post(&rotate, &json!({"key_id": first.id.to_string()}))
        .expect("rotated");
    let second = shown(&answer, &tenant);
    assert_eq!(second.id, first.id);
    assert_eq!(answer["version"], 2);
    refused(user.sign(b"m"), UNKNOWN.0, UNKNOWN.1);
    system.api(&second).sign(b"m").expect("the new text works");
    // The key in use rotates itself when none is named.
    let own = make(
        &api,
        &tenant,
        &json!({"name": "self", "scopes": ["sign", "rotate-api-key"]}),
    );
    let answer = system.api(&own).post(&rotate, &json!({})).expect("rotated");
    let next = shown(&answer, &tenant);
    assert_eq!(next.id, own.id);
    refused(system.api(&own).sign(b"m"), UNKNOWN.0, UNKNOWN.1);
    system.api(&next).sign(b"m").expect("the new text works");
}

#[test]
fn a_revoked_api_key_is_dead_on_the_next_request_and_stays_dead() {
    let system = SYSTEM.join();
    let (tenant, api) = party(&system, "revokes");
    let made = make(&api, &tenant, &json!({"name": "one", "scopes": ["sign"]}));
    let user = system.api(&made);
    user.sign(b"m").expect("a signature");
    let one = format!("{}/{}", path(&tenant), made.id);
    let revoked = api.delete(&one).expect("revoked");
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
    refused(user.sign(b"m"), UNKNOWN.0, UNKNOWN.1);
    let rotate = format!("{}/rotate", path(&tenant));
    let rotated = api.post(&rotate, &json!({"key_id": made.id.to_string()}));
    let status = rotated.expect_err("it stays revoked").code().0;
    assert!([404, 409].contains(&status), "{status}");
    refused(user.sign(b"m"), UNKNOWN.0, UNKNOWN.1);
}

#[test]
fn an_api_key_made_to_expire_expires() {
    let system = SYSTEM.join();
    let (tenant, api) = party(&system, "expires");
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let made = make(
        &api,
        &tenant,
        &json!({"name": "short", "scopes": ["sign"], "expires_at": at.to_string()}),
    );
    let user = system.api(&made);
    system.until("the API key to expire", || {
        user.sign(b"m")
            .err()
            .map(|failure| assert_eq!(failure.code(), UNKNOWN))
    });
    assert!(jiff::Timestamp::now() >= at);
}

#[test]
fn no_api_key_makes_one_that_may_do_more_than_itself() {
    let system = SYSTEM.join();
    let (tenant, _) = party(&system, "escalates");
    let maker = system.api_key_with(
        &tenant,
        "sign:ML-DSA-65 create-api-key rotate-api-key",
        &["--network", "127.0.0.0/8", "--expires", "1h"],
    );
    let maker = system.api(&maker);
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600)).to_string();
    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(7_200)).to_string();
    let within =
        json!({"name": "x", "scopes": ["sign:ML-DSA-65"], "networks": ["127.0.0.0/16"], "expires_at": soon});
    make(&maker, &tenant, &within);
    let edits: [(&str, Value); 8] = [
        ("scopes", json!(["*"])),
        ("scopes", json!(["sign"])),
        ("scopes", json!(["*:ML-DSA-65"])),
        ("scopes", json!(["sign:ML-DSA-65", "verify:ML-DSA-65"])),
        ("networks", json!([])),
        ("networks", json!(["127.0.0.0/7"])),
        ("expires_at", Value::Null),
        ("expires_at", later.into()),
    ];
    for (field, value) in edits {
        let mut body = within.clone();
        body[field] = value;
        let outcome = maker.post(&path(&tenant), &body);
        let failure = outcome.expect_err("more than the maker has");
        // 127.0.0.0/7 has bits after its prefix: no network at all.
        assert!([400, 403].contains(&failure.code().0), "{body}: {failure:?}");
    }
    // Nor by rotating one that may do more, which would hand its secret over.
    let powerful = system.api_key(&tenant, "*");
    let rotate = format!("{}/rotate", path(&tenant));
    let outcome = maker.post(&rotate, &json!({"key_id": powerful.id.to_string()}));
    assert_eq!(outcome.expect_err("not its own rights").code().0, 403);
    system.api(&powerful).sign(b"m").expect("it was not rotated");
}

#[test]
fn what_is_no_api_key_is_refused() {
    let system = SYSTEM.join();
    let (tenant, api) = party(&system, "careless");
    for bad in [
        json!({}),
        json!({"name": "x"}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["root"]}),
        json!({"name": "x", "scopes": "*"}),
        json!({"name": "", "scopes": ["*"]}),
        json!({"name": "two\nlines", "scopes": ["*"]}),
        json!({"name": "x".repeat(256), "scopes": ["*"]}),
        json!({"name": "x", "scopes": ["*"], "networks": ["here"]}),
        json!({"name": "x", "scopes": ["*"], "networks": ["10.0.0.1/8"]}),
        json!({"name": "x", "scopes": ["*"], "networks": "10.0.0.0/8"}),
        json!({"name": "x", "scopes": ["*"], "expires_at": "tomorrow"}),
        json!({"name": "x", "scopes": ["*"], "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"name": "x", "scopes": ["*"], "expires_at": 7}),
    ] {
        let failure = api.post(&path(&tenant), &bad).expect_err("no API key");
        assert_eq!(failure.code().0, 400, "{bad}: {failure:?}");
    }
    let listed = api.get(&path(&tenant)).expect("a list");
    assert_eq!(listed["api_keys"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_api_key_is_confined_to_its_networks() {
    let system = SYSTEM.join();
    let (tenant, api) = party(&system, "networks");
    api.first_key(KEM);
    let here = make(
        &api,
        &tenant,
        &json!({"name": "here", "scopes": ["*"], "networks": ["192.0.2.0/24", "127.0.0.0/8"]}),
    );
    let elsewhere = make(
        &api,
        &tenant,
        &json!({"name": "elsewhere", "scopes": ["*"], "networks": ["192.0.2.0/24", "2001:db8::/32"]}),
    );
    system.api(&here).sign(b"m").expect("from here");
    let elsewhere = system.api(&elsewhere);
    for outcome in [
        elsewhere.sign(b"m").map(|_| ()),
        elsewhere.encrypt(b"m").map(|_| ()),
        elsewhere.get("/api/v1/tenants/").map(|_| ()),
        elsewhere
            .post("/api/v1/kem/encrypt", &json!({"plaintext": encoded(b"m")}))
            .map(|_| ()),
    ] {
        let answer = refused(outcome, POLICY.0, POLICY.1);
        assert_eq!(system.denying_rule(answer.request_id()), "source-network");
    }
}
