//! Work with one key on one item.

use super::kind::{Item, Kind, Versions};
use super::private_item::PrivateItem;
use super::public_item::PublicItem;
use super::selection::{Named, target, version, version_or_active};
use super::{Body, Signed};
use crate::envelope::{self, Json, Object, base64_len};
use crate::error::ApiError;
use crate::keyd_client::Use;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, PrivateKey, unexpected};
use chancel_domain::{Algorithm, BatchSize, KeyVersion, Operation as Noun};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, KeyView};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Which key, and for a rewrap for which other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection {
    pub(super) key: Named,
    version: Option<KeyVersion>,
    target: Option<(Named, Option<KeyVersion>)>,
}

impl Selection {
    /// Reads it.
    pub(super) fn read(body: &Body<'_>, kind: &Kind) -> Result<Self, ApiError> {
        let key = Named::of_family(body, kind.family)?;
        Ok(Self {
            key,
            version: match kind.versions {
                Versions::Named => Some(version(body)?),
                Versions::ActiveByDefault => version_or_active(body)?,
            },
            target: match kind.operation {
                Noun::Rewrap => Some(target(body, key)?),
                _ => None,
            },
        })
    }

    /// A key by its algorithm and version.
    const fn of(key: Named, version: Option<KeyVersion>) -> Self {
        Self {
            key,
            version,
            target: None,
        }
    }

    /// What policyd is asked.
    pub(super) fn ask(
        &self,
        operation: Noun,
        payload: Option<PayloadDigest>,
        batch: Option<BatchSize>,
    ) -> Ask {
        match (self.target, self.version, payload) {
            (Some((target, target_version)), Some(version), Some(payload)) => Ask::Rewrap {
                algorithm: self.key.algorithm,
                version,
                target_algorithm: target.algorithm,
                target_version,
                payload,
                batch,
            },
            _ => Ask::Use {
                operation,
                algorithm: self.key.algorithm,
                version: self.version,
                payload,
                batch,
            },
        }
    }

    /// The algorithm of the key that a rewrapped ciphertext shall be for.
    pub(super) fn target_algorithm(&self) -> Option<Algorithm> {
        self.target.map(|(target, _)| target.algorithm)
    }

    /// Writes which keys were used.
    pub(super) fn write(&self, data: &mut Object<'_>, key: &KeyView, target: Option<&KeyView>) {
        match (self.target, target) {
            (Some((named, _)), Some(target)) => {
                data.number("key_version", target.version.number());
                named.write(data);
                data.number("source_key_version", key.version.number());
            }
            _ => {
                data.number("key_version", key.version.number());
                self.key.write(data);
            }
        }
    }

    /// Whether policyd's grant has the target that there must be, and no other.
    pub(super) fn check_target(&self, target: Option<&KeyView>) -> Result<(), ApiError> {
        if self.target.is_some() == target.is_some() {
            Ok(())
        } else {
            Err(unexpected())
        }
    }
}

/// A request to do one thing with a key.
pub struct KeyUse {
    selection: Selection,
    item: Item,
}

impl KeyUse {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>, kind: &Kind) -> Result<Self, ApiError> {
        let selection = Selection::read(body, kind)?;
        let item = (kind.read)(body, selection.key)?;
        Ok(Self { selection, item })
    }

    /// A request to sign what came otherwise than in a body of JSON.
    pub fn signing(key: Named, version: Option<KeyVersion>, signed: &Signed) -> Self {
        Self {
            selection: Selection::of(key, version),
            item: Item::Private(PrivateItem::sign(signed)),
        }
    }

    /// Verifies what came otherwise than in a body of JSON.
    ///
    /// # Errors
    /// As for every verification in the gateway.
    pub async fn verify(
        named: Named,
        signed: Signed,
        signature: Zeroizing<Vec<u8>>,
        key: Arc<KeyView>,
        context: Context<'_>,
    ) -> Result<Json, ApiError> {
        let item = Arc::new(PublicItem::Verify { signed, signature });
        in_gateway(Selection::of(named, Some(key.version)), &item, key, context).await
    }
}

impl Operation for KeyUse {
    fn ask(&self) -> Ask {
        let payload = match &self.item {
            Item::Public(_) => None,
            Item::Private(item) => Some(PayloadDigest::of(&item.input)),
        };
        self.selection.ask(self.item.operation(), payload, None)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        match &self.item {
            Item::Public(item) => in_gateway(self.selection, item, grant.public_key()?, context).await,
            Item::Private(item) => in_keyd(self.selection, item, grant.private_key()?, context).await,
        }
    }
}

async fn in_gateway(
    selection: Selection,
    item: &Arc<PublicItem>,
    key: Arc<KeyView>,
    context: Context<'_>,
) -> Result<Json, ApiError> {
    let (request, tenant) = (context.request, context.tenant);
    let (item, used) = (item.clone(), key.clone());
    let work = move || item.perform(&used, tenant, request);
    let output = if key.algorithm.is_slow() {
        context.helpers.run(context.deadline, work).await??
    } else {
        work()?
    };
    Ok(envelope::success(request, output.room(), |data| {
        output.write(data);
        selection.write(data, &key, None);
    }))
}

async fn in_keyd(
    selection: Selection,
    item: &PrivateItem,
    granted: PrivateKey,
    context: Context<'_>,
) -> Result<Json, ApiError> {
    selection.check_target(granted.target.as_ref())?;
    let what = Use {
        authority: granted.authority,
        input: &item.input,
        operation: item.operation,
        request: context.request,
    };
    let answer = |output: &[u8]| {
        envelope::success(context.request, base64_len(output.len()), |data| {
            item.shape.write(data, output);
            selection.write(data, &granted.key, granted.target.as_ref());
        })
    };
    context.keyd.use_key(what, context.deadline, answer).await
}
