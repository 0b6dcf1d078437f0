//! Connections to the daemons, as an operator. Whoever listens must be the user that owns the socket: only the daemon
//! can put one into its directory. systemd can as well, and gives keyd one that belongs to root; then it must be keyd's
//! account.

use crate::failure::{Daemon, Failure};
use crate::host::config::Account;
use chancel_link::{Answer, CallError, Client, Endpoint};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::keyd::{KeydReply, KeydRequest};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Longer than any act of an operator takes: a few fsyncs.
const DEADLINE: Duration = Duration::from_secs(5);

/// A connection to policyd's admin socket.
pub struct Policyd(Client);

/// A connection to keyd.
pub struct Keyd(Client);

fn connect(daemon: Daemon, socket: &Path, of_roots: impl FnOnce() -> u32) -> Result<Client, Failure> {
    let metadata = fs::metadata(socket).map_err(|source| Failure::NoSocket {
        daemon,
        path: socket.to_owned(),
        source,
    })?;
    let endpoint = Endpoint::Unix {
        path: socket.to_owned(),
        uid: match metadata.uid() {
            0 => of_roots(),
            owner => owner,
        },
    };
    Ok(Client::new(endpoint, Role::Operator, ServiceToken::none()))
}

async fn call(client: &Client, daemon: Daemon, request: &impl Serialize) -> Result<Answer, Failure> {
    client
        .call(request, DEADLINE)
        .await
        .map_err(|source: CallError| Failure::NoAnswer { daemon, source })
}

impl Policyd {
    /// Starts connecting. Inside a runtime.
    ///
    /// # Errors
    /// [`Failure::NoSocket`] when there is none.
    pub fn connect(socket: &Path) -> Result<Self, Failure> {
        connect(Daemon::Policyd, socket, || 0).map(Self)
    }

    /// Asks, and hands on what is not a refusal.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask(&self, request: &AdminRequest) -> Result<AdminReply, Failure> {
        let answer = call(&self.0, Daemon::Policyd, request).await?;
        match answer
            .decode()
            .map_err(|_| Failure::Unintelligible(Daemon::Policyd))?
        {
            AdminReply::Failed(error) => Err(Failure::Refused { error }),
            reply => Ok(reply),
        }
    }
}

impl Keyd {
    /// Starts connecting; `account` is keyd's, should the socket be systemd's. Inside a runtime.
    ///
    /// # Errors
    /// [`Failure::NoSocket`] when there is none.
    pub fn connect(socket: &Path, account: impl FnOnce() -> Account) -> Result<Self, Failure> {
        connect(Daemon::Keyd, socket, || account().uid.unwrap_or(0)).map(Self)
    }

    /// Asks, and hands what is not a refusal to `take`, which says `None` to what is no answer to this.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask<T>(
        &self,
        request: &KeydRequest<'_>,
        take: impl FnOnce(KeydReply<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let answer = call(&self.0, Daemon::Keyd, request).await?;
        let unintelligible = Failure::Unintelligible(Daemon::Keyd);
        match answer.decode() {
            Ok(KeydReply::Refused(error)) => Err(Failure::KeydRefused { error }),
            Ok(reply) => take(reply).ok_or(unintelligible),
            Err(_) => Err(unintelligible),
        }
    }
}
