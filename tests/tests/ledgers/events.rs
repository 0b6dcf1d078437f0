//! A tenant reads its own events, all of them, each once, and nobody else's.

use crate::work::Party;
use chancel_tests::Api;
use chancel_tests::shared::Common;
use serde_json::Value;
use std::collections::BTreeSet;

static SYSTEM: Common = Common::new();
const PATH: &str = "/api/v1/audit/events";

/// All events that a query gives, newest first, page by page.
#[track_caller]
fn all(api: &Api, query: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut before = String::new();
    for _ in 0..500 {
        let page = api
            .get(&format!("{PATH}?limit=7{query}{before}"))
            .expect("a page");
        let found = page["events"].as_array().expect("a list");
        assert!(found.len() <= 7);
        events.extend(found.iter().cloned());
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => return events,
        }
    }
    panic!("the pages do not end");
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn a_tenant_reads_all_its_events_once_newest_first_and_no_other_tenants() {
    let system = SYSTEM.join();
    let (one, two) = (Party::new(&system, "reads"), Party::new(&system, "is not read"));
    for party in [&one, &two] {
        party.work(&system, 4);
    }
    let events = all(&one.api, "");
    let numbers = seqs(&events);
    assert!(
        numbers.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, each once"
    );
    let (own, others) = (one.tenant.id.to_string(), two.tenant.id.to_string());
    for event in &events {
        assert_eq!(event["tenant"], own, "{event}");
        assert!(!event.to_string().contains(&others));
        assert!(!event.to_string().contains(&two.api_key.id.to_string()));
    }
    // Reading events makes events: all but the newest are in the ledger as they were shown.
    let records = system.records(chancel_ledger::LedgerName::Decisions);
    let in_ledger: BTreeSet<u64> = records
        .0
        .iter()
        .filter(|record| record["tenant"] == own)
        .map(|record| record["seq"].as_u64().expect("a number"))
        .collect();
    let newest = numbers[0];
    let shown: BTreeSet<u64> = numbers.into_iter().collect();
    let expected: BTreeSet<u64> = in_ledger.into_iter().filter(|seq| *seq <= newest).collect();
    assert_eq!(shown, expected);
    for kind in ["allow", "deny", "change"] {
        let of_kind = all(&one.api, &format!("&kind={kind}"));
        assert!(
            !of_kind.is_empty() && of_kind.iter().all(|event| event["kind"] == kind),
            "{kind}"
        );
    }
}

#[test]
fn filters_give_exactly_what_they_say() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "filters");
    party.work(&system, 3);
    let other = system.api_key(&party.tenant, "sign");
    let answer = system
        .client(Some(&other.text))
        .post("/api/v1/signature/sign", &serde_json::json!({"message": ""}))
        .expect("an answer");
    let of_key = all(&party.api, &format!("&api_key={}", other.id));
    assert!(!of_key.is_empty());
    let of_request = all(&party.api, &format!("&request_id={}", answer.request_id()));
    assert_eq!(of_request.len(), 1);
    assert_eq!(of_request[0]["operation"], "sign");
    let signs = all(&party.api, "&operation=sign");
    assert!(signs.iter().all(|event| event["operation"] == "sign"));
    assert!(signs.len() >= 7, "{}", signs.len());
    assert_eq!(all(&party.api, "&until=2001-01-01T00:00:00Z"), [Value::Null; 0]);
    assert_eq!(all(&party.api, "&since=2101-01-01T00:00:00Z"), [Value::Null; 0]);
}

#[test]
fn another_tenants_request_or_api_key_as_a_filter_shows_nothing() {
    let system = SYSTEM.join();
    let (one, two) = (Party::new(&system, "asks"), Party::new(&system, "asked about"));
    let answer = two
        .api
        .client()
        .post("/api/v1/signature/sign", &serde_json::json!({"message": ""}))
        .expect("an answer");
    for query in [
        format!("&api_key={}", two.api_key.id),
        format!("&request_id={}", answer.request_id()),
        format!("&tenant={}", two.tenant.id),
        format!("&tenant_id={}&kind=change", two.tenant.id),
    ] {
        for event in all(&one.api, &query) {
            assert_eq!(event["tenant"], one.tenant.id.to_string(), "{query}");
        }
    }
    assert!(all(&one.api, &format!("&request_id={}", answer.request_id())).is_empty());
}

#[test]
fn what_is_no_filter_is_refused() {
    let system = SYSTEM.join();
    let party = Party::new(&system, "careless");
    for query in [
        "limit=0",
        "limit=-1",
        "limit=100000000",
        "limit=many",
        "before=0x10",
        "before=-1",
        "operation=fly",
        "api_key=me",
        "request_id=1",
        "since=yesterday",
        "until=7",
        "kind=everything",
    ] {
        let failure = party.api.get(&format!("{PATH}?{query}")).expect_err("no filter");
        assert_eq!(failure.code().0, 400, "{query}: {failure:?}");
    }
}
