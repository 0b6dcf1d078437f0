//! Encapsulate: a fresh shared secret and the ciphertext that carries it, in the gateway.

use super::selection::{Named, version};
use super::{Body, refused_by_library};
use crate::envelope::{self, Json, base64_len};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, KeyVersion, Operation as Noun};
use chancel_wire::policyd::Ask;

/// A request to encapsulate.
pub struct Encapsulate {
    key: Named,
    version: KeyVersion,
}

impl Encapsulate {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            key: Named::of_family(body, Family::Kem)?,
            version: version(body)?,
        })
    }
}

impl Operation for Encapsulate {
    fn ask(&self) -> Ask {
        Ask::Use {
            operation: Noun::Encapsulate,
            algorithm: self.key.algorithm,
            version: Some(self.version),
            payload: None,
        }
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let key = grant.public_key()?;
        let (ciphertext, secret) = chancel_pqc::encapsulate(key.algorithm, &key.public_key)
            .map_err(|error| refused_by_library(context.request, &error))?;
        let room = base64_len(ciphertext.len() + secret.expose().len());
        Ok(envelope::success(context.request, room, |data| {
            data.base64("kem_ciphertext", &ciphertext);
            data.base64("shared_secret", secret.expose());
            data.number("key_version", key.version.number());
            self.key.write(data);
        }))
    }
}
