//! The description of the API at `/openapi.json`: what it says of every route is held against what the real daemons take
//! and answer. Requests are made here, and compared with the description by tests/python/check_openapi.py.

mod caller;
mod management;
#[path = "../clients/python.rs"]
mod python;
mod refusals;
mod work;

use caller::Caller;
use chancel_tests::{Daemon, Installation};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::process::Command;

/// Algorithms of which the specification is a draft.
const COMPOSITE: &str = "Composite-ML-DSA";
const HYBRID: &str = "X-Wing";

#[test]
fn the_description_is_for_everybody_and_for_get_alone() {
    let system = Installation::new();
    let client = system.client(None);
    let answer = client.get("/openapi.json").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.json["openapi"], "3.1.0");
    assert!(answer.json.get("data").is_none(), "no envelope");
    let (_, key) = system.tenant_with_api_key("reads");
    let with_key = system.client(Some(&key.text)).get("/openapi.json?x=1");
    assert_eq!(with_key.expect("an answer").text, answer.text, "the same for all");
    for answer in [
        client.post("/openapi.json", &json!({})),
        client.delete("/openapi.json"),
        client.get("/openapi.json/"),
    ] {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.error_code()), (404, "ERR_NOT_FOUND_002"));
    }
    // It needs no other daemon.
    system.stop(Daemon::Policyd);
    assert_eq!(client.get("/openapi.json").expect("an answer").status, 200);
}

#[test]
fn every_operation_takes_and_answers_what_the_description_says() {
    let system = Installation::new();
    let said = RefCell::new(Vec::new());
    let caller = |key: &str| Caller {
        client: system.client(Some(key)),
        said: &said,
    };
    let (tenant, key) = system.tenant_with_api_key("described");
    let own = caller(&key.text);
    let id = tenant.id.to_string();

    open_paths(&system, &said);
    management::keys(&own);
    work::uses(&own);
    work::batches(&own);
    work::streams(&own);
    management::api_keys(&own, &id);
    management::rules(&own, &key);
    management::tenants(&system, &caller);
    refusals::provoke(&system, &own, &caller);
    for kind in ["allow", "deny", "change"] {
        let kind = own.get(&format!("/api/v1/audit/events?kind={kind}&limit=500"));
        assert!(kind["events"].as_array().is_some_and(|events| !events.is_empty()));
    }
    management::events(&own, &key);

    system.stop(Daemon::Keyd);
    own.post("/api/v1/signature/sign", &json!({"message": ""}));
    let exchanges = said.take();
    let document = system
        .client(None)
        .get("/openapi.json")
        .expect("the description")
        .json;
    let statuses: Vec<_> = exchanges
        .iter()
        .map(|exchange| exchange["status"].clone())
        .collect();
    for status in [400, 401, 403, 404, 409, 429, 503] {
        assert!(statuses.contains(&status.into()), "no answer of {status}");
    }
    check(&json!({"document": document, "exchanges": exchanges}));
}

/// Runs the comparison.
fn check(given: &Value) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    serde_json::to_writer(&file, given).expect("it is written");
    let output = Command::new(python::environment().join("bin/python"))
        .arg("check_openapi.py")
        .arg(file.path())
        .current_dir(python::repository().join("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("the environment has a Python");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "\n{text}\n{errors}");
    println!("{text}");
}

fn open_paths(system: &Installation, said: &RefCell<Vec<Value>>) {
    let anybody = Caller {
        client: system.client(None),
        said,
    };
    anybody.get("/healthz");
    anybody.get("/openapi.json");
    anybody.get("/api/v1/kms/keys");
}
