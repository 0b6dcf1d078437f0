//! Keys: made, rotated, retired and read by policyd; shown here.

use super::selection::{Named, version, version_in_path};
use super::{Body, Field, Query};
use crate::envelope::{self, Json, Object, base64_len};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use crate::timestamp;
use chancel_domain::{KeyState, KeyVersion};
use chancel_wire::policyd::{Ask, KeyView, Outcome};

/// Bytes of a key object beside its public key.
const KEY_OBJECT: usize = 192;

/// A request for the first key of an algorithm.
pub struct Generate(Named);

/// A request for the next version of a key.
pub struct Rotate(Named);

/// A request to take a version out of use.
pub struct Retire(Named, KeyVersion);

/// A request for the active version.
pub struct ReadActive(Named);

/// A request for one version.
pub struct ReadVersion(Named, KeyVersion);

/// A request for all keys of an algorithm and a state, or of any.
pub struct List(Option<Named>, Option<KeyState>);

impl Generate {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        Named::required(body).map(Self)
    }
}

impl Rotate {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        Named::required(body).map(Self)
    }
}

impl Retire {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        Ok(Self(Named::required(body)?, version(body)?))
    }
}

impl ReadActive {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(query: &Query<'_>) -> Result<Self, ApiError> {
        Named::required_in_query(query).map(Self)
    }
}

impl ReadVersion {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str, query: &Query<'_>) -> Result<Self, ApiError> {
        Ok(Self(Named::required_in_query(query)?, version_in_path(path)?))
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
                expected: "'active', 'retired' or 'archived'",
            })
        });
        Ok(Self(Named::in_query(query)?, state.transpose()?))
    }
}

impl Operation for Generate {
    fn ask(&self) -> Ask {
        Ask::GenerateKey(self.0.algorithm)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_key(grant, context, self.0)
    }
}

impl Operation for Rotate {
    fn ask(&self) -> Ask {
        Ask::RotateKey(self.0.algorithm)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::Rotated { key, old_version } = grant.outcome()? else {
            return Err(unexpected());
        };
        Ok(envelope::success(context.request, room(&key), |data| {
            write_key(data, &key, Some(self.0));
            data.number("old_key_version", old_version.number());
        }))
    }
}

impl Operation for Retire {
    fn ask(&self) -> Ask {
        Ask::RetireKey(self.0.algorithm, self.1)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_key(grant, context, self.0)
    }
}

impl Operation for ReadActive {
    fn ask(&self) -> Ask {
        Ask::ReadActiveKey(self.0.algorithm)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_key(grant, context, self.0)
    }
}

impl Operation for ReadVersion {
    fn ask(&self) -> Ask {
        Ask::ReadKey(self.0.algorithm, self.1)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_key(grant, context, self.0)
    }
}

impl Operation for List {
    fn ask(&self) -> Ask {
        Ask::ListKeys(self.0.map(|named| named.algorithm), self.1)
    }

    async fn carry_out(self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
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

fn one_key(grant: Grant, context: Context<'_>, named: Named) -> Result<Json, ApiError> {
    let Outcome::Key(key) = grant.outcome()? else {
        return Err(unexpected());
    };
    Ok(envelope::success(context.request, room(&key), |data| {
        write_key(data, &key, Some(named));
    }))
}

fn room(key: &KeyView) -> usize {
    KEY_OBJECT + base64_len(key.public_key.len())
}

fn write_key(object: &mut Object<'_>, key: &KeyView, named: Option<Named>) {
    let named = named.unwrap_or(Named::unnamed(key.algorithm));
    object.number("key_version", key.version.number());
    object.text("algorithm", named.name);
    object.text("status", key.state.name());
    object.base64("public_key", &key.public_key);
    object.text("created_at", &timestamp::from_unix_ms(key.created_at_ms));
}
