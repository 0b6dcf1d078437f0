//! A row of the table of routes: what a route takes, what it answers, and why it may refuse.

use super::operations::OPERATIONS;
use super::schema::{Property, Takes};
use crate::api::Route;
use crate::error::Code;
use chancel_domain::Family;

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// In a line.
    pub summary: &'static str,
    /// In the query.
    pub query: &'static [Takes],
    /// In the body.
    pub body: Body,
    /// In the query where the body is a stream.
    pub stream: Option<&'static [Takes]>,
    /// The `data` of a success.
    pub answer: Answer,
    /// Codes that not every route has.
    pub refusals: &'static [&'static [Code]],
}

/// What a body has.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// There is none.
    None,
    /// Fields; others are passed over.
    Fields(&'static [Takes]),
    /// Fields; others are refused.
    Only(&'static [Takes]),
    /// An item for a key, and which key.
    Use(&'static [Takes]),
    /// Items for a key of a family, and which key.
    Batch(Family),
}

/// What the `data` of an answer is.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// A named object.
    Named(&'static str),
    /// An object of these properties.
    Of(&'static [&'static [Property]]),
    /// What the item became, and which key was used.
    Use(&'static [Property]),
    /// What the items became, and which key was used.
    Batch(Family),
}

impl Operation {
    /// The row of a route.
    pub fn of(route: Route) -> &'static Self {
        // NOTE(expect): a test holds that every route has a row.
        let row = OPERATIONS.iter().find(|(of, _)| *of == route);
        &row.expect("every route has a row").1
    }

    /// A row without a query and without refusals of its own.
    pub const fn new(summary: &'static str, body: Body, answer: Answer) -> Self {
        Self {
            summary,
            query: &[],
            body,
            stream: None,
            answer,
            refusals: &[],
        }
    }

    /// With fields in the query.
    pub const fn query(self, query: &'static [Takes]) -> Self {
        Self { query, ..self }
    }

    /// Whose body may be a stream.
    pub const fn stream(self, query: &'static [Takes]) -> Self {
        Self {
            stream: Some(query),
            ..self
        }
    }

    /// With codes that not every route has.
    pub const fn refusals(self, refusals: &'static [&'static [Code]]) -> Self {
        Self { refusals, ..self }
    }
}

/// Codes of every route.
pub const OF_ALL: [Code; 11] = [
    Code::ApiKeyInUrl,
    Code::InvalidRequest,
    Code::TooLarge,
    Code::IncompleteBody,
    Code::Unauthenticated,
    Code::PolicyDenied,
    Code::QuotaSpent,
    Code::RateLimited,
    Code::Internal,
    Code::LedgerUnwritable,
    Code::Unavailable,
];

/// Codes of routes that honour an `Idempotency-Key`.
pub const IDEMPOTENT: [Code; 2] = [Code::IdempotencyMismatch, Code::IdempotencyInProgress];

/// Codes of work with a KEM key.
pub const OF_KEM: [Code; 3] = [Code::InvalidAlgorithm, Code::KemKeyNotFound, Code::KeyDestroyed];

/// Codes of work with a signature key.
pub const OF_SIGNATURE: [Code; 3] = [
    Code::InvalidAlgorithm,
    Code::SignatureKeyNotFound,
    Code::KeyDestroyed,
];

/// Codes of work that makes something new, which takes a plan that has the algorithm.
pub const MAKING: [Code; 1] = [Code::NotInPlan];

/// Codes of work with a private key.
pub const PRIVATE: [Code; 3] = [Code::KeyBudgetSpent, Code::KeyUnavailable, Code::SelfCheckFailed];

/// Codes of what is about a key.
pub const OF_A_KEY: [Code; 2] = [Code::InvalidAlgorithm, Code::NotFound];

/// Codes of a step in a key's life.
pub const LIFE: [Code; 1] = [Code::IllegalTransition];

/// Codes of what names something by an id.
pub const MISSING: [Code; 1] = [Code::NotFound];
