//! `chancel policy …`

mod explain;
mod rules;

use crate::arguments::PolicyCommand;
use crate::client::Policyd;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(policyd: &Policyd, output: Output, command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Rules(command) => rules::run(policyd, output, command).await,
        PolicyCommand::Explain(question) => explain::run(policyd, output, question).await,
    }
}
