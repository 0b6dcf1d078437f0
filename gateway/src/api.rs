//! The API's operations, a file for each or for each resource: what a request must say, what is asked of policyd,
//! what is done with the grant, and what the answer says. [`route`] is the table of paths.

mod api_keys;
pub mod body;
mod decapsulate;
mod decrypt;
mod deny_rules;
mod encapsulate;
mod encrypt;
mod events;
mod explain;
mod field;
mod key_changes;
mod key_format;
mod keys;
mod parameter;
mod private_key;
mod query;
mod rewrap;
pub mod route;
mod selection;
mod sign;
mod signed;
mod tenants;
mod unwrap;
mod verify;
mod wrap;

pub use api_keys::{CreateApiKey, ListApiKeys, RevokeApiKey, RotateApiKey};
pub use body::Body;
pub use decapsulate::Decapsulate;
pub use decrypt::Decrypt;
pub use deny_rules::{AddDenyRule, ListDenyRules, RemoveDenyRule};
pub use encapsulate::Encapsulate;
pub use encrypt::Encrypt;
pub use events::ReadEvents;
pub use explain::Explain;
pub use field::Field;
pub use key_changes::{
    Archive, CancelDestruction, Generate, Restore, Retire, Rotate, ScheduleDestruction, SetBudget,
};
pub use key_format::KeyFormat;
pub use keys::{List, ReadActive, ReadVersion};
pub use query::Query;
pub use rewrap::Rewrap;
pub use route::{Methods, Route};
pub use sign::Sign;
pub use signed::Signed;
pub use tenants::{CreateTenant, ListTenants, OwnTenant, OwnTenantAsList, ReadTenant};
pub use unwrap::Unwrap;
pub use verify::Verify;
pub use wrap::Wrap;

use crate::error::ApiError;
use chancel_domain::RequestId;

/// The library refused a public key that policyd vouches for, or has no randomness: neither is the caller's
/// doing.
fn refused_by_library(request: RequestId, error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%request, %error, "public-key work failed");
    ApiError::Internal
}
