//! The command line of a daemon, which is all alike: `NAME --config FILE`, or `NAME --version`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads the command line, runs the daemon, and reports why it ended. A daemon has no other options: what it may
/// do is in its file, where it can be reviewed.
pub fn run<E: Display>(name: &str, version: &str, daemon: impl FnOnce(&Path) -> Result<(), E>) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let config = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(flag), Some(path), None) if flag == "--config" => PathBuf::from(path),
        (Some(flag), None, None) if flag == "--version" => {
            println!("{name} {version}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: {name} --config FILE");
            return ExitCode::from(2);
        }
    };
    match daemon(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
