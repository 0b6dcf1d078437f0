//! The registry of algorithms: adding a parameter set is one entry in [`SPECS`]. Names, sizes and the
//! standard each comes from are read from here by the API, the CLI, keyd and the documentation alike.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a key of an algorithm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Key encapsulation: encrypt, decrypt, wrap, unwrap, encapsulate, decapsulate.
    Kem,
    /// Digital signatures: sign, verify.
    Signature,
}

/// A parameter set that Chancel implements. The numeric code is part of every stored and transmitted
/// format: a code is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub enum Algorithm {
    /// ML-KEM-768, FIPS 203.
    MlKem768,
    /// ML-DSA-65, FIPS 204.
    MlDsa65,
}

/// One row of the registry. All sizes are bytes.
#[derive(Debug)]
pub struct Spec {
    /// The parameter set this row describes.
    pub algorithm: Algorithm,
    /// Code in key files, envelopes and messages; below 0x0100 for KEMs, from 0x0100 for signatures.
    pub code: u16,
    /// The standard's name for it, for example `ML-KEM-768`.
    pub standard_name: &'static str,
    /// The name existing clients send, for example `Kyber768`; equal to the standard name for sets they do
    /// not know.
    pub client_name: &'static str,
    /// Encapsulation or signatures.
    pub family: Family,
    /// Where the algorithm is specified.
    pub standard: &'static str,
    /// Encoded public key (FIPS 203 §7.1, FIPS 204 §7.2).
    pub public_key_len: usize,
    /// The seed that a key file stores: d ‖ z for ML-KEM (FIPS 203 §7.1), ξ for ML-DSA (FIPS 204 §6.1).
    pub seed_len: usize,
    /// The expanded private key that an operation uses.
    pub private_key_len: usize,
    /// KEM ciphertext, or signature.
    pub output_len: usize,
}

/// The registry, a row for each variant of [`Algorithm`], in its order.
pub const SPECS: [Spec; 2] = [
    Spec {
        algorithm: Algorithm::MlKem768,
        code: 0x0002,
        standard_name: "ML-KEM-768",
        client_name: "Kyber768",
        family: Family::Kem,
        standard: "FIPS 203",
        public_key_len: 1184,
        seed_len: 64,
        private_key_len: 2400,
        output_len: 1088,
    },
    Spec {
        algorithm: Algorithm::MlDsa65,
        code: 0x0102,
        standard_name: "ML-DSA-65",
        client_name: "Dilithium3",
        family: Family::Signature,
        standard: "FIPS 204",
        public_key_len: 1952,
        seed_len: 32,
        private_key_len: 4032,
        output_len: 3309,
    },
];

/// Shared secret of every KEM here, bytes.
pub const SHARED_SECRET_LEN: usize = 32;

/// A name or code that is in no row of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// Its row in the registry.
    pub const fn spec(self) -> &'static Spec {
        match self {
            Self::MlKem768 => &SPECS[0],
            Self::MlDsa65 => &SPECS[1],
        }
    }

    /// Encapsulation or signatures.
    pub const fn family(self) -> Family {
        self.spec().family
    }

    /// Looks a name up, the clients' or the standard's; names are case-sensitive.
    ///
    /// # Errors
    /// [`UnknownAlgorithm`] when no row has that name.
    pub fn from_name(name: &str) -> Result<Self, UnknownAlgorithm> {
        SPECS
            .iter()
            .find(|spec| spec.client_name == name || spec.standard_name == name)
            .map(|spec| spec.algorithm)
            .ok_or(UnknownAlgorithm)
    }

    /// What clients that name no algorithm get, for each family.
    pub const fn default_for(family: Family) -> Self {
        match family {
            Family::Kem => Self::MlKem768,
            Family::Signature => Self::MlDsa65,
        }
    }
}

impl From<Algorithm> for u16 {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.spec().code
    }
}

impl TryFrom<u16> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(code: u16) -> Result<Self, UnknownAlgorithm> {
        SPECS
            .iter()
            .find(|spec| spec.code == code)
            .map(|spec| spec.algorithm)
            .ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().standard_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_row_describes_its_own_variant_and_names_and_codes_are_unique() {
        let mut seen = BTreeSet::new();
        for spec in &SPECS {
            assert_eq!(spec.algorithm.spec().code, spec.code);
            assert_eq!(Algorithm::from_name(spec.client_name), Ok(spec.algorithm));
            assert_eq!(Algorithm::from_name(spec.standard_name), Ok(spec.algorithm));
            assert_eq!(Algorithm::try_from(spec.code), Ok(spec.algorithm));
            assert!(seen.insert(spec.standard_name.to_owned()));
            assert!(seen.insert(spec.code.to_string()));
        }
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(Algorithm::from_name("kyber768"), Err(UnknownAlgorithm));
    }
}
