//! Streams over the real daemons: what is too large for a request of JSON, by clients that read while they send and by
//! those that send everything first.

mod client;
mod limits;

use chancel_domain::{Algorithm, Content};
use chancel_pqc::Verdict;
use chancel_tests::Installation;
use chancel_tests::api::{Api, KEM, SIGNATURE, decoded, encoded};
use chancel_tests::shared::{Common, Shared};
use client::{chunked, post, unchunked};
use serde_json::json;

const ENCRYPT: &str = "/api/v1/kem/encrypt";
const DECRYPT: &str = "/api/v1/kem/decrypt";
const SIGN: &str = "/api/v1/signature/sign";
const VERIFY: &str = "/api/v1/signature/verify";
const COMPOSITE: &str = "Composite-ML-DSA";

/// Plaintext of the longest stream.
const LONGEST: usize = 64 << 20;
const SEGMENT: usize = 64 << 10;
const TAG: usize = 16;
/// An envelope of ML-KEM-768 around a key of 32 bytes, and the nonces' prefix.
const HEAD: usize = 1124 + 32;
const BEFORE: usize = HEAD + 7;

fn system() -> Shared<'static> {
    static COMMON: Common = Common::new();
    COMMON.join()
}

/// A tenant with a key of each kind: its API, and the text of its API key.
fn party(system: &Installation, name: &str) -> (Api, String) {
    let (_, api_key) = system.tenant_with_api_key(name);
    let api = system.api(&api_key);
    for algorithm in [KEM, SIGNATURE, COMPOSITE] {
        api.first_key(algorithm);
    }
    (api, api_key.text)
}

/// Bytes that differ from place to place.
fn message(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index % 251) as u8 ^ (index >> 16) as u8)
        .collect()
}

fn base64url(bytes: &[u8]) -> String {
    encoded(bytes).replace('+', "-").replace('/', "_")
}

#[test]
fn what_is_encrypted_as_a_stream_decrypts_as_one_up_to_the_longest() {
    let system = system();
    let (_, api_key) = party(&system, "round trips");
    let address = system.address();
    let aad = base64url(&[0xfb, 0xff, 0xfe]);
    for (length, at_once) in [
        (0, false),
        (1, true),
        (SEGMENT - 1, false),
        (SEGMENT, true),
        (SEGMENT + 1, false),
        ((1 << 20) + 1, true),
        (LONGEST, false),
        (LONGEST, true),
    ] {
        let plaintext = message(length);
        let path = format!("{ENCRYPT}?aad={aad}");
        let answer = post(&address, &api_key, &path, &plaintext, at_once);
        assert!(
            answer.head.contains("x-chancel-key-version: 1\r\n"),
            "{}",
            answer.head
        );
        assert!(
            answer.head.contains("x-chancel-algorithm: kyber768\r\n"),
            "{}",
            answer.head
        );
        assert!(answer.head.contains("content-type: application/octet-stream\r\n"));
        let sealed = answer.bytes();
        let segments = length.div_ceil(SEGMENT).max(1);
        assert_eq!(sealed.len(), BEFORE + length + segments * TAG);
        let path = format!("{DECRYPT}?key_version=1&aad={aad}");
        let opened = post(&address, &api_key, &path, &sealed, at_once).bytes();
        assert!(opened == plaintext, "{length} bytes");
    }
    // What is encrypted can be decrypted: one byte more than that is not taken.
    let longer = message(LONGEST + 1);
    post(&address, &api_key, ENCRYPT, &longer, false).refused(400, "ERR_INVALID_004");
    post(&address, &api_key, SIGN, &longer, false).refused(400, "ERR_INVALID_004");
    let signed = post(&address, &api_key, SIGN, &longer[..LONGEST], false).data();
    let body = [decoded(&signed["signature"]), longer[..LONGEST].to_vec()].concat();
    let verified = post(
        &address,
        &api_key,
        &format!("{VERIFY}?key_version=1"),
        &body,
        false,
    );
    assert_eq!(verified.data()["valid"], true);
}

/// Clients that do not know the length of what they send, as Go's and Python's are with a reader.
#[test]
fn a_stream_of_undeclared_length_ends_with_its_last_chunk_or_visibly_breaks_off() {
    let system = system();
    let (_, api_key) = party(&system, "chunked");
    let address = system.address();
    let plaintext = message(5 * SEGMENT + 1);
    let sealed = chunked(&address, &api_key, ENCRYPT, &plaintext);
    assert!(
        sealed.head.contains("transfer-encoding: chunked"),
        "{}",
        sealed.head
    );
    let (sealed, is_whole) = unchunked(&sealed.body);
    assert!(is_whole);
    let decrypt = |sealed: &[u8]| {
        let answer = chunked(&address, &api_key, &format!("{DECRYPT}?key_version=1"), sealed);
        assert_eq!(answer.status, 200);
        unchunked(&answer.body)
    };
    assert!(decrypt(&sealed) == (plaintext.clone(), true));
    for spoilt in [
        &sealed[..sealed.len() - 1],
        &sealed[..BEFORE + 3 * (SEGMENT + TAG)],
    ] {
        let (opened, is_whole) = decrypt(spoilt);
        assert!(!is_whole && plaintext.starts_with(&opened));
    }
    let signed = chunked(&address, &api_key, SIGN, &message(2 << 20));
    assert_eq!(signed.status, 200, "{}", String::from_utf8_lossy(&signed.body));
}

#[test]
fn a_stream_that_is_another_ones_or_was_changed_gives_nothing_of_what_is_not_authentic() {
    let system = system();
    let (_, api_key) = party(&system, "tampering");
    let (_, other) = party(&system, "another tenant");
    let address = system.address();
    let plaintext = message(3 * SEGMENT);
    let sealed = post(
        &address,
        &api_key,
        &format!("{ENCRYPT}?aad=AAAA"),
        &plaintext,
        false,
    )
    .bytes();
    let decrypt = |api_key: &str, query: &str, sealed: &[u8]| {
        post(&address, api_key, &format!("{DECRYPT}?{query}"), sealed, false)
    };
    let good = "key_version=1&aad=AAAA";
    assert!(decrypt(&api_key, good, &sealed).bytes() == plaintext);
    decrypt(&other, good, &sealed).refused(400, "ERR_KEM_003");
    decrypt(&api_key, "key_version=1", &sealed).refused(400, "ERR_KEM_003");
    decrypt(&api_key, "key_version=1&aad=AAAB", &sealed).refused(400, "ERR_KEM_003");
    decrypt(&api_key, "key_version=2&aad=AAAA", &sealed).refused(404, "ERR_KEM_005");
    decrypt(&api_key, "aad=AAAA", &sealed).refused(400, "ERR_INVALID_001");
    // In the head, the prefix, and the first segment: nothing is answered. Later: no byte of the changed segment.
    let step = SEGMENT + TAG;
    for (place, intact) in [
        (3, None),
        (HEAD - 1, None),
        (BEFORE - 1, None),
        (BEFORE, None),
        (BEFORE + step - 1, None),
        (BEFORE + step, Some(1)),
        (BEFORE + 2 * step, Some(2)),
        (sealed.len() - 1, Some(2)),
    ] {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        let answer = decrypt(&api_key, good, &changed);
        match intact {
            None => answer.refused(400, "ERR_KEM_003"),
            Some(segments) => {
                assert!(!answer.is_whole, "changed at {place}");
                assert!(answer.body.len() <= segments * SEGMENT, "changed at {place}");
                assert!(plaintext.starts_with(&answer.body), "changed at {place}");
            }
        }
    }
    // Cut off where a segment ends, and anywhere else.
    for length in [0, 1, BEFORE - 1, BEFORE, BEFORE + 15, BEFORE + step] {
        decrypt(&api_key, good, &sealed[..length]).refused(400, "ERR_KEM_003");
    }
    for length in [BEFORE + step + 100, BEFORE + 2 * step, sealed.len() - 1] {
        let answer = decrypt(&api_key, good, &sealed[..length]);
        assert!(!answer.is_whole, "cut off at {length}");
        assert!(answer.body.len() <= 2 * SEGMENT && plaintext.starts_with(&answer.body));
    }
}

#[test]
fn a_signature_over_a_stream_is_one_over_the_message() {
    let system = system();
    let (api, api_key) = party(&system, "signatures");
    let address = system.address();
    for (name, algorithm) in [
        (SIGNATURE, Algorithm::MlDsa65),
        (COMPOSITE, Algorithm::CompositeMlDsa65EcdsaP256),
    ] {
        let public = api
            .get(&format!("/api/v1/kms/keys/1?algorithm={name}"))
            .expect("the key");
        let public = decoded(&public["public_key"]);
        for length in [0, 1 << 20, (1 << 20) + 1, 3 << 20] {
            for context in [&b""[..], b"context"] {
                let message = message(length);
                let query = format!("algorithm={name}&context={}", base64url(context));
                let signed = post(&address, &api_key, &format!("{SIGN}?{query}"), &message, false).data();
                assert_eq!(
                    (&signed["key_version"], &signed["algorithm"]),
                    (&json!(1), &json!(name))
                );
                let signature = decoded(&signed["signature"]);
                let content = Content::Raw {
                    message: &message,
                    context,
                };
                let verdict = chancel_pqc::verify(algorithm, &public, &content, &signature);
                assert_eq!(verdict, Ok(Verdict::Valid), "{name}, {length} bytes");
                let verify = |query: &str, message: &[u8]| {
                    let query = format!("{query}&key_version=1&signature_length={}", signature.len());
                    let body = [&signature, message].concat();
                    post(&address, &api_key, &format!("{VERIFY}?{query}"), &body, false).data()
                };
                assert_eq!(verify(&query, &message)["valid"], true);
                assert_eq!(
                    verify(&format!("algorithm={name}&context=AAAA"), &message)["valid"],
                    false
                );
                let longer = [&message[..], b"x"].concat();
                assert_eq!(verify(&query, &longer)["valid"], false);
            }
        }
    }
    let short = post(
        &address,
        &api_key,
        &format!("{VERIFY}?key_version=1"),
        &[0; 3308],
        false,
    );
    short.refused(400, "ERR_SIG_002");
    let query = format!("{VERIFY}?key_version=1&algorithm={COMPOSITE}");
    post(&address, &api_key, &query, &[0; 4000], false).refused(400, "ERR_INVALID_001");
    let long = base64url(&[7; 256]);
    post(&address, &api_key, &format!("{SIGN}?context={long}"), b"m", false).refused(400, "ERR_INVALID_001");
    post(&address, &api_key, &format!("{SIGN}?context=!"), b"m", false).refused(400, "ERR_SIG_001");
}

#[test]
fn slh_dsa_signs_what_fits_into_a_request_and_refuses_the_rest() {
    let system = system();
    let (api, api_key) = party(&system, "slh-dsa");
    let address = system.address();
    let name = "SLH-DSA-SHA2-128f";
    api.first_key(name);
    let message = message(1 << 20);
    let signed = post(
        &address,
        &api_key,
        &format!("{SIGN}?algorithm={name}"),
        &message,
        false,
    )
    .data();
    let body = [decoded(&signed["signature"]), message.clone()].concat();
    let query = format!("{VERIFY}?algorithm={name}&key_version=1");
    assert_eq!(
        post(&address, &api_key, &query, &body, false).data()["valid"],
        true
    );
    let longer = [&message[..], b"x"].concat();
    let query = format!("{SIGN}?algorithm={name}");
    post(&address, &api_key, &query, &longer, false).refused(400, "ERR_INVALID_004");
}

/// Who may sign messages alone wants keyd to see what is signed.
#[test]
fn a_long_message_is_not_signed_by_who_may_not_sign_what_stands_for_it() {
    let system = system();
    let (tenant, api_key) = system.tenant_with_api_key("scopes");
    let api = system.api(&api_key);
    api.first_key(SIGNATURE);
    api.first_key(COMPOSITE);
    let address = system.address();
    let (short, long) = (message(1000), message(2 << 20));
    for (scopes, algorithm, is_allowed) in [
        ("sign", SIGNATURE, false),
        ("sign sign-hash", SIGNATURE, false),
        ("sign sign-mu", SIGNATURE, true),
        ("sign sign-mu", COMPOSITE, false),
        ("sign sign-hash", COMPOSITE, true),
    ] {
        let narrow = system.api_key(&tenant, scopes).text;
        let path = format!("{SIGN}?algorithm={algorithm}");
        post(&address, &narrow, &path, &short, false).data();
        let answer = post(&address, &narrow, &path, &long, false);
        if is_allowed {
            answer.data();
        } else {
            answer.refused(403, "ERR_POLICY_001");
        }
    }
    // Without any right nothing of a stream is taken either.
    let nobody = format!("qph_{}", "A".repeat(40));
    post(&address, &nobody, ENCRYPT, &short, false).refused(401, "ERR_AUTH_001");
    let verify_only = system.api_key(&tenant, "verify").text;
    post(&address, &verify_only, ENCRYPT, &short, false).refused(403, "ERR_POLICY_001");
}

#[test]
fn the_head_of_a_stream_is_rewrapped_and_its_segments_stay() {
    let system = system();
    let (api, api_key) = party(&system, "rewrap");
    let address = system.address();
    let plaintext = message(2 * SEGMENT + 5);
    let mut sealed = post(&address, &api_key, ENCRYPT, &plaintext, false).bytes();
    api.rotate(KEM).expect("a version");
    let body = json!({"ciphertext": encoded(&sealed[..HEAD]), "key_version": 1});
    let rewrapped = api.post("/api/v1/kem/rewrap", &body).expect("another head");
    sealed[..HEAD].copy_from_slice(&decoded(&rewrapped["ciphertext"]));
    let opened = post(
        &address,
        &api_key,
        &format!("{DECRYPT}?key_version=2"),
        &sealed,
        false,
    );
    assert!(opened.bytes() == plaintext);
    // The key in it is for the segments: no other route says it.
    let head = json!({"ciphertext": encoded(&sealed[..HEAD]), "key_version": 2});
    let refused = api.post(DECRYPT, &head).expect_err("not a ciphertext of its own");
    assert_eq!(refused.code(), (400, "ERR_KEM_003"));
    let head = json!({"wrapped_key": encoded(&sealed[..HEAD]), "key_version": 2});
    let refused = api
        .post("/api/v1/kem/key/unwrap", &head)
        .expect_err("not a wrapped key");
    assert_eq!(refused.code(), (400, "ERR_KEM_011"));
}
