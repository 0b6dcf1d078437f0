//! The deterministic mode: equal inputs give equal bytes, so that whoever holds two ciphertexts can see that their plaintexts
//! are equal without opening them. docs/adr/0014 argues why it is safe and what it reveals.

use super::layout::{IV_LEN, Purpose, header};
use super::{Context, SealError, seal_with};
use crate::kem::{SharedSecret, encapsulate_with, randomness_len};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use chancel_domain::{Algorithm, KeyVersion, TenantId};
use zeroize::Zeroizing;

/// The shortest salt, bytes.
pub const MIN_SALT: usize = 32;

const OF_RANDOMNESS: &[u8] = b"chancel envelope 0x4303 randomness";
const OF_IV: &[u8] = b"chancel envelope 0x4303 iv";

/// Encrypts `plaintext` to `public_key` with randomness derived from all inputs and a salt, which makes it unpredictable to
/// whoever has not got it.
///
/// # Errors
/// [`SealError`], [`SealError::SaltTooShort`] among them.
pub fn seal_deterministic(
    algorithm: Algorithm,
    version: KeyVersion,
    public_key: &[u8],
    tenant: TenantId,
    aad: &[u8],
    salt: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    if salt.len() < MIN_SALT {
        return Err(SealError::SaltTooShort);
    }
    let purpose = Purpose::DeterministicData;
    let header = header(purpose, algorithm, version);
    let of = |bytes: &[u8]| digest(&SHA256, bytes);
    let (of_plaintext, of_key, of_aad) = (of(plaintext), of(public_key), of(aad));
    // HMAC pads its key with zeroes: without its length, a salt and the same with a zero more would be one.
    let salt_len = (salt.len() as u64).to_be_bytes();
    // Everything that goes into the ciphertext goes into the randomness: two envelopes that differ in anything share neither
    // key nor IV.
    let randomness = derived(
        salt,
        of_plaintext.as_ref(),
        &[
            OF_RANDOMNESS,
            &salt_len,
            &header,
            tenant.as_bytes(),
            of_key.as_ref(),
            of_aad.as_ref(),
        ],
        randomness_len(algorithm),
    )?;
    let (kem_ciphertext, secret) = encapsulate_with(algorithm, public_key, &randomness)?;
    let context = Context {
        purpose,
        header: &header,
        tenant,
        aad,
    };
    let iv = iv(&secret, of_plaintext.as_ref())?;
    seal_with(&context, &kem_ciphertext, &secret, iv, plaintext)
}

fn iv(secret: &SharedSecret, of_plaintext: &[u8]) -> Result<[u8; IV_LEN], SealError> {
    let derived = derived(&[], secret.expose(), &[OF_IV, of_plaintext], IV_LEN)?;
    derived
        .as_slice()
        .try_into()
        .map_err(|_| SealError::RandomnessUnavailable)
}

/// HKDF-SHA256 (RFC 5869).
fn derived(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Length(length))
        .and_then(|okm| okm.fill(&mut bytes))
        .map_err(|_| SealError::RandomnessUnavailable)?;
    Ok(bytes)
}
