//! keyd's ledger: what was done with private keys, written before anybody hears of it.
//!
//! Where a line cannot be written, the caller must not go on; [`NotRecorded`] says so. Requests that come without a permit
//! to believe are recorded too, but a flood of them is one line a second for each reason: who can knock must not be able
//! to fill the disk.

mod refusals;

use crate::break_glass::{Incident, NotRecorded};
use crate::metrics::name_of;
use crate::ops::Outputs;
use crate::verified::{Authority, VerifiedUse};
use chancel_domain::tenant::Name;
use chancel_ledger::{
    Batch, BreakGlass, CheckpointRequest, Details, Event, Hash, Health, KeyChange, KeyReference, Ledger,
    LedgerConfig, LedgerName, OpenError, PermitReference, Statistics, Sync, Syncer, Unwritable, Use,
};
use chancel_service::ledger_directory::{self, LedgerDirectoryError};
use chancel_wire::keyd::{KeyIdentity, KeydError};
use refusals::Refusals;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why keyd has no ledger. It does not start without one.
#[derive(Debug, thiserror::Error)]
pub enum UseLedgerError {
    /// The directory was refused.
    #[error(transparent)]
    Directory(#[from] LedgerDirectoryError),
    /// What lies in it was refused.
    #[error(transparent)]
    Ledger(#[from] OpenError),
}

/// What is said of this process in the ledger.
pub type StartDetails = Vec<(&'static str, String)>;

/// The ledger of uses.
pub struct UseLedger {
    ledger: Arc<Ledger>,
    refusals: Refusals,
    /// What is still to be said of this process: a disk that is full at the start keeps keyd from nothing but uses.
    unsaid: Mutex<Option<StartDetails>>,
}

impl UseLedger {
    /// Opens the ledger. The [`Syncer`] must be run on a thread of its own.
    ///
    /// # Errors
    /// [`UseLedgerError`].
    pub fn open(config: &LedgerConfig) -> Result<(Self, Syncer), UseLedgerError> {
        ledger_directory::prepare(&config.directory)?;
        let options = config.options(LedgerName::Uses);
        let (ledger, syncer, opened) = Ledger::open(&config.directory, options)?;
        if let Some(repair) = opened.repaired {
            tracing::warn!(ledger = %LedgerName::Uses, dropped = repair.dropped, "half a line of the ledger was dropped");
        }
        let uses = Self {
            ledger,
            refusals: Refusals::default(),
            unsaid: Mutex::new(None),
        };
        Ok((uses, syncer))
    }

    /// Records that this process began; later, when that is not possible now.
    pub fn started(&self, details: StartDetails) {
        *self.unsaid.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
        self.say_started();
    }

    /// Writes records of uses. Only then may what they are about leave.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub fn write(&self, records: &Batch) -> Result<(), NotRecorded> {
        if records.is_empty() {
            return Ok(());
        }
        let written = self.ledger.append_all(records, chancel_ledger::now_ms());
        let synced = written.and_then(|newest| match self.ledger.sync() {
            Sync::EveryRecord => self.ledger.durable(newest),
            Sync::Within(_) => Ok(()),
        });
        synced.map_err(|Unwritable| NotRecorded)
    }

    /// Records a use in break-glass; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub fn used_in_break_glass(
        &self,
        done: &VerifiedUse<'_>,
        performed: &Result<Outputs, KeydError>,
    ) -> Result<(), NotRecorded> {
        self.append_durable(&of_use(done, performed))
    }

    /// Records that a key was made or destroyed; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub fn key_changed(&self, what: &'static str, key: &KeyIdentity) -> Result<(), NotRecorded> {
        self.append_durable(&Event::Key(KeyChange {
            what,
            tenant: key.tenant,
            algorithm: key.algorithm,
            key_version: key.version,
            key: key.handle,
        }))
    }

    /// Records what an operator did with break-glass; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub fn break_glass(
        &self,
        incident: Incident,
        uid: Option<u32>,
        reason: Option<&Name>,
    ) -> Result<(), NotRecorded> {
        self.append_durable(&incident_event(incident, uid, reason))
    }

    /// Records what nobody did: break-glass that time or the end of the process closed. Waits for no disk.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub fn break_glass_ended(&self, incident: Incident) -> Result<(), NotRecorded> {
        self.ledger
            .append(&incident_event(incident, None, None))
            .map_or(Err(NotRecorded), |_| Ok(()))
    }

    /// Records a request that was refused for want of a right to make it. At most a line a second for each reason.
    pub fn refused(&self, error: KeydError, now: Instant) {
        self.refusals
            .note(name_of(error), now, |event| self.ledger.append(event).is_ok());
    }

    /// Once a second, by the thread that syncs, so waiting for no disk: says what is unsaid.
    pub fn look_after(&self, now: Instant) {
        self.say_started();
        self.refusals
            .settle(now, |event| self.ledger.append(event).is_ok());
    }

    /// The last line of this process.
    pub fn stopping(&self, now: Instant) {
        self.refusals.settle(now + Duration::from_secs(1), |event| {
            self.ledger.append(event).is_ok()
        });
        // Without it the next start shows that this process did not end of its own accord.
        let _ = self.ledger.append(&Event::Stop);
    }

    /// Ends the thread that syncs, which writes a last checkpoint.
    pub fn stop(&self) {
        self.ledger.stop();
    }

    /// Writes the checkpoint that is due, if one is and `sign` signs it.
    pub fn checkpoint(&self, at_end: bool, sign: impl FnOnce(&CheckpointRequest) -> Option<Vec<u8>>) {
        if let Some(request) = self.ledger.checkpoint_due(at_end)
            && let Some(signature) = sign(&request)
        {
            // One that cannot be written is due again.
            let _ = self.ledger.append_checkpoint(&request, &signature);
        }
    }

    /// Whether it is known that nothing can be written.
    pub fn is_unwritable(&self) -> bool {
        self.ledger.health() == Health::Unwritable
    }

    /// How the ledger is.
    pub fn health(&self) -> Health {
        self.ledger.health()
    }

    /// Counts since the start.
    pub fn statistics(&self) -> Statistics {
        self.ledger.statistics()
    }

    fn say_started(&self) {
        let mut unsaid = self.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(details) = unsaid.as_ref() else {
            return;
        };
        let details: Vec<(&str, &str)> = details
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let said = self.ledger.append(&Event::Start {
            version: env!("CARGO_PKG_VERSION"),
            details: Details(&details),
        });
        if said.is_ok() {
            *unsaid = None;
        }
    }

    fn append_durable(&self, event: &Event<'_>) -> Result<(), NotRecorded> {
        self.ledger
            .append_durable(event)
            .map(|_| ())
            .map_err(|Unwritable| NotRecorded)
    }
}

/// The record of a use and of what came of it.
pub fn of_use(done: &VerifiedUse<'_>, performed: &Result<Outputs, KeydError>) -> Event<'static> {
    let (key, caller) = (done.key(), done.caller());
    let payload = Hash::from_bytes(*done.payload().as_bytes());
    let (permit, payload) = match done.authority() {
        Authority::Permit { epoch, serial } => (
            Some(PermitReference {
                epoch,
                serial,
                payload,
            }),
            None,
        ),
        Authority::BreakGlass => (None, Some(payload)),
    };
    let items = done.inputs().batch();
    let failed = items
        .zip(performed.as_ref().ok())
        .map(|(items, outputs)| items.saturating_sub(outputs.succeeded()));
    Event::Use(Use {
        tenant: done.tenant(),
        api_key: caller.api_key,
        api_key_version: caller.api_key_version,
        request: caller.request,
        operation: done.operation(),
        algorithm: key.algorithm,
        key_version: key.version,
        key: key.handle,
        target: done.target().map(|target| KeyReference {
            algorithm: target.algorithm,
            key_version: target.version,
            key: target.handle,
        }),
        permit,
        payload,
        items,
        failed: failed.filter(|failed| *failed > 0),
        result: match performed {
            Err(error) => name_of(*error),
            Ok(outputs) => result_of(outputs),
        },
        break_glass: done.authority() == Authority::BreakGlass,
    })
}

/// `ok`, or what became of a batch some of which failed: a fault of the machine or of a library is said in any case.
fn result_of(outputs: &Outputs) -> &'static str {
    match outputs.errors().next() {
        None => "ok",
        Some(_) if outputs.errors().any(|error| error == KeydError::SelfCheckFailed) => {
            name_of(KeydError::SelfCheckFailed)
        }
        Some(first) if outputs.succeeded() == 0 => name_of(first),
        Some(_) => "partial",
    }
}

fn incident_event<'a>(incident: Incident, uid: Option<u32>, reason: Option<&'a Name>) -> Event<'a> {
    let (what, for_ms, uses) = match incident {
        Incident::Opened(span) => ("opened", u64::try_from(span.as_millis()).ok(), None),
        Incident::Closed(uses) => ("closed", None, Some(uses)),
        Incident::Expired(uses) => ("expired", None, Some(uses)),
    };
    Event::BreakGlass(BreakGlass {
        what,
        uid,
        reason: reason.map(Name::as_str),
        for_ms,
        uses,
    })
}
