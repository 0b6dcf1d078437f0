//! Verification of signatures, and the check that keyd makes of its own before it releases them: always by another
//! implementation than the one that signs there.
//!
//! AWS-LC decides about ML-DSA without a context string: the AVX2 ML-DSA verification in the liboqs that signs for us
//! accepts invalid signatures. What AWS-LC cannot do (context strings, digests, an external μ), `fips204` does.

mod composite;
mod ml_dsa;
mod slh_dsa;

use chancel_domain::content::UnsuitableContent;
use chancel_domain::{Algorithm, Content};

pub use composite::{LABEL as COMPOSITE_LABEL, representative as composite_representative};

/// What verification found. An invalid signature is an answer, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The holder of the private key signed this.
    Valid,
    /// It did not, or the signature is malformed.
    Invalid,
}

impl From<bool> for Verdict {
    fn from(is_valid: bool) -> Self {
        if is_valid { Self::Valid } else { Self::Invalid }
    }
}

/// Why nothing could be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The algorithm cannot have signed such a thing.
    #[error(transparent)]
    Unsuitable(#[from] UnsuitableContent),
    /// The public key does not have the encoding of the standard.
    #[error("the public key is malformed")]
    PublicKeyRejected,
}

/// Verifies a signature: FIPS 204 Algorithms 3 and 5 (and 8 for a μ), FIPS 205 Algorithms 24 and 25, §4.3 of the composite's
/// draft. A signature of another length than the algorithm's is [`Verdict::Invalid`].
///
/// # Errors
/// [`VerifyError`]: the algorithm cannot sign such content, or the public key is malformed.
pub fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    content: &Content<'_>,
    signature: &[u8],
) -> Result<Verdict, VerifyError> {
    content.check(algorithm)?;
    // AWS-LC would also take the X.509 encoding of a key; here a key has one encoding.
    if public_key.len() != algorithm.spec().public_key_len {
        return Err(VerifyError::PublicKeyRejected);
    }
    match algorithm {
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => {
            ml_dsa::verify(algorithm, public_key, content, signature)
        }
        Algorithm::CompositeMlDsa65EcdsaP256 => composite::verify(public_key, content, signature),
        slh_dsa => slh_dsa::verify(slh_dsa, public_key, content, signature),
    }
}
