//! Decapsulate: the shared secret of a KEM ciphertext. By the standard's implicit rejection (FIPS 203 §6.3) a
//! ciphertext made for another key yields a random-looking secret, not an error.

use crate::crypto;
use crate::keyring::ReadyKey;
use chancel_wire::keyd::{KeyIdentity, KeydError};
use zeroize::Zeroizing;

pub(super) fn decapsulate(
    identity: &KeyIdentity,
    key: &ReadyKey,
    kem_ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    if kem_ciphertext.len() != identity.algorithm.spec().output_len {
        return Err(KeydError::InvalidInput);
    }
    crypto::decapsulate(identity.algorithm, key.expose_private(), kem_ciphertext)
        .map(|secret| Zeroizing::new(secret.expose().to_vec()))
        .map_err(|_| KeydError::SelfCheckFailed)
}
