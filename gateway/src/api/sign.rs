//! Sign: a signature over a message, by keyd.

use super::private_key::{PrivateKeyWork, output};
use super::selection::{Named, version_or_active};
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

/// A request to sign.
pub struct Sign(PrivateKeyWork);

impl Sign {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let message = body.bytes(Field::Message)?;
        if message.len() > MAX_PAYLOAD {
            return Err(ApiError::PayloadTooLarge(Field::Message));
        }
        let key = Named::of_family(body, Family::Signature)?;
        let input = UseInput::Sign { message: &message };
        Ok(Self(PrivateKeyWork::new(key, version_or_active(body)?, &input)))
    }
}

impl Operation for Sign {
    fn ask(&self) -> Ask {
        self.0.ask()
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        self.0.carry_out(grant, context, output("signature")).await
    }
}
