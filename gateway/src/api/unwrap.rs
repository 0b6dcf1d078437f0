//! Unwrap: what wrap made, by keyd.

use super::private_key::{PrivateKeyWork, output};
use super::selection::{Named, version};
use super::{Body, Field};
use crate::envelope::Json;
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::Family;
use chancel_wire::keyd::UseInput;
use chancel_wire::limits::MAX_PAYLOAD;
use chancel_wire::policyd::Ask;

/// A request to unwrap.
pub struct Unwrap(PrivateKeyWork);

impl Unwrap {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let wrapped_key = body.bytes(Field::WrappedKey)?;
        let key = Named::of_family(body, Family::Kem)?;
        if wrapped_key.len() > MAX_PAYLOAD {
            return Err(ApiError::PayloadTooLarge(Field::WrappedKey));
        }
        let input = UseInput::Unwrap {
            wrapped_key: &wrapped_key,
        };
        Ok(Self(PrivateKeyWork::new(key, Some(version(body)?), &input)))
    }
}

impl Operation for Unwrap {
    fn ask(&self) -> Ask {
        self.0.ask()
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        self.0.carry_out(grant, context, output("symmetric_key")).await
    }
}
