//! Decapsulation and expansion of KEM keys: ML-KEM by liboqs, X-Wing by `x-wing`.

mod ml_kem;
mod x_wing;

use super::CryptoError;
use chancel_domain::Algorithm;
use chancel_pqc::SharedSecret;

/// The shared secret (32 bytes) that a KEM ciphertext (`output_len` bytes) carries. FIPS 203 Algorithm 21
/// with its input checks; for X-Wing §5.5 of its draft. A ciphertext of the right length never fails: one that was not made
/// for this key gives a secret that nobody else has (implicit rejection).
///
/// # Errors
/// [`CryptoError`]: the algorithm is no KEM, a length is wrong, or the private key is damaged.
pub fn decapsulate(
    algorithm: Algorithm,
    private_key: &[u8],
    kem_ciphertext: &[u8],
) -> Result<SharedSecret, CryptoError> {
    match algorithm {
        Algorithm::XWing => x_wing::decapsulate(private_key, kem_ciphertext),
        ml_kem => ml_kem::decapsulate(ml_kem, private_key, kem_ciphertext),
    }
}

/// A seed to the private key, written to `private_key_out`, and the public key, returned.
pub(super) fn expand(
    algorithm: Algorithm,
    seed: &[u8],
    private_key_out: &mut [u8],
) -> Result<Vec<u8>, CryptoError> {
    match algorithm {
        Algorithm::XWing => x_wing::expand(seed, private_key_out),
        ml_kem => ml_kem::expand(ml_kem, seed, private_key_out),
    }
}
