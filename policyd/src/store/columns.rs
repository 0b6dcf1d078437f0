//! Columns to domain types. What does not decode is damage and is reported as such: a row that this program
//! could not have written is not guessed at.

use super::{Damage, StoreError};
use chancel_domain::tenant::Name;
use chancel_domain::{Algorithm, KeyState, KeyVersion, Plan, TenantStatus};
use rusqlite::Row;

pub(super) fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, StoreError> {
    let value = row.get_ref(column)?;
    Ok(value.as_str().map_err(rusqlite::Error::from)?)
}

pub(super) fn name(row: &Row<'_>, column: usize) -> Result<Name, StoreError> {
    Ok(Name::try_from(text(row, column)?.to_owned()).map_err(|_| Damage::Name)?)
}

pub(super) fn plan(row: &Row<'_>, column: usize) -> Result<Plan, StoreError> {
    Ok(Plan::from_name(text(row, column)?).map_err(|_| Damage::Plan)?)
}

pub(super) fn tenant_status(row: &Row<'_>, column: usize) -> Result<TenantStatus, StoreError> {
    Ok(TenantStatus::from_name(text(row, column)?).ok_or(Damage::TenantStatus)?)
}

pub(super) fn algorithm(row: &Row<'_>, column: usize) -> Result<Algorithm, StoreError> {
    let code: u16 = row.get(column)?;
    Ok(Algorithm::try_from(code).map_err(|_| Damage::Algorithm)?)
}

pub(super) fn key_version(row: &Row<'_>, column: usize) -> Result<KeyVersion, StoreError> {
    let number: u32 = row.get(column)?;
    Ok(KeyVersion::new(number).ok_or(Damage::Version)?)
}

pub(super) fn key_state(row: &Row<'_>, column: usize) -> Result<KeyState, StoreError> {
    Ok(KeyState::from_name(text(row, column)?).map_err(|_| Damage::KeyState)?)
}
