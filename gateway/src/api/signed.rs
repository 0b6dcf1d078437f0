//! What a request wants signed or verified: a message, or a digest, with what belongs to it.

use super::selection::Named;
use super::{Body, Field};
use crate::error::ApiError;
use chancel_domain::content::UnsuitableContent;
use chancel_domain::{Content, HashFunction};
use chancel_wire::limits::MAX_PAYLOAD;
use zeroize::Zeroizing;

/// What is signed, owned.
pub enum Signed {
    /// A message in full.
    Raw {
        /// Up to [`MAX_PAYLOAD`] bytes.
        message: Bytes,
        /// The context string, up to 255 bytes.
        context: Bytes,
    },
    /// A digest.
    Hash {
        /// By which function.
        function: HashFunction,
        /// As long as its output.
        digest: Bytes,
        /// The context string, up to 255 bytes.
        context: Bytes,
    },
    /// ML-DSA's μ.
    Mu(Bytes),
}

type Bytes = Zeroizing<Vec<u8>>;

impl Signed {
    /// Of sign and verify: `message`, `context`, and `message_type`, which says whether the message is a μ.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn message(body: &Body<'_>, key: Named) -> Result<Self, ApiError> {
        let message = body.bytes(Field::Message)?;
        if message.len() > MAX_PAYLOAD {
            return Err(ApiError::PayloadTooLarge(Field::Message));
        }
        let context = body.optional_bytes(Field::Context)?;
        let signed = match body.text(Field::MessageType)? {
            None | Some("RAW") => Self::Raw {
                message,
                context: context.unwrap_or_default(),
            },
            Some("EXTERNAL_MU") if context.is_none() => Self::Mu(message),
            Some("EXTERNAL_MU") => return Err(wrong(Field::Context, "absent with EXTERNAL_MU: it is in mu")),
            Some(_) => return Err(wrong(Field::MessageType, "RAW or EXTERNAL_MU")),
        };
        signed.checked(key)
    }

    /// Of sign-hash and verify-hash: `hash`, `hash_algorithm`, `context`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn hash(body: &Body<'_>, key: Named) -> Result<Self, ApiError> {
        let name = body
            .text(Field::HashAlgorithm)?
            .ok_or(ApiError::MissingField(Field::HashAlgorithm))?;
        let function = HashFunction::from_name(name);
        Self::Hash {
            function: function.ok_or(wrong(Field::HashAlgorithm, "SHA-256, SHA-384 or SHA-512"))?,
            digest: body.bytes(Field::Hash)?,
            context: body.optional_bytes(Field::Context)?.unwrap_or_default(),
        }
        .checked(key)
    }

    /// Of sign-mu: a `message` that is a μ.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn mu(body: &Body<'_>, key: Named) -> Result<Self, ApiError> {
        match body.text(Field::MessageType)? {
            None | Some("EXTERNAL_MU") => Self::Mu(body.bytes(Field::Message)?).checked(key),
            Some(_) => Err(wrong(Field::MessageType, "EXTERNAL_MU here")),
        }
    }

    /// The same, borrowed.
    pub(super) fn content(&self) -> Content<'_> {
        match self {
            Self::Raw { message, context } => Content::Raw { message, context },
            Self::Hash {
                function,
                digest,
                context,
            } => Content::Hash {
                function: *function,
                digest,
                context,
            },
            Self::Mu(mu) => Content::Mu { mu },
        }
    }

    /// By what the digest was made, where it is one.
    pub(super) const fn hashed_by(&self) -> Option<HashFunction> {
        match self {
            Self::Hash { function, .. } => Some(*function),
            Self::Raw { .. } | Self::Mu(_) => None,
        }
    }

    /// If a key of the algorithm can sign it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(self, key: Named) -> Result<Self, ApiError> {
        use UnsuitableContent as Unsuitable;
        self.content()
            .check(key.algorithm)
            .map_err(|unsuitable| match unsuitable {
                Unsuitable::NotASignatureAlgorithm => ApiError::InvalidAlgorithm,
                Unsuitable::ContextTooLong => wrong(Field::Context, "at most 255 bytes, in base64"),
                Unsuitable::WrongDigestLength => wrong(
                    Field::Hash,
                    "a digest by its hash_algorithm: 32, 48 or 64 bytes, in base64",
                ),
                Unsuitable::WrongHashFunction => wrong(Field::HashAlgorithm, "SHA-512 for this algorithm"),
                Unsuitable::NoMu => wrong(Field::MessageType, "RAW for this algorithm"),
                Unsuitable::WrongMuLength => wrong(Field::Message, "a mu of 64 bytes, in base64"),
            })?;
        Ok(self)
    }
}

const fn wrong(field: Field, expected: &'static str) -> ApiError {
    ApiError::WrongField { field, expected }
}
