//! Rewrap: open what encrypt made for one key and encrypt it for another of the same tenant. The plaintext never leaves.

use super::decrypt;
use crate::keyring::ReadyKey;
use chancel_domain::Family;
use chancel_pqc::envelope::{self, Envelope, Purpose};
use chancel_wire::keyd::{KeyIdentity, KeydError};
use zeroize::Zeroizing;

/// The public half that is encrypted to comes from the target's own key file: one that came with the request could be
/// anybody's. In which states the two keys may be is policyd's matter.
pub(super) fn rewrap(
    identity: &KeyIdentity,
    key: &ReadyKey,
    target: &KeyIdentity,
    target_key: &ReadyKey,
    ciphertext: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    if target.algorithm.family() != Family::Kem || target.tenant != identity.tenant {
        return Err(KeydError::PermitForOtherOperation);
    }
    // Of a stream the head alone is rewrapped: its segments stay as they are.
    let is_head = Envelope::parse(ciphertext).is_ok_and(|envelope| envelope.purpose() == Purpose::StreamKey);
    let (opened, purpose) = if is_head {
        (
            decrypt::open_stream(identity, key, ciphertext, aad),
            Purpose::StreamKey,
        )
    } else {
        (decrypt::decrypt(identity, key, ciphertext, aad), Purpose::Data)
    };
    let plaintext = opened?;
    envelope::seal(
        purpose,
        target.algorithm,
        target.version,
        target_key.public(),
        target.tenant,
        aad,
        &plaintext,
    )
    .map(Zeroizing::new)
    .map_err(|_| KeydError::SelfCheckFailed)
}
