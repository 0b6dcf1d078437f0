//! Work with one key on one item.

use super::Body;
use super::kind::{Item, Kind, Versions};
use super::selection::{Named, target, version, version_or_active};
use crate::envelope::{self, Json, Object, base64_len};
use crate::error::ApiError;
use crate::keyd_client::Use;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use chancel_domain::{BatchSize, KeyVersion, Operation as Noun};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, KeyView};

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
}

impl Operation for KeyUse {
    fn ask(&self) -> Ask {
        let payload = match &self.item {
            Item::Public(_) => None,
            Item::Private(item) => Some(PayloadDigest::of(&item.input)),
        };
        self.selection.ask(self.item.operation(), payload, None)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Self { selection, item } = self;
        let (request, tenant) = (context.request, context.tenant);
        match item {
            Item::Public(item) => {
                let key = grant.public_key()?;
                let used = key.clone();
                let work = move || item.perform(&used, tenant, request);
                let output = if key.algorithm.is_slow() {
                    context.helpers.run(work).await??
                } else {
                    work()?
                };
                Ok(envelope::success(request, output.room(), |data| {
                    output.write(data);
                    selection.write(data, &key, None);
                }))
            }
            Item::Private(item) => {
                let granted = grant.private_key()?;
                selection.check_target(granted.target.as_ref())?;
                let what = Use {
                    authority: granted.authority,
                    input: &item.input,
                    operation: item.operation,
                    request,
                };
                let answer = |output: &[u8]| {
                    envelope::success(request, base64_len(output.len()), |data| {
                        item.shape.write(data, output);
                        selection.write(data, &granted.key, granted.target.as_ref());
                    })
                };
                context.keyd.use_key(what, context.deadline, answer).await
            }
        }
    }
}
