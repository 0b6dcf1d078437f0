//! The private-key half of the cryptography. One implementation does the work of a private key, liboqs where it can, and
//! another one, in [`chancel_pqc`], checks it: a new key pair must pass across both, a signature is verified before it
//! leaves. A fault or a bug in one of them then costs an error, not a key. docs/crypto.md names who does what.
//!
//! Private keys come from seeds this process made, and only so: nothing here takes a key from outside.
//! Expanded keys go to buffers of the caller, secrets that a library returns are wiped when copied.
//!
//! Two parts of liboqs 0.13 must never be called: its ML-DSA verification, which on CPUs with AVX2 accepts
//! signatures whose z is too large (pq-crystals/dilithium issue 113), and its SPHINCS+, which is not
//! FIPS 205.

mod kem;
mod seed;
mod signature;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use chancel_domain::content::UnsuitableContent;
use chancel_domain::{Algorithm, Content, Family};
use chancel_pqc::Verdict;

pub use kem::decapsulate;
pub use seed::{Seed, expand};
pub use signature::sign;

/// Why an operation with a private key gave nothing. No variant says anything of the key or the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The algorithm makes signatures.
    #[error("the algorithm is not a key encapsulation mechanism")]
    NotAKem,
    /// The algorithm makes no signatures.
    #[error("the algorithm is not a signature algorithm")]
    NotASignatureAlgorithm,
    /// The liboqs that is linked was built without the algorithm.
    #[error("the algorithm is not in this build of liboqs")]
    AlgorithmNotBuiltIn,
    /// The algorithm cannot sign such a thing.
    #[error(transparent)]
    Unsuitable(#[from] UnsuitableContent),
    /// The seed does not have the registry's length.
    #[error("the seed has a wrong length")]
    WrongSeedLength,
    /// The private key, or the buffer for it, does not have the registry's length.
    #[error("the private key has a wrong length")]
    WrongPrivateKeyLength,
    /// The KEM ciphertext does not have the registry's length.
    #[error("the KEM ciphertext has a wrong length")]
    WrongCiphertextLength,
    /// The private key fails the hash check of FIPS 203 §7.3: its memory was damaged.
    #[error("the private key is damaged")]
    PrivateKeyDamaged,
    /// The public key is malformed.
    #[error("the public key is malformed")]
    PublicKeyRejected,
    /// The random generator gave nothing.
    #[error("no randomness is available")]
    RandomnessUnavailable,
    /// The seed could not be expanded.
    #[error("the seed could not be expanded")]
    NotExpanded,
    /// No signature was made.
    #[error("no signature was made")]
    NotSigned,
    /// What the private key does and what the public key does are not each other's inverse.
    #[error("private and public key do not belong together")]
    PairMismatch,
    /// The other library refuses the signature that was made. It was wiped.
    #[error("the signature did not pass the check by the other library")]
    SelfCheckFailed,
}

/// Readies both libraries, before the sandbox closes: liboqs detects the CPU's instructions, and the generator
/// of AWS-LC opens the device by which it learns that a virtual machine was resumed from a snapshot.
///
/// # Errors
/// [`CryptoError::RandomnessUnavailable`].
pub fn init() -> Result<(), CryptoError> {
    oqs::init();
    rand::fill(&mut [0; 1]).map_err(|_| CryptoError::RandomnessUnavailable)
}

/// What is signed to try a pair; the signature is wiped.
const PAIR_MESSAGE: &[u8] = b"chancel pairwise consistency test";

/// Whether a private and a public key belong together, tried across both libraries (FIPS 140-3 IG 10.3.A
/// asks it of every new pair): AWS-LC encapsulates to the public key and liboqs must decapsulate the same
/// secret, or liboqs signs and AWS-LC must verify.
///
/// # Errors
/// [`CryptoError::PairMismatch`] when they do not; else what [`decapsulate`] and [`sign`] answer to a
/// malformed key.
pub fn pairwise_check(
    algorithm: Algorithm,
    private_key: &[u8],
    public_key: &[u8],
) -> Result<(), CryptoError> {
    match algorithm.family() {
        Family::Kem => {
            let (ciphertext, sent) = chancel_pqc::encapsulate(algorithm, public_key)
                .map_err(|_| CryptoError::PublicKeyRejected)?;
            let received = decapsulate(algorithm, private_key, &ciphertext)?;
            verify_slices_are_equal(sent.expose(), received.expose()).map_err(|_| CryptoError::PairMismatch)
        }
        Family::Signature => {
            let (_, verdict) =
                signature::sign_and_verify(algorithm, private_key, public_key, &Content::raw(PAIR_MESSAGE))?;
            match verdict {
                Verdict::Valid => Ok(()),
                Verdict::Invalid => Err(CryptoError::PairMismatch),
            }
        }
    }
}
