//! Tenant isolation on the whole system, through the API: one tenant's API key, another tenant's data. Both have keys of
//! the same algorithms and versions, so that nothing but the tenant tells them apart.

#[path = "isolation/routes.rs"]
mod routes;

use chancel_tests::api::{Failure, KEM, Made, SIGNATURE, decoded, encoded, refused};
use chancel_tests::shared::Common;
use chancel_tests::{Api, Installation, Shared, Tenant};
use serde_json::{Value, json};
use std::sync::OnceLock;

static SYSTEM: Common = Common::new();
static PAIR: OnceLock<(Party, Party)> = OnceLock::new();

/// A tenant, and the API for it.
#[derive(Debug)]
struct Party {
    tenant: Tenant,
    api: Api,
}

/// What a party made with its active keys.
struct Data {
    ciphertext: Made,
    wrapped_key: String,
    kem_ciphertext: String,
    shared_secret: Vec<u8>,
    signature: Made,
}

const PLAINTEXT: &[u8] = b"what only its tenant may read";
const MESSAGE: &[u8] = b"what only its tenant may sign";
/// Only the second party has it.
const ONLY_THEIRS: u64 = 3;

fn system() -> Shared<'static> {
    SYSTEM.join()
}

fn party(system: &Installation, name: &str) -> Party {
    let (tenant, api_key) = system.tenant_with_api_key(name);
    let api = system.api(&api_key);
    for algorithm in [KEM, SIGNATURE] {
        assert_eq!(api.first_key(algorithm).version, 1);
    }
    Party { tenant, api }
}

/// Two parties; the second has two versions more.
fn pair(system: &Shared<'_>) -> &'static (Party, Party) {
    PAIR.get_or_init(|| {
        let theirs = party(system, "theirs");
        for algorithm in [KEM, SIGNATURE] {
            for version in 2..=ONLY_THEIRS {
                assert_eq!(theirs.api.rotate(algorithm).expect("a key"), version);
            }
        }
        (party(system, "ours"), theirs)
    })
}

impl Party {
    /// Makes one of each with a version that is active.
    fn data(&self, version: u64) -> Data {
        let encapsulated = self
            .api
            .post("/api/v1/kem/encapsulate", &json!({"key_version": version}))
            .expect("encapsulated");
        let wrapped = self
            .api
            .post(
                "/api/v1/kem/key/wrap",
                &json!({"symmetric_key": encoded(&[7; 32]), "key_version": version}),
            )
            .expect("wrapped");
        Data {
            ciphertext: self.api.encrypt(PLAINTEXT).expect("encrypted"),
            wrapped_key: text(&wrapped["wrapped_key"]),
            kem_ciphertext: text(&encapsulated["kem_ciphertext"]),
            shared_secret: decoded(&encapsulated["shared_secret"]),
            signature: self.api.sign(MESSAGE).expect("signed"),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn unwrap(api: &Api, data: &Data) -> Result<Value, Failure> {
    api.post(
        "/api/v1/kem/key/unwrap",
        &json!({"wrapped_key": data.wrapped_key, "key_version": 1}),
    )
}

fn decapsulate(api: &Api, data: &Data) -> Vec<u8> {
    let answer = api
        .post(
            "/api/v1/kem/decapsulate",
            &json!({"kem_ciphertext": data.kem_ciphertext, "key_version": 1}),
        )
        .expect("decapsulation never fails");
    decoded(&answer["shared_secret"])
}

#[test]
fn another_tenants_data_does_not_open_or_verify() {
    let system = system();
    let (one, two) = (party(&system, "one"), party(&system, "two"));
    let data = one.data(1);

    refused(two.api.decrypt(&data.ciphertext), 400, "ERR_KEM_003");
    refused(unwrap(&two.api, &data), 400, "ERR_KEM_011");
    // FIPS 203 answers a foreign ciphertext with a secret that means nothing.
    assert_ne!(decapsulate(&two.api, &data), data.shared_secret);
    assert!(!two.api.verify(MESSAGE, &data.signature).expect("an answer"));

    // All of it was sound: its own tenant opens it.
    assert_eq!(one.api.decrypt(&data.ciphertext).expect("decrypted"), PLAINTEXT);
    let unwrapped = unwrap(&one.api, &data).expect("unwrapped");
    assert_eq!(decoded(&unwrapped["symmetric_key"]), [7; 32]);
    assert_eq!(decapsulate(&one.api, &data), data.shared_secret);
    assert!(one.api.verify(MESSAGE, &data.signature).expect("an answer"));
}

/// Every route that takes a key version, with sound data beside it, and how it says that there is no such key.
fn routes_with_a_version(version: u64, data: &Data) -> Vec<(&'static str, Value, &'static str)> {
    let with = |fields: &[(&str, &str)]| {
        let mut body = json!({"key_version": version});
        for (name, value) in fields {
            body[*name] = (*value).into();
        }
        body
    };
    let ciphertext = encoded(&data.ciphertext.bytes);
    let signature = encoded(&data.signature.bytes);
    let (plaintext, message) = (encoded(PLAINTEXT), encoded(MESSAGE));
    let symmetric_key = encoded(&[7; 32]);
    const KEM_MISSING: &str = "ERR_KEM_005";
    const SIGNATURE_MISSING: &str = "ERR_SIG_003";
    vec![
        (
            "/api/v1/kem/encrypt",
            with(&[("plaintext", &plaintext)]),
            KEM_MISSING,
        ),
        (
            "/api/v1/kem/decrypt",
            with(&[("ciphertext", &ciphertext)]),
            KEM_MISSING,
        ),
        ("/api/v1/kem/encapsulate", with(&[]), KEM_MISSING),
        (
            "/api/v1/kem/decapsulate",
            with(&[("kem_ciphertext", &data.kem_ciphertext)]),
            KEM_MISSING,
        ),
        (
            "/api/v1/kem/key/wrap",
            with(&[("symmetric_key", &symmetric_key)]),
            KEM_MISSING,
        ),
        (
            "/api/v1/kem/key/unwrap",
            with(&[("wrapped_key", &data.wrapped_key)]),
            KEM_MISSING,
        ),
        (
            "/api/v1/signature/sign",
            with(&[("message", &message)]),
            SIGNATURE_MISSING,
        ),
        (
            "/api/v1/signature/verify",
            with(&[("message", &message), ("signature", &signature)]),
            SIGNATURE_MISSING,
        ),
        (
            "/api/v1/kms/keys/retire",
            with(&[("algorithm", KEM)]),
            "ERR_NOT_FOUND_001",
        ),
    ]
}

#[test]
fn a_version_that_only_another_tenant_has_does_not_exist() {
    let system = system();
    let (ours, theirs) = pair(&system);
    for (route, body, code) in routes_with_a_version(ONLY_THEIRS, &theirs.data(ONLY_THEIRS)) {
        refused(ours.api.post(route, &body), 404, code);
    }
    for algorithm in [KEM, SIGNATURE] {
        let path = format!("/api/v1/kms/keys/{ONLY_THEIRS}?algorithm={algorithm}");
        refused(ours.api.get(&path), 404, "ERR_NOT_FOUND_001");
        assert!(theirs.api.get(&path).is_ok());
        // Not told apart from one that nobody has.
        let path = format!("/api/v1/kms/keys/77?algorithm={algorithm}");
        refused(ours.api.get(&path), 404, "ERR_NOT_FOUND_001");
    }
    // The version is there and works for its tenant, retirement included in what the other could not do.
    let made = theirs.api.encrypt(PLAINTEXT).expect("encrypted");
    assert_eq!(made.version, ONLY_THEIRS);
    assert_eq!(theirs.api.decrypt(&made).expect("decrypted"), PLAINTEXT);
}

#[test]
fn a_tenant_without_keys_uses_nobody_elses() {
    let system = system();
    let (ours, _) = pair(&system);
    let (_, api_key) = system.tenant_with_api_key("without keys");
    let api = system.api(&api_key);
    for (route, body, code) in routes_with_a_version(1, &ours.data(1)) {
        refused(api.post(route, &body), 404, code);
    }
    refused(api.encrypt(PLAINTEXT), 404, "ERR_KEM_005");
    refused(api.sign(MESSAGE), 404, "ERR_SIG_003");
    refused(api.rotate(KEM), 404, "ERR_NOT_FOUND_001");
    for algorithm in [KEM, SIGNATURE] {
        let path = format!("/api/v1/kms/keys/active?algorithm={algorithm}");
        refused(api.get(&path), 404, "ERR_NOT_FOUND_001");
        assert_eq!(api.keys(algorithm).expect("a list"), []);
    }
}

#[test]
fn a_tenant_sees_its_own_keys_and_itself_alone() {
    let system = system();
    let (ours, theirs) = pair(&system);
    for algorithm in [KEM, SIGNATURE] {
        let our_keys = ours.api.keys(algorithm).expect("a list");
        let their_keys = theirs.api.keys(algorithm).expect("a list");
        assert_eq!((our_keys.len(), their_keys.len()), (1, 3));
        for key in &our_keys {
            assert!(
                their_keys
                    .iter()
                    .all(|theirs| theirs.public_key != key.public_key)
            );
        }
    }
    for party in [ours, theirs] {
        let answer = party.api.get("/api/v1/tenants/").expect("itself");
        let tenants = answer["tenants"].as_array().expect("a list");
        assert_eq!(tenants.len(), 1);
        let whole = tenants[0].to_string();
        assert!(whole.contains(&party.tenant.id.to_string()), "{whole}");
    }
}

#[test]
fn a_tenant_id_that_a_caller_sends_is_never_read() {
    let system = system();
    let (ours, theirs) = pair(&system);
    let id = theirs.tenant.id.to_string();
    let mut client = ours.api.client().clone();
    for header in [
        "x-tenant-id",
        "x-tenant",
        "tenant-id",
        "x-chancel-tenant-id",
        "x-api-key-version",
        "x-forwarded-user",
    ] {
        client = client.with_header(header, &id);
    }
    let api = Api::new(client);

    // Reading: still ours.
    let query = format!("algorithm={KEM}&tenant_id={id}&tenant={id}");
    let listed = api.get(&format!("/api/v1/kms/keys?{query}")).expect("a list");
    assert_eq!(listed["total"], 1);
    let own = api
        .get(&format!("/api/v1/tenants/?tenant_id={id}"))
        .expect("itself");
    assert!(own.to_string().contains(&ours.tenant.id.to_string()));
    assert!(!own.to_string().contains(&id));

    // Using: with our key, for us.
    let body = json!({"plaintext": encoded(PLAINTEXT), "tenant_id": id, "tenant": {"id": id}});
    let made = api.post("/api/v1/kem/encrypt", &body).expect("encrypted");
    let made = Made {
        bytes: decoded(&made["ciphertext"]),
        version: 1,
    };
    assert_eq!(ours.api.decrypt(&made).expect("decrypted"), PLAINTEXT);
    refused(theirs.api.decrypt(&made), 400, "ERR_KEM_003");

    // Changing: not theirs.
    let body = json!({"algorithm": KEM, "key_version": ONLY_THEIRS, "tenant_id": id});
    refused(
        api.post("/api/v1/kms/keys/retire", &body),
        404,
        "ERR_NOT_FOUND_001",
    );
    let theirs_now = theirs.api.keys(KEM).expect("a list");
    assert!(
        theirs_now
            .iter()
            .any(|key| key.version == ONLY_THEIRS && key.status == "active")
    );
}

#[test]
fn what_a_tenant_does_to_its_keys_another_does_not_notice() {
    let system = system();
    let (one, two) = (party(&system, "rotates"), party(&system, "rests"));
    let data = two.data(1);
    let before = two.api.keys(KEM).expect("a list");
    assert_eq!(one.api.rotate(KEM).expect("rotated"), 2);
    for version in [1, 2] {
        let body = json!({"algorithm": KEM, "key_version": version});
        // Version 1 is retired by the rotation already; that it is refused again is of no interest here.
        let _ = one.api.post("/api/v1/kms/keys/retire", &body);
    }
    refused(one.api.encrypt(PLAINTEXT), 404, "ERR_KEM_005");
    assert_eq!(two.api.keys(KEM).expect("a list"), before);
    assert_eq!(two.api.decrypt(&data.ciphertext).expect("decrypted"), PLAINTEXT);
    assert_eq!(two.api.encrypt(PLAINTEXT).expect("encrypted").version, 1);
}

#[test]
fn a_suspended_tenant_is_denied_everything_and_others_nothing() {
    let system = system();
    let (one, two) = (party(&system, "suspended"), party(&system, "in good standing"));
    let (ours, theirs) = (one.data(1), two.data(1));
    let id = one.tenant.id.to_string();
    system.cli(&["tenant", "suspend", &id]);
    for (route, body, _) in routes_with_a_version(1, &ours) {
        refused(one.api.post(route, &body), 403, "ERR_POLICY_001");
    }
    refused(one.api.get("/api/v1/tenants/"), 403, "ERR_POLICY_001");
    refused(one.api.generate(KEM), 403, "ERR_POLICY_001");
    assert_eq!(two.api.decrypt(&theirs.ciphertext).expect("decrypted"), PLAINTEXT);
    system.cli(&["tenant", "resume", &id]);
    assert_eq!(one.api.decrypt(&ours.ciphertext).expect("decrypted"), PLAINTEXT);
}
