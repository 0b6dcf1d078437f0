//! Entry point of chancel-gateway: `chancel-gateway --config FILE`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let config = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(flag), Some(path), None) if flag == "--config" => PathBuf::from(path),
        (Some(flag), None, None) if flag == "--version" => {
            println!("chancel-gateway {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: chancel-gateway --config FILE");
            return ExitCode::from(2);
        }
    };
    match chancel_gateway::run::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chancel-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
