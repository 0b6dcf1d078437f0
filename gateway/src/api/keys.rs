//! Keys as they are read, and how every answer shows them.

use super::selection::{Named, version_in_path};
use super::{Field, KeyFormat, Query};
use crate::envelope::{self, Json, Object, base64_len};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use crate::timestamp;
use chancel_domain::{KeyState, KeyVersion};
use chancel_wire::policyd::{Ask, KeyView, Outcome};

/// Bytes of a key object beside its public key.
const KEY_OBJECT: usize = 320;

/// A request for the active version.
pub struct ReadActive(Named, KeyFormat);

/// A request for one version.
pub struct ReadVersion(Named, KeyVersion, KeyFormat);

/// A request for all keys of an algorithm and a state, or of any.
pub struct List(Option<Named>, Option<KeyState>);

impl ReadActive {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(query: &Query<'_>, format: KeyFormat) -> Result<Self, ApiError> {
        Ok(Self(Named::required_in_query(query)?, format))
    }
}

impl ReadVersion {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str, query: &Query<'_>, format: KeyFormat) -> Result<Self, ApiError> {
        Ok(Self(
            Named::required_in_query(query)?,
            version_in_path(path)?,
            format,
        ))
    }
}

impl List {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(query: &Query<'_>) -> Result<Self, ApiError> {
        let state = query.value(Field::Status)?.map(|name| {
            KeyState::from_name(&name).map_err(|_| ApiError::WrongField {
                field: Field::Status,
                expected: "'active', 'retired', 'archived', 'pending_destruction' or 'destroyed'",
            })
        });
        Ok(Self(Named::in_query(query)?, state.transpose()?))
    }
}

impl Operation for ReadActive {
    fn ask(&self) -> Ask {
        Ask::ReadActiveKey(self.0.algorithm)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        key_as(self.1, grant, context, self.0)
    }
}

impl Operation for ReadVersion {
    fn ask(&self) -> Ask {
        Ask::ReadKey(self.0.algorithm, self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        key_as(self.2, grant, context, self.0)
    }
}

impl Operation for List {
    fn ask(&self) -> Ask {
        Ask::ListKeys(self.0.map(|named| named.algorithm), self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::Keys { keys, total } = grant.outcome()? else {
            return Err(unexpected());
        };
        let all = keys.iter().map(room).sum();
        Ok(envelope::success(context.request, all, |data| {
            data.list("keys", &keys, |object, key| write_key(object, key, self.0));
            data.number("total", total);
        }))
    }
}

pub(super) fn one_key(grant: Grant, context: Context<'_>, named: Named) -> Result<Json, ApiError> {
    key_as(KeyFormat::Object, grant, context, named)
}

fn key_as(format: KeyFormat, grant: Grant, context: Context<'_>, named: Named) -> Result<Json, ApiError> {
    let Outcome::Key(key) = grant.outcome()? else {
        return Err(unexpected());
    };
    if let Some(written) = format.write(&key)? {
        return Ok(written);
    }
    Ok(envelope::success(context.request, room(&key), |data| {
        write_key(data, &key, Some(named));
    }))
}

pub(super) fn room(key: &KeyView) -> usize {
    KEY_OBJECT + base64_len(key.public_key.len())
}

pub(super) fn write_key(object: &mut Object<'_>, key: &KeyView, named: Option<Named>) {
    let named = named.unwrap_or(Named::unnamed(key.algorithm));
    object.number("key_version", key.version.number());
    named.write(object);
    object.text("status", key.state.name());
    object.base64("public_key", &key.public_key);
    object.text("created_at", &timestamp::from_unix_ms(key.created_at_ms));
    if let Some(used) = key.last_used_at_ms {
        object.text("last_used_at", &timestamp::from_unix_ms(used));
    }
    if let Some(date) = key.destroy_at_ms {
        object.text("destroy_at", &timestamp::from_unix_ms(date));
    }
}
