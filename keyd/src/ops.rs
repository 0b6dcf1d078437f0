//! The operations, a file each for those that use a private key. Each takes a [`VerifiedUse`]'s parts: none can be reached
//! without a permit, but while break-glass is open.

mod decapsulate;
mod decrypt;
mod rewrap;
mod sign;
mod unwrap;

use crate::keyring::{Keyring, ReadyKey};
use crate::verified::VerifiedUse;
use chancel_wire::keyd::{InventoryEntry, KeyIdentity, KeydError, KeydReply, UseInput};
use chancel_wire::limits::INVENTORY_PAGE;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Does what was permitted.
///
/// # Errors
/// Those of finding the key, `Undecryptable`, `InvalidInput` and `SelfCheckFailed`.
pub fn perform(keyring: &Keyring, permitted: &VerifiedUse<'_>) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    let key = keyring.key(permitted.key())?;
    match *permitted.input() {
        UseInput::Decrypt { ciphertext, aad } => decrypt::decrypt(permitted.key(), &key, ciphertext, aad),
        UseInput::Unwrap { wrapped_key } => unwrap::unwrap(permitted.key(), &key, wrapped_key),
        UseInput::Decapsulate { kem_ciphertext } => {
            decapsulate::decapsulate(permitted.key(), &key, kem_ciphertext)
        }
        UseInput::Sign(ref content) => sign::sign(permitted.key(), &key, content),
        UseInput::Rewrap { ciphertext, aad } => {
            // A rewrap without a target is no verified use.
            let target = permitted.target().ok_or(KeydError::PermitForOtherOperation)?;
            rewrap::rewrap(
                permitted.key(),
                &key,
                target,
                &*keyring.key(target)?,
                ciphertext,
                aad,
            )
        }
    }
}

/// Makes a key pair; its file is on disk when this returns.
///
/// # Errors
/// `KeyExists`, `SelfCheckFailed`, `StorageFailed`, `Overloaded`.
pub fn generate(keyring: &Keyring, identity: &KeyIdentity) -> Result<Arc<ReadyKey>, KeydError> {
    let key = keyring.generate(identity)?;
    tracing::info!(
        tenant = %identity.tenant, algorithm = %identity.algorithm, version = %identity.version,
        key = %identity.handle, "key made"
    );
    Ok(key)
}

/// Destroys a key's file and its copy in memory.
///
/// # Errors
/// `StorageFailed`.
pub fn destroy(keyring: &Keyring, identity: &KeyIdentity) -> Result<(), KeydError> {
    keyring.destroy(identity)?;
    tracing::info!(
        tenant = %identity.tenant, algorithm = %identity.algorithm, version = %identity.version,
        key = %identity.handle, "key destroyed"
    );
    Ok(())
}

/// One page of the key directory, each file opened to see whether it can be.
///
/// # Errors
/// `StorageFailed`.
pub fn inventory(keyring: &Keyring, after: Option<KeyIdentity>) -> Result<KeydReply<'static>, KeydError> {
    let keys = keyring.list()?;
    let from = after.map_or(0, |after| keys.partition_point(|key| *key <= after));
    let rest = keys.get(from..).unwrap_or_default();
    let files: Vec<InventoryEntry> = rest
        .iter()
        .take(INVENTORY_PAGE)
        .map(|key| InventoryEntry {
            key: *key,
            damage: keyring.damage_of(key),
        })
        .collect();
    let more = rest.len() > files.len();
    Ok(KeydReply::Inventory { files, more })
}
