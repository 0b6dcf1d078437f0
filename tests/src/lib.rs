//! Whole-system tests: an [`Installation`] of real daemons, as an operator would have it, and the means to use, watch
//! and attack it.
//!
//! As root the three daemons run under uids of their own (see [`accounts`]), which is what most claims are about. For
//! anybody else all run under one uid, and what then cannot be shown is skipped with a line on standard error.
//!
//! Every wait has a generous upper bound and ends as soon as what it waits for is there; no port is fixed; only
//! processes that a test started are ever signalled.

pub mod accounts;
pub mod actor;
pub mod api;
pub mod binaries;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod database;
pub mod http;
pub mod installation;
mod janitor;
pub mod layout;
pub mod ledgers;
pub mod metrics;
pub mod plans;
mod process;
pub mod raw;
pub mod shared;
pub mod small_disk;
pub mod wait;

pub use accounts::Accounts;
pub use api::Api;
pub use cli::{ApiKey, Tenant};
pub use config::Options;
pub use installation::{Daemon, Installation};
pub use ledgers::Records;
pub use metrics::Metrics;
pub use shared::Shared;

/// Says on standard error, past the test harness's capture, that a test was skipped and why.
pub fn skipped(test: &str, reason: &str) {
    note(&format!("SKIPPED {test}: {reason}"));
}

/// A line that is seen although the test harness captures what tests print.
pub(crate) fn note(line: &str) {
    use std::io::Write;
    // Through the stream itself: `eprintln!` would be captured and shown for failing tests only.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Ends a test that needs the daemons under uids of their own, with a visible note, where they are not.
#[macro_export]
macro_rules! needs_separate_accounts {
    ($installation:expr, $test:literal) => {
        if !$installation.accounts().separate() {
            $crate::skipped(
                $test,
                "needs root, so that each daemon runs under a uid of its own",
            );
            return;
        }
    };
}
