//! Permits: policyd's single-use statement that keyd may do one thing once.
//!
//! A permit travels through the gateway, which is assumed compromised: everything keyd acts on is inside the
//! MAC, and the only secret is the permit key, which keyd makes and gives to policyd alone. Making a
//! [`SignedPermit`] is policyd's; turning one into a verified value is keyd's, and happens nowhere else.

use crate::codec::{DecodeError, decode, encode};
use aws_lc_rs::{digest, hmac};
use chancel_domain::{Algorithm, ApiKeyId, BatchSize, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a permit key and of a permit's MAC (HMAC-SHA256, RFC 2104).
pub const MAC_LEN: usize = 32;
/// Bytes of a payload digest (SHA-256, FIPS 180-4).
pub const DIGEST_LEN: usize = 32;

/// MAC input starts with this, so that no other use of the key could ever make a permit.
const LABEL: &[u8] = b"chancel permit v1\0";

/// SHA-256 of the encoded input of an operation: the payload a permit is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadDigest([u8; DIGEST_LEN]);

impl PayloadDigest {
    /// Hashes an encoded [`crate::keyd::UseInput`], or an encoded batch of them.
    pub fn of(encoded_input: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, encoded_input);
        let mut bytes = [0; DIGEST_LEN];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LEN] {
        &self.0
    }
}

/// What a permit says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitClaims {
    /// Which permit key the MAC is under. Numbers of different keyd processes differ, so that an epoch and a serial
    /// name one permit in both ledgers.
    pub epoch: u64,
    /// Counts the permits of an epoch, from 1; keyd accepts each once.
    pub serial: u64,
    /// Milliseconds on keyd's own clock (since keyd started) after which the permit is void.
    pub expires_at_ms: u64,
    /// The tenant keyd works for.
    pub tenant: TenantId,
    /// The API key that asked.
    pub api_key: ApiKeyId,
    /// The API key's version.
    pub api_key_version: u32,
    /// The HTTP request this belongs to; both ledgers carry it.
    pub request: RequestId,
    /// What may be done.
    pub operation: Operation,
    /// With a key of which algorithm.
    pub algorithm: Algorithm,
    /// With which version of it.
    pub key_version: KeyVersion,
    /// With which private key.
    pub key: KeyHandle,
    /// On which input.
    pub payload: PayloadDigest,
    /// The key that a rewrapped ciphertext shall be for; `None` for every other operation.
    pub target: Option<PermitTarget>,
    /// How many inputs it is for, when the payload is a batch of them; `None` for a single one.
    pub batch: Option<BatchSize>,
}

/// A second key of the same tenant, whose public half keyd takes from its own file: a public key that came with the
/// request could be anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitTarget {
    /// Its parameter set.
    pub algorithm: Algorithm,
    /// Its version.
    pub version: KeyVersion,
    /// keyd's name for it.
    pub key: KeyHandle,
}

/// The key permits are authenticated with: 32 random bytes of one epoch. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct PermitKey([u8; MAC_LEN]);

impl PermitKey {
    /// Takes fresh random bytes.
    pub const fn from_bytes(bytes: [u8; MAC_LEN]) -> Self {
        Self(bytes)
    }

    /// States `claims` so that keyd will believe them.
    pub fn sign(&self, claims: &PermitClaims) -> SignedPermit {
        let claims = encode(claims);
        let mut mac = [0; MAC_LEN];
        mac.copy_from_slice(self.context(&claims).sign().as_ref());
        SignedPermit { claims, mac }
    }

    /// Whether the permit was signed with this key; takes the same time wherever the MACs differ.
    pub fn is_signature_of(&self, permit: &SignedPermit) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let input = [LABEL, permit.claims.as_slice()].concat();
        hmac::verify(&key, &input, &permit.mac).is_ok()
    }

    fn context(&self, claims: &[u8]) -> hmac::Context {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(LABEL);
        context.update(claims);
        context
    }
}

impl std::fmt::Debug for PermitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PermitKey(..)")
    }
}

/// A permit as it travels: claims in their encoded form, and the MAC over exactly those bytes. Nothing in it
/// is to be believed before keyd has checked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPermit {
    #[serde(with = "serde_bytes")]
    claims: Vec<u8>,
    mac: [u8; MAC_LEN],
}

impl SignedPermit {
    /// Puts a permit together from its two parts, unchecked: what an attacker can do, too.
    pub const fn from_parts(claims: Vec<u8>, mac: [u8; MAC_LEN]) -> Self {
        Self { claims, mac }
    }

    /// The two parts: encoded claims and MAC.
    pub fn parts(&self) -> (&[u8], &[u8; MAC_LEN]) {
        (&self.claims, &self.mac)
    }

    /// What the permit says, **not yet checked**.
    ///
    /// # Errors
    /// [`DecodeError`] when the claims are not even well-formed.
    pub fn unverified_claims(&self) -> Result<PermitClaims, DecodeError> {
        decode(&self.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> PermitClaims {
        PermitClaims {
            epoch: 1,
            serial: 2,
            expires_at_ms: 3,
            tenant: TenantId::from_bytes([4; 16]),
            api_key: ApiKeyId::from_bytes([5; 16]),
            api_key_version: 6,
            request: RequestId::from_bytes([7; 16]),
            operation: Operation::Sign,
            algorithm: Algorithm::MlDsa65,
            key_version: KeyVersion::FIRST,
            key: KeyHandle::from_bytes([8; 16]),
            payload: PayloadDigest::of(b"input"),
            target: None,
            batch: None,
        }
    }

    #[test]
    fn every_bit_of_a_permit_is_under_its_mac() {
        let key = PermitKey::from_bytes([1; 32]);
        let permit = key.sign(&claims());
        assert!(key.is_signature_of(&permit));
        assert_eq!(permit.unverified_claims(), Ok(claims()));
        let (bytes, mac) = permit.parts();
        for bit in 0..bytes.len() * 8 {
            let mut edited = bytes.to_vec();
            edited[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !key.is_signature_of(&SignedPermit::from_parts(edited, *mac)),
                "bit {bit}"
            );
        }
        for bit in 0..mac.len() * 8 {
            let mut edited = *mac;
            edited[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !key.is_signature_of(&SignedPermit::from_parts(bytes.to_vec(), edited)),
                "bit {bit}"
            );
        }
        assert!(!PermitKey::from_bytes([2; 32]).is_signature_of(&permit));
    }

    #[test]
    fn permit_keys_are_not_printed() {
        assert_eq!(
            format!("{:?}", PermitKey::from_bytes([0x41; 32])),
            "PermitKey(..)"
        );
    }
}
