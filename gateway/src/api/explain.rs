//! Explain: how a request would be judged, rule by rule, without making it.

use super::parameter::{id, instant, operation};
use super::selection::Named;
use super::{Body, Field};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use chancel_domain::BatchSize;
use chancel_wire::policyd::{Ask, Finding, Outcome, Question};
use std::net::IpAddr;

/// A request to explain another.
pub struct Explain(Question);

impl Explain {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        let named = body.text(Field::Operation)?;
        let source = |text: &str| -> Result<IpAddr, ApiError> {
            text.parse().map_err(|_| ApiError::WrongField {
                field: Field::Source,
                expected: "an IP address",
            })
        };
        Ok(Self(Question {
            operation: operation(
                named.ok_or(ApiError::MissingField(Field::Operation))?,
                Field::Operation,
            )?,
            algorithm: body
                .text(Field::Algorithm)?
                .map(Named::parse)
                .transpose()?
                .map(|named| named.algorithm),
            target: body
                .text(Field::TargetAlgorithm)?
                .map(Named::parse)
                .transpose()?
                .map(|named| named.algorithm),
            batch: body.number(Field::Batch)?.map(batch_size).transpose()?,
            api_key: id(body, Field::ApiKeyId)?,
            source: body.text(Field::Source)?.map(source).transpose()?,
            at_ms: instant(body, Field::At)?,
        }))
    }
}

fn batch_size(number: u32) -> Result<BatchSize, ApiError> {
    let size = usize::try_from(number)
        .ok()
        .and_then(|number| BatchSize::try_from(number).ok());
    size.ok_or(ApiError::WrongField {
        field: Field::Batch,
        expected: "a number of items from 1 to 1000",
    })
}

impl Operation for Explain {
    fn ask(&self) -> Ask {
        Ask::Explain(self.0.clone())
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::Explained(explanation) = grant.outcome()? else {
            return Err(unexpected());
        };
        Ok(envelope::success(context.request, 0, |data| {
            let denial = explanation.denial();
            data.boolean("allowed", denial.is_none());
            if let Some((rule, reason)) = denial {
                data.text("rule", rule.name());
                data.text("reason", reason.name());
            }
            data.list("steps", &explanation.steps, |object, step| {
                object.text("rule", step.rule.name());
                match step.finding {
                    Finding::Pass => object.text("finding", "pass"),
                    Finding::Deny(reason) => {
                        object.text("finding", "deny");
                        object.text("reason", reason.name());
                    }
                }
                object.pairs("saw", &step.saw);
            });
        }))
    }
}
