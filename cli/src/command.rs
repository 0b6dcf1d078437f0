//! The commands: each asks policyd and prints what it answered.

mod api_key;
mod status;
mod tenant;

use crate::arguments::{Arguments, Command};
use crate::client::Policyd;
use crate::failure::Failure;
use crate::output::Output;

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
    runtime.block_on(async {
        let policyd = Policyd::connect(&arguments.admin_socket)?;
        match arguments.command {
            Command::Tenant(command) => tenant::run(&policyd, output, command).await,
            Command::ApiKey(command) => api_key::run(&policyd, output, command).await,
            Command::Status => status::run(&policyd, output).await,
        }
    })
}
