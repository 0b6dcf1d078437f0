//! The operations, a file each for those that use a private key. Each takes a [`VerifiedUse`]'s parts: none can be reached
//! without a permit, but while break-glass is open.

mod decapsulate;
mod decrypt;
mod rewrap;
mod sign;
mod unwrap;

use crate::keyring::{Keyring, ReadyKey};
use crate::verified::{Inputs, VerifiedUse};
use chancel_domain::batch::MAX_SLOW_BATCH;
use chancel_wire::keyd::{InventoryEntry, KeyIdentity, KeydError, KeydReply, UseInput};
use chancel_wire::limits::{INVENTORY_PAGE, MAX_BATCH_BYTES};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What came of one input.
pub type Output = Result<Zeroizing<Vec<u8>>, KeydError>;

/// What came of a use.
pub enum Outputs {
    /// Of one input.
    One(Zeroizing<Vec<u8>>),
    /// Of each input of a batch, in their order.
    Batch(Vec<Output>),
}

impl Outputs {
    /// Why inputs gave nothing.
    pub fn errors(&self) -> impl Iterator<Item = KeydError> {
        let outputs = match self {
            Self::One(_) => &[],
            Self::Batch(outputs) => outputs.as_slice(),
        };
        outputs.iter().filter_map(|output| output.as_ref().err().copied())
    }

    /// How many inputs gave something.
    pub fn succeeded(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Batch(outputs) => outputs.iter().filter(|output| output.is_ok()).count(),
        }
    }
}

/// Does what was permitted. In a batch an input that gives nothing is that input's matter.
///
/// # Errors
/// Those of finding the keys; of one input also `Undecryptable`, `InvalidInput` and `SelfCheckFailed`.
pub fn perform(keyring: &Keyring, permitted: &VerifiedUse<'_>) -> Result<Outputs, KeydError> {
    let key = keyring.key(permitted.key())?;
    let keys = Keys {
        identity: permitted.key(),
        key: &key,
        target: match permitted.target() {
            None => None,
            Some(target) => Some((target, keyring.key(target)?)),
        },
    };
    match permitted.inputs() {
        Inputs::One(input) => keys.perform(input).map(Outputs::One),
        Inputs::Batch(inputs) if is_too_much(permitted.key(), inputs) => Err(KeydError::InvalidInput),
        Inputs::Batch(inputs) => {
            let mut room = MAX_BATCH_BYTES;
            let outputs = inputs.iter().map(|input| {
                let output = keys.perform(input)?;
                // The answer has to fit into a frame.
                room = room.checked_sub(output.len()).ok_or(KeydError::InvalidInput)?;
                Ok(output)
            });
            Ok(Outputs::Batch(outputs.collect()))
        }
    }
}

/// Whether a batch would hold the one worker of slow requests for more than others wait.
fn is_too_much(key: &KeyIdentity, inputs: &[UseInput<'_>]) -> bool {
    key.algorithm.is_slow() && inputs.len() > MAX_SLOW_BATCH.into()
}

/// The keys of a use.
struct Keys<'a> {
    identity: &'a KeyIdentity,
    key: &'a ReadyKey,
    /// Of a rewrap.
    target: Option<(&'a KeyIdentity, Arc<ReadyKey>)>,
}

impl Keys<'_> {
    fn perform(&self, input: &UseInput<'_>) -> Output {
        let (identity, key) = (self.identity, self.key);
        match *input {
            UseInput::Decrypt { ciphertext, aad } => decrypt::decrypt(identity, key, ciphertext, aad),
            UseInput::OpenStream { head, aad } => decrypt::open_stream(identity, key, head, aad),
            UseInput::Unwrap { wrapped_key } => unwrap::unwrap(identity, key, wrapped_key),
            UseInput::Decapsulate { kem_ciphertext } => {
                decapsulate::decapsulate(identity, key, kem_ciphertext)
            }
            UseInput::Sign(ref content) => sign::sign(identity, key, content),
            UseInput::Rewrap { ciphertext, aad } => {
                // A rewrap without a target is no verified use.
                let (target, target_key) = self.target.as_ref().ok_or(KeydError::PermitForOtherOperation)?;
                rewrap::rewrap(identity, key, target, target_key, ciphertext, aad)
            }
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
