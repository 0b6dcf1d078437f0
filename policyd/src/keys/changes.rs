//! The changes of a tenant's keys in the database, each the whole of one transaction: what must hold together is
//! here, and needs no keyd to be tested.

use crate::api_keys::ServiceContext;
use crate::failure::Failure;
use crate::store::{StateDates, TenantScope, Write};
use crate::{clock, identifier};
use chancel_domain::plan::Limits;
use chancel_domain::{Algorithm, KeyHandle, KeyState, KeyVersion, Operation};
use chancel_wire::keyd::KeyIdentity;
use chancel_wire::policyd::{AskFailure, KeyView, Quota};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// How long an archived key can be restored.
const RESTORE_WINDOW_MS: i64 = 30 * DAY_MS;

/// By how many days destruction is put off.
struct DestructionDays {
    /// At least.
    least: u16,
    /// When nobody says.
    usual: u16,
    /// At most.
    most: u16,
}

/// By how many days destruction is put off.
const DESTRUCTION_DAYS: DestructionDays = DestructionDays {
    least: 7,
    usual: 30,
    most: 365,
};

/// What a new key is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The active one, where there is none.
    First,
    /// The active one in the place of another.
    Next,
}

/// What came of trying to reserve a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reservation {
    /// This is the reserved version.
    Made(KeyIdentity),
    /// An earlier change was interrupted; this is what it left.
    LeftOver(KeyIdentity),
}

pub(super) fn reserve(
    scope: &TenantScope<'_, Write>,
    context: &ServiceContext,
    algorithm: Algorithm,
    purpose: Purpose,
    limits: &Limits,
) -> Result<Reservation, Failure> {
    match (purpose, scope.active_key(algorithm)?) {
        (Purpose::First, Some(_)) => return Err(AskFailure::ActiveKeyExists.into()),
        (Purpose::Next, None) => return Err(AskFailure::KeyNotFound.into()),
        (Purpose::First, None) | (Purpose::Next, Some(_)) => {}
    }
    if let Some(left_over) = scope.reserved_key(algorithm)? {
        return Ok(Reservation::LeftOver(left_over));
    }
    check_limits(scope, algorithm, limits)?;
    let version = match scope.highest_version(algorithm)? {
        None => KeyVersion::FIRST,
        // Four thousand million rotations.
        Some(highest) => highest.next().ok_or(AskFailure::IllegalTransition)?,
    };
    let handle = KeyHandle::from_bytes(identifier::fresh());
    let key = scope.reserve_key(algorithm, version, handle, context.api_key(), clock::now_ms())?;
    Ok(Reservation::Made(key))
}

/// The quota rule looked before this transaction; another may have taken the last place since.
fn check_limits(
    scope: &TenantScope<'_, Write>,
    algorithm: Algorithm,
    limits: &Limits,
) -> Result<(), Failure> {
    let counts = scope.key_counts(algorithm)?;
    let is_further_key = counts.versions == 0;
    if is_further_key
        && limits
            .keys_per_family
            .is_some_and(|limit| counts.in_family >= limit)
    {
        return Err(AskFailure::QuotaSpent(Quota::Keys).into());
    }
    if limits
        .versions_per_key
        .is_some_and(|limit| counts.versions >= limit)
    {
        return Err(AskFailure::QuotaSpent(Quota::KeyVersions).into());
    }
    Ok(())
}

pub(super) fn activate(
    scope: &TenantScope<'_, Write>,
    reserved: &KeyIdentity,
    public_key: &[u8],
) -> Result<(KeyView, Option<KeyVersion>), Failure> {
    let algorithm = reserved.algorithm;
    let old_version = match scope.active_key(algorithm)? {
        Some(old) => {
            let dates = StateDates::default();
            scope.move_key(algorithm, old.version, KeyState::Active, KeyState::Retired, dates)?;
            Some(old.version)
        }
        None => None,
    };
    if !scope.activate_key(reserved, public_key)? {
        return Err(AskFailure::Busy.into());
    }
    let key = scope
        .key(algorithm, reserved.version)?
        .ok_or(AskFailure::KeyNotFound)?;
    Ok((key, old_version))
}

/// A change of state that needs no keyd: whatever the table of transitions has for the operation.
pub(super) fn change_state(
    scope: &TenantScope<'_, Write>,
    algorithm: Algorithm,
    version: KeyVersion,
    operation: Operation,
    destroy_after_days: Option<u16>,
    limits: &Limits,
) -> Result<KeyView, Failure> {
    let key = scope.key(algorithm, version)?.ok_or(AskFailure::KeyNotFound)?;
    let now_ms = clock::now_ms();
    if key.state == KeyState::Destroyed {
        return Err(AskFailure::KeyDestroyed.into());
    }
    let to = key.state.after(operation).ok_or(AskFailure::IllegalTransition)?;
    let mut dates = StateDates::default();
    match to {
        // A date of destruction that is taken back leaves the restore window as it was.
        KeyState::Archived if operation == Operation::ArchiveKey => dates.archived_at_ms = Some(now_ms),
        KeyState::Archived => {
            dates.archived_at_ms = Some(scope.archived_at_ms(algorithm, version)?.unwrap_or(now_ms));
        }
        KeyState::PendingDestruction => dates.destroy_at_ms = Some(destroy_at(now_ms, destroy_after_days)?),
        KeyState::Retired if key.state == KeyState::Archived => {
            let archived_at = scope.archived_at_ms(algorithm, version)?.unwrap_or(i64::MIN);
            if now_ms > archived_at.saturating_add(RESTORE_WINDOW_MS) {
                return Err(AskFailure::NotRestorable.into());
            }
            check_limits(scope, algorithm, limits)?;
        }
        KeyState::Retired | KeyState::Active | KeyState::Destroyed => {}
    }
    if !scope.move_key(algorithm, version, key.state, to, dates)? {
        return Err(AskFailure::Busy.into());
    }
    Ok(scope.key(algorithm, version)?.ok_or(AskFailure::KeyNotFound)?)
}

fn destroy_at(now_ms: i64, days: Option<u16>) -> Result<i64, AskFailure> {
    let days = days.unwrap_or(DESTRUCTION_DAYS.usual);
    if !(DESTRUCTION_DAYS.least..=DESTRUCTION_DAYS.most).contains(&days) {
        return Err(AskFailure::DestructionDays);
    }
    Ok(days_after(now_ms, days))
}

/// When keys are destroyed that leave now, when nobody says for how long to wait. Unix milliseconds.
pub fn usual_destruction(now_ms: i64) -> i64 {
    days_after(now_ms, DESTRUCTION_DAYS.usual)
}

fn days_after(now_ms: i64, days: u16) -> i64 {
    now_ms.saturating_add(i64::from(days) * DAY_MS)
}

#[cfg(test)]
mod tests;
