//! Text of the command line as domain values.

use crate::when::{Expiry, InvalidTime, Moment};
use chancel_domain::network::{InvalidNetwork, Network};
use chancel_domain::plan::PLANS;
use chancel_domain::tenant::{InvalidName, Name};
use chancel_domain::{Algorithm, Operation, Plan};
use jiff::Timestamp;

/// The text is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plans are {}", PLANS.map(|(_, name)| name).join(", "))]
pub(super) struct UnknownPlan;

/// The text is no operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operations are {}", OPERATIONS.map(|(_, name)| name).join(", "))]
pub(super) struct UnknownOperation;

/// The text is no algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the algorithms are {}", algorithms())]
pub(super) struct UnknownAlgorithm;

use chancel_domain::algorithm::SPECS;
use chancel_domain::batch::{BatchSize, MAX_BATCH};
use chancel_domain::content::MAX_CONTEXT;
use chancel_domain::operation::OPERATIONS;

fn algorithms() -> String {
    SPECS
        .iter()
        .map(|spec| spec.standard_name)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn name(text: &str) -> Result<Name, InvalidName> {
    Name::try_from(text.to_owned())
}

pub(super) fn plan(text: &str) -> Result<Plan, UnknownPlan> {
    Plan::from_name(text).map_err(|_| UnknownPlan)
}

pub(super) fn operation(text: &str) -> Result<Operation, UnknownOperation> {
    Operation::from_name(text).map_err(|_| UnknownOperation)
}

pub(super) fn algorithm(text: &str) -> Result<Algorithm, UnknownAlgorithm> {
    Algorithm::from_name(text).map_err(|_| UnknownAlgorithm)
}

/// The text is no number of items that a batch can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch has 1 to {MAX_BATCH} items")]
pub(super) struct NoBatch;

pub(super) fn batch(text: &str) -> Result<BatchSize, NoBatch> {
    let number: u16 = text.parse().map_err(|_| NoBatch)?;
    BatchSize::try_from(number).map_err(|_| NoBatch)
}

/// The text is too long for a context string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a context string has {MAX_CONTEXT} bytes at most")]
pub(super) struct ContextTooLong;

pub(super) fn context(text: &str) -> Result<String, ContextTooLong> {
    if text.len() > MAX_CONTEXT {
        return Err(ContextTooLong);
    }
    Ok(text.to_owned())
}

pub(super) fn network(text: &str) -> Result<Network, InvalidNetwork> {
    text.parse()
}

pub(super) fn expiry(text: &str) -> Result<Expiry, InvalidTime> {
    Expiry::parse(text, Timestamp::now())
}

pub(super) fn moment(text: &str) -> Result<Moment, InvalidTime> {
    Moment::parse(text, Timestamp::now())
}
