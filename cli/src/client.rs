//! The connection to policyd's admin socket.

use crate::failure::Failure;
use chancel_link::{Client, Endpoint};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::hello::{Role, ServiceToken};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Longer than any act of an operator takes: a few fsyncs.
const DEADLINE: Duration = Duration::from_secs(5);

/// A connection to policyd, as an operator.
pub struct Policyd(Client);

impl Policyd {
    /// Starts connecting. Inside a runtime.
    ///
    /// Whoever listens must be the user that owns the socket: only policyd can put one into its directory.
    ///
    /// # Errors
    /// [`Failure::NoSocket`] when there is none.
    pub fn connect(socket: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(socket).map_err(|source| Failure::NoSocket {
            path: socket.to_owned(),
            source,
        })?;
        let endpoint = Endpoint::Unix {
            path: socket.to_owned(),
            uid: metadata.uid(),
        };
        Ok(Self(Client::new(endpoint, Role::Operator, ServiceToken::none())))
    }

    /// Asks, and hands on what is not a refusal.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask(&self, request: &AdminRequest) -> Result<AdminReply, Failure> {
        let answer = self.0.call(request, DEADLINE).await?;
        match answer.decode().map_err(|_| Failure::Unintelligible)? {
            AdminReply::Failed(error) => Err(error.into()),
            reply => Ok(reply),
        }
    }
}
