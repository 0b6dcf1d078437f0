//! The tenant's own events, as they stand in the decision ledger.

use super::Query;
use super::field::Field;
use super::parameter::{id_in_query, instant_in_query, number_in_query, operation};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use chancel_wire::policyd::{Ask, EventFilter, Outcome};
use serde::de::IgnoredAny;

/// Events of a page, when the request does not say, and at most.
const PAGE: u16 = 100;
const MOST: u16 = 500;

/// Kinds of records that a tenant has.
const KINDS: [&str; 3] = ["allow", "deny", "change"];

/// A request for a page of events.
pub struct ReadEvents(EventFilter);

impl ReadEvents {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(query: Query<'_>) -> Result<Self, ApiError> {
        let kind = query.value(Field::Kind)?;
        if kind.as_deref().is_some_and(|kind| !KINDS.contains(&kind)) {
            return Err(ApiError::WrongField {
                field: Field::Kind,
                expected: "'allow', 'deny' or 'change'",
            });
        }
        let named = query.value(Field::Operation)?;
        Ok(Self(EventFilter {
            before: number_in_query(query, Field::Before, (0, u64::MAX), "a number that 'next' gave")?,
            limit: number_in_query(query, Field::Limit, (1, MOST), "a number from 1 to 500")?.unwrap_or(PAGE),
            kind: kind.map(Into::into),
            operation: named.map(|name| operation(&name, Field::Operation)).transpose()?,
            api_key: id_in_query(query, Field::ApiKey)?,
            request: id_in_query(query, Field::RequestId)?,
            since_ms: instant_in_query(query, Field::Since)?,
            until_ms: instant_in_query(query, Field::Until)?,
        }))
    }
}

impl Operation for ReadEvents {
    fn ask(&self) -> Ask {
        Ask::ReadEvents(self.0.clone())
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::Events { records, next } = grant.outcome()? else {
            return Err(unexpected());
        };
        // They are written into the answer as they are, so they had better be what they should be.
        let is_json = |record: &String| serde_json::from_str::<IgnoredAny>(record).is_ok();
        if !records.iter().all(is_json) {
            return Err(unexpected());
        }
        let room = records.iter().map(|record| record.len() + 1).sum();
        Ok(envelope::success(context.request, room, |data| {
            data.raw_list("events", &records);
            data.optional_number("next", next);
        }))
    }
}
