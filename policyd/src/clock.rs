//! The wall clock, for what is stored and for expiry.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds now; negative before 1970, where a clock stands that was never set.
pub fn now_ms() -> i64 {
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}
