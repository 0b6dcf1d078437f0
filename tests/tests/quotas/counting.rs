//! Counting under kill -9: the decision ledger is the log of usage. In the end the count is the number of allowed calls
//! in the ledger, and those are at least the calls that callers know of; no use is forgotten, none counted twice.

use chancel_ledger::LedgerName;
use chancel_tests::api::{KEM, SIGNATURE, refused};
use chancel_tests::{Api, Daemon, Installation, Tenant};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const CALLERS: usize = 3;

fn rounds() -> u64 {
    match std::env::var("CHANCEL_CRASH_ROUNDS") {
        Ok(text) => text.parse().expect("CHANCEL_CRASH_ROUNDS is a number"),
        Err(_) => 12,
    }
}

#[derive(Debug)]
struct Caller {
    tenant: Tenant,
    api: Api,
    /// The ids of requests that were answered with a success.
    acknowledged: Vec<String>,
}

impl Caller {
    fn new(system: &Installation, number: usize) -> Self {
        let (tenant, api_key) = system.tenant_with_api_key(&format!("counted {number}"));
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        Self {
            tenant,
            api,
            acknowledged: Vec::new(),
        }
    }

    /// Calls without pause: uses of a private key, public-key work, reading.
    fn work(&mut self, stop: &AtomicBool) {
        let client = self.api.client();
        for number in 0u64.. {
            if stop.load(Ordering::Acquire) {
                break;
            }
            let answer = match number % 4 {
                0 | 1 => client.post("/api/v1/signature/sign", &json!({"message": "bQ=="})),
                2 => client.post("/api/v1/kem/encrypt", &json!({"plaintext": "bQ=="})),
                _ => client.get("/api/v1/tenants/"),
            };
            let answer = answer.expect("the gateway lives and answers");
            match answer.status {
                200 => self.acknowledged.push(answer.request_id().to_owned()),
                503 => thread::sleep(Duration::from_millis(2)),
                _ => panic!("{}", answer.text),
            }
        }
    }
}

#[test]
fn no_counted_use_is_forgotten_and_none_counted_twice_while_policyd_is_killed() {
    let system = Installation::new();
    let mut callers: Vec<_> = (0..CALLERS).map(|number| Caller::new(&system, number)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = callers
            .iter_mut()
            .map(|caller| scope.spawn(|| caller.work(&stop)))
            .collect();
        for round in 0..rounds() {
            // At another moment each time, also of what is written every few seconds.
            thread::sleep(Duration::from_millis(50 + round * 137 % 700));
            system.kill9(Daemon::Policyd);
            system.start(Daemon::Policyd);
        }
        stop.store(true, Ordering::Release);
        for worker in workers {
            worker.join().expect("nothing was heard that may not be heard");
        }
    });
    system.wait_ready();
    check(&system, &callers);
    // Once more after a last kill, and after a stop that was asked for: the same.
    system.kill9(Daemon::Policyd);
    system.start(Daemon::Policyd);
    check(&system, &callers);
    system.restart(Daemon::Policyd);
    check(&system, &callers);
    system.wait_ready();
    let key = system.audit_key();
    system.assert_sound(&key);
}

/// Counted is what the ledger says, and the ledger says at least what was acknowledged, once each.
fn check(system: &Installation, callers: &[Caller]) {
    let records = system.records(LedgerName::Decisions);
    for caller in callers {
        let id = caller.tenant.id.to_string();
        let allowed: Vec<_> = records
            .kind("allow")
            .filter(|record| record["tenant"] == id)
            .map(|record| record["request"].as_str().expect("a request"))
            .collect();
        let distinct: BTreeSet<_> = allowed.iter().copied().collect();
        assert_eq!(distinct.len(), allowed.len(), "each request is allowed once");
        for request in &caller.acknowledged {
            assert!(distinct.contains(request.as_str()), "{request} was acknowledged");
        }
        let counted = system.calls(&caller.tenant);
        assert_eq!(counted, allowed.len() as u64, "counted is what was allowed");
        println!(
            "{}: {counted} counted, {} acknowledged",
            caller.tenant.name,
            caller.acknowledged.len()
        );
        assert!(!caller.acknowledged.is_empty());
    }
}

#[test]
fn a_keys_budget_is_not_forgotten_when_policyd_is_killed() {
    let system = Installation::new();
    let (_, api_key) = system.tenant_with_api_key("budgeted");
    let api = system.api(&api_key);
    api.first_key(SIGNATURE);
    const USES: u64 = 40;
    let body = json!({"algorithm": SIGNATURE, "uses_per_day": USES});
    api.post("/api/v1/kms/keys/budget", &body).expect("a budget");
    let mut signed = 0;
    let mut kills = 0;
    loop {
        match api.sign(b"m") {
            Ok(_) => signed += 1,
            Err(failure) if failure.code().0 == 503 => {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            outcome => {
                refused(outcome, 403, "ERR_QUOTA_002");
                break;
            }
        }
        if signed % 5 == 0 && kills < signed / 5 {
            kills += 1;
            system.kill9(Daemon::Policyd);
            system.start(Daemon::Policyd);
        }
    }
    let records = system.records(LedgerName::Decisions);
    let permits = records
        .kind("allow")
        .filter(|record| record["api_key"] == api_key.id.to_string() && record["operation"] == "sign")
        .count() as u64;
    assert_eq!(permits, USES, "permits were issued for exactly the budget");
    assert!(
        signed <= USES && signed + kills + 1 >= USES,
        "{signed} signed, {kills} kills"
    );
}

#[test]
fn when_keys_were_last_used_is_shown_and_survives_kill_9() {
    let system = Installation::new();
    let (_, api_key) = system.tenant_with_api_key("last used");
    let api = system.api(&api_key);
    api.first_key(SIGNATURE);
    let path = format!("/api/v1/kms/keys/1?algorithm={SIGNATURE}");
    let last_used = |path: &str| api.get(path).ok().map(|data| data["last_used_at"].clone());
    assert!(last_used(&path).is_some_and(|at| at.is_null()), "not used yet");
    api.sign(b"m").expect("a signature");
    system.kill9(Daemon::Policyd);
    system.start(Daemon::Policyd);
    system.until("the time of the last use to be known", || {
        last_used(&path)?.as_str().map(str::to_owned)
    });
    let used = system.records(LedgerName::Uses);
    assert_eq!(used.kind("use").count(), 1);
}
