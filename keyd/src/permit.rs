//! Where a permit becomes believable, and the only place. [`PermitBook::verify`] is the one constructor of [`Believed`],
//! and outside break-glass no operation on a private key can be called without what is made of one.
//!
//! Carries the design's claim: code running in the gateway cannot use a key.

mod replay;

use crate::verified::{self, Inputs, VerifiedUse};
use aws_lc_rs::rand;
use chancel_domain::Operation;
use chancel_wire::keyd::{KeydError, PermitKeyGrant};
use chancel_wire::limits::{PERMIT_KEY_LIFETIME, permit_lifetime};
use chancel_wire::permit::{PayloadDigest, PermitClaims, PermitKey, SignedPermit};
use replay::ReplayWindow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Permit keys kept at once: the present one and those whose last permits may still be on their way.
const EPOCHS_KEPT: usize = 4;

/// A permit's claims that were checked and are spent. Exists only through [`PermitBook::verify`].
pub struct Believed(pub(crate) PermitClaims);

/// The permit keys in force, and which permits were used under each.
pub struct PermitBook {
    started: Instant,
    epochs: Mutex<Epochs>,
}

#[derive(Default)]
struct Epochs {
    /// 0 before the first.
    last: u64,
    kept: VecDeque<Epoch>,
}

struct Epoch {
    number: u64,
    key: PermitKey,
    made: Instant,
    used: ReplayWindow,
}

impl PermitBook {
    /// A book with no permit keys: nothing is permitted yet. keyd's clock starts at 0 here.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            epochs: Mutex::default(),
        }
    }

    /// Makes a permit key for policyd. The oldest of too many is forgotten, and with it its permits.
    ///
    /// # Errors
    /// `SelfCheckFailed` when no randomness was to be had.
    pub fn renew(&self) -> Result<PermitKeyGrant, KeydError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| KeydError::SelfCheckFailed)?;
        let key = PermitKey::from_bytes(*bytes);
        let mut epochs = self.epochs();
        if epochs.last == 0 {
            epochs.last = first_epoch()?;
        }
        let number = epochs.last.checked_add(1).ok_or(KeydError::Overloaded)?;
        epochs.last = number;
        while epochs.kept.len() >= EPOCHS_KEPT {
            epochs.kept.pop_front();
        }
        epochs.kept.push_back(Epoch {
            number,
            key: key.clone(),
            made: Instant::now(),
            used: ReplayWindow::new(),
        });
        Ok(PermitKeyGrant {
            epoch: number,
            key,
            now_ms: self.now_ms(),
        })
    }

    /// Believes a permit, once: authentic, in time, for this operation and this input (or all of a batch), and not used before.
    ///
    /// # Errors
    /// The first of `PermitForged`, `PermitExpired`, `PermitForOtherPayload`, `PermitForOtherOperation` and
    /// `PermitReplayed` that holds, or `Malformed` for an input that is none. Only a permit that passes all
    /// checks is spent.
    pub fn verify<'a>(&self, permit: &SignedPermit, input: &'a [u8]) -> Result<VerifiedUse<'a>, KeydError> {
        // Claims say only which key to try; not one of them is acted on before the MAC is checked.
        let claims = permit.unverified_claims().map_err(|_| KeydError::PermitForged)?;
        self.check_authentic(&claims, permit)?;
        self.check_in_time(&claims)?;
        if PayloadDigest::of(input) != claims.payload {
            return Err(KeydError::PermitForOtherPayload);
        }
        let inputs = Inputs::decode(input, claims.batch)?;
        let rewraps = claims.operation == Operation::Rewrap;
        if !inputs.suit(claims.operation, &verified::key_of(&claims)) || rewraps != claims.target.is_some() {
            return Err(KeydError::PermitForOtherOperation);
        }
        self.spend(&claims)?;
        Ok(VerifiedUse::by_permit(Believed(claims), inputs))
    }

    fn check_authentic(&self, claims: &PermitClaims, permit: &SignedPermit) -> Result<(), KeydError> {
        let key = {
            let epochs = self.epochs();
            let epoch = epochs.kept.iter().find(|epoch| epoch.number == claims.epoch);
            epoch
                .filter(|epoch| epoch.made.elapsed() < PERMIT_KEY_LIFETIME)
                .map(|epoch| epoch.key.clone())
                .ok_or(KeydError::PermitForged)?
        };
        if key.is_signature_of(permit) {
            Ok(())
        } else {
            Err(KeydError::PermitForged)
        }
    }

    /// A permit that lives longer than any permit may is refused like one that has outlived itself.
    fn check_in_time(&self, claims: &PermitClaims) -> Result<(), KeydError> {
        let now = self.now_ms();
        let latest = now.saturating_add(millis(permit_lifetime(claims.algorithm, claims.batch)));
        if (now..=latest).contains(&claims.expires_at_ms) {
            Ok(())
        } else {
            Err(KeydError::PermitExpired)
        }
    }

    fn spend(&self, claims: &PermitClaims) -> Result<(), KeydError> {
        let mut epochs = self.epochs();
        let epoch = epochs.kept.iter_mut().find(|epoch| epoch.number == claims.epoch);
        let spent = epoch.ok_or(KeydError::PermitForged)?.used.spend(claims.serial);
        if spent {
            Ok(())
        } else {
            Err(KeydError::PermitReplayed)
        }
    }

    fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn epochs(&self) -> MutexGuard<'_, Epochs> {
        // No change to the book can be seen half done: each is one push, pop or bit.
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for PermitBook {
    fn default() -> Self {
        Self::new()
    }
}

/// Where this process begins to count its permit keys: at a random 63-bit number, so that no two processes use the same
/// ones, and an epoch and a serial name one permit in ledgers that outlive them.
fn first_epoch() -> Result<u64, KeydError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| KeydError::SelfCheckFailed)?;
    Ok((u64::from_be_bytes(bytes) >> 1).max(1))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
