//! Every route, with every id of another tenant: the answer is the one about an id that nobody has.

use crate::{KEM, SIGNATURE, party, system};
use chancel_tests::api::{Failure, encoded};
use chancel_tests::http::Answer;
use chancel_tests::{Api, ApiKey, Installation};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NOBODY: &str = "0190b6c0-0000-4000-8000-00000000000a";
const NO_VERSION: u64 = 77;

/// The ids of a tenant, or of none.
struct Ids {
    tenant: String,
    api_key: String,
    rule: String,
    version: u64,
}

type Request = (&'static str, String, Value);

impl Ids {
    /// Each route that takes an id, with these ids and those of the caller's own.
    fn requests(&self, own: &str, ciphertext: &str, signature: &str) -> Vec<Request> {
        let Self {
            tenant,
            api_key,
            rule,
            version,
        } = self;
        let post = |path: &str, body: Value| ("POST", path.to_owned(), body);
        let get = |path: &str| ("GET", path.to_owned(), Value::Null);
        let delete = |path: &str| ("DELETE", path.to_owned(), Value::Null);
        let new_key = json!({"name": "x", "scopes": ["sign"]});
        let mut requests = vec![
            get(&format!("/api/v1/tenants/{tenant}")),
            get(&format!("/api/v1/tenants/{tenant}/api-keys")),
            post(&format!("/api/v1/tenants/{tenant}/api-keys"), new_key),
            post(&format!("/api/v1/tenants/{tenant}/api-keys/rotate"), json!({})),
            post(
                &format!("/api/v1/tenants/{tenant}/api-keys/rotate"),
                json!({"key_id": api_key}),
            ),
            delete(&format!("/api/v1/tenants/{tenant}/api-keys/{api_key}")),
            post(
                &format!("/api/v1/tenants/{own}/api-keys/rotate"),
                json!({"key_id": api_key}),
            ),
            delete(&format!("/api/v1/tenants/{own}/api-keys/{api_key}")),
            delete(&format!("/api/v1/policy/rules/{rule}")),
            post(
                "/api/v1/policy/explain",
                json!({"operation": "sign", "algorithm": SIGNATURE, "api_key_id": api_key}),
            ),
            post(
                "/api/v1/kem/rewrap",
                json!({"ciphertext": ciphertext, "key_version": version}),
            ),
            post(
                "/api/v1/kem/rewrap",
                json!({"ciphertext": ciphertext, "key_version": 1, "target_key_version": version}),
            ),
            post(
                "/api/v1/signature/verify",
                json!({"message": "", "signature": signature, "key_version": version}),
            ),
        ];
        for (path, body) in [
            ("kem/encrypt", json!({"plaintext": ""})),
            ("kem/decrypt", json!({"ciphertext": ciphertext})),
            ("kem/encapsulate", json!({})),
            ("kem/key/wrap", json!({"symmetric_key": encoded(&[7; 32])})),
            ("signature/sign", json!({"message": ""})),
            ("kms/keys/retire", json!({"algorithm": KEM})),
            ("kms/keys/archive", json!({"algorithm": KEM})),
            ("kms/keys/restore", json!({"algorithm": KEM})),
            ("kms/keys/cancel-destruction", json!({"algorithm": KEM})),
        ] {
            let mut body = body;
            body["key_version"] = (*version).into();
            requests.push(post(&format!("/api/v1/{path}"), body));
        }
        for algorithm in [KEM, SIGNATURE] {
            let path = format!("/api/v1/kms/keys/{version}?algorithm={algorithm}");
            requests.push(get(&path));
            requests.push(delete(&path));
        }
        requests
    }
}

fn send(api: &Api, request: &Request) -> Answer {
    let (method, path, body) = request;
    let answer = match *method {
        "GET" => api.client().get(path),
        "DELETE" => api.client().delete(path),
        _ => api.client().post(path, body),
    };
    answer.expect("an answer")
}

/// The caller, and what another tenant has that it does not.
struct Scene {
    ours: Api,
    own: String,
    ciphertext: String,
    signature: String,
    theirs: Ids,
    their_api: Api,
    their_key: ApiKey,
}

fn scene(system: &Installation, names: [&str; 2]) -> Scene {
    let [ours, theirs] = names.map(|name| party(system, name));
    for algorithm in [KEM, SIGNATURE] {
        for _ in 0..2 {
            theirs.api.rotate(algorithm).expect("a version");
        }
    }
    let rule = json!({"name": "theirs", "operations": ["decapsulate"]});
    let rule = theirs.api.post("/api/v1/policy/rules", &rule).expect("a rule");
    let their_key = system.api_key(&theirs.tenant, "sign");
    Scene {
        own: ours.tenant.id.to_string(),
        ciphertext: encoded(&ours.api.encrypt(b"m").expect("encrypted").bytes),
        signature: encoded(&ours.api.sign(b"m").expect("signed").bytes),
        ours: ours.api,
        theirs: Ids {
            tenant: theirs.tenant.id.to_string(),
            api_key: their_key.id.to_string(),
            rule: rule["id"].as_str().expect("an id").to_owned(),
            version: 3,
        },
        their_api: theirs.api,
        their_key,
    }
}

fn nobody() -> Ids {
    Ids {
        tenant: NOBODY.to_owned(),
        api_key: NOBODY.to_owned(),
        rule: NOBODY.to_owned(),
        version: NO_VERSION,
    }
}

#[test]
fn with_another_tenants_ids_every_route_answers_as_with_ids_that_nobody_has() {
    let system = system();
    let scene = scene(&system, ["asks", "has what is asked for"]);
    let before = (
        scene.their_api.keys(KEM).expect("a list"),
        scene.their_api.get("/api/v1/policy/rules").expect("a list"),
    );
    let requests = |ids: &Ids| ids.requests(&scene.own, &scene.ciphertext, &scene.signature);
    for (theirs, nobodys) in requests(&scene.theirs).iter().zip(&requests(&nobody())) {
        let (about_theirs, about_nobodys) = (send(&scene.ours, theirs), send(&scene.ours, nobodys));
        let what = format!("{} {}: {}", theirs.0, theirs.1, about_theirs.text);
        assert!([403, 404].contains(&about_theirs.status), "{what}");
        assert_eq!(about_theirs.status, about_nobodys.status, "{what}");
        assert!(about_theirs.is_error_envelope(), "{what}");
        // The message may repeat the number that was asked for, and nothing else may differ.
        let number = |answer: &Answer, version: u64| {
            let message = answer.json["error"]["message"].as_str().expect("a message");
            let message = message.replace(&format!(" {version} "), " VERSION ");
            (answer.error_code().to_owned(), message)
        };
        assert_eq!(
            number(&about_theirs, 3),
            number(&about_nobodys, NO_VERSION),
            "{what}"
        );
        for id in [&scene.theirs.tenant, &scene.theirs.api_key, &scene.theirs.rule] {
            assert!(!about_theirs.text.contains(id.as_str()), "{what}");
        }
    }
    // Nothing of it did anything.
    let after = (
        scene.their_api.keys(KEM).expect("a list"),
        scene.their_api.get("/api/v1/policy/rules").expect("a list"),
    );
    assert_eq!(before, after);
    system.api(&scene.their_key).sign(b"m").expect("it is as it was");
    let own = format!("/api/v1/tenants/{}/api-keys", scene.theirs.tenant);
    let listed = scene.their_api.get(&own).expect("a list");
    assert_eq!(listed["api_keys"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_requests_of_these_tests_work_with_ones_own_ids() {
    // The control: a request that is refused to everybody proves nothing.
    let system = system();
    let scene = scene(&system, ["somebody", "the owner"]);
    let requests = scene
        .theirs
        .requests(&scene.theirs.tenant, &scene.ciphertext, &scene.signature);
    let mut refused = Vec::new();
    // Not those that end something, the caller's own API key first of all.
    let harmless = |request: &&Request| request.0 != "DELETE" && request.2 != json!({});
    for request in requests.iter().filter(harmless) {
        let answer = send(&scene.their_api, request);
        if [403, 404].contains(&answer.status) {
            refused.push(format!("{} {}: {}", request.0, request.1, answer.text));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn how_long_an_answer_takes_does_not_tell_whether_another_tenant_has_the_id() {
    let system = system();
    let scene = scene(&system, ["measures", "is measured"]);
    const TRIES: usize = 31;
    let requests = |ids: &Ids| ids.requests(&scene.own, &scene.ciphertext, &scene.signature);
    for (theirs, nobodys) in requests(&scene.theirs).iter().zip(&requests(&nobody())) {
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..TRIES {
            // In turns, so that both meet the same machine.
            for (request, times) in [theirs, nobodys].iter().zip(&mut times) {
                let asked = Instant::now();
                send(&scene.ours, request);
                times.push(asked.elapsed());
            }
        }
        let [theirs_took, nobodys_took] = times.map(|mut times| {
            times.sort();
            times[TRIES / 2]
        });
        // A class is a hop to another daemon or a write to the disk: milliseconds.
        let apart = theirs_took.abs_diff(nobodys_took);
        assert!(
            apart < Duration::from_millis(3) || apart < theirs_took.min(nobodys_took),
            "{} {}: {theirs_took:?} and {nobodys_took:?}",
            theirs.0,
            theirs.1
        );
    }
}

#[test]
fn lists_show_ones_own_alone() {
    let system = system();
    let scene = scene(&system, ["lists", "is not listed"]);
    for path in [
        "/api/v1/tenants/".to_owned(),
        "/api/v1/tenants/me".to_owned(),
        "/api/v1/policy/rules".to_owned(),
        "/api/v1/audit/events?limit=500".to_owned(),
        format!("/api/v1/tenants/{}/api-keys", scene.own),
        format!("/api/v1/kms/keys?algorithm={KEM}"),
    ] {
        let listed: Result<Value, Failure> = scene.ours.get(&path);
        let listed = listed.expect("a list").to_string();
        for id in [&scene.theirs.tenant, &scene.theirs.api_key, &scene.theirs.rule] {
            assert!(!listed.contains(id.as_str()), "{path}");
        }
    }
}
