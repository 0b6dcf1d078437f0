//! Signatures that take seconds, beside requests that must not wait for them.

use chancel_tests::Installation;
use chancel_tests::api::encoded;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const SLOW: &str = "SLH-DSA-SHA2-192s";

/// However many slow signatures are asked for: others are made meanwhile, and keys too. A request that waited behind a slow
/// one would run into its deadline and be answered 503.
#[test]
fn slow_signatures_hold_up_nobody_but_each_other() {
    let system = Installation::new();
    let (_, api_key) = system.tenant_with_api_key("slow");
    let api = system.api(&api_key);
    api.first_key("Dilithium3");
    api.first_key(SLOW);
    let sign_slowly = || {
        let body = json!({"algorithm": SLOW, "message": encoded(b"message")});
        system.api(&api_key).post("/api/v1/signature/sign", &body)
    };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let slow: Vec<_> = (0..4).map(|_| scope.spawn(sign_slowly)).collect();
        let fast = scope.spawn(|| {
            let mut made = 0;
            while !is_over.load(Ordering::Relaxed) {
                api.sign(b"message").expect("a signature meanwhile");
                made += 1;
            }
            made
        });
        let other = scope.spawn(|| {
            let (_, api_key) = system.tenant_with_api_key("another");
            system
                .api(&api_key)
                .generate("Kyber768")
                .expect("a key meanwhile");
        });
        let verified = slow.into_iter().map(|signing| {
            let signed = signing.join().expect("a thread").expect("a slow signature");
            let body = json!({"algorithm": SLOW, "message": encoded(b"message"),
                "signature": signed["signature"], "key_version": 1});
            api.post("/api/v1/signature/verify", &body).expect("a verdict")["valid"] == true
        });
        assert_eq!(verified.filter(|valid| *valid).count(), 4);
        is_over.store(true, Ordering::Relaxed);
        other.join().expect("a thread");
        let made = fast.join().expect("a thread");
        assert!(made > 10, "only {made} signatures beside the slow ones");
    });
}

/// More than a tenant's share are refused at once, and typed; another tenant's are made beside them.
#[test]
fn a_tenant_has_its_share_of_slow_signatures_and_leaves_the_others_theirs() {
    let system = Installation::new();
    let (_, api_key) = system.tenant_with_api_key("slow");
    let api = system.api(&api_key);
    api.first_key("Dilithium3");
    api.first_key(SLOW);
    let (_, other_key) = system.tenant_with_api_key("other");
    let other = system.api(&other_key);
    other.first_key(SLOW);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> = (0..40)
            .map(|_| {
                scope.spawn(|| {
                    let body = json!({"algorithm": SLOW, "message": encoded(b"message")});
                    system.api(&api_key).post("/api/v1/signature/sign", &body)
                })
            })
            .collect();
        let body = json!({"algorithm": SLOW, "message": encoded(b"message")});
        other
            .post("/api/v1/signature/sign", &body)
            .expect("the other tenant's");
        asked
            .into_iter()
            .map(|asked| asked.join().expect("a thread"))
            .collect()
    });
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(made > 0, "{outcomes:?}");
    for failure in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(failure.code(), (429, "ERR_RATE_001"), "{failure:?}");
    }
    system.until("a signature of another kind", || api.sign(b"message").ok());
}
