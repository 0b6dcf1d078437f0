//! The seed: the secret from which a whole key pair follows, and the only form of a private key that is
//! stored. Expanding it costs some ten (ML-KEM-768) or forty (ML-DSA-65) microseconds.

use super::{CryptoError, kem, signature};
use chancel_domain::{Algorithm, Family};
use zeroize::Zeroizing;

/// A seed of one algorithm's length: d ‖ z, 64 bytes, for ML-KEM (FIPS 203 §7.1); ξ, 32 bytes, for ML-DSA
/// (FIPS 204 §6.1). Wiped on drop, neither printable nor copyable; on the heap, so that moving it leaves no
/// copy behind.
///
/// ```compile_fail,E0277
/// fn show(seed: &chancel_keyd::crypto::Seed) -> String { format!("{seed:?}") }
/// ```
/// ```compile_fail,E0599
/// fn copy(seed: chancel_keyd::crypto::Seed) -> [chancel_keyd::crypto::Seed; 2] { [seed.clone(), seed] }
/// ```
pub struct Seed(Zeroizing<Box<[u8]>>);

/// Nearly every draw is a seed; of the composite's, one in four billion is none.
const DRAWS: usize = 4;

impl Seed {
    /// A fresh seed from the generator of AWS-LC.
    ///
    /// # Errors
    /// [`CryptoError::RandomnessUnavailable`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, CryptoError> {
        let mut seed = Self::zeroes(algorithm);
        for _ in 0..DRAWS {
            aws_lc_rs::rand::fill(&mut seed.0).map_err(|_| CryptoError::RandomnessUnavailable)?;
            if signature::is_possible(algorithm, &seed.0) {
                return Ok(seed);
            }
        }
        Err(CryptoError::RandomnessUnavailable)
    }

    /// A seed that was stored. The caller still has to wipe `bytes`.
    ///
    /// # Errors
    /// [`CryptoError::WrongSeedLength`] when it is not the algorithm's.
    pub fn from_secret(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut seed = Self::zeroes(algorithm);
        if bytes.len() != seed.0.len() {
            return Err(CryptoError::WrongSeedLength);
        }
        seed.0.copy_from_slice(bytes);
        Ok(seed)
    }

    /// The seed's bytes. Whoever copies them must wipe the copy.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    fn zeroes(algorithm: Algorithm) -> Self {
        Self(Zeroizing::new(
            vec![0; algorithm.spec().seed_len].into_boxed_slice(),
        ))
    }
}

/// The key pair of a seed: writes the private key to `private_key_out`, which must have the algorithm's
/// `private_key_len`, and returns the public key (`public_key_len` bytes). The same seed gives the same
/// pair. On an error the buffer holds what it held before.
///
/// # Errors
/// [`CryptoError`]: the seed is another algorithm's, the buffer has a wrong length, or the library failed.
pub fn expand(algorithm: Algorithm, seed: &Seed, private_key_out: &mut [u8]) -> Result<Vec<u8>, CryptoError> {
    let spec = algorithm.spec();
    if seed.expose().len() != spec.seed_len {
        return Err(CryptoError::WrongSeedLength);
    }
    if private_key_out.len() != spec.private_key_len {
        return Err(CryptoError::WrongPrivateKeyLength);
    }
    match algorithm.family() {
        Family::Kem => kem::expand(algorithm, seed.expose(), private_key_out),
        Family::Signature => signature::expand(algorithm, seed.expose(), private_key_out),
    }
}
