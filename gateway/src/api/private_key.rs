//! What decrypt, decapsulate, unwrap and sign have in common: an input whose digest policyd puts into a
//! permit, and keyd's output under that permit. The gateway can neither open nor change either.

use super::selection::Named;
use crate::envelope::{self, Json, Object, base64_len};
use crate::error::ApiError;
use crate::keyd_client::Use;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Authority, Grant, PrivateKey, unexpected};
use chancel_domain::{Algorithm, KeyVersion, Operation};
use chancel_wire::encode;
use chancel_wire::keyd::UseInput;
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::Ask;
use zeroize::Zeroizing;

/// One use of a private key, ready to be judged.
pub(super) struct PrivateKeyWork {
    key: Named,
    version: Option<KeyVersion>,
    operation: Operation,
    input: Zeroizing<Vec<u8>>,
}

impl PrivateKeyWork {
    pub(super) fn new(key: Named, version: Option<KeyVersion>, input: &UseInput<'_>) -> Self {
        Self {
            key,
            version,
            operation: input.operation(),
            input: Zeroizing::new(encode(input)),
        }
    }

    pub(super) fn ask(&self) -> Ask {
        Ask::Use {
            operation: self.operation,
            algorithm: self.key.algorithm,
            version: self.version,
            payload: Some(self.digest()),
        }
    }

    /// What a permit is bound to.
    pub(super) fn digest(&self) -> PayloadDigest {
        PayloadDigest::of(&self.input)
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.key.algorithm
    }

    /// Has keyd do it; `fields` writes keyd's output into the answer.
    pub(super) async fn carry_out(
        self,
        grant: Grant,
        context: Context<'_>,
        fields: impl FnOnce(&mut Object<'_>, &[u8]),
    ) -> Result<Json, ApiError> {
        let PrivateKey { key, authority, .. } = grant.private_key()?;
        self.use_key(authority, context, |data, output| {
            fields(data, output);
            data.number("key_version", key.version.number());
            self.key.write(data);
        })
        .await
    }

    /// Has keyd turn a ciphertext of `source` into one for the key that the permit names.
    pub(super) async fn rewrap(
        self,
        grant: Grant,
        context: Context<'_>,
        target: Named,
        source: KeyVersion,
    ) -> Result<Json, ApiError> {
        let private = grant.private_key()?;
        let Some(granted) = private.target else {
            return Err(unexpected());
        };
        self.use_key(private.authority, context, |data, output| {
            data.base64("ciphertext", output);
            data.number("key_version", granted.version.number());
            target.write(data);
            data.number("source_key_version", source.number());
        })
        .await
    }

    async fn use_key(
        &self,
        authority: Authority,
        context: Context<'_>,
        fields: impl FnOnce(&mut Object<'_>, &[u8]),
    ) -> Result<Json, ApiError> {
        let what = Use {
            authority,
            input: &self.input,
            operation: self.operation,
            request: context.request,
        };
        let answer = |output: &[u8]| {
            envelope::success(context.request, base64_len(output.len()), |data| {
                fields(data, output);
            })
        };
        context.keyd.use_key(what, context.deadline, answer).await
    }
}

/// Writes keyd's output as one field.
pub(super) fn output(name: &'static str) -> impl FnOnce(&mut Object<'_>, &[u8]) {
    move |data, output| data.base64(name, output)
}
