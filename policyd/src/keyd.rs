//! keyd as policyd sees it: each question with its own answer type, so that no caller handles an answer that
//! belongs to another question.

mod watch;

pub use watch::{KeydState, Watch};

use chancel_link::{CallError, Client};
use chancel_wire::keyd::{
    CheckpointClaims, InventoryEntry, KeyIdentity, KeydError, KeydHealth, KeydReply, KeydRequest,
    PermitKeyGrant,
};
use chancel_wire::limits::{LIFECYCLE_DEADLINE, REQUEST_DEADLINE};
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// Why keyd did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeydFailure {
    /// There is no answer; whether it was done is unknown.
    #[error("keyd did not answer: {0}")]
    NoAnswer(CallError),
    /// keyd answered that it did not do it.
    #[error("keyd refused: {0}")]
    Refused(KeydError),
    /// The answer belongs to no question that was asked.
    #[error("keyd's answer makes no sense")]
    Unintelligible,
}

/// One page of keyd's key files.
pub struct InventoryPage {
    /// The files, in the order of [`KeyIdentity`].
    pub files: Vec<InventoryEntry>,
    /// Whether more follow.
    pub more: bool,
}

/// The connection to keyd.
#[derive(Clone)]
pub struct Keyd {
    client: Client,
}

impl Keyd {
    /// Over this connection.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Counts the connections that were established.
    pub fn connections(&self) -> Receiver<u64> {
        self.client.connections()
    }

    /// Has a key pair made and stored; returns the public key.
    ///
    /// # Errors
    /// [`KeydFailure`].
    pub async fn generate(&self, key: KeyIdentity) -> Result<Vec<u8>, KeydFailure> {
        self.ask(
            KeydRequest::Generate(key),
            LIFECYCLE_DEADLINE,
            |reply| match reply {
                KeydReply::Generated { public_key }
                    if public_key.len() == key.algorithm.spec().public_key_len =>
                {
                    Some(public_key.to_vec())
                }
                _ => None,
            },
        )
        .await
    }

    /// Has a private key destroyed; also one that is not there.
    ///
    /// # Errors
    /// [`KeydFailure`].
    pub async fn destroy(&self, key: KeyIdentity) -> Result<(), KeydFailure> {
        self.ask(KeydRequest::Destroy(key), LIFECYCLE_DEADLINE, |reply| {
            matches!(reply, KeydReply::Destroyed).then_some(())
        })
        .await
    }

    /// Asks for a new permit key.
    ///
    /// # Errors
    /// [`KeydFailure`].
    pub async fn renew_permit_key(&self) -> Result<PermitKeyGrant, KeydFailure> {
        self.ask(
            KeydRequest::RenewPermitKey,
            REQUEST_DEADLINE,
            |reply| match reply {
                KeydReply::PermitKey(grant) => Some(grant),
                _ => None,
            },
        )
        .await
    }

    /// Asks for one page of key files, after a given one.
    ///
    /// # Errors
    /// [`KeydFailure`].
    pub async fn inventory(&self, after: Option<KeyIdentity>) -> Result<InventoryPage, KeydFailure> {
        self.ask(
            KeydRequest::Inventory { after },
            LIFECYCLE_DEADLINE,
            |reply| match reply {
                KeydReply::Inventory { files, more } => Some(InventoryPage { files, more }),
                _ => None,
            },
        )
        .await
    }

    /// Has a checkpoint of the decision ledger signed with the audit key.
    ///
    /// # Errors
    /// [`KeydFailure`].
    pub async fn sign_checkpoint(&self, claims: CheckpointClaims) -> Result<Vec<u8>, KeydFailure> {
        let request = KeydRequest::SignCheckpoint(claims);
        self.ask(request, REQUEST_DEADLINE, |reply| match reply {
            KeydReply::Checkpoint(signature) => Some(signature.to_vec()),
            _ => None,
        })
        .await
    }

    /// Asks how keyd is.
    ///
    /// # Errors
    /// [`KeydFailure`].
    pub async fn health(&self) -> Result<KeydHealth, KeydFailure> {
        self.ask(KeydRequest::Health, REQUEST_DEADLINE, |reply| match reply {
            KeydReply::Healthy(health) => Some(health),
            _ => None,
        })
        .await
    }

    async fn ask<T>(
        &self,
        request: KeydRequest<'static>,
        deadline: Duration,
        expected: impl FnOnce(KeydReply<'_>) -> Option<T>,
    ) -> Result<T, KeydFailure> {
        let answer = self
            .client
            .call(&request, deadline)
            .await
            .map_err(KeydFailure::NoAnswer)?;
        match answer.decode().map_err(|_| KeydFailure::Unintelligible)? {
            KeydReply::Refused(error) => Err(KeydFailure::Refused(error)),
            reply => expected(reply).ok_or(KeydFailure::Unintelligible),
        }
    }
}
