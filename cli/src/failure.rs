//! Why a command was not done: a code for scripts and a sentence for people.

use chancel_link::CallError;
use chancel_wire::admin::AdminError;
use std::io;
use std::path::PathBuf;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such socket.
    #[error("{}: {source} (is policyd running?)", path.display())]
    NoSocket {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// policyd did not answer.
    #[error("policyd did not answer: {0} (is it running, and are you root or in its admin group?)")]
    NoAnswer(#[from] CallError),
    /// policyd answered something else: another version, presumably.
    #[error("policyd's answer makes no sense; is it of the same version as this program?")]
    Unintelligible,
    /// policyd said no.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// The system has no room for the program's runtime.
    #[error("cannot start: {0}")]
    NotStarted(#[source] io::Error),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    NotWritten(#[source] io::Error),
}

impl Failure {
    /// The failure's code; part of the interface.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSocket { .. } => "no-socket",
            Self::NoAnswer(_) => "no-answer",
            Self::Unintelligible => "unintelligible",
            Self::Refused(error) => match error {
                AdminError::Malformed => "malformed",
                AdminError::TenantNotFound => "tenant-not-found",
                AdminError::ApiKeyNotFound => "api-key-not-found",
                AdminError::NameTaken => "name-taken",
                AdminError::ApiKeyRevoked => "api-key-revoked",
                AdminError::PlanLimit => "plan-limit",
                AdminError::Storage => "storage",
            },
            Self::NotStarted(_) => "not-started",
            Self::NotWritten(_) => "not-written",
        }
    }
}
