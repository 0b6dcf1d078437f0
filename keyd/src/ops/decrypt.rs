//! Decrypt: open an envelope that encrypt made for this very key, tenant, version and aad.

use crate::crypto;
use crate::keyring::ReadyKey;
use chancel_pqc::envelope::{Envelope, Purpose};
use chancel_wire::keyd::{KeyIdentity, KeydError};
use zeroize::Zeroizing;

/// Every way of failing is one and the same `Undecryptable`: which part was wrong is nobody's business.
pub(super) fn decrypt(
    identity: &KeyIdentity,
    key: &ReadyKey,
    ciphertext: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    open(
        &[Purpose::Data, Purpose::DeterministicData],
        identity,
        key,
        ciphertext,
        aad,
    )
}

/// Opens the head of a stream: the key that its segments, and nothing else, are under.
pub(super) fn open_stream(
    identity: &KeyIdentity,
    key: &ReadyKey,
    head: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    open(&[Purpose::StreamKey], identity, key, head, aad)
}

/// Opens an envelope of one of some purposes; shared with unwrap, which differs in them alone.
pub(super) fn open(
    purposes: &[Purpose],
    identity: &KeyIdentity,
    key: &ReadyKey,
    ciphertext: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeydError> {
    let envelope = Envelope::parse(ciphertext).map_err(|_| KeydError::Undecryptable)?;
    if !purposes.contains(&envelope.purpose())
        || envelope.algorithm() != identity.algorithm
        || envelope.key_version() != identity.version
    {
        return Err(KeydError::Undecryptable);
    }
    let secret = crypto::decapsulate(
        identity.algorithm,
        key.expose_private(),
        envelope.kem_ciphertext(),
    )
    .map_err(|_| KeydError::Undecryptable)?;
    envelope
        .open(&secret, identity.tenant, aad)
        .map_err(|_| KeydError::Undecryptable)
}
