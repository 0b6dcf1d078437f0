//! Encapsulation to a public key (FIPS 203 §7.2) and the type in which every shared secret travels.
//! Decapsulation needs a private key and is keyd's.

mod deterministic;
mod x_wing;

use aws_lc_rs::kem::{self, EncapsulationKey};
use chancel_domain::Algorithm;
use chancel_domain::algorithm::SHARED_SECRET_LEN;
use zeroize::Zeroize;

pub use deterministic::{encapsulate_with, randomness_len};

/// The 32 bytes both sides of an encapsulation hold (FIPS 203 §3.3), wiped on drop. Neither printable nor
/// copyable, and on the heap: moving the value moves a pointer and leaves no copy of the bytes behind.
///
/// ```compile_fail,E0277
/// fn show(secret: &chancel_pqc::SharedSecret) -> String { format!("{secret:?}") }
/// ```
/// ```compile_fail,E0599
/// fn copy(secret: chancel_pqc::SharedSecret) -> [chancel_pqc::SharedSecret; 2] { [secret.clone(), secret] }
/// ```
pub struct SharedSecret(Box<[u8; SHARED_SECRET_LEN]>);

/// The bytes are not [`SHARED_SECRET_LEN`] long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shared secret has {SHARED_SECRET_LEN} bytes")]
pub struct WrongSecretLength;

impl SharedSecret {
    /// The 32 bytes. Whoever copies them must wipe the copy.
    pub fn expose(&self) -> &[u8; SHARED_SECRET_LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SharedSecret {
    type Error = WrongSecretLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongSecretLength> {
        // Allocated first and filled in place, so that no array passes over the stack.
        let mut secret = Self(Box::new([0; SHARED_SECRET_LEN]));
        if bytes.len() != SHARED_SECRET_LEN {
            return Err(WrongSecretLength);
        }
        secret.0.copy_from_slice(bytes);
        Ok(secret)
    }
}

impl Drop for SharedSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Why nothing was encapsulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncapsulateError {
    /// The algorithm makes signatures.
    #[error("the algorithm is not a key encapsulation mechanism")]
    NotAKem,
    /// The public key has another length, or a coefficient that is not below q (the modulus check of
    /// FIPS 203 §7.2).
    #[error("the public key is malformed")]
    PublicKeyRejected,
}

/// Makes a fresh shared secret and the KEM ciphertext (`output_len` bytes, 1088 for ML-KEM-768) that
/// carries it to the holder of the private key. FIPS 203 Algorithm 20, with its input checks; for X-Wing §5.4 of its draft.
///
/// # Errors
/// [`EncapsulateError`]: the algorithm is no KEM, or the public key fails a check of FIPS 203 §7.2.
pub fn encapsulate(
    algorithm: Algorithm,
    public_key: &[u8],
) -> Result<(Vec<u8>, SharedSecret), EncapsulateError> {
    let parameters = match algorithm {
        Algorithm::MlKem512 => &kem::ML_KEM_512,
        Algorithm::MlKem768 => &kem::ML_KEM_768,
        Algorithm::MlKem1024 => &kem::ML_KEM_1024,
        Algorithm::XWing => return x_wing::encapsulate(public_key),
        _ => return Err(EncapsulateError::NotAKem),
    };
    // AWS-LC compares the length here and the coefficients when it encapsulates; its generator aborts the
    // process rather than fail, so a failed encapsulation is a refused key.
    let key =
        EncapsulationKey::new(parameters, public_key).map_err(|_| EncapsulateError::PublicKeyRejected)?;
    let (ciphertext, secret) = key
        .encapsulate()
        .map_err(|_| EncapsulateError::PublicKeyRejected)?;
    let secret = SharedSecret::try_from(secret.as_ref()).map_err(|_| EncapsulateError::PublicKeyRejected)?;
    Ok((ciphertext.as_ref().to_vec(), secret))
}
