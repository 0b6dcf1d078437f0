//! Rewrap: a ciphertext for one key becomes a ciphertext for another, by keyd. The plaintext stays there.

use super::encrypt::aad;
use super::private_key::PrivateKeyWork;
use super::selection::{Named, target, version};
use super::{Body, Field};
use crate::envelope::Json;
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, KeyVersion};
use chancel_pqc::envelope::overhead;
use chancel_wire::keyd::UseInput;
use chancel_wire::limits::MAX_PAYLOAD;
use chancel_wire::policyd::Ask;

/// A request to rewrap.
pub struct Rewrap {
    work: PrivateKeyWork,
    version: KeyVersion,
    target: Named,
    target_version: Option<KeyVersion>,
}

impl Rewrap {
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
        let version = version(body)?;
        let (target, target_version) = target(body, key)?;
        let input = UseInput::Rewrap {
            ciphertext: &ciphertext,
            aad: &aad,
        };
        Ok(Self {
            work: PrivateKeyWork::new(key, Some(version), &input),
            version,
            target,
            target_version,
        })
    }
}

impl Operation for Rewrap {
    fn ask(&self) -> Ask {
        Ask::Rewrap {
            algorithm: self.work.algorithm(),
            version: self.version,
            target_algorithm: self.target.algorithm,
            target_version: self.target_version,
            payload: self.work.digest(),
        }
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let source = self.version;
        self.work.rewrap(grant, context, self.target, source).await
    }
}
