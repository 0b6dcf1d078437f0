//! What Chancel's daemons do alike at start: read their configuration and secrets, open their log, look at their ledger's
//! directory.
//!
//! All of it happens before the sandbox closes. Each function either gives what was asked for or an error that names the
//! file; there is no "warn and go on". No error and no log line quotes a value that was read.

pub mod account;
pub mod config;
pub mod ledger_directory;
pub mod log;
pub mod manager;
pub mod period;
pub mod program;
pub mod secret_file;
