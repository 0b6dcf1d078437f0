//! The whole under kill -9: callers do everything, any daemon dies at any moment, for many short rounds. In the end what
//! callers were told, both ledgers and the stores agree: nothing acknowledged is missing, nothing is there twice.

use crate::is_typed_503;
use chancel_ledger::LedgerName::{Decisions, Uses};
use chancel_tests::api::{KEM, Made, SIGNATURE, decoded, encoded};
use chancel_tests::http::Answer;
use chancel_tests::{Api, ApiKey, Daemon, Installation, Records, Tenant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const CALLERS: usize = 3;
/// Between calls: enough of them to be hit, few enough to be looked through.
const PAUSE: Duration = Duration::from_millis(2);

fn rounds() -> u64 {
    match std::env::var("CHANCEL_CRASH_ROUNDS") {
        Ok(text) => text.parse().expect("CHANCEL_CRASH_ROUNDS is a number"),
        Err(_) => 200,
    }
}

struct Caller<'a> {
    system: &'a Installation,
    tenant: Tenant,
    api_key: ApiKey,
    api: Option<Api>,
    /// Requests that were answered with a success, by what they asked for.
    acknowledged: BTreeMap<String, &'static str>,
    sealed: Vec<(Vec<u8>, Made)>,
    signed: Vec<(Vec<u8>, Made)>,
    /// What was to be made under an `Idempotency-Key`, and what came of it.
    versions: BTreeMap<String, Option<u64>>,
    api_keys: BTreeMap<String, Option<String>>,
    unavailable: u64,
    unanswered: u64,
}

impl<'a> Caller<'a> {
    fn new(system: &'a Installation, number: usize) -> Self {
        let (tenant, api_key) = system.tenant_with_api_key(&format!("whole {number}"));
        let api = system.api(&api_key);
        for algorithm in [KEM, SIGNATURE] {
            api.first_key(algorithm);
        }
        Self {
            system,
            tenant,
            api_key,
            api: Some(api),
            acknowledged: BTreeMap::new(),
            sealed: Vec::new(),
            signed: Vec::new(),
            versions: BTreeMap::new(),
            api_keys: BTreeMap::new(),
            unavailable: 0,
            unanswered: 0,
        }
    }

    fn work(&mut self, stop: &AtomicBool) {
        for count in 0u64.. {
            if stop.load(Ordering::Acquire) {
                break;
            }
            thread::sleep(PAUSE);
            self.once(count);
        }
    }

    fn once(&mut self, count: u64) -> Option<()> {
        let text = format!("{} {count}", self.tenant.id).into_bytes();
        match count % 12 {
            0 | 6 => {
                let body = json!({"plaintext": encoded(&text)});
                let data = self.post("encrypt", "/api/v1/kem/encrypt", &body)?;
                self.sealed.push((text, made(&data, "ciphertext")));
            }
            1 | 3 | 7 => {
                let body = json!({"message": encoded(&text)});
                let data = self.post("sign", "/api/v1/signature/sign", &body)?;
                self.signed.push((text, made(&data, "signature")));
            }
            2 | 5 | 8 | 9 => {
                let place = (count as usize).checked_rem(self.sealed.len())?;
                let (plaintext, sealed) = self.sealed[place].clone();
                let body = json!({"ciphertext": encoded(&sealed.bytes), "key_version": sealed.version});
                let data = self.post("decrypt", "/api/v1/kem/decrypt", &body)?;
                assert_eq!(decoded(&data["plaintext"]), plaintext);
            }
            4 => {
                let place = (count as usize).checked_rem(self.sealed.len())?;
                let (plaintext, sealed) = self.sealed[place].clone();
                let body = json!({"ciphertext": encoded(&sealed.bytes), "key_version": sealed.version});
                let data = self.post("rewrap", "/api/v1/kem/rewrap", &body)?;
                self.sealed.push((plaintext, made(&data, "ciphertext")));
            }
            10 if count.is_multiple_of(5) => {
                let key = format!("version-{count}");
                self.versions.insert(key.clone(), None);
                self.make_version(&key);
            }
            11 if count.is_multiple_of(7) => {
                let key = format!("api-key-{count}");
                self.api_keys.insert(key.clone(), None);
                self.make_api_key(&key);
            }
            _ => {
                self.get("read-tenant", "/api/v1/tenants/")?;
            }
        }
        Some(())
    }

    fn make_version(&mut self, key: &str) -> Option<()> {
        let data = self.idempotent(key, "/api/v1/kms/keys/rotate", &json!({"algorithm": SIGNATURE}))?;
        let version = data["key_version"].as_u64().expect("a version");
        self.versions.insert(key.to_owned(), Some(version));
        Some(())
    }

    fn make_api_key(&mut self, key: &str) -> Option<()> {
        let path = format!("/api/v1/tenants/{}/api-keys", self.tenant.id);
        let data = self.idempotent(key, &path, &json!({"name": key, "scopes": ["read-tenant"]}))?;
        let text = data["api_key"].as_str().expect("its text").to_owned();
        self.api_keys.insert(key.to_owned(), Some(text));
        Some(())
    }

    fn idempotent(&mut self, key: &str, path: &str, body: &Value) -> Option<Value> {
        let answer = self.call(|api| api.idempotent(key).client().post(path, body))?;
        if (answer.status, answer.error_code()) == (409, "ERR_CONFLICT_005") {
            return None;
        }
        assert!(answer.status < 300, "{}", answer.text);
        Some(answer.json["data"].clone())
    }

    fn post(&mut self, what: &'static str, path: &str, body: &Value) -> Option<Value> {
        let answer = self.call(|api| api.client().post(path, body))?;
        self.succeeded(what, &answer)
    }

    fn get(&mut self, what: &'static str, path: &str) -> Option<Value> {
        let answer = self.call(|api| api.client().get(path))?;
        self.succeeded(what, &answer)
    }

    fn succeeded(&mut self, what: &'static str, answer: &Answer) -> Option<Value> {
        assert_eq!(answer.status, 200, "{what}: {}", answer.text);
        self.acknowledged.insert(answer.request_id().to_owned(), what);
        Some(answer.json["data"].clone())
    }

    /// Calls once. `None` for a typed 503, and for silence of a gateway that died.
    fn call<E>(&mut self, call: impl Fn(&Api) -> Result<Answer, E>) -> Option<Answer> {
        let Some(api) = self.api.take().or_else(|| self.system.try_api(&self.api_key)) else {
            thread::sleep(PAUSE);
            return None;
        };
        match call(&api) {
            Ok(answer) => {
                self.api = Some(api);
                if answer.status == 503 {
                    assert!(is_typed_503(&answer), "{}", answer.text);
                    self.unavailable += 1;
                    return None;
                }
                Some(answer)
            }
            Err(_) => {
                self.unanswered += 1;
                None
            }
        }
    }

    /// Asks again for what was not answered, until it is.
    fn finish(&mut self) {
        for round in 0..2_000 {
            let versions = open(&self.versions);
            let api_keys = open(&self.api_keys);
            if versions.is_empty() && api_keys.is_empty() {
                return;
            }
            for key in versions {
                self.make_version(&key);
            }
            for key in api_keys {
                self.make_api_key(&key);
            }
            thread::sleep(PAUSE * (1 + round / 100));
        }
        panic!("what was asked for is never answered");
    }

    fn check(&self, decisions: &Records, uses: &Records) {
        let id = self.tenant.id.to_string();
        let of_tenant = |records: &Records, kind: &str| -> BTreeMap<String, u64> {
            let mut counts = BTreeMap::new();
            for record in records.kind(kind).filter(|record| record["tenant"] == id) {
                let request = record["request"].as_str().expect("a request").to_owned();
                *counts.entry(request).or_default() += 1;
            }
            counts
        };
        let (allowed, used) = (of_tenant(decisions, "allow"), of_tenant(uses, "use"));
        // One whose permit died with a keyd is asked for again within its time: it is allowed, and counts, more than once.
        let again = allowed.values().filter(|count| **count > 1).count();
        println!("{again} requests were asked for again");
        assert!(
            used.values().all(|count| *count == 1),
            "each key use is recorded once"
        );
        for (request, what) in &self.acknowledged {
            assert!(allowed.contains_key(request), "{what} {request} was acknowledged");
            let with_key = ["sign", "decrypt", "rewrap"].contains(what);
            assert_eq!(used.contains_key(request), with_key, "{what} {request}");
        }
        let api = self.system.api(&self.api_key);
        // Reading the count is not over the API, and so counts nothing.
        assert_eq!(
            self.system.calls(&self.tenant),
            allowed.values().sum::<u64>(),
            "counted once for each time it was allowed"
        );

        // Each Idempotency-Key made one thing, and there is nothing else.
        let versions: BTreeSet<u64> = self.versions.values().flatten().copied().collect();
        assert_eq!(versions.len(), self.versions.len(), "one version each");
        let listed = api.keys(SIGNATURE).expect("a list");
        let total = api
            .get(&format!("/api/v1/kms/keys?algorithm={SIGNATURE}"))
            .expect("a list")["total"]
            .as_u64();
        assert_eq!(total, Some(versions.len() as u64 + 1), "{listed:?}");
        assert_eq!(listed.iter().filter(|key| key.status == "active").count(), 1);
        let made = decisions
            .changes("key-rotated")
            .into_iter()
            .chain(decisions.changes("key-generated"));
        let made: Vec<u64> = made
            .filter(|record| record["tenant"] == id && record["algorithm"] == "ML-DSA-65")
            .filter_map(|record| record["key_version"].as_u64())
            .collect();
        for version in &versions {
            assert!(
                made.contains(version),
                "version {version} is in the ledger: {made:?}"
            );
        }
        for (key, text) in &self.api_keys {
            let text = text.as_deref().expect("it was answered");
            let answer = self.system.client(Some(text)).get("/api/v1/tenants/me");
            assert_eq!(answer.expect("an answer").status, 200, "{key}");
        }
        let texts: BTreeSet<_> = self.api_keys.values().flatten().collect();
        assert_eq!(texts.len(), self.api_keys.len());
        let rows: i64 = self
            .system
            .database()
            .query_row(
                &format!(
                    "SELECT count(*) FROM api_keys WHERE tenant_id = x'{}'",
                    id.replace('-', "")
                ),
                [],
                |row| row.get(0),
            )
            .expect("a count");
        assert_eq!(
            rows as usize,
            self.api_keys.len() + 1,
            "one API key each, and the first"
        );

        // A sample of what was made opens and verifies.
        let step = (self.sealed.len() / 100).max(1);
        for (plaintext, sealed) in self.sealed.iter().step_by(step) {
            assert_eq!(&api.decrypt(sealed).expect("decrypted"), plaintext);
        }
        let step = (self.signed.len() / 100).max(1);
        for (message, signature) in self.signed.iter().step_by(step) {
            assert!(api.verify(message, signature).expect("an answer"));
        }
    }
}

/// What has not been answered yet.
fn open<T>(made: &BTreeMap<String, Option<T>>) -> Vec<String> {
    let open = made.iter().filter(|(_, made)| made.is_none());
    open.map(|(key, _)| key.clone()).collect()
}

fn made(data: &Value, field: &str) -> Made {
    Made {
        bytes: decoded(&data[field]),
        version: data["key_version"].as_u64().expect("a version"),
    }
}

#[test]
fn what_callers_were_told_both_ledgers_and_the_stores_agree_after_any_daemon_was_killed_at_any_moment() {
    let system = Installation::new();
    let key = system.audit_key();
    let mut callers: Vec<_> = (0..CALLERS).map(|number| Caller::new(&system, number)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = callers
            .iter_mut()
            .map(|caller| scope.spawn(|| caller.work(&stop)))
            .collect();
        for round in 0..rounds() {
            thread::sleep(Duration::from_millis(20 + round * 73 % 180));
            // One, another, two at once, all.
            let killed: &[Daemon] = match round * 5 % 8 {
                0 | 5 => &[Daemon::Policyd],
                1 | 6 => &[Daemon::Keyd],
                2 => &[Daemon::Gateway],
                3 => &[Daemon::Keyd, Daemon::Policyd],
                4 => &[Daemon::Policyd, Daemon::Gateway],
                _ => &[Daemon::Gateway, Daemon::Policyd, Daemon::Keyd],
            };
            for daemon in killed {
                system.kill9(*daemon);
            }
            for daemon in killed.iter().rev() {
                system.start(*daemon);
            }
            if workers.iter().any(|worker| worker.is_finished()) {
                break;
            }
        }
        stop.store(true, Ordering::Release);
        for worker in workers {
            worker.join().expect("no caller heard what it may not hear");
        }
    });
    system.wait_ready();
    for caller in &mut callers {
        caller.finish();
    }
    let report = system.assert_sound(&key);
    let (decisions, uses) = (system.records(Decisions), system.records(Uses));
    for caller in &callers {
        caller.check(&decisions, &uses);
        println!(
            "{}: {} acknowledged, {} versions, {} API keys, {} heard 503, {} heard nothing",
            caller.tenant.name,
            caller.acknowledged.len(),
            caller.versions.len(),
            caller.api_keys.len(),
            caller.unavailable,
            caller.unanswered
        );
        assert!(!caller.acknowledged.is_empty() && !caller.versions.is_empty());
    }
    println!("{} rounds; {report:?}", rounds());
    // No file without a row, no row without a file.
    system.restart(Daemon::Policyd);
    system.until("the comparison to find everything in order", || {
        let found = &system.try_cli(&["status"]).ok()?["reconciliation"];
        let wrong = ["damaged", "missing", "unclaimed"].map(|name| found[name].as_u64());
        (wrong == [Some(0); 3]).then_some(())
    });
}
