//! Sign and sign-hash: a signature over a message or a digest, by keyd.

use super::Body;
use super::private_key::PrivateKeyWork;
use super::selection::{Named, version_or_active};
use super::signed::{Read, say_hash};
use crate::envelope::{Json, Object};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Family, HashFunction};
use chancel_wire::keyd::UseInput;
use chancel_wire::policyd::Ask;

/// A request to sign.
pub struct Sign {
    work: PrivateKeyWork,
    /// By what the digest was made, where one is signed.
    hashed_by: Option<HashFunction>,
}

impl Sign {
    /// Reads a request to sign what `read` finds in it: a message or a digest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>, read: Read) -> Result<Self, ApiError> {
        let key = Named::of_family(body, Family::Signature)?;
        let signed = read(body, key)?;
        Ok(Self {
            hashed_by: signed.hashed_by(),
            work: PrivateKeyWork::new(key, version_or_active(body)?, &UseInput::Sign(signed.content())),
        })
    }
}

impl Operation for Sign {
    fn ask(&self) -> Ask {
        self.work.ask()
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let fields = |data: &mut Object<'_>, output: &[u8]| {
            data.base64("signature", output);
            say_hash(data, self.hashed_by);
            if self.hashed_by.is_some() {
                data.text("signature_type", "detached");
            }
        };
        self.work.carry_out(grant, context, fields).await
    }
}
