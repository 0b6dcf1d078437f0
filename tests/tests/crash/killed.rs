//! kill -9 in a loop, under load.

use crate::load::{CALLERS, Caller, Progress};
use crate::rounds;
use chancel_tests::{Daemon, Installation};
use nix::unistd::Pid;
use std::thread;
use std::time::Duration;

/// Kills a daemon again and again while callers work, and checks afterwards that all they were told holds.
fn kill_in_a_loop(killed: Daemon) {
    let system = Installation::new();
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|number| Caller::new(&system, killed, number))
        .collect();
    let others = || -> Vec<Pid> {
        Daemon::ALL
            .into_iter()
            .filter(|daemon| *daemon != killed)
            .map(|daemon| system.pid(daemon))
            .collect()
    };
    let others_before = others();
    let progress = Progress::default();
    thread::scope(|scope| {
        let workers: Vec<_> = callers
            .iter_mut()
            .enumerate()
            .map(|(number, caller)| {
                let progress = &progress;
                scope.spawn(move || caller.work(number, progress))
            })
            .collect();
        let recovered = || {
            let before = progress.rounds();
            system.until("every caller to have worked a whole round", || {
                assert!(
                    !workers.iter().any(|worker| worker.is_finished()),
                    "a caller gave up"
                );
                let now = progress.rounds();
                now.iter()
                    .zip(before)
                    // The first round may have begun before.
                    .all(|(now, before)| *now >= before + 2)
                    .then_some(())
            });
        };
        // Whatever fails below, the callers have to come to an end.
        let _stop = StopOnDrop(&progress);
        recovered();
        for round in 0..rounds() {
            // At another moment of what callers do, and away for another while.
            thread::sleep(Duration::from_millis(round * 13 % 50));
            system.kill9(killed);
            thread::sleep(Duration::from_millis(round * 37 % 150));
            system.start(killed);
            recovered();
        }
    });
    assert_eq!(others(), others_before, "nothing else was restarted");
    let checked: usize = callers.iter().map(Caller::check).sum();
    println!(
        "{killed:?} killed {} times: {checked} acknowledged things hold, {} calls heard 503, {} heard nothing",
        rounds(),
        progress.unavailable(),
        progress.unanswered(),
    );
    assert!(
        progress.unavailable() + progress.unanswered() > 0,
        "no caller noticed: there was no load"
    );
}

struct StopOnDrop<'a>(&'a Progress);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_of_keyd_in_a_loop() {
    kill_in_a_loop(Daemon::Keyd);
}

#[test]
fn what_was_acknowledged_survives_kill_9_of_policyd_in_a_loop() {
    kill_in_a_loop(Daemon::Policyd);
}

#[test]
fn what_was_acknowledged_survives_kill_9_of_the_gateway_in_a_loop() {
    kill_in_a_loop(Daemon::Gateway);
}
