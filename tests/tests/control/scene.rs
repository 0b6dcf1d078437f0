//! Tenants against which a rule speaks, and what a denial looks like.

use chancel_ledger::LedgerName;
use chancel_tests::api::{Failure, KEM, SIGNATURE, encoded, refused};
use chancel_tests::{Api, ApiKey, Installation, Tenant};
use serde_json::{Value, json};

/// A network that no test calls from.
pub const ELSEWHERE: &str = "192.0.2.0/24";

/// A tenant with keys, and the API key that may do everything.
#[derive(Debug)]
pub struct Party {
    pub tenant: Tenant,
    pub api_key: ApiKey,
    pub api: Api,
}

impl Party {
    pub fn new(system: &Installation, name: &str, plan: &str) -> Self {
        let tenant = system.tenant(name, plan);
        let api_key = system.api_key(&tenant, "*");
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        Self { tenant, api_key, api }
    }

    pub fn id(&self) -> String {
        self.tenant.id.to_string()
    }

    /// Adds a deny rule, and returns its id.
    #[track_caller]
    pub fn add_rule(&self, rule: &Value) -> String {
        let added = self.api.post("/api/v1/policy/rules", rule).expect("a rule");
        added["id"].as_str().expect("a rule's id").to_owned()
    }

    #[track_caller]
    pub fn remove_rule(&self, id: &str) {
        self.api
            .delete(&format!("/api/v1/policy/rules/{id}"))
            .expect("the rule is removed");
    }

    #[track_caller]
    pub fn set_budget(&self, algorithm: &str, uses: Option<u32>) {
        let body = json!({"algorithm": algorithm, "uses_per_day": uses});
        self.api.post("/api/v1/kms/keys/budget", &body).expect("a budget");
    }
}

/// Checks that a call was denied with a code, that the decision ledger names the rule, and that the answer does not: it
/// was a tenant's.
#[track_caller]
pub fn denied<T: std::fmt::Debug>(
    system: &Installation,
    outcome: Result<T, Failure>,
    (status, code): (u16, &str),
    rule: &str,
) {
    let answer = refused(outcome, status, code);
    assert_eq!(system.denying_rule(answer.request_id()), rule);
    assert_eq!(
        answer.header("x-chancel-deny-rule"),
        None,
        "operators alone hear of rules"
    );
    let records = system.records(LedgerName::Decisions);
    assert!(records.of_request("allow", answer.request_id()).is_empty());
}

/// What a question about an operation is, for the caller's own API key.
pub fn question(operation: &str, algorithm: Option<&str>) -> Value {
    json!({"operation": operation, "algorithm": algorithm})
}

#[track_caller]
pub fn explained(api: &Api, question: &Value) -> Value {
    api.post("/api/v1/policy/explain", question)
        .unwrap_or_else(|failure| panic!("{question}: {failure:?}"))
}

pub fn rotate(api: &Api) -> Result<u64, Failure> {
    api.rotate(SIGNATURE)
}

pub fn encrypt(api: &Api) -> Result<Value, Failure> {
    api.post(
        "/api/v1/kem/encrypt",
        &json!({"plaintext": encoded(b"plaintext")}),
    )
}
