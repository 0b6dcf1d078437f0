//! The bytes of an envelope, apart from what is encrypted in them: header, sizes, parsing. Everything
//! parsed here is public and unauthenticated until [`Envelope::open`] succeeds.

use chancel_domain::{Algorithm, Family, KeyVersion};

/// Format, algorithm code, key version.
pub(super) const HEADER_LEN: usize = 8;
/// IV of AES-GCM (SP 800-38D §8.2.2, random), bytes.
pub(super) const IV_LEN: usize = 12;
/// Tag of AES-GCM, bytes.
pub(super) const TAG_LEN: usize = 16;

/// What an envelope was made for. It is in the header, the key derivation and the additional data, so an
/// envelope of one purpose never opens as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Made by encrypt.
    Data,
    /// Made by wrap; the plaintext is a symmetric key.
    SymmetricKey,
    /// Made by encrypt in its deterministic mode.
    DeterministicData,
    /// The head of a stream that encrypt made; the plaintext is the key of its segments.
    StreamKey,
}

impl Purpose {
    const fn format(self) -> u16 {
        match self {
            Self::Data => 0x4301,
            Self::SymmetricKey => 0x4302,
            Self::DeterministicData => 0x4303,
            Self::StreamKey => 0x4304,
        }
    }

    const fn from_format(format: u16) -> Option<Self> {
        match format {
            0x4301 => Some(Self::Data),
            0x4302 => Some(Self::SymmetricKey),
            0x4303 => Some(Self::DeterministicData),
            0x4304 => Some(Self::StreamKey),
            _ => None,
        }
    }

    /// The label of the format in its key derivation.
    pub(super) const fn label(self) -> &'static [u8] {
        match self {
            Self::Data => b"chancel envelope 0x4301 data",
            Self::SymmetricKey => b"chancel envelope 0x4302 symmetric key",
            Self::DeterministicData => b"chancel envelope 0x4303 deterministic data",
            Self::StreamKey => b"chancel envelope 0x4304 stream key",
        }
    }
}

/// What an envelope adds to the length of its plaintext: 1124 bytes for ML-KEM-768. No envelope exists for
/// a signature algorithm, and the number then means nothing.
pub const fn overhead(algorithm: Algorithm) -> usize {
    HEADER_LEN + algorithm.spec().output_len + IV_LEN + TAG_LEN
}

/// Why bytes are no envelope. Nothing here depends on a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Shorter than header, KEM ciphertext, IV and tag.
    #[error("the ciphertext is truncated")]
    Truncated,
    /// The first two bytes are of no format.
    #[error("the ciphertext has an unknown format")]
    UnknownFormat,
    /// The code in the header is in no row of the registry.
    #[error("the ciphertext names an unknown algorithm")]
    UnknownAlgorithm,
    /// The code in the header is that of a signature algorithm.
    #[error("the ciphertext names an algorithm that does not encrypt")]
    NotAKem,
    /// The key version in the header is 0.
    #[error("the ciphertext names no key version")]
    NoKeyVersion,
}

/// An envelope in its parts, borrowed from the bytes it was parsed from. Not printable, so that no
/// tenant's ciphertext reaches a log.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    purpose: Purpose,
    algorithm: Algorithm,
    key_version: KeyVersion,
    kem_ciphertext: &'a [u8],
    pub(super) header: &'a [u8; HEADER_LEN],
    pub(super) iv: &'a [u8; IV_LEN],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8; TAG_LEN],
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart. Authenticates nothing.
    ///
    /// # Errors
    /// [`EnvelopeError`]: too short, or a header that names no format, no KEM or no version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(EnvelopeError::Truncated)?;
        let [f0, f1, a0, a1, v0, v1, v2, v3] = *header;
        let purpose =
            Purpose::from_format(u16::from_be_bytes([f0, f1])).ok_or(EnvelopeError::UnknownFormat)?;
        let algorithm =
            Algorithm::try_from(u16::from_be_bytes([a0, a1])).map_err(|_| EnvelopeError::UnknownAlgorithm)?;
        if algorithm.family() != Family::Kem {
            return Err(EnvelopeError::NotAKem);
        }
        let key_version =
            KeyVersion::new(u32::from_be_bytes([v0, v1, v2, v3])).ok_or(EnvelopeError::NoKeyVersion)?;
        let (kem_ciphertext, rest) = rest
            .split_at_checked(algorithm.spec().output_len)
            .ok_or(EnvelopeError::Truncated)?;
        let (iv, rest) = rest.split_first_chunk().ok_or(EnvelopeError::Truncated)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(EnvelopeError::Truncated)?;
        Ok(Self {
            purpose,
            algorithm,
            key_version,
            kem_ciphertext,
            header,
            iv,
            ciphertext,
            tag,
        })
    }

    /// What the header says it was made for.
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The KEM the header names.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key version the header names.
    pub const fn key_version(&self) -> KeyVersion {
        self.key_version
    }

    /// What the holder of the private key decapsulates, `output_len` bytes of the algorithm.
    pub const fn kem_ciphertext(&self) -> &'a [u8] {
        self.kem_ciphertext
    }
}

/// The header of an envelope.
pub(super) fn header(purpose: Purpose, algorithm: Algorithm, version: KeyVersion) -> [u8; HEADER_LEN] {
    let [f0, f1] = purpose.format().to_be_bytes();
    let [a0, a1] = algorithm.spec().code.to_be_bytes();
    let [v0, v1, v2, v3] = version.number().to_be_bytes();
    [f0, f1, a0, a1, v0, v1, v2, v3]
}
