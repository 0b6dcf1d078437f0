//! Verify: a signature over a message, in the gateway. An invalid signature is an answer, not an error.

use super::selection::{Named, version};
use super::{Body, Field, refused_by_library};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, KeyVersion, Operation as Noun};
use chancel_pqc::Verdict;
use chancel_wire::limits::MAX_PAYLOAD;
use chancel_wire::policyd::Ask;
use zeroize::Zeroizing;

/// A request to verify.
pub struct Verify {
    key: Named,
    version: KeyVersion,
    message: Zeroizing<Vec<u8>>,
    signature: Zeroizing<Vec<u8>>,
}

impl Verify {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let message = body.bytes(Field::Message)?;
        if message.len() > MAX_PAYLOAD {
            return Err(ApiError::PayloadTooLarge(Field::Message));
        }
        Ok(Self {
            signature: body.bytes(Field::Signature)?,
            key: Named::of_family(body, Family::Signature)?,
            version: version(body)?,
            message,
        })
    }
}

impl Operation for Verify {
    fn ask(&self) -> Ask {
        Ask::Use {
            operation: Noun::Verify,
            algorithm: self.key.algorithm,
            version: Some(self.version),
            payload: None,
        }
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let key = grant.public_key()?;
        let verdict = chancel_pqc::verify(key.algorithm, &key.public_key, &self.message, &self.signature)
            .map_err(|error| refused_by_library(context.request, &error))?;
        Ok(envelope::success(context.request, 0, |data| {
            data.boolean("valid", verdict == Verdict::Valid);
            data.number("key_version", key.version.number());
            data.text("algorithm", self.key.name);
        }))
    }
}
