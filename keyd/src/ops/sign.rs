//! Sign: a signature made by one library and verified by another before it is released.

use crate::crypto;
use crate::keyring::ReadyKey;
use chancel_domain::Content;
use chancel_wire::keyd::{KeyIdentity, KeydError};
use chancel_wire::limits::MAX_PAYLOAD;
use zeroize::Zeroizing;

pub(super) fn sign(
    identity: &KeyIdentity,
    key: &ReadyKey,
    content: &Content<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    let is_too_long = matches!(content, Content::Raw { message, .. } if message.len() > MAX_PAYLOAD);
    if is_too_long || content.check(identity.algorithm).is_err() {
        return Err(KeydError::InvalidInput);
    }
    crypto::sign(identity.algorithm, key.expose_private(), key.public(), content)
        .map(Zeroizing::new)
        .map_err(|_| KeydError::SelfCheckFailed)
}
