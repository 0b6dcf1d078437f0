//! The commands: each asks a daemon, reads a ledger or looks at the host, and prints what it found.

mod algorithms;
mod api_key;
mod audit;
mod break_glass;
mod doctor;
mod generate;
mod init;
mod key_budget;
mod mu;
mod plans;
mod policy;
mod status;
mod tenant;
mod tls;

pub use tls::Unfit;

use crate::arguments::{Arguments, Command};
use crate::client::{Keyd, Policyd};
use crate::failure::Failure;
use crate::host::config::Configuration;
use crate::output::Output;
use std::io;
use std::path::Path;

/// Does what the command line says.
///
/// # Errors
/// [`Failure`].
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::NotStarted)?;
    let output = Output::new(arguments.json);
    let places = arguments.places;
    runtime.block_on(async {
        let policyd = || Policyd::connect(&places.admin_socket);
        let keyd = || {
            Keyd::connect(&places.keyd_socket, || {
                Configuration::read(&places.config_directory).keyd_account()
            })
        };
        match arguments.command {
            Command::Init(arguments) => init::run(&policyd()?, &places, output, arguments).await,
            Command::Tenant(command) => tenant::run(&policyd()?, output, command).await,
            Command::ApiKey(command) => api_key::of_tenant(&policyd()?, output, command).await,
            Command::OperatorKey(command) => api_key::of_operators(&policyd()?, output, command).await,
            Command::KeyBudget(command) => key_budget::run(&policyd()?, output, command).await,
            Command::Plans(command) => plans::run(&policyd()?, output, command).await,
            Command::Policy(command) => policy::run(&policyd()?, output, command).await,
            Command::BreakGlass(command) => break_glass::run(&keyd()?, output, command).await,
            Command::Audit(command) => audit::run(keyd, output, command).await,
            Command::Tls(command) => tls::run(&places.config_directory, output, &command),
            Command::Status => status::run(policyd, keyd, &places.config_directory, output).await,
            Command::Doctor => doctor::run(&places, output),
            Command::Algorithms => algorithms::run(output),
            Command::Mu(arguments) => mu::run(output, &arguments),
            Command::Generate(command) => generate::run(&command),
        }
    })
}

/// A failure to read at a path, or below it.
fn unread(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
    |source| Failure::NotRead {
        path: path.to_owned(),
        source,
    }
}
