//! Sign: a signature made by one library and verified by another before it is released.

use crate::crypto;
use crate::keyring::ReadyKey;
use chancel_wire::keyd::{KeyIdentity, KeydError};
use chancel_wire::limits::MAX_PAYLOAD;
use zeroize::Zeroizing;

pub(super) fn sign(
    identity: &KeyIdentity,
    key: &ReadyKey,
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    if message.len() > MAX_PAYLOAD {
        return Err(KeydError::InvalidInput);
    }
    crypto::sign(identity.algorithm, key.expose_private(), key.public(), message)
        .map(Zeroizing::new)
        .map_err(|_| KeydError::SelfCheckFailed)
}
