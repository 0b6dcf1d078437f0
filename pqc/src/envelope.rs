//! The envelope: what encrypt and wrap answer and decrypt and unwrap take. All integers are big-endian.
//!
//! ```text
//! offset  bytes  field
//!      0      2  format: 0x4301 data, 0x4302 symmetric key, 0x4303 data, deterministic,
//!                0x4304 key of a stream
//!      2      2  algorithm code (the registry of chancel-domain)
//!      4      4  key version, from 1
//!      8      n  KEM ciphertext (n = 1088 for ML-KEM-768)
//!    8+n     12  IV of AES-256-GCM: random, or derived (0x4303)
//!   20+n      m  AES-256-GCM ciphertext of the m bytes of plaintext
//! 20+n+m     16  AES-256-GCM tag
//! ```
//!
//! Key = HKDF-SHA256(shared secret, no salt, label of the format ‖ header), used for this one envelope;
//! additional data = header ‖ tenant id (16) ‖ the caller's. All but the last part have a fixed length, so
//! no two inputs give the same additional data. Relabelled, or moved to another tenant, an envelope does
//! not open.

mod deterministic;
mod layout;
#[cfg(test)]
mod tests;

use crate::kem::{EncapsulateError, SharedSecret, encapsulate};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;
use chancel_domain::{Algorithm, KeyVersion, TenantId};
use zeroize::{Zeroize, Zeroizing};

pub use deterministic::{MIN_SALT, seal_deterministic};
pub use layout::{Envelope, EnvelopeError, Purpose, overhead};
use layout::{HEADER_LEN, IV_LEN, TAG_LEN, header};

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The algorithm is no KEM, or the public key is malformed.
    #[error(transparent)]
    NotEncapsulated(#[from] EncapsulateError),
    /// More than AES-GCM protects under one IV (SP 800-38D §5.2.1.1), about 64 GiB.
    #[error("the plaintext is too long")]
    PlaintextTooLong,
    /// The salt of the deterministic mode is too short.
    #[error("the salt has fewer than {MIN_SALT} bytes")]
    SaltTooShort,
    /// The random generator gave no IV.
    #[error("no randomness is available")]
    RandomnessUnavailable,
}

/// The envelope does not open: another key, tenant, version, purpose or additional data, or altered bytes.
/// Which of them is not said, for the difference would tell an attacker what to try next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext cannot be decrypted")]
pub struct Undecryptable;

/// Encrypts `plaintext` to `public_key` with a fresh shared secret; the answer is [`overhead`] bytes longer.
///
/// # Errors
/// [`SealError`]: the algorithm is no KEM, the public key is malformed, the plaintext is too long, or there
/// is no randomness.
pub fn seal(
    purpose: Purpose,
    algorithm: Algorithm,
    version: KeyVersion,
    public_key: &[u8],
    tenant: TenantId,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let (kem_ciphertext, secret) = encapsulate(algorithm, public_key)?;
    // The key is new for each envelope, so that even a repeated IV would be harmless; it is random all the
    // same, lest the design rest on one argument.
    let mut iv = [0; IV_LEN];
    aws_lc_rs::rand::fill(&mut iv).map_err(|_| SealError::RandomnessUnavailable)?;
    let context = Context {
        purpose,
        header: &header(purpose, algorithm, version),
        tenant,
        aad,
    };
    seal_with(&context, &kem_ciphertext, &secret, iv, plaintext)
}

/// [`seal`] with everything random given, for the frozen sample.
fn seal_with(
    context: &Context<'_>,
    kem_ciphertext: &[u8],
    secret: &SharedSecret,
    iv: [u8; IV_LEN],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut envelope =
        Vec::with_capacity(HEADER_LEN + kem_ciphertext.len() + IV_LEN + plaintext.len() + TAG_LEN);
    envelope.extend_from_slice(context.header);
    envelope.extend_from_slice(kem_ciphertext);
    envelope.extend_from_slice(&iv);
    let body = envelope.len();
    // Encrypted where it lies: the one copy of the plaintext made here becomes ciphertext.
    envelope.extend_from_slice(plaintext);
    let tag = context.key(secret).and_then(|key| {
        let nonce = Nonce::assume_unique_for_key(iv);
        key.seal_in_place_separate_tag(nonce, context.additional_data(), &mut envelope[body..])
    });
    let Ok(tag) = tag else {
        envelope.zeroize();
        return Err(SealError::PlaintextTooLong);
    };
    envelope.extend_from_slice(tag.as_ref());
    Ok(envelope)
}

impl Envelope<'_> {
    /// Decrypts with the shared secret that the private key's holder got from [`Envelope::kem_ciphertext`].
    /// The header in the envelope is authenticated, but whether its purpose, algorithm and version are the
    /// ones the operation is about is for the caller to compare first.
    ///
    /// # Errors
    /// [`Undecryptable`], always the same.
    pub fn open(
        &self,
        secret: &SharedSecret,
        tenant: TenantId,
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Undecryptable> {
        let context = Context {
            purpose: self.purpose(),
            header: self.header,
            tenant,
            aad,
        };
        let key = context.key(secret).map_err(|_| Undecryptable)?;
        let nonce = Nonce::assume_unique_for_key(*self.iv);
        let mut plaintext = Zeroizing::new(vec![0; self.ciphertext.len()]);
        key.open_separate_gather(
            nonce,
            context.additional_data(),
            self.ciphertext,
            self.tag,
            &mut plaintext,
        )
        .map_err(|_| Undecryptable)?;
        Ok(plaintext)
    }
}

/// What an envelope is bound to besides its key.
struct Context<'a> {
    purpose: Purpose,
    header: &'a [u8; HEADER_LEN],
    tenant: TenantId,
    aad: &'a [u8],
}

impl Context<'_> {
    /// HKDF-SHA256 (RFC 5869) from the shared secret to the AES-256 key of one envelope.
    fn key(&self, secret: &SharedSecret) -> Result<LessSafeKey, Unspecified> {
        let prk = hkdf::Salt::none(hkdf::HKDF_SHA256).extract(secret.expose());
        // Not `UnboundKey::from(okm)`: that leaves the key's bytes on the stack.
        let mut key = Zeroizing::new([0; 32]);
        prk.expand(&[self.purpose.label(), self.header], &AES_256_GCM)?
            .fill(key.as_mut_slice())?;
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice())?))
    }

    fn additional_data(&self) -> Aad<Vec<u8>> {
        Aad::from([self.header.as_slice(), self.tenant.as_bytes(), self.aad].concat())
    }
}
