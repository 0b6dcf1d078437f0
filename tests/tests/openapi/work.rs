//! Work with keys: one by one, in batches, in streams; each with everything that it may take.

use crate::caller::Caller;
use crate::{COMPOSITE, HYBRID};
use chancel_tests::api::{KEM, SIGNATURE, decoded, encoded};
use serde_json::{Value, json};

pub fn uses(own: &Caller<'_>) {
    let (text, aad, context) = (encoded(b"text"), encoded(b"aad"), encoded(b"context"));
    own.post("/api/v1/kem/encrypt", &json!({"plaintext": text}));
    let body = json!({"plaintext": text, "mode": "deterministic", "salt": encoded(&[7; 32])});
    own.post("/api/v1/kem/encrypt", &body);
    for (algorithm, version) in [(KEM, 2), (HYBRID, 3)] {
        let with = |name: &str, value: &Value, aad: Option<&str>| {
            let mut body = json!({"key_version": version, "algorithm": algorithm, name: value});
            if let Some(aad) = aad {
                body["aad"] = aad.into();
            }
            body
        };
        let sealed = own.post(
            "/api/v1/kem/encrypt",
            &with("plaintext", &text.clone().into(), Some(&aad)),
        );
        let mut opens = with("ciphertext", &sealed["ciphertext"], Some(&aad));
        own.post("/api/v1/kem/decrypt", &opens);
        opens["target_algorithm"] = HYBRID.into();
        opens["target_key_version"] = 0.into();
        own.post("/api/v1/kem/rewrap", &opens);
        let which = json!({"key_version": version, "algorithm": algorithm});
        let made = own.post("/api/v1/kem/encapsulate", &which);
        let made = &made["kem_ciphertext"];
        own.post("/api/v1/kem/decapsulate", &with("kem_ciphertext", made, None));
        let made = own.post(
            "/api/v1/kem/key/wrap",
            &with("symmetric_key", &encoded(&[7; 32]).into(), None),
        );
        let made = &made["wrapped_key"];
        own.post("/api/v1/kem/key/unwrap", &with("wrapped_key", made, None));
    }
    for algorithm in [SIGNATURE, COMPOSITE] {
        let body = json!({"message": text, "context": context, "message_type": "RAW", "algorithm": algorithm,
                          "key_version": 1});
        signed(own, "sign", "verify", body);
        let body = json!({"hash": encoded(&[7; 64]), "hash_algorithm": "SHA-512", "context": context,
                          "algorithm": algorithm, "key_version": 1});
        signed(own, "sign-hash", "verify-hash", body);
    }
    own.post("/api/v1/signature/sign", &json!({"message": text}));
    own.get(&format!("/api/v1/kms/keys/active?algorithm={KEM}"));
}

/// Signs, and verifies it.
fn signed(own: &Caller<'_>, sign: &str, verify: &str, mut body: Value) {
    let signed = own.post(&format!("/api/v1/signature/{sign}"), &body);
    body["signature"] = signed["signature"].clone();
    own.post(&format!("/api/v1/signature/{verify}"), &body);
}

pub fn batches(own: &Caller<'_>) {
    let text = encoded(b"text");
    let kem = |body: Value| own.post("/api/v1/kem/batch", &body);
    let signature = |body: Value| own.post("/api/v1/signature/batch", &body);
    let sealed = kem(json!({"operation": "encrypt", "algorithm": KEM, "items": [
        {"plaintext": text, "aad": text}, {"plaintext": text, "mode": "standard", "aad": text},
    ]}));
    let item = json!({"ciphertext": sealed["results"][0]["ciphertext"], "aad": text});
    kem(json!({"operation": "decrypt", "key_version": 2, "items": [item, {"ciphertext": encoded(b"")}]}));
    kem(
        json!({"operation": "rewrap", "key_version": 2, "target_algorithm": HYBRID, "target_key_version": 0,
               "items": [item]}),
    );
    let salt = encoded(&[7; 32]);
    kem(json!({"operation": "encrypt-deterministic", "items": [{"plaintext": text, "salt": salt}]}));
    let made = kem(json!({"operation": "encapsulate", "key_version": 2, "items": [{}]}));
    let item = json!({"kem_ciphertext": made["results"][0]["kem_ciphertext"]});
    kem(json!({"operation": "decapsulate", "key_version": 2, "items": [item]}));
    let made = kem(json!({"operation": "wrap", "key_version": 2, "items": [{"symmetric_key": salt}]}));
    let item = json!({"wrapped_key": made["results"][0]["wrapped_key"]});
    kem(json!({"operation": "unwrap", "key_version": 2, "items": [item]}));

    let mut item = json!({"message": text, "context": text, "message_type": "RAW"});
    let body = json!({"operation": "sign", "algorithm": COMPOSITE, "key_version": 1, "items": [item]});
    item["signature"] = signature(body)["results"][0]["signature"].clone();
    signature(json!({"operation": "verify", "algorithm": COMPOSITE, "key_version": 1, "items": [item]}));
    let mut item = json!({"hash": salt, "hash_algorithm": "SHA-256", "context": text});
    let made = signature(json!({"operation": "sign-hash", "items": [item]}));
    item["signature"] = made["results"][0]["signature"].clone();
    signature(json!({"operation": "verify-hash", "key_version": 1, "items": [item]}));
    signature(json!({"operation": "sign-mu", "items": [{"message": encoded(&[7; 64])}]}));
    // Nothing but faults: nobody was asked for a key. What is wrong with the second is not its form.
    let body = json!({"operation": "sign", "items": [{"message": "no base64"}]});
    signature(body);
}

pub fn streams(own: &Caller<'_>) {
    let (text, aad) = (b"a stream".as_slice(), "aad=YWFk&key_version=2");
    let path = format!("/api/v1/kem/encrypt?algorithm={KEM}&{aad}");
    let (_, sealed) = own.post_stream(&path, text);
    let path = format!("/api/v1/kem/decrypt?algorithm={KEM}&{aad}");
    let (_, opened) = own.post_stream(&path, &sealed);
    assert_eq!(opened, text);
    // A long message is signed by its digest or by its mu.
    for (algorithm, message) in [(SIGNATURE, text.to_vec()), (COMPOSITE, vec![7; (1 << 20) + 1])] {
        let query = format!("algorithm={algorithm}&key_version=1&context=YWFk");
        let (signed, _) = own.post_stream(&format!("/api/v1/signature/sign?{query}"), &message);
        let signature = decoded(&signed["signature"]);
        let path = format!(
            "/api/v1/signature/verify?{query}&signature_length={}",
            signature.len()
        );
        let (verdict, _) = own.post_stream(&path, &[signature, message].concat());
        assert_eq!(verdict["valid"], true, "{verdict}");
    }
}
