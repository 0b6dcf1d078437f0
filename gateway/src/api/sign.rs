//! Sign and sign-hash: a signature over a message or a digest, by keyd.

use super::Body;
use super::private_key::PrivateKeyWork;
use super::selection::{Named, version_or_active};
use super::signed::Signed;
use crate::envelope::{Json, Object};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::Grant;
use chancel_domain::{Content, Family, HashFunction};
use chancel_wire::keyd::UseInput;
use chancel_wire::policyd::Ask;

/// A request to sign.
pub struct Sign {
    work: PrivateKeyWork,
    /// By what the digest was made, where one is signed.
    hashed_by: Option<HashFunction>,
}

impl Sign {
    /// Reads a request to sign a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        Self::of(body, Signed::message)
    }

    /// Reads a request to sign a digest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_hash(body: &Body<'_>) -> Result<Self, ApiError> {
        Self::of(body, Signed::hash)
    }

    fn of(
        body: &Body<'_>,
        read: impl FnOnce(&Body<'_>, Named) -> Result<Signed, ApiError>,
    ) -> Result<Self, ApiError> {
        let key = Named::of_family(body, Family::Signature)?;
        let signed = read(body, key)?;
        let content = signed.content();
        Ok(Self {
            hashed_by: hashed_by(&content),
            work: PrivateKeyWork::new(key, version_or_active(body)?, &UseInput::Sign(content)),
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

pub(super) const fn hashed_by(content: &Content<'_>) -> Option<HashFunction> {
    match content {
        Content::Hash { function, .. } => Some(*function),
        Content::Raw { .. } | Content::Mu { .. } => None,
    }
}

/// What answers about digests say besides.
pub(super) fn say_hash(data: &mut Object<'_>, hashed_by: Option<HashFunction>) {
    if let Some(function) = hashed_by {
        data.text("hash_algorithm", function.name());
    }
}
