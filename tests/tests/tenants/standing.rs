//! Suspended and deleted tenants.

use chancel_domain::TenantId;
use chancel_ledger::LedgerName;
use chancel_tests::api::{KEM, SIGNATURE, refused};
use chancel_tests::{Api, Installation, Tenant};
use serde_json::json;

const POLICY: (u16, &str) = (403, "ERR_POLICY_001");
const UNKNOWN: (u16, &str) = (401, "ERR_AUTH_001");

fn party(system: &Installation, name: &str) -> (Tenant, Api) {
    let (tenant, api_key) = system.tenant_with_api_key(name);
    let api = system.api(&api_key);
    for algorithm in [KEM, SIGNATURE] {
        api.first_key(algorithm);
    }
    (tenant, api)
}

#[test]
fn a_suspended_tenant_is_denied_on_the_next_request_and_loses_nothing() {
    let system = Installation::new();
    let (tenant, api_key) = system.tenant_with_api_key("suspended");
    let api = system.api(&api_key);
    api.first_key(KEM);
    let sealed = api.encrypt(b"m").expect("encrypted");
    let id = tenant.id.to_string();
    system.cli(&["tenant", "suspend", &id]);
    let path = format!("/api/v1/tenants/{id}/api-keys");
    for outcome in [
        api.sign(b"m").map(|_| ()),
        api.decrypt(&sealed).map(|_| ()),
        api.keys(KEM).map(|_| ()),
        api.rotate(KEM).map(|_| ()),
        api.get(&path).map(|_| ()),
        api.post(&path, &json!({"name": "x", "scopes": ["*"]}))
            .map(|_| ()),
        api.get("/api/v1/audit/events").map(|_| ()),
    ] {
        refused(outcome, POLICY.0, POLICY.1);
    }
    // Also after a restart of everything.
    for daemon in chancel_tests::Daemon::ALL {
        system.restart(daemon);
    }
    system.wait_ready();
    let api = system.api(&api_key);
    refused(api.decrypt(&sealed), POLICY.0, POLICY.1);
    system.cli(&["tenant", "resume", &id]);
    assert_eq!(api.decrypt(&sealed).expect("decrypted"), b"m");
}

#[test]
fn of_a_deleted_tenant_the_ledger_and_the_dates_of_its_keys_are_left() {
    let system = Installation::new();
    let (tenant, api) = party(&system, "deleted");
    let (_, other) = party(&system, "stays");
    let id = tenant.id.to_string();
    api.rotate(KEM).expect("a version");
    api.post(
        "/api/v1/policy/rules",
        &json!({"name": "secret rule", "operations": ["verify"]}),
    )
    .expect("a rule");
    api.post(
        "/api/v1/kms/keys/budget",
        &json!({"algorithm": KEM, "uses_per_day": 7}),
    )
    .expect("a budget");
    api.idempotent("once").rotate(SIGNATURE).expect("a version");
    api.sign(b"m").expect("a signature");
    let records = system.records(LedgerName::Decisions).0.len();

    // Not without being told that it is meant.
    let bare = system.cli_output(&["tenant", "delete", &id]);
    assert!(!bare.status.success(), "{bare:?}");
    api.sign(b"m").expect("it is still there");
    system.cli(&["tenant", "delete", &id, "--yes"]);

    refused(api.sign(b"m"), UNKNOWN.0, UNKNOWN.1);
    refused(api.get("/api/v1/tenants/"), UNKNOWN.0, UNKNOWN.1);
    other.sign(b"m").expect("another tenant's keys work");
    let blob = format!("x'{}'", id.replace('-', ""));
    let count = |table: &str, condition: &str| -> i64 {
        let query = format!("SELECT count(*) FROM {table} WHERE tenant_id = {blob} {condition}");
        system
            .database()
            .query_row(&query, [], |row| row.get(0))
            .expect("a count")
    };
    for table in [
        "api_keys",
        "deny_rules",
        "key_budgets",
        "usage_months",
        "usage_days",
        "idempotent_answers",
    ] {
        assert_eq!(count(table, ""), 0, "{table}");
    }
    assert_eq!(count("keys", "AND state = 'pending_destruction'"), 4);
    assert_eq!(count("keys", "AND state <> 'pending_destruction'"), 0);
    let name: Option<String> = system
        .database()
        .query_row(
            &format!("SELECT name FROM tenants WHERE id = {blob}"),
            [],
            |row| row.get(0),
        )
        .expect("its row");
    assert_eq!(name, None);
    let after = system.records(LedgerName::Decisions);
    assert!(after.0.len() > records, "the ledger is kept");
    assert!(!after.changes("tenant-deleted").is_empty());

    // Its name is free again, and a new tenant of that name has nothing of it.
    let (again, api) = party(&system, "deleted");
    assert_ne!(again.id, tenant.id);
    assert_eq!(api.keys(KEM).expect("a list").len(), 1);
    let key = system.audit_key();
    system.assert_sound(&key);
}

#[test]
fn what_belongs_to_no_tenant_cannot_be_suspended_deleted_or_given_keys() {
    let system = Installation::new();
    for id in [TenantId::OPERATORS, TenantId::INSTALLATION] {
        let id = id.to_string();
        for arguments in [
            &["tenant", "suspend", &id][..],
            &["tenant", "delete", &id, "--yes"],
            &["tenant", "set-plan", &id, "free"],
            &["key-budget", "set", &id, KEM, "1"],
            &[
                "policy",
                "rules",
                "add",
                &id,
                "--name",
                "x",
                "--operation",
                "sign",
            ],
        ] {
            assert!(system.try_cli(arguments).is_err(), "{arguments:?}");
        }
    }
    let installation = TenantId::INSTALLATION.to_string();
    let made = system.try_cli(&["api-key", "create", "--tenant", &installation, "--name", "x"]);
    assert!(made.is_err(), "{made:?}");
    system
        .api(&system.operator_key())
        .get("/api/v1/tenants/")
        .expect("operators stand");
}

#[test]
fn a_suspended_tenant_is_held_to_its_rate_whatever_it_sends() {
    let system = Installation::new();
    let tenant = system.tenant("noisy", "free");
    let api_key = system.api_key(&tenant, "*");
    let api = system.api(&api_key);
    api.get("/api/v1/tenants/me").expect("known");
    system.cli(&["tenant", "suspend", &tenant.id.to_string()]);
    let denials = || system.records(LedgerName::Decisions).kind("deny").count();
    let before = denials();
    let mut limited = 0;
    for number in 0..400 {
        // Changes and nonsense are asked about first; neither is to be a way around the rate.
        let answer = if number % 2 == 0 {
            api.client()
                .post("/api/v1/kms/keys/generate", &json!({"algorithm": KEM}))
        } else {
            api.client()
                .post("/api/v1/signature/sign", &json!({"message": 7}))
        };
        limited += usize::from(answer.expect("an answer").status == 429);
    }
    let denied = denials() - before;
    assert!(
        limited > 0 && denied + limited <= 400,
        "{limited} limited, {denied} denied"
    );
    assert!(denied < 200, "each is a line in the ledger: {denied}");
}
