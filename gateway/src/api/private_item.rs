//! What keyd is to use a private key on. The gateway can neither open nor change it under the permit that names its
//! digest.

use super::output::Shape;
use super::public_item::aad;
use super::selection::Named;
use super::signed::Signed;
use super::{Body, Field};
use crate::error::ApiError;
use chancel_domain::Operation;
use chancel_pqc::envelope::overhead;
use chancel_wire::encode;
use chancel_wire::keyd::UseInput;
use chancel_wire::limits::MAX_PAYLOAD;
use zeroize::Zeroizing;

/// One input of keyd's.
pub(super) struct PrivateItem {
    pub(super) operation: Operation,
    /// Encoded.
    pub(super) input: Zeroizing<Vec<u8>>,
    /// How what comes of it is said.
    pub(super) shape: Shape,
}

impl PrivateItem {
    fn new(input: &UseInput<'_>, shape: Shape) -> Self {
        Self {
            operation: input.operation(),
            input: Zeroizing::new(encode(input)),
            shape,
        }
    }

    /// A ciphertext that encrypt made.
    pub(super) fn decrypt(body: &Body<'_>, key: Named) -> Result<Self, ApiError> {
        let (ciphertext, aad) = (ciphertext(body, key)?, aad(body)?);
        let input = UseInput::Decrypt {
            ciphertext: &ciphertext,
            aad: &aad,
        };
        Ok(Self::new(&input, Shape::named("plaintext")))
    }

    /// A ciphertext that encrypt made, to become one for another key.
    pub(super) fn rewrap(body: &Body<'_>, key: Named) -> Result<Self, ApiError> {
        let (ciphertext, aad) = (ciphertext(body, key)?, aad(body)?);
        let input = UseInput::Rewrap {
            ciphertext: &ciphertext,
            aad: &aad,
        };
        Ok(Self::new(&input, Shape::named("ciphertext")))
    }

    /// What wrap made.
    pub(super) fn unwrap(body: &Body<'_>, _: Named) -> Result<Self, ApiError> {
        let wrapped_key = payload(body, Field::WrappedKey)?;
        let input = UseInput::Unwrap {
            wrapped_key: &wrapped_key,
        };
        Ok(Self::new(&input, Shape::named("symmetric_key")))
    }

    /// What encapsulate made.
    pub(super) fn decapsulate(body: &Body<'_>, _: Named) -> Result<Self, ApiError> {
        let kem_ciphertext = payload(body, Field::KemCiphertext)?;
        let input = UseInput::Decapsulate {
            kem_ciphertext: &kem_ciphertext,
        };
        Ok(Self::new(&input, Shape::named("shared_secret")))
    }

    /// A message, a digest or a μ to sign.
    pub(super) fn sign(signed: &Signed) -> Self {
        Self::new(
            &UseInput::Sign(signed.content()),
            Shape::signature(signed.hashed_by()),
        )
    }
}

fn ciphertext(body: &Body<'_>, key: Named) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let ciphertext = body.bytes(Field::Ciphertext)?;
    if ciphertext.len() > MAX_PAYLOAD + overhead(key.algorithm) {
        Err(ApiError::PayloadTooLarge(Field::Ciphertext))
    } else {
        Ok(ciphertext)
    }
}

fn payload(body: &Body<'_>, field: Field) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let bytes = body.bytes(field)?;
    if bytes.len() > MAX_PAYLOAD {
        Err(ApiError::PayloadTooLarge(field))
    } else {
        Ok(bytes)
    }
}
