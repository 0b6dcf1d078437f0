//! Unwrap: open an envelope that wrap made. What encrypt made is refused, and the other way round.

use super::decrypt;
use crate::keyring::ReadyKey;
use chancel_pqc::envelope::Purpose;
use chancel_wire::keyd::{KeyIdentity, KeydError};
use zeroize::Zeroizing;

pub(super) fn unwrap(
    identity: &KeyIdentity,
    key: &ReadyKey,
    wrapped_key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    decrypt::open(&[Purpose::SymmetricKey], identity, key, wrapped_key, &[])
}
