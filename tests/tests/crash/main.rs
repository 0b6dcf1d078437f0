//! Daemons that die or freeze at any instant, under load: what was acknowledged is there, nothing half-made is visible,
//! callers hear a typed 503 (or nothing, from a gateway that died), and recover without anything else being restarted.
//!
//! `CHANCEL_CRASH_ROUNDS` says how often each daemon is killed, and how many rounds the test of the whole has.

mod frozen;
mod half_made;
mod killed;
mod load;
mod whole;

/// How often each daemon is killed.
fn rounds() -> u64 {
    match std::env::var("CHANCEL_CRASH_ROUNDS") {
        Ok(text) => text.parse().expect("CHANCEL_CRASH_ROUNDS is a number"),
        Err(_) => 6,
    }
}

/// The one error that callers may hear while a daemon is away.
fn is_typed_503(answer: &chancel_tests::http::Answer) -> bool {
    answer.status == 503
        && answer.error_code() == "ERR_SERVICE_001"
        && answer.is_error_envelope()
        && answer.headers.contains_key("retry-after")
}
