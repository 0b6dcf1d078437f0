//! `chancel init`: the first tenant and an API key that works, once.

use chancel_tests::api::SIGNATURE;
use chancel_tests::{ApiKey, Installation};
use serde_json::json;

#[test]
fn the_first_tenant_is_made_once_with_an_api_key_that_works() {
    let system = Installation::new();
    let made = system.cli(&["init", "--tenant", "Example", "--plan", "pro", "--scopes", "*"]);
    assert_eq!(
        (&made["tenant"], &made["plan"]),
        (&json!("Example"), &json!("pro"))
    );
    let text = |member: &str| made[member].as_str().expect("text").to_owned();
    let key = ApiKey {
        id: text("api_key_id").parse().expect("an id"),
        tenant: text("tenant_id").parse().expect("an id"),
        text: text("api_key"),
    };
    let api = system.api(&key);
    api.first_key(SIGNATURE);
    api.sign(b"m").expect("a signature");
    // The lines to try it with are for a history, and must not hold what they are tried with.
    assert!(!made["try_it"].to_string().contains(&key.text));

    let again = system.try_cli(&["init"]).expect_err("a second first tenant");
    assert!(again.contains("already-initialised"), "{again}");
    let way_on = format!("chancel api-key create --tenant {}", key.tenant);
    assert!(again.contains(&way_on), "{again}");
    let tenants = &system.cli(&["tenant", "list"])["tenants"];
    assert_eq!(tenants.as_array().map(Vec::len), Some(1), "{tenants}");
}

#[test]
fn where_the_first_tenant_was_deleted_there_is_a_first_one_again() {
    let system = Installation::new();
    let made = system.cli(&["init"]);
    let id = made["tenant_id"].as_str().expect("an id");
    system.cli(&["tenant", "delete", id, "--yes"]);
    let anew = system.cli(&["init", "--tenant", "another"]);
    assert_ne!(anew["tenant_id"], made["tenant_id"]);
}
