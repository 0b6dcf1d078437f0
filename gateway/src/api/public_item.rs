//! What the gateway itself does with a public key.

use super::output::{Output, Shape};
use super::signed::Signed;
use super::{Body, Field};
use crate::error::ApiError;
use chancel_domain::algorithm::SHARED_SECRET_LEN;
use chancel_domain::{Algorithm, Operation, RequestId, TenantId};
use chancel_pqc::envelope::{MIN_SALT, overhead, seal_deterministic};
use chancel_pqc::{Purpose, seal};
use chancel_wire::limits::{MAX_AAD, MAX_PAYLOAD};
use chancel_wire::policyd::KeyView;
use std::error::Error;
use zeroize::Zeroizing;

type Bytes = Zeroizing<Vec<u8>>;

/// Lengths of symmetric keys that are wrapped, bytes: AES-128, -192 and -256, HMAC-SHA-384 and -512.
const KEY_LENGTHS: [usize; 5] = [16, 24, 32, 48, 64];

/// One thing to do with a public key.
pub(super) enum PublicItem {
    /// A plaintext to encrypt.
    Encrypt {
        plaintext: Bytes,
        aad: Bytes,
        /// In the deterministic mode alone.
        salt: Option<Bytes>,
    },
    /// A symmetric key to encrypt, as an envelope of its own purpose: what wrap made, decrypt does not open.
    Wrap { symmetric_key: Bytes },
    /// A shared secret to make.
    Encapsulate,
    /// A signature to verify. An invalid one is an answer, not an error.
    Verify { signed: Signed, signature: Bytes },
}

impl PublicItem {
    /// A plaintext, in the mode that the body says.
    pub(super) fn encrypt(body: &Body<'_>) -> Result<Self, ApiError> {
        match body.text(Field::Mode)? {
            None | Some("standard") => Self::plaintext(body, None),
            Some("deterministic") => Self::encrypt_deterministic(body),
            Some(_) => Err(ApiError::WrongField {
                field: Field::Mode,
                expected: "'standard' or 'deterministic'",
            }),
        }
    }

    /// A plaintext and a salt.
    pub(super) fn encrypt_deterministic(body: &Body<'_>) -> Result<Self, ApiError> {
        let salt = body.bytes(Field::Salt)?;
        if salt.len() < MIN_SALT {
            return Err(ApiError::SaltTooShort);
        }
        Self::plaintext(body, Some(salt))
    }

    fn plaintext(body: &Body<'_>, salt: Option<Bytes>) -> Result<Self, ApiError> {
        let plaintext = body.bytes(Field::Plaintext)?;
        if plaintext.len() > MAX_PAYLOAD {
            return Err(ApiError::PayloadTooLarge(Field::Plaintext));
        }
        Ok(Self::Encrypt {
            plaintext,
            aad: aad(body)?,
            salt,
        })
    }

    /// A symmetric key.
    pub(super) fn wrap(body: &Body<'_>) -> Result<Self, ApiError> {
        let symmetric_key = body.bytes(Field::SymmetricKey)?;
        if KEY_LENGTHS.contains(&symmetric_key.len()) {
            Ok(Self::Wrap { symmetric_key })
        } else {
            Err(ApiError::SymmetricKeyLength(symmetric_key.len()))
        }
    }

    /// A signature over a message or a digest.
    pub(super) fn verify(body: &Body<'_>, signed: Signed) -> Result<Self, ApiError> {
        let signature = body.bytes(Field::Signature)?;
        Ok(Self::Verify { signed, signature })
    }

    /// What it is.
    pub(super) const fn operation(&self) -> Operation {
        match self {
            Self::Encrypt { salt: None, .. } => Operation::Encrypt,
            Self::Encrypt { salt: Some(_), .. } => Operation::EncryptDeterministic,
            Self::Wrap { .. } => Operation::Wrap,
            Self::Encapsulate => Operation::Encapsulate,
            Self::Verify { .. } => Operation::Verify,
        }
    }

    /// Bytes that it may come to.
    pub(super) fn output_len(&self, algorithm: Algorithm) -> usize {
        match self {
            Self::Encrypt { plaintext, .. } => plaintext.len() + overhead(algorithm),
            Self::Wrap { symmetric_key } => symmetric_key.len() + overhead(algorithm),
            Self::Encapsulate => algorithm.spec().output_len + SHARED_SECRET_LEN,
            Self::Verify { .. } => 0,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the library refuses a key that policyd vouches for, or has no randomness.
    pub(super) fn perform(
        &self,
        key: &KeyView,
        tenant: TenantId,
        request: RequestId,
    ) -> Result<Output, ApiError> {
        let refused = |error: &dyn Error| refused_by_library(request, error);
        let (algorithm, version, public_key) = (key.algorithm, key.version, &*key.public_key);
        let sealed = |purpose, aad: &[u8], plaintext: &[u8]| {
            seal(purpose, algorithm, version, public_key, tenant, aad, plaintext)
        };
        Ok(match self {
            Self::Encrypt { plaintext, aad, salt } => {
                let ciphertext = match salt {
                    None => sealed(Purpose::Data, aad, plaintext),
                    Some(salt) => {
                        seal_deterministic(algorithm, version, public_key, tenant, aad, salt, plaintext)
                    }
                };
                let ciphertext = ciphertext.map_err(|error| refused(&error))?;
                Output::Bytes(Shape::named("ciphertext"), Zeroizing::new(ciphertext))
            }
            Self::Wrap { symmetric_key } => {
                let wrapped = sealed(Purpose::SymmetricKey, &[], symmetric_key);
                let wrapped = wrapped.map_err(|error| refused(&error))?;
                Output::Bytes(Shape::wrapped_key(), Zeroizing::new(wrapped))
            }
            Self::Encapsulate => {
                let encapsulated = chancel_pqc::encapsulate(algorithm, public_key);
                let (kem_ciphertext, secret) = encapsulated.map_err(|error| refused(&error))?;
                Output::Encapsulated {
                    kem_ciphertext,
                    secret,
                }
            }
            Self::Verify { signed, signature } => {
                let verdict = chancel_pqc::verify(algorithm, public_key, &signed.content(), signature);
                Output::Verified(verdict.map_err(|error| refused(&error))?, signed.hashed_by())
            }
        })
    }
}

/// The caller's additional authenticated data; none is the same as empty.
pub(super) fn aad(body: &Body<'_>) -> Result<Bytes, ApiError> {
    let aad = body.optional_bytes(Field::Aad)?.unwrap_or_default();
    if aad.len() > MAX_AAD {
        Err(ApiError::AadTooLarge)
    } else {
        Ok(aad)
    }
}

/// The library refused a public key that policyd vouches for, or has no randomness: neither is the caller's doing.
fn refused_by_library(request: RequestId, error: &dyn Error) -> ApiError {
    tracing::error!(%request, %error, "public-key work failed");
    ApiError::Internal
}
