//! `chancel audit …`: reads the ledgers' files and changes nothing.

mod public_key;
mod records;
mod shown;
mod verify;

use super::unread;
use crate::arguments::AuditCommand;
use crate::client::Keyd;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(
    keyd: impl FnOnce() -> Result<Keyd, Failure>,
    output: Output,
    command: AuditCommand,
) -> Result<(), Failure> {
    match command {
        AuditCommand::PublicKey { output: file } => public_key::run(&keyd()?, output, file.as_deref()).await,
        AuditCommand::Verify(what) => verify::run(output, &what),
        AuditCommand::Tail {
            which,
            conditions,
            lines,
            follow,
        } => records::tail(output, which.directory(), &(&conditions).into(), lines, follow),
        AuditCommand::Query {
            which,
            conditions,
            limit,
            before,
        } => records::query(output, which.directory(), &(&conditions).into(), limit, before),
        AuditCommand::Export {
            which,
            conditions,
            format,
        } => records::export(which.directory(), &(&conditions).into(), format),
    }
}
