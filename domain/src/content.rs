//! What a signature is over: a message, a digest of one, or ML-DSA's message representative.

use crate::algorithm::{Algorithm, Family};
use serde::{Deserialize, Serialize};

/// The longest context string, bytes (FIPS 204 §5.2, FIPS 205 §9.2).
pub const MAX_CONTEXT: usize = 255;

/// ML-DSA's message representative μ, bytes (FIPS 204 Algorithm 7, step 6).
pub const MU_LEN: usize = 64;

/// What is signed, or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content<'a> {
    /// A message in full: ML-DSA, SLH-DSA or the composite as such.
    Raw {
        /// Of any length.
        #[serde(borrow, with = "serde_bytes")]
        message: &'a [u8],
        /// The context string, at most [`MAX_CONTEXT`] bytes.
        #[serde(borrow, with = "serde_bytes")]
        context: &'a [u8],
    },
    /// A digest: HashML-DSA (FIPS 204 §5.4), HashSLH-DSA (FIPS 205 §10.2), or the composite's own pre-hash.
    Hash {
        /// By which function.
        function: HashFunction,
        /// As long as its output.
        #[serde(borrow, with = "serde_bytes")]
        digest: &'a [u8],
        /// The context string, at most [`MAX_CONTEXT`] bytes.
        #[serde(borrow, with = "serde_bytes")]
        context: &'a [u8],
    },
    /// ML-DSA's μ, [`MU_LEN`] bytes, in which message, context and public key are hashed already.
    Mu {
        /// The 64 bytes.
        #[serde(borrow, with = "serde_bytes")]
        mu: &'a [u8],
    },
}

/// Why nothing can be signed or verified by an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsuitableContent {
    /// The algorithm makes no signatures.
    #[error("the algorithm makes no signatures")]
    NotASignatureAlgorithm,
    /// The context string is too long.
    #[error("the context string is longer than {MAX_CONTEXT} bytes")]
    ContextTooLong,
    /// The digest is not as long as its function's output.
    #[error("the digest does not have the length of its hash function")]
    WrongDigestLength,
    /// The composite hashes with SHA-512 and nothing else.
    #[error("the algorithm does not take digests of this hash function")]
    WrongHashFunction,
    /// Only ML-DSA has a μ.
    #[error("the algorithm has no external mu")]
    NoMu,
    /// It has not [`MU_LEN`] bytes.
    #[error("mu has {MU_LEN} bytes")]
    WrongMuLength,
}

impl<'a> Content<'a> {
    /// A message without a context string.
    pub const fn raw(message: &'a [u8]) -> Self {
        Self::Raw {
            message,
            context: &[],
        }
    }

    /// Whether an algorithm can sign this.
    ///
    /// # Errors
    /// [`UnsuitableContent`].
    pub fn check(&self, algorithm: Algorithm) -> Result<(), UnsuitableContent> {
        if algorithm.family() != Family::Signature {
            return Err(UnsuitableContent::NotASignatureAlgorithm);
        }
        match *self {
            Self::Raw { context, .. } | Self::Hash { context, .. } if context.len() > MAX_CONTEXT => {
                Err(UnsuitableContent::ContextTooLong)
            }
            Self::Raw { .. } => Ok(()),
            Self::Hash { function, digest, .. } => {
                if digest.len() != function.output_len() {
                    return Err(UnsuitableContent::WrongDigestLength);
                }
                let is_composite = algorithm == Algorithm::CompositeMlDsa65EcdsaP256;
                if is_composite && function != HashFunction::Sha512 {
                    return Err(UnsuitableContent::WrongHashFunction);
                }
                Ok(())
            }
            Self::Mu { .. } if !algorithm.has_mu() => Err(UnsuitableContent::NoMu),
            Self::Mu { mu } if mu.len() != MU_LEN => Err(UnsuitableContent::WrongMuLength),
            Self::Mu { .. } => Ok(()),
        }
    }
}

/// The hash functions of sign-hash (FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "their names say it")]
pub enum HashFunction {
    Sha256,
    Sha384,
    Sha512,
}

/// Each with its name in the API.
pub const HASH_FUNCTIONS: [(HashFunction, &str); 3] = [
    (HashFunction::Sha256, "SHA-256"),
    (HashFunction::Sha384, "SHA-384"),
    (HashFunction::Sha512, "SHA-512"),
];

impl HashFunction {
    /// Looks a name up; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = HASH_FUNCTIONS.iter().find(|(_, known)| *known == name);
        found.map(|(function, _)| *function)
    }

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        // NOTE(index): there is a row for each variant, in their order.
        HASH_FUNCTIONS[self as usize].1
    }

    /// Length of a digest, bytes.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Its object identifier in DER, as it goes into what is signed (RFC 8017 §A.2.4, 2.16.840.1.101.3.4.2.N).
    pub const fn oid(self) -> [u8; 11] {
        let last = match self {
            Self::Sha256 => 1,
            Self::Sha384 => 2,
            Self::Sha512 => 3,
        };
        [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_functions_have_one_name_each() {
        for (function, name) in HASH_FUNCTIONS {
            assert_eq!(function.name(), name);
            assert_eq!(HashFunction::from_name(name), Some(function));
        }
        assert_eq!(HashFunction::from_name("sha-256"), None);
    }

    #[test]
    fn what_an_algorithm_cannot_sign_is_named() {
        use UnsuitableContent as Unsuitable;
        let long = [0; MAX_CONTEXT + 1];
        let hash = |function, digest| Content::Hash {
            function,
            digest,
            context: &[],
        };
        let (ml_dsa, slh_dsa) = (Algorithm::MlDsa44, Algorithm::SlhDsaShake256f);
        let composite = Algorithm::CompositeMlDsa65EcdsaP256;
        let raw = |context| Content::Raw {
            message: b"m",
            context,
        };
        for (content, algorithm, expected) in [
            (raw(&long[1..]), ml_dsa, Ok(())),
            (raw(&long), ml_dsa, Err(Unsuitable::ContextTooLong)),
            (
                Content::raw(b"m"),
                Algorithm::XWing,
                Err(Unsuitable::NotASignatureAlgorithm),
            ),
            (hash(HashFunction::Sha256, &long[..32]), ml_dsa, Ok(())),
            (hash(HashFunction::Sha384, &long[..48]), slh_dsa, Ok(())),
            (hash(HashFunction::Sha512, &long[..64]), composite, Ok(())),
            (
                hash(HashFunction::Sha256, &long[..31]),
                ml_dsa,
                Err(Unsuitable::WrongDigestLength),
            ),
            (
                hash(HashFunction::Sha256, &long[..32]),
                composite,
                Err(Unsuitable::WrongHashFunction),
            ),
            (Content::Mu { mu: &long[..64] }, ml_dsa, Ok(())),
            (
                Content::Mu { mu: &long[..63] },
                ml_dsa,
                Err(Unsuitable::WrongMuLength),
            ),
            (Content::Mu { mu: &long[..64] }, slh_dsa, Err(Unsuitable::NoMu)),
            (Content::Mu { mu: &long[..64] }, composite, Err(Unsuitable::NoMu)),
        ] {
            assert_eq!(content.check(algorithm), expected, "{algorithm}");
        }
    }
}
