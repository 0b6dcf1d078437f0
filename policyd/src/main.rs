//! Entry point of chancel-policyd.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancel_service::program::run(
        env!("CARGO_BIN_NAME"),
        env!("CARGO_PKG_VERSION"),
        chancel_policyd::run::run,
    )
}
