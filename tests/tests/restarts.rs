//! Daemons that are restarted while clients work: requests wait for the next process, and none is lost.

use chancel_tests::api::{KEM, SIGNATURE};
use chancel_tests::{Daemon, Installation};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Requests wait 700 ms. A restart that takes longer than this on a busy machine proves nothing about those that must not
/// notice it.
const SHORT: Duration = Duration::from_millis(300);

/// How many restarts are tried, and how many short ones are enough.
const TRIES: usize = 30;
const ENOUGH: usize = 5;

#[test]
fn a_restart_of_keyd_or_policyd_loses_no_request() {
    let system = Installation::new();
    let audit_key = system.audit_key();
    let (_, api_key) = system.tenant_with_api_key("restarts");
    let api = system.api(&api_key);
    api.first_key(SIGNATURE);
    api.first_key(KEM);
    let sealed = api.encrypt(b"plaintext").expect("encrypted");
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        let mut short = 0;
        for _ in 0..TRIES {
            let (is_over, made) = (AtomicBool::new(false), AtomicU64::new(0));
            let (took, failed) = thread::scope(|scope| {
                let clients: Vec<_> = (0..4)
                    .map(|number| {
                        let (api, sealed, is_over, made) = (&api, &sealed, &is_over, &made);
                        scope.spawn(move || {
                            let mut failed = Vec::new();
                            while !is_over.load(Ordering::Relaxed) {
                                let outcome = match number % 2 {
                                    0 => api.sign(b"message").map(|_| ()),
                                    _ => api.decrypt(sealed).map(|_| ()),
                                };
                                match outcome {
                                    Ok(()) => _ = made.fetch_add(1, Ordering::Relaxed),
                                    Err(failure) => failed.push(format!("{failure:?}")),
                                }
                            }
                            failed
                        })
                    })
                    .collect();
                let wait_for_more = || {
                    let before = made.load(Ordering::Relaxed);
                    system.until("requests under way", || {
                        (made.load(Ordering::Relaxed) > before + 20).then_some(())
                    });
                };
                wait_for_more();
                let began = Instant::now();
                system.stop(daemon);
                system.start(daemon);
                let took = began.elapsed();
                wait_for_more();
                is_over.store(true, Ordering::Relaxed);
                let failed = clients
                    .into_iter()
                    .flat_map(|client| client.join().expect("a thread"));
                (took, failed.collect::<Vec<_>>())
            });
            if took <= SHORT {
                assert!(failed.is_empty(), "{daemon:?}, {took:?}: {failed:#?}");
                short += 1;
            }
            if short == ENOUGH {
                break;
            }
        }
        println!("{daemon:?}: {short} restarts that took at most {SHORT:?}");
        assert!(
            short > 0,
            "no restart of {daemon:?} was short enough to say anything"
        );
    }
    system.assert_sound(&audit_key);
}
