//! `chancel`, the operator's command line. It speaks to policyd's admin socket and, for break-glass, to keyd's, reads the
//! ledgers' files, looks over the host, and holds nothing: no database, no key, no secret beyond the one API key it prints
//! and, while it seals it, the gateway's TLS key.

mod arguments;
mod certificate;
mod client;
mod command;
mod failure;
mod host;
mod output;
#[cfg(test)]
mod test_certificates;
mod when;

use arguments::Arguments;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A usage error ends the process here, with exit code 2.
    let arguments = Arguments::parse();
    match command::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("chancel: {}: {failure}", failure.code());
            ExitCode::FAILURE
        }
    }
}
