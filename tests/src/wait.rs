//! Waiting for something to come true, with a bound so generous that only a fault reaches it.

use std::thread;
use std::time::{Duration, Instant};

/// The bound: a busy machine with few cores stays well below it.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Looks until `look` finds something.
///
/// # Panics
/// When it has not within [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "waited {} s for {what}",
            PATIENCE.as_secs()
        );
        thread::sleep(POLL);
    }
}
