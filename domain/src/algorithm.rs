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
/// format: a code is never reused. In the order of their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
#[expect(missing_docs, reason = "each has its row in the registry")]
pub enum Algorithm {
    MlKem512,
    MlKem768,
    MlKem1024,
    XWing,
    MlDsa44,
    MlDsa65,
    MlDsa87,
    CompositeMlDsa65EcdsaP256,
    SlhDsaSha2_128s,
    SlhDsaSha2_128f,
    SlhDsaSha2_192s,
    SlhDsaSha2_192f,
    SlhDsaSha2_256s,
    SlhDsaSha2_256f,
    SlhDsaShake128s,
    SlhDsaShake128f,
    SlhDsaShake192s,
    SlhDsaShake192f,
    SlhDsaShake256s,
    SlhDsaShake256f,
}

/// Whether the specification of an algorithm is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maturity {
    /// It is.
    Standard,
    /// It is an Internet-Draft: what is made by it now, a later draft may call invalid.
    Draft,
}

impl Maturity {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Draft => "draft",
        }
    }
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
    /// Whether that is final.
    pub maturity: Maturity,
    /// The object identifier of public keys (RFC 9935, RFC 9881, RFC 9909, or the draft), dotted.
    pub oid: &'static str,
    /// Encoded public key (FIPS 203 §7.1, FIPS 204 §7.2, FIPS 205 §9.1).
    pub public_key_len: usize,
    /// The seed that a key file stores: d ‖ z for ML-KEM (FIPS 203 §7.1), ξ for ML-DSA (FIPS 204 §6.1), SK.seed ‖ SK.prf ‖
    /// PK.seed for SLH-DSA (FIPS 205 §9.1), the decapsulation key of X-Wing, ξ ‖ the P-256 scalar for the composite.
    pub seed_len: usize,
    /// The expanded private key that an operation uses.
    pub private_key_len: usize,
    /// KEM ciphertext, or signature; the longest one where they differ, which is the composite's alone.
    pub output_len: usize,
}

impl Spec {
    const fn ml_kem(
        (algorithm, code): (Algorithm, u16),
        (standard_name, client_name): (&'static str, &'static str),
        oid: &'static str,
        [public_key_len, private_key_len, output_len]: [usize; 3],
    ) -> Self {
        Self {
            algorithm,
            code,
            standard_name,
            client_name,
            family: Family::Kem,
            standard: "FIPS 203",
            maturity: Maturity::Standard,
            oid,
            public_key_len,
            seed_len: 64,
            private_key_len,
            output_len,
        }
    }

    const fn ml_dsa(
        (algorithm, code): (Algorithm, u16),
        (standard_name, client_name): (&'static str, &'static str),
        oid: &'static str,
        [public_key_len, private_key_len, output_len]: [usize; 3],
    ) -> Self {
        Self {
            algorithm,
            code,
            standard_name,
            client_name,
            family: Family::Signature,
            standard: "FIPS 204",
            maturity: Maturity::Standard,
            oid,
            public_key_len,
            seed_len: 32,
            private_key_len,
            output_len,
        }
    }

    /// All of FIPS 205's sizes but the signature's are multiples of n.
    const fn slh_dsa(
        (algorithm, code): (Algorithm, u16),
        name: &'static str,
        oid: &'static str,
        n: usize,
        output_len: usize,
    ) -> Self {
        Self {
            algorithm,
            code,
            standard_name: name,
            client_name: name,
            family: Family::Signature,
            standard: "FIPS 205",
            maturity: Maturity::Standard,
            oid,
            public_key_len: 2 * n,
            seed_len: 3 * n,
            private_key_len: 4 * n,
            output_len,
        }
    }
}

/// The registry, a row for each variant of [`Algorithm`], in its order.
pub const SPECS: [Spec; 20] = [
    Spec::ml_kem(
        (Algorithm::MlKem512, 0x0001),
        ("ML-KEM-512", "ML-KEM-512"),
        "2.16.840.1.101.3.4.4.1",
        [800, 1632, 768],
    ),
    Spec::ml_kem(
        (Algorithm::MlKem768, 0x0002),
        ("ML-KEM-768", "Kyber768"),
        "2.16.840.1.101.3.4.4.2",
        [1184, 2400, 1088],
    ),
    Spec::ml_kem(
        (Algorithm::MlKem1024, 0x0003),
        ("ML-KEM-1024", "ML-KEM-1024"),
        "2.16.840.1.101.3.4.4.3",
        [1568, 3168, 1568],
    ),
    Spec {
        algorithm: Algorithm::XWing,
        code: 0x0010,
        standard_name: "X-Wing",
        client_name: "X-Wing",
        family: Family::Kem,
        standard: "draft-connolly-cfrg-xwing-kem",
        maturity: Maturity::Draft,
        oid: "1.3.6.1.4.1.62253.25722",
        public_key_len: 1216,
        seed_len: 32,
        private_key_len: 32,
        output_len: 1120,
    },
    Spec::ml_dsa(
        (Algorithm::MlDsa44, 0x0101),
        ("ML-DSA-44", "ML-DSA-44"),
        "2.16.840.1.101.3.4.3.17",
        [1312, 2560, 2420],
    ),
    Spec::ml_dsa(
        (Algorithm::MlDsa65, 0x0102),
        ("ML-DSA-65", "Dilithium3"),
        "2.16.840.1.101.3.4.3.18",
        [1952, 4032, 3309],
    ),
    Spec::ml_dsa(
        (Algorithm::MlDsa87, 0x0103),
        ("ML-DSA-87", "ML-DSA-87"),
        "2.16.840.1.101.3.4.3.19",
        [2592, 4896, 4627],
    ),
    Spec {
        algorithm: Algorithm::CompositeMlDsa65EcdsaP256,
        code: 0x0110,
        standard_name: "id-MLDSA65-ECDSA-P256-SHA512",
        client_name: "Composite-ML-DSA",
        family: Family::Signature,
        standard: "draft-ietf-lamps-pq-composite-sigs",
        maturity: Maturity::Draft,
        oid: "1.3.6.1.5.5.7.6.45",
        // An ML-DSA-65 key and an uncompressed point.
        public_key_len: 1952 + 65,
        seed_len: 32 + 32,
        private_key_len: 4032 + 32,
        // An ML-DSA-65 signature and an ECDSA signature in DER.
        output_len: 3309 + 72,
    },
    Spec::slh_dsa(
        (Algorithm::SlhDsaSha2_128s, 0x0120),
        "SLH-DSA-SHA2-128s",
        "2.16.840.1.101.3.4.3.20",
        16,
        7856,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaSha2_128f, 0x0121),
        "SLH-DSA-SHA2-128f",
        "2.16.840.1.101.3.4.3.21",
        16,
        17_088,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaSha2_192s, 0x0122),
        "SLH-DSA-SHA2-192s",
        "2.16.840.1.101.3.4.3.22",
        24,
        16_224,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaSha2_192f, 0x0123),
        "SLH-DSA-SHA2-192f",
        "2.16.840.1.101.3.4.3.23",
        24,
        35_664,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaSha2_256s, 0x0124),
        "SLH-DSA-SHA2-256s",
        "2.16.840.1.101.3.4.3.24",
        32,
        29_792,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaSha2_256f, 0x0125),
        "SLH-DSA-SHA2-256f",
        "2.16.840.1.101.3.4.3.25",
        32,
        49_856,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaShake128s, 0x0126),
        "SLH-DSA-SHAKE-128s",
        "2.16.840.1.101.3.4.3.26",
        16,
        7856,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaShake128f, 0x0127),
        "SLH-DSA-SHAKE-128f",
        "2.16.840.1.101.3.4.3.27",
        16,
        17_088,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaShake192s, 0x0128),
        "SLH-DSA-SHAKE-192s",
        "2.16.840.1.101.3.4.3.28",
        24,
        16_224,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaShake192f, 0x0129),
        "SLH-DSA-SHAKE-192f",
        "2.16.840.1.101.3.4.3.29",
        24,
        35_664,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaShake256s, 0x012a),
        "SLH-DSA-SHAKE-256s",
        "2.16.840.1.101.3.4.3.30",
        32,
        29_792,
    ),
    Spec::slh_dsa(
        (Algorithm::SlhDsaShake256f, 0x012b),
        "SLH-DSA-SHAKE-256f",
        "2.16.840.1.101.3.4.3.31",
        32,
        49_856,
    ),
];

/// The code of the first parameter set of SLH-DSA; those from here on are all of it.
const FIRST_SLH_DSA: u16 = 0x0120;

/// Shared secret of every KEM here, bytes.
pub const SHARED_SECRET_LEN: usize = 32;

/// A name or code that is in no row of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// Its row in the registry.
    pub const fn spec(self) -> &'static Spec {
        // NOTE(index): there is a row for each variant, in their order.
        &SPECS[self as usize]
    }

    /// Encapsulation or signatures.
    pub const fn family(self) -> Family {
        self.spec().family
    }

    /// Whether making a key or a signature takes milliseconds to seconds, and so needs workers of its own.
    pub const fn is_slow(self) -> bool {
        self.spec().code >= FIRST_SLH_DSA
    }

    /// Whether it is ML-DSA, which can sign a μ that somebody else computed (FIPS 204 §6.2).
    pub const fn has_mu(self) -> bool {
        matches!(self, Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87)
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
            assert!(seen.insert(spec.oid.to_owned()));
        }
    }

    #[test]
    fn the_rows_are_in_the_order_of_their_codes_and_of_their_variants() {
        assert!(SPECS.is_sorted_by_key(|spec| spec.code));
        assert!(SPECS.is_sorted_by_key(|spec| spec.algorithm));
        for spec in &SPECS {
            assert_eq!(spec.code < 0x0100, spec.family == Family::Kem);
            assert_eq!(spec.algorithm.is_slow(), spec.standard == "FIPS 205");
        }
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(Algorithm::from_name("kyber768"), Err(UnknownAlgorithm));
    }
}
