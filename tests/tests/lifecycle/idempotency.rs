//! `Idempotency-Key`: what clients retry blindly is done once, and the first answer is given again.

use crate::party::Party;
use chancel_ledger::LedgerName;
use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::http::{Answer, Client};
use chancel_tests::shared::Common;
use chancel_tests::{Daemon, Installation};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::thread;

static SYSTEM: Common = Common::new();

fn with(party: &Party, key: &str) -> Client {
    party.api.client().clone().with_header("idempotency-key", key)
}

#[track_caller]
fn post(client: &Client, path: &str, body: &Value) -> Answer {
    client.post(path, body).expect("an answer")
}

const ROTATE: &str = "/api/v1/kms/keys/rotate";

#[test]
fn the_same_key_gives_the_first_answer_again_and_does_nothing_again() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "retries");
    let operator = system.api(&system.operator_key());
    let api_keys = format!("/api/v1/tenants/{}/api-keys", party.tenant.id);
    let tenants = json!({"name": "made once", "plan": "free"});
    let calls: [(&Client, &str, Value, u16); 4] = [
        (party.api.client(), ROTATE, json!({"algorithm": KEM}), 200),
        (
            party.api.client(),
            &api_keys,
            json!({"name": "made once", "scopes": ["sign"]}),
            201,
        ),
        (
            party.api.client(),
            &format!("{api_keys}/rotate"),
            json!({"key_id": system.api_key(&party.tenant, "sign").id.to_string()}),
            200,
        ),
        (operator.client(), "/api/v1/tenants", tenants, 201),
    ];
    for (number, (client, path, body, status)) in calls.into_iter().enumerate() {
        let client = client
            .clone()
            .with_header("idempotency-key", &format!("call-{number}"));
        let first = post(&client, path, &body);
        assert!(
            first.status == status || first.status == 200,
            "{path}: {}",
            first.text
        );
        for _ in 0..3 {
            let again = post(&client, path, &body);
            assert_eq!(again.status, first.status, "{path}");
            assert_eq!(again.json["data"], first.json["data"], "{path}");
        }
    }
    assert_eq!(party.api.keys(KEM).expect("a list").len(), 2);
    let listed = party.api.get(&api_keys).expect("a list");
    let named = listed["api_keys"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|key| key["name"] == "made once");
    assert_eq!(named.count(), 1);
    // Without a key, or with another, it is done again.
    assert_eq!(
        post(party.api.client(), ROTATE, &json!({"algorithm": KEM})).status,
        200
    );
    let other = with(&party, "another");
    assert_eq!(post(&other, ROTATE, &json!({"algorithm": KEM})).status, 200);
    assert_eq!(party.api.keys(KEM).expect("a list").len(), 4);
}

#[test]
fn the_first_answer_survives_kill_9_of_policyd_and_the_gateway() {
    let system = Installation::new();
    let party = Party::new(&system, "killed");
    let first = post(&with(&party, "once"), ROTATE, &json!({"algorithm": SIGNATURE}));
    assert_eq!(first.status, 200, "{}", first.text);
    for daemon in [Daemon::Policyd, Daemon::Gateway] {
        system.kill9(daemon);
        system.start(daemon);
    }
    system.wait_ready();
    let api = system.api(&party.api_key).idempotent("once");
    let again = post(api.client(), ROTATE, &json!({"algorithm": SIGNATURE}));
    assert_eq!(again.json["data"], first.json["data"], "{}", again.text);
    assert_eq!(api.keys(SIGNATURE).expect("a list").len(), 2);
}

#[test]
fn another_request_under_the_same_key_is_a_conflict() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "mixes up");
    let client = with(&party, "mixed-up");
    assert_eq!(post(&client, ROTATE, &json!({"algorithm": KEM})).status, 200);
    for (path, body) in [
        (ROTATE, json!({"algorithm": SIGNATURE})),
        ("/api/v1/kms/keys/generate", json!({"algorithm": KEM})),
    ] {
        let answer = post(&client, path, &body);
        assert_eq!(
            (answer.status, answer.error_code()),
            (409, "ERR_CONFLICT_004"),
            "{path}"
        );
    }
    assert_eq!(party.api.keys(SIGNATURE).expect("a list").len(), 1);
}

#[test]
fn many_requests_at_once_under_one_key_do_it_once() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "impatient");
    let client = with(&party, "at-once");
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let answer = post(&client, ROTATE, &json!({"algorithm": KEM}));
                answers.lock().expect("no panic").push(answer);
            });
        }
    });
    let answers = answers.into_inner().expect("no panic");
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!done.is_empty());
    for answer in &answers {
        if answer.status == 200 {
            assert_eq!(answer.json["data"], done[0].json["data"]);
        } else {
            assert_eq!(
                (answer.status, answer.error_code()),
                (409, "ERR_CONFLICT_005"),
                "{}",
                answer.text
            );
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }
    assert_eq!(party.api.keys(KEM).expect("a list").len(), 2);
}

#[test]
fn another_tenants_same_key_is_another_key() {
    let system = SYSTEM.join();
    let (one, two) = (Party::new(&system, "first"), Party::new(&system, "second"));
    let answers = [&one, &two].map(|party| post(&with(party, "shared"), ROTATE, &json!({"algorithm": KEM})));
    assert_eq!([answers[0].status, answers[1].status], [200, 200]);
    assert_ne!(
        answers[0].json["data"]["public_key"],
        answers[1].json["data"]["public_key"]
    );
}

#[test]
fn what_was_denied_is_not_kept_and_can_be_asked_again() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "denied first");
    let rule = party
        .api
        .post(
            "/api/v1/policy/rules",
            &json!({"name": "x", "operations": ["rotate-key"]}),
        )
        .expect("a rule");
    let client = with(&party, "later");
    assert_eq!(post(&client, ROTATE, &json!({"algorithm": KEM})).status, 403);
    let id = rule["id"].as_str().expect("an id");
    party
        .api
        .delete(&format!("/api/v1/policy/rules/{id}"))
        .expect("removed");
    assert_eq!(post(&client, ROTATE, &json!({"algorithm": KEM})).status, 200);
}

#[test]
fn the_answer_to_a_request_that_made_an_api_key_is_kept_sealed() {
    let system = Installation::new();
    let party = Party::new(&system, "sealed");
    let path = format!("/api/v1/tenants/{}/api-keys", party.tenant.id);
    let body = json!({"name": "x", "scopes": ["sign"]});
    let first = post(&with(&party, "sealed-key-name"), &path, &body);
    let text = first.json["data"]["api_key"]
        .as_str()
        .expect("its text")
        .to_owned();
    // Somebody with the file finds neither the API key's text nor the Idempotency-Key.
    for suffix in ["", "-wal"] {
        let file = format!("{}{suffix}", system.layout().database().display());
        let Ok(bytes) = std::fs::read(file) else { continue };
        for secret in [text.as_bytes(), b"sealed-key-name"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
    let again = post(&with(&party, "sealed-key-name"), &path, &body);
    assert_eq!(again.json["data"], first.json["data"], "the key itself opens it");
    let records = system.records(LedgerName::Decisions);
    assert_eq!(
        records.changes("api-key-created").len(),
        2,
        "the first API key and this one"
    );
}

#[test]
fn a_key_that_is_no_key_is_refused() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "careless");
    for bad in [String::new(), "x".repeat(256), "two words".to_owned()] {
        let answer = post(&with(&party, &bad), ROTATE, &json!({"algorithm": KEM}));
        assert_eq!(answer.status, 400, "{bad:?}: {}", answer.text);
    }
    let twice = with(&party, "one").with_header("idempotency-key", "two");
    assert_eq!(post(&twice, ROTATE, &json!({"algorithm": KEM})).status, 400);
    assert_eq!(party.api.keys(KEM).expect("a list").len(), 1);
}
