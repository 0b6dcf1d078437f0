//! The changes of a tenant's keys in the database, each the whole of one transaction: what must hold together is
//! here, and needs no keyd to be tested.

use crate::api_keys::ServiceContext;
use crate::failure::Failure;
use crate::store::{TenantScope, Write};
use crate::{clock, identifier};
use chancel_domain::{Algorithm, KeyHandle, KeyState, KeyVersion};
use chancel_wire::keyd::KeyIdentity;
use chancel_wire::policyd::{AskFailure, KeyView};

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
) -> Result<Reservation, Failure> {
    match (purpose, scope.active_key(algorithm)?) {
        (Purpose::First, Some(_)) => return Err(AskFailure::ActiveKeyExists.into()),
        (Purpose::Next, None) => return Err(AskFailure::KeyNotFound.into()),
        (Purpose::First, None) | (Purpose::Next, Some(_)) => {}
    }
    if let Some(left_over) = scope.reserved_key(algorithm)? {
        return Ok(Reservation::LeftOver(left_over));
    }
    let version = match scope.highest_version(algorithm)? {
        None => KeyVersion::FIRST,
        // Four thousand million rotations.
        Some(highest) => highest.next().ok_or(AskFailure::IllegalTransition)?,
    };
    let handle = KeyHandle::from_bytes(identifier::fresh());
    let key = scope.reserve_key(algorithm, version, handle, context.api_key(), clock::now_ms())?;
    Ok(Reservation::Made(key))
}

pub(super) fn activate(
    scope: &TenantScope<'_, Write>,
    reserved: &KeyIdentity,
    public_key: &[u8],
) -> Result<(KeyView, Option<KeyVersion>), Failure> {
    let algorithm = reserved.algorithm;
    let old_version = match scope.active_key(algorithm)? {
        Some(old) => {
            scope.move_key(algorithm, old.version, KeyState::Active, KeyState::Retired)?;
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

pub(super) fn retire(
    scope: &TenantScope<'_, Write>,
    algorithm: Algorithm,
    version: KeyVersion,
) -> Result<KeyView, Failure> {
    let mut key = scope.key(algorithm, version)?.ok_or(AskFailure::KeyNotFound)?;
    // Bringing an archived key back is an operation of its own, with a grant of its own.
    let from = key.state;
    if from == KeyState::Archived || !from.may_become(KeyState::Retired) {
        return Err(AskFailure::IllegalTransition.into());
    }
    scope.move_key(algorithm, version, from, KeyState::Retired)?;
    key.state = KeyState::Retired;
    Ok(key)
}

#[cfg(test)]
mod tests;
