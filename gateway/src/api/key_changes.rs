//! What changes keys: made, rotated, led through their life and limited by policyd. The table of a key's life is
//! `TRANSITIONS` in the domain; nothing here knows it.

use super::keys::{one_key, room, write_key};
use super::parameter::number_in_query;
use super::selection::{Named, version, version_in_path};
use super::{Body, Field, Query};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use chancel_domain::KeyVersion;
use chancel_wire::policyd::{Ask, Outcome};

/// A request for the first key of an algorithm.
pub struct Generate(Named);

/// A request for the next version of a key.
pub struct Rotate(Named);

/// A request to take a version out of use for new work.
pub struct Retire(Named, KeyVersion);

/// A request to take a retired version out of every use.
pub struct Archive(Named, KeyVersion);

/// A request to make an archived version a retired one again.
pub struct Restore(Named, KeyVersion);

/// A request to have a version destroyed.
pub struct ScheduleDestruction(Named, KeyVersion, Option<u16>);

/// A request to take that back.
pub struct CancelDestruction(Named, KeyVersion);

/// A request to limit a key's uses in a day.
pub struct SetBudget(Named, Option<u32>);

/// A request that is an algorithm, or one and a version, and is answered with the key.
macro_rules! one_key_operation {
    ($name:ident($($part:ident),+), $ask:ident) => {
        impl $name {
            /// Reads the request.
            ///
            /// # Errors
            /// What is wrong with it.
            pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
                Ok(Self(Named::required(body)?, $($part(body)?),+))
            }
        }

        impl Operation for $name {
            fn ask(&self) -> Ask {
                Ask::$ask(self.0.algorithm, self.1)
            }

            async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
                one_key(grant, context, self.0)
            }
        }
    };
}

one_key_operation!(Retire(version), RetireKey);
one_key_operation!(Archive(version), ArchiveKey);
one_key_operation!(Restore(version), RestoreKey);
one_key_operation!(CancelDestruction(version), CancelDestruction);

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

impl ScheduleDestruction {
    /// Reads the request. How many days are too few or too many is policyd's to say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str, query: Query<'_>) -> Result<Self, ApiError> {
        let days = number_in_query(
            query,
            Field::Days,
            (0, u16::MAX),
            "a number of days from 7 to 365",
        )?;
        Ok(Self(
            Named::required_in_query(&query)?,
            version_in_path(path)?,
            days,
        ))
    }
}

impl SetBudget {
    /// Reads the request. No limit is said by null, and not by leaving the field out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let named = Named::required(body)?;
        if !body.names(Field::UsesPerDay) {
            return Err(ApiError::MissingField(Field::UsesPerDay));
        }
        Ok(Self(named, body.number(Field::UsesPerDay)?))
    }
}

impl Operation for Generate {
    fn ask(&self) -> Ask {
        Ask::GenerateKey(self.0.algorithm)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_key(grant, context, self.0)
    }
}

impl Operation for Rotate {
    fn ask(&self) -> Ask {
        Ask::RotateKey(self.0.algorithm)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::Rotated { key, old_version } = grant.outcome()? else {
            return Err(unexpected());
        };
        Ok(envelope::success(context.request, room(&key), |data| {
            write_key(data, &key, Some(self.0));
            data.number("old_key_version", old_version.number());
        }))
    }
}

impl Operation for ScheduleDestruction {
    fn ask(&self) -> Ask {
        Ask::ScheduleDestruction(self.0.algorithm, self.1, self.2)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_key(grant, context, self.0)
    }
}

impl Operation for SetBudget {
    fn ask(&self) -> Ask {
        Ask::SetKeyBudget(self.0.algorithm, self.1)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::KeyBudget(uses) = grant.outcome()? else {
            return Err(unexpected());
        };
        Ok(envelope::success(context.request, 0, |data| {
            data.text("algorithm", self.0.name);
            data.optional_number("uses_per_day", uses.map(u64::from));
        }))
    }
}
