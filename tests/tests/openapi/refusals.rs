//! Requests that are refused.

use crate::caller::Caller;
use chancel_tests::Installation;
use chancel_tests::api::KEM;
use serde_json::json;

/// Has requests refused, each for another reason.
pub fn provoke<'a>(system: &Installation, own: &Caller<'_>, caller: &dyn Fn(&str) -> Caller<'a>) {
    caller("qph_nobody").get("/api/v1/kms/keys");
    own.get("/api/v1/kms/keys?api_key=secret");
    own.get(&format!("/api/v1/kms/keys/77?algorithm={KEM}"));
    own.get("/api/v1/kms/keys/active");
    own.get("/api/v1/tenants/0190b6c0-0000-4000-8000-00000000000a");
    own.post("/api/v1/kem/encrypt", &json!({"plaintext": "no base64"}));
    own.post(
        "/api/v1/kem/encrypt",
        &json!({"plaintext": "", "algorithm": "RSA"}),
    );
    own.post(
        "/api/v1/kem/encrypt",
        &json!({"plaintext": "", "mode": "deterministic", "salt": ""}),
    );
    own.post(
        "/api/v1/kem/decrypt",
        &json!({"ciphertext": "AAAA", "key_version": 2}),
    );
    own.post(
        "/api/v1/kem/key/unwrap",
        &json!({"wrapped_key": "AAAA", "key_version": 2}),
    );
    own.post(
        "/api/v1/kem/key/wrap",
        &json!({"symmetric_key": "AAAA", "key_version": 2}),
    );
    own.post(
        "/api/v1/kem/decapsulate",
        &json!({"kem_ciphertext": "AAAA", "key_version": 2}),
    );
    own.post(
        "/api/v1/signature/verify",
        &json!({"message": "", "signature": "?", "key_version": 1}),
    );
    own.post(
        "/api/v1/signature/sign",
        &json!({"message": "", "key_version": 77}),
    );
    own.post(
        "/api/v1/kms/keys/archive",
        &json!({"algorithm": KEM, "key_version": 2}),
    );
    let operator = caller(&system.operator_key().text);
    operator.get("/api/v1/kms/keys");
}
