//! Wrap: a symmetric key to the public key, in the gateway. An envelope of its own purpose: what wrap made,
//! decrypt does not open.

use super::selection::{Named, version};
use super::{Body, Field, refused_by_library};
use crate::envelope::{self, Json, base64_len};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, KeyVersion, Operation as Noun};
use chancel_pqc::{Purpose, seal};
use chancel_wire::policyd::Ask;
use zeroize::Zeroizing;

/// Lengths of symmetric keys that are wrapped, bytes: AES-128, -192 and -256, HMAC-SHA-384 and -512.
const KEY_LENGTHS: [usize; 5] = [16, 24, 32, 48, 64];

/// A request to wrap.
pub struct Wrap {
    key: Named,
    version: KeyVersion,
    symmetric_key: Zeroizing<Vec<u8>>,
}

impl Wrap {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let symmetric_key = body.bytes(Field::SymmetricKey)?;
        if !KEY_LENGTHS.contains(&symmetric_key.len()) {
            return Err(ApiError::SymmetricKeyLength(symmetric_key.len()));
        }
        Ok(Self {
            key: Named::of_family(body, Family::Kem)?,
            version: version(body)?,
            symmetric_key,
        })
    }
}

impl Operation for Wrap {
    fn ask(&self) -> Ask {
        Ask::Use {
            operation: Noun::Wrap,
            algorithm: self.key.algorithm,
            version: Some(self.version),
            payload: None,
        }
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let key = grant.public_key()?;
        let wrapped_key = seal(
            Purpose::SymmetricKey,
            key.algorithm,
            key.version,
            &key.public_key,
            context.tenant,
            &[],
            &self.symmetric_key,
        )
        .map_err(|error| refused_by_library(context.request, &error))?;
        Ok(envelope::success(
            context.request,
            base64_len(wrapped_key.len()),
            |data| {
                data.base64("wrapped_key", &wrapped_key);
                data.number("key_version", key.version.number());
                self.key.write(data);
                data.text("wrapping_method", "KEM-DEM");
            },
        ))
    }
}
