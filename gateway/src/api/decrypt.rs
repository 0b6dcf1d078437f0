//! Decrypt: what encrypt made, by keyd.

use super::encrypt::aad;
use super::private_key::{PrivateKeyWork, output};
use super::selection::{Named, version};
use super::{Body, Field};
use crate::envelope::Json;
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::Family;
use chancel_pqc::envelope::overhead;
use chancel_wire::keyd::UseInput;
use chancel_wire::limits::MAX_PAYLOAD;
use chancel_wire::policyd::Ask;

/// A request to decrypt.
pub struct Decrypt(PrivateKeyWork);

impl Decrypt {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let ciphertext = body.bytes(Field::Ciphertext)?;
        let key = Named::of_family(body, Family::Kem)?;
        if ciphertext.len() > MAX_PAYLOAD + overhead(key.algorithm) {
            return Err(ApiError::PayloadTooLarge(Field::Ciphertext));
        }
        let aad = aad(body)?;
        let input = UseInput::Decrypt {
            ciphertext: &ciphertext,
            aad: &aad,
        };
        Ok(Self(PrivateKeyWork::new(key, Some(version(body)?), &input)))
    }
}

impl Operation for Decrypt {
    fn ask(&self) -> Ask {
        self.0.ask()
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        self.0.carry_out(grant, context, output("plaintext")).await
    }
}
