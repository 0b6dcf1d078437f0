//! Verify and verify-hash: a signature over a message or a digest, in the gateway. An invalid signature is an answer, not an
//! error.

use super::selection::{Named, version};
use super::signed::{Read, Signed, say_hash};
use super::{Body, Field, refused_by_library};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, KeyVersion, Operation as Noun};
use chancel_pqc::Verdict;
use chancel_wire::policyd::Ask;
use zeroize::Zeroizing;

/// A request to verify.
pub struct Verify {
    key: Named,
    version: KeyVersion,
    signed: Signed,
    signature: Zeroizing<Vec<u8>>,
}

impl Verify {
    /// Reads a request about what `read` finds in it: a message or a digest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>, read: Read) -> Result<Self, ApiError> {
        let key = Named::of_family(body, Family::Signature)?;
        Ok(Self {
            key,
            signed: read(body, key)?,
            signature: body.bytes(Field::Signature)?,
            version: version(body)?,
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
        let content = self.signed.content();
        let verdict = chancel_pqc::verify(key.algorithm, &key.public_key, &content, &self.signature)
            .map_err(|error| refused_by_library(context.request, &error))?;
        Ok(envelope::success(context.request, 0, |data| {
            data.boolean("valid", verdict == Verdict::Valid);
            data.number("key_version", key.version.number());
            self.key.write(data);
            say_hash(data, self.signed.hashed_by());
        }))
    }
}
