//! What policyd writes into the decision ledger. A record is written before what it says is acted on; one about a
//! change is on the disk before the change is acknowledged.

use crate::api_keys::ServiceContext;
use crate::decide::Grant;
use crate::rules::Context;
use chancel_domain::{BatchSize, KeyVersion, Operation};
use chancel_ledger::{
    Change, Decision, Details, Event, Hash, KeyReference, Ledger, PermitReference, Position, Sync, Unwritable,
};
use chancel_wire::keyd::KeydHealth;
use chancel_wire::permit::PermitClaims;
use chancel_wire::policyd::{DenyReason, KeyView, Rule};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Writes the decision ledger.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Ledger>);

/// The key of an allowed request, as its record names it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordedKey<'a> {
    /// The key.
    pub key: Option<&'a KeyView>,
    /// The key that a rewrapped ciphertext will be for.
    pub target: Option<&'a KeyView>,
    /// The version, where a request names one that is not there.
    pub version: Option<KeyVersion>,
}

impl Recorder {
    /// Into this ledger.
    pub const fn new(ledger: Arc<Ledger>) -> Self {
        Self(ledger)
    }

    /// The ledger.
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.0
    }

    /// policyd began, with its sandbox closed.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn started(&self, landlock: &str) -> Result<Position, Unwritable> {
        self.0.append(&Event::Start {
            version: env!("CARGO_PKG_VERSION"),
            details: Details(&[("seccomp", "enforced"), ("landlock", landlock)]),
        })
    }

    /// The plans' terms are others now.
    pub fn plans_read(&self) {
        let change = Change {
            what: "plans-read",
            ..Change::default()
        };
        if self.0.append(&Event::Change(change)).is_err() {
            tracing::error!("new terms of the plans could not be recorded: the ledger cannot be written");
        }
    }

    /// policyd met a keyd.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn met_keyd(&self, health: &KeydHealth) -> Result<Position, Unwritable> {
        let open = if health.break_glass.remaining_ms > 0 {
            "open"
        } else {
            "closed"
        };
        self.0.append(&Event::Keyd {
            details: Details(&[
                ("version", &health.version),
                ("kek_source", &health.kek_source),
                ("secret_memory", &health.secret_memory),
                ("break_glass", open),
            ]),
        })
    }

    /// Something is about to be done that no transaction can take back; returns when that is on the disk.
    ///
    /// # Errors
    /// [`Unwritable`]: it must not be done.
    pub async fn announce(&self, change: Change<'_>) -> Result<(), Unwritable> {
        let position = self.0.append(&Event::Change(change))?;
        self.durable(position).await
    }

    /// Something is being changed: called as the last thing in the transaction that changes it, on the thread that writes
    /// the database. When it returns the word is on the disk, and the commit follows. So nothing is changed that is not
    /// recorded; a kill between the two leaves a word about a change that was rolled back.
    ///
    /// # Errors
    /// [`Unwritable`]: the transaction must not be committed.
    pub fn before_commit(&self, change: Change<'_>) -> Result<(), Unwritable> {
        self.0.append_durable(&Event::Change(change)).map(drop)
    }

    /// Whether answers wait until their record is on the disk.
    pub fn waits(&self) -> bool {
        self.0.sync() == Sync::EveryRecord
    }

    /// Returns when a record is on the disk.
    ///
    /// # Errors
    /// [`Unwritable`] when it is not certain to be.
    pub async fn durable(&self, position: Position) -> Result<(), Unwritable> {
        let (sender, durable) = oneshot::channel();
        // Nobody waiting any more is no reason not to have written it.
        self.0.when_durable(position.seq, move |outcome| {
            let _ = sender.send(outcome);
        });
        durable.await.unwrap_or(Err(Unwritable))
    }
}

/// The record of a request that was allowed.
pub fn of_allowance(grant: &Grant, about: RecordedKey<'_>, permit: Option<&PermitClaims>) -> Event<'static> {
    let context = grant.context();
    Event::Allow(Decision {
        tenant: context.tenant(),
        api_key: context.api_key(),
        api_key_version: context.api_key_version(),
        request: context.request(),
        source: grant.source(),
        operation: grant.operation(),
        algorithm: grant.algorithm(),
        key_version: about.key.map(|key| key.version).or(about.version),
        key: about.key.map(|key| key.handle),
        target: about.target.map(|key| KeyReference {
            algorithm: key.algorithm,
            key_version: key.version,
            key: key.handle,
        }),
        items: grant.batch().map(BatchSize::number),
        permit: permit.map(|claims| PermitReference {
            epoch: claims.epoch,
            serial: claims.serial,
            payload: Hash::from_bytes(*claims.payload.as_bytes()),
        }),
        rule: None,
        reason: None,
    })
}

/// The record of a request that was denied. That it could not be written does not make it less so.
pub fn of_denial(
    known: &ServiceContext,
    context: &Context<'_>,
    rule: Rule,
    reason: DenyReason,
) -> Event<'static> {
    Event::Deny(Decision {
        tenant: known.tenant(),
        api_key: known.api_key(),
        api_key_version: known.api_key_version(),
        request: known.request(),
        source: context.source,
        operation: context.operation,
        algorithm: context.algorithm,
        key_version: None,
        key: None,
        target: None,
        items: context.batch.map(BatchSize::number),
        permit: None,
        rule: Some(rule.name()),
        reason: Some(reason.name()),
    })
}

/// Whether a request may be answered though it cannot be recorded: what neither uses a private key nor changes
/// anything.
pub const fn may_go_unrecorded(operation: Operation, is_change: bool) -> bool {
    !is_change && !matches!(operation.place(), chancel_domain::operation::Place::PrivateKey)
}
