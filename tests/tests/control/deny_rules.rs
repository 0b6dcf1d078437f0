//! A tenant's own deny rules: each condition, and who may touch them.

use crate::scene::{ELSEWHERE, Party, denied, encrypt, explained, question};
use chancel_tests::api::{Failure, KEM, SIGNATURE, refused};
use chancel_tests::shared::Common;
use serde_json::{Value, json};

static SYSTEM: Common = Common::new();

const POLICY: (u16, &str) = (403, "ERR_POLICY_001");
const HERE: &str = "127.0.0.0/8";

fn sign(party: &Party) -> Result<Value, Failure> {
    party.api.sign(b"m").map(|made| json!(made.version))
}

/// A window of some hours around now, or one that is elsewhere in the day, in UTC. The test may run over its edge by
/// hours.
fn window(around_now: bool) -> Value {
    let now = jiff::Timestamp::now().as_second();
    let at = |hours: i64| {
        let minute = (now / 60 + hours * 60).rem_euclid(24 * 60);
        format!("{:02}:{:02}", minute / 60, minute % 60)
    };
    let (from, until) = if around_now { (-3, 3) } else { (6, 12) };
    json!({"from": at(from), "until": at(until)})
}

#[test]
fn a_deny_rule_denies_where_all_its_conditions_hold_and_nowhere_else() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "conditions", "enterprise");
    let holds = [
        json!({"operations": ["sign"]}),
        json!({"operations": ["decrypt", "sign"]}),
        json!({"algorithms": [SIGNATURE]}),
        json!({"algorithms": ["ML-DSA-65"]}),
        json!({"window": window(true)}),
        json!({"sources": {"within": [HERE]}}),
        json!({"sources": {"outside": [ELSEWHERE]}}),
        json!({"operations": ["sign"], "algorithms": [SIGNATURE], "window": window(true), "sources": {"within": [HERE]}}),
    ];
    let does_not = [
        json!({"operations": ["verify"]}),
        json!({"algorithms": [KEM]}),
        json!({"window": window(false)}),
        json!({"sources": {"within": [ELSEWHERE]}}),
        json!({"sources": {"outside": [HERE]}}),
        json!({"operations": ["sign"], "algorithms": [SIGNATURE], "window": window(true), "sources": {"outside": [HERE]}}),
        json!({"operations": ["sign"], "algorithms": [KEM]}),
    ];
    let rules = holds.iter().map(|rule| (rule, true));
    for (conditions, denies) in rules.chain(does_not.iter().map(|rule| (rule, false))) {
        let mut rule = conditions.clone();
        rule["name"] = "a rule".into();
        let id = party.add_rule(&rule);
        if denies {
            denied(&system, sign(&party), POLICY, "tenant-rule");
        } else {
            assert!(sign(&party).is_ok(), "{conditions}");
        }
        system.cli(&["policy", "rules", "remove", &party.id(), &id]);
        assert!(sign(&party).is_ok(), "removed: {conditions}");
    }
}

#[test]
fn a_deny_rule_by_algorithm_leaves_the_other_algorithm_alone() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "one algorithm", "enterprise");
    party.add_rule(&json!({"name": "no KEM", "algorithms": [KEM]}));
    denied(&system, encrypt(&party.api), POLICY, "tenant-rule");
    denied(&system, party.api.rotate(KEM), POLICY, "tenant-rule");
    party.api.sign(b"m").expect("signatures go on");
}

#[test]
fn a_window_is_judged_at_the_time_that_is_asked_about() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "nights", "enterprise");
    // From Monday evening to Tuesday morning.
    party.add_rule(&json!({
        "name": "monday night",
        "operations": ["sign"],
        "window": {"from": "22:00", "until": "06:00", "days": ["mon"]},
    }));
    for (at, allowed) in [
        ("2030-01-07T21:59:59Z", true),
        ("2030-01-07T22:00:00Z", false),
        ("2030-01-08T05:59:59Z", false),
        ("2030-01-08T06:00:00Z", true),
        ("2030-01-08T23:00:00Z", true),
        ("2030-01-07T05:00:00Z", true),
    ] {
        let mut question = question("sign", Some(SIGNATURE));
        question["at"] = at.into();
        assert_eq!(explained(&party.api, &question)["allowed"], allowed, "{at}");
    }
}

#[test]
fn deny_rules_are_listed_removed_and_bounded() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "many rules", "enterprise");
    let rule = json!({"name": "x", "operations": ["verify"]});
    let ids: Vec<_> = (0..32).map(|_| party.add_rule(&rule)).collect();
    let over = party.api.post("/api/v1/policy/rules", &rule);
    let status = over.expect_err("one too many").code().0;
    assert!((400..500).contains(&status), "{status}");
    let listed = party.api.get("/api/v1/policy/rules").expect("a list");
    assert_eq!(listed["rules"].as_array().map(Vec::len), Some(32));
    party.remove_rule(&ids[0]);
    let path = format!("/api/v1/policy/rules/{}", ids[0]);
    refused(party.api.delete(&path), 404, "ERR_NOT_FOUND_001");
    party.add_rule(&rule);

    let over_cli = system.cli(&["policy", "rules", "list", &party.id()]);
    assert_eq!(over_cli["rules"].as_array().map(Vec::len), Some(32));
}

#[test]
fn a_rule_with_what_is_no_condition_is_refused_and_changes_nothing() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "careful", "enterprise");
    for bad in [
        json!({"operations": ["sign"]}),
        json!({"name": ""}),
        json!({"name": "x", "operations": ["fly"]}),
        json!({"name": "x", "operations": "sign"}),
        json!({"name": "x", "algorithms": ["RSA"]}),
        json!({"name": "x", "window": {"from": "22:00"}}),
        json!({"name": "x", "window": {"from": "22:00", "until": "22:00"}}),
        json!({"name": "x", "window": {"from": "24:00", "until": "06:00"}}),
        json!({"name": "x", "window": {"from": "22:00", "until": "06:00", "days": ["someday"]}}),
        json!({"name": "x", "sources": {"within": ["192.0.2.7/24"]}}),
        json!({"name": "x", "sources": {"within": [HERE], "outside": [HERE]}}),
        json!({"name": "x", "sources": {"within": []}}),
        json!({"name": "x", "sources": {}}),
    ] {
        let failure = party.api.post("/api/v1/policy/rules", &bad).expect_err("no rule");
        assert_eq!(failure.code().0, 400, "{bad}: {failure:?}");
    }
    let listed = party.api.get("/api/v1/policy/rules").expect("a list");
    assert_eq!(listed["rules"], json!([]));
    party.api.sign(b"m").expect("nothing was added");
}
