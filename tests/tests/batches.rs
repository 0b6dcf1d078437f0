//! Batches over the real daemons: what each item gives, what they count, and what stands in both ledgers.

use chancel_ledger::LedgerName;
use chancel_tests::api::{Api, KEM, SIGNATURE, decoded, encoded, refused};
use chancel_tests::shared::{Common, Shared};
use chancel_tests::{Installation, Tenant};
use serde_json::{Value, json};

const KEM_BATCH: &str = "/api/v1/kem/batch";
const SIGNATURE_BATCH: &str = "/api/v1/signature/batch";

fn system() -> Shared<'static> {
    static COMMON: Common = Common::new();
    COMMON.join()
}

/// A tenant with a key of each family.
fn party(system: &Installation, name: &str) -> (Tenant, Api) {
    let (tenant, api_key) = system.tenant_with_api_key(name);
    let api = system.api(&api_key);
    for algorithm in [KEM, SIGNATURE] {
        api.first_key(algorithm);
    }
    (tenant, api)
}

fn results(answer: &Value) -> &Vec<Value> {
    answer["results"].as_array().expect("results")
}

/// The items of a batch made from the results of the one before.
fn from_results(answer: &Value, item: impl Fn(&Value) -> Value) -> Value {
    results(answer).iter().map(item).collect()
}

#[test]
fn each_operation_gives_in_a_batch_what_it_gives_alone() {
    let system = system();
    let (_, api) = party(&system, "round trips");
    let run = |path: &str, operation: &str, items: Value| {
        let body = json!({"operation": operation, "key_version": 1, "items": items});
        let answer = api.post(path, &body).expect("an answer");
        assert_eq!(answer["failed"], 0, "{operation}: {answer}");
        assert_eq!(answer["key_version"], 1);
        answer
    };
    let kem = |operation, items| run(KEM_BATCH, operation, items);
    let signature = |operation, items| run(SIGNATURE_BATCH, operation, items);
    let texts: Vec<String> = (0..5u8).map(|number| encoded(&[number; 9])).collect();
    let of_texts = |name: &str| -> Value { texts.iter().map(|text| json!({name: text})).collect() };

    let sealed = kem("encrypt", of_texts("plaintext"));
    let opened = kem(
        "decrypt",
        from_results(&sealed, |made| json!({"ciphertext": made["ciphertext"]})),
    );
    assert!(
        results(&opened)
            .iter()
            .zip(&texts)
            .all(|(made, text)| made["plaintext"] == **text)
    );
    let single = api.post(
        "/api/v1/kem/decrypt",
        &json!({"ciphertext": results(&sealed)[3]["ciphertext"], "key_version": 1}),
    );
    assert_eq!(single.expect("opened alone")["plaintext"], *texts[3]);

    let salt = encoded(&[7; 32]);
    let same = json!([{"plaintext": texts[0], "salt": salt}, {"plaintext": texts[0], "salt": salt}]);
    let same = kem("encrypt-deterministic", same);
    assert_eq!(results(&same)[0], results(&same)[1]);

    let rewrapped = kem(
        "rewrap",
        from_results(&sealed, |made| json!({"ciphertext": made["ciphertext"]})),
    );
    assert_eq!(rewrapped["source_key_version"], 1);
    let opened = kem(
        "decrypt",
        from_results(&rewrapped, |made| json!({"ciphertext": made["ciphertext"]})),
    );
    assert_eq!(results(&opened)[4]["plaintext"], *texts[4]);

    let shared = kem("encapsulate", json!([{}, {}]));
    let recovered = kem(
        "decapsulate",
        from_results(&shared, |made| json!({"kem_ciphertext": made["kem_ciphertext"]})),
    );
    for (made, recovered) in results(&shared).iter().zip(results(&recovered)) {
        assert_eq!(made["shared_secret"], recovered["shared_secret"]);
    }

    let key = encoded(&[9; 32]);
    let wrapped = kem("wrap", json!([{"symmetric_key": key}, {"symmetric_key": key}]));
    let unwrapped = kem(
        "unwrap",
        from_results(&wrapped, |made| json!({"wrapped_key": made["wrapped_key"]})),
    );
    assert!(
        results(&unwrapped)
            .iter()
            .all(|made| made["symmetric_key"] == *key)
    );

    let signed = signature("sign", of_texts("message"));
    let verify = |signed: &Value, field: &str| -> Value {
        let items = results(signed).iter().zip(&texts);
        items
            .map(|(made, text)| json!({field: text, "signature": made["signature"]}))
            .collect()
    };
    let verdicts = signature("verify", verify(&signed, "message"));
    assert!(results(&verdicts).iter().all(|made| made["valid"] == true));
    let digests: Vec<String> = (0..5u8).map(|number| encoded(&[number; 32])).collect();
    let hashes: Value = digests
        .iter()
        .map(|hash| json!({"hash": hash, "hash_algorithm": "SHA-256"}))
        .collect();
    let signed = signature("sign-hash", hashes);
    let items = results(&signed).iter().zip(&digests);
    let items = items.map(
        |(made, hash)| json!({"hash": hash, "hash_algorithm": "SHA-256", "signature": made["signature"]}),
    );
    let verdicts = signature("verify-hash", items.collect());
    assert!(results(&verdicts).iter().all(|made| made["valid"] == true));
    let mu = encoded(&[5; 64]);
    let signed = signature("sign-mu", json!([{"message": mu}]));
    let item = json!([{"message": mu, "message_type": "EXTERNAL_MU", "signature": results(&signed)[0]["signature"]}]);
    assert_eq!(results(&signature("verify", item))[0]["valid"], true);
}

#[test]
fn a_bad_item_spoils_no_other_and_says_what_is_wrong_with_it() {
    let system = system();
    let (_, api) = party(&system, "bad items");
    let sealed = api.encrypt(b"good").expect("encrypted");
    let good = encoded(&sealed.bytes);
    let mut changed = sealed.bytes.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    let body = json!({"operation": "decrypt", "key_version": 1, "items": [
        {"ciphertext": "no base64"}, {"ciphertext": good}, 7, {}, {"ciphertext": encoded(&changed)},
        {"ciphertext": good, "key_version": 1}, {"ciphertext": good, "aad": encoded(b"other")}, {"ciphertext": good},
        {"ciphertext": good, "ciphertext ": 1},
    ]});
    let answer = api.post(KEM_BATCH, &body).expect("an answer");
    let codes: Vec<_> = results(&answer)
        .iter()
        .map(|result| result["error"]["error_code"].as_str().unwrap_or("ok"))
        .collect();
    let (encoding, request, open) = ("ERR_KEM_003", "ERR_INVALID_001", "ERR_KEM_003");
    assert_eq!(
        codes,
        [encoding, "ok", request, request, open, request, open, "ok", "ok"]
    );
    assert_eq!((&answer["succeeded"], &answer["failed"]), (&json!(3), &json!(6)));
    assert_eq!(decoded(&results(&answer)[7]["plaintext"]), b"good");

    // Nothing but bad items is still an answer for each.
    let body = json!({"operation": "sign", "items": [{}, {"message": 1},
        {"message": encoded(&[0; 64]), "message_type": "EXTERNAL_MU"}]});
    let answer = api.post(SIGNATURE_BATCH, &body).expect("an answer");
    assert_eq!((&answer["succeeded"], &answer["failed"]), (&json!(0), &json!(3)));
    let other = results(&answer)[2]["error"]["message"]
        .as_str()
        .expect("a message");
    assert_eq!(other, "The item is for another operation than the batch");
}

#[test]
fn a_batch_is_refused_as_a_whole_for_what_is_wrong_with_the_whole() {
    let system = system();
    let (tenant, api) = party(&system, "whole");
    let items = |count: usize| vec![json!({"message": encoded(b"m")}); count];
    let sign = |items: Value| json!({"operation": "sign", "items": items});
    for (path, body) in [
        (SIGNATURE_BATCH, sign(json!([]))),
        (SIGNATURE_BATCH, sign(items(1001).into())),
        (SIGNATURE_BATCH, sign(json!({"message": "bQ=="}))),
        (SIGNATURE_BATCH, json!({"operation": "sign"})),
        (SIGNATURE_BATCH, json!({"items": items(1)})),
        (
            SIGNATURE_BATCH,
            json!({"operation": "decrypt", "key_version": 1, "items": [{}]}),
        ),
        (KEM_BATCH, sign(items(1).into())),
        (
            KEM_BATCH,
            json!({"operation": "decrypt", "items": [{"ciphertext": "AA=="}]}),
        ),
        (
            SIGNATURE_BATCH,
            json!({"operation": "sign", "algorithm": "SLH-DSA-SHA2-128s", "items": items(5)}),
        ),
    ] {
        refused(api.post(path, &body), 400, "ERR_INVALID_001");
    }
    let (slow, signature) = ("SLH-DSA-SHA2-128f", encoded(&[0; 17088]));
    api.first_key(slow);
    let verify = |count: usize| {
        let items = vec![json!({"message": encoded(b"m"), "signature": signature}); count];
        json!({"operation": "verify", "algorithm": slow, "key_version": 1, "items": items})
    };
    refused(api.post(SIGNATURE_BATCH, &verify(65)), 400, "ERR_INVALID_001");
    let verdicts = api.post(SIGNATURE_BATCH, &verify(64)).expect("an answer");
    assert!(results(&verdicts).iter().all(|result| result["valid"] == false));

    let large = json!({"plaintext": encoded(&vec![0; 1 << 20])});
    let made = json!({"operation": "encrypt", "items": vec![large.clone(); 8]});
    let sealed = api
        .post(KEM_BATCH, &made)
        .expect("eight times the largest plaintext");
    let ciphertexts = from_results(&sealed, |made| json!({"ciphertext": made["ciphertext"]}));
    let body = json!({"operation": "decrypt", "key_version": 1, "items": ciphertexts});
    let opened = api
        .post(KEM_BATCH, &body)
        .expect("what a batch made, a batch opens");
    assert_eq!(opened["succeeded"], 8);
    let body = json!({"operation": "encrypt", "items": vec![large; 10]});
    refused(api.post(KEM_BATCH, &body), 400, "ERR_INVALID_004");

    let narrow = system.api(&system.api_key(&tenant, "sign verify"));
    let body = json!({"operation": "sign-hash", "items": [{"hash": encoded(&[0; 32]), "hash_algorithm": "SHA-256"}]});
    refused(narrow.post(SIGNATURE_BATCH, &body), 403, "ERR_POLICY_001");
    narrow
        .post(SIGNATURE_BATCH, &sign(items(2).into()))
        .expect("within its scopes");
}

#[test]
fn a_batch_counts_by_its_items_and_takes_all_of_them_or_nothing() {
    let system = system();
    let (tenant, api) = party(&system, "counts");
    let body = json!({"algorithm": SIGNATURE, "uses_per_day": 10});
    api.post("/api/v1/kms/keys/budget", &body).expect("a budget");
    let sign = |count: usize| {
        let items = vec![json!({"message": encoded(b"m")}); count];
        api.post(SIGNATURE_BATCH, &json!({"operation": "sign", "items": items}))
    };
    refused(sign(11), 403, "ERR_QUOTA_002");
    sign(7).expect("seven of ten");
    refused(sign(4), 403, "ERR_QUOTA_002");
    sign(3).expect("the last three");
    refused(api.sign(b"m"), 403, "ERR_QUOTA_002");
    let usage = api
        .get(&format!("/api/v1/tenants/{}", tenant.id))
        .expect("the tenant");
    // Two keys, a budget, ten signatures and this question.
    assert_eq!(usage["usage"]["api_calls"], 14, "{usage}");
}

#[test]
fn a_thousand_signatures_are_one_record_in_each_ledger_and_the_ledgers_agree() {
    let system = Installation::new();
    let audit_key = system.audit_key();
    let (_, api) = party(&system, "thousand");
    let items: Vec<_> = (0..1000u16)
        .map(|number| json!({"message": encoded(&number.to_be_bytes())}))
        .collect();
    let body = json!({"operation": "sign", "items": items});
    let answer = api.post(SIGNATURE_BATCH, &body).expect("an answer");
    assert_eq!(answer["succeeded"], 1000);
    let items: Vec<_> = results(&answer)
        .iter()
        .zip(&items)
        .map(|(made, item)| json!({"message": item["message"], "signature": made["signature"]}))
        .collect();
    let body = json!({"operation": "verify", "key_version": 1, "items": items});
    let verdicts = api.post(SIGNATURE_BATCH, &body).expect("an answer");
    assert!(results(&verdicts).iter().all(|result| result["valid"] == true));
    for (ledger, kind) in [(LedgerName::Decisions, "allow"), (LedgerName::Uses, "use")] {
        let records = system.records(ledger);
        let signing: Vec<_> = records
            .kind(kind)
            .filter(|record| record["operation"] == "sign")
            .collect();
        assert_eq!(signing.len(), 1, "{ledger}");
        assert_eq!(signing[0]["items"], 1000, "{ledger}");
    }
    assert_eq!(system.assert_sound(&audit_key).agreed, 1);
}
