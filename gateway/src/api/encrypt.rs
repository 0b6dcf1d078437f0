//! Encrypt: a plaintext to the public key, in the gateway.

use super::selection::{Named, version_or_active};
use super::{Body, Field};
use crate::envelope::{self, Json, base64_len};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, KeyVersion, Operation as Noun};
use chancel_pqc::envelope::{MIN_SALT, Purpose, seal, seal_deterministic};
use chancel_wire::limits::{MAX_AAD, MAX_PAYLOAD};
use chancel_wire::policyd::Ask;
use zeroize::Zeroizing;

/// A request to encrypt.
pub struct Encrypt {
    key: Named,
    version: Option<KeyVersion>,
    plaintext: Zeroizing<Vec<u8>>,
    aad: Zeroizing<Vec<u8>>,
    /// In the deterministic mode alone.
    salt: Option<Zeroizing<Vec<u8>>>,
}

impl Encrypt {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let salt = match body.text(Field::Mode)? {
            None | Some("standard") => None,
            Some("deterministic") => Some(body.bytes(Field::Salt)?),
            Some(_) => {
                return Err(ApiError::WrongField {
                    field: Field::Mode,
                    expected: "'standard' or 'deterministic'",
                });
            }
        };
        if salt.as_ref().is_some_and(|salt| salt.len() < MIN_SALT) {
            return Err(ApiError::SaltTooShort);
        }
        let plaintext = body.bytes(Field::Plaintext)?;
        if plaintext.len() > MAX_PAYLOAD {
            return Err(ApiError::PayloadTooLarge(Field::Plaintext));
        }
        Ok(Self {
            key: Named::of_family(body, Family::Kem)?,
            version: version_or_active(body)?,
            plaintext,
            aad: aad(body)?,
            salt,
        })
    }
}

/// The caller's additional authenticated data; none is the same as empty.
pub(super) fn aad(body: &Body<'_>) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let aad = body.optional_bytes(Field::Aad)?.unwrap_or_default();
    if aad.len() > MAX_AAD {
        Err(ApiError::AadTooLarge)
    } else {
        Ok(aad)
    }
}

impl Operation for Encrypt {
    fn ask(&self) -> Ask {
        Ask::Use {
            operation: match self.salt {
                None => Noun::Encrypt,
                Some(_) => Noun::EncryptDeterministic,
            },
            algorithm: self.key.algorithm,
            version: self.version,
            payload: None,
        }
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let key = grant.public_key()?;
        let (algorithm, version, public_key) = (key.algorithm, key.version, &key.public_key);
        let (tenant, aad, plaintext) = (context.tenant, &self.aad, &self.plaintext);
        let ciphertext = match &self.salt {
            None => seal(
                Purpose::Data,
                algorithm,
                version,
                public_key,
                tenant,
                aad,
                plaintext,
            ),
            Some(salt) => seal_deterministic(algorithm, version, public_key, tenant, aad, salt, plaintext),
        }
        .map_err(|error| super::refused_by_library(context.request, &error))?;
        Ok(envelope::success(
            context.request,
            base64_len(ciphertext.len()),
            |data| {
                data.base64("ciphertext", &ciphertext);
                data.number("key_version", key.version.number());
                self.key.write(data);
            },
        ))
    }
}
