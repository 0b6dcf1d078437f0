//! The API's operations: what a request must say, what is asked of policyd, what is done with the grant, and what the
//! answer says. [`route`] is the table of paths; [`Kind`] a row of the one of what can be done with a key; what manages something
//! has a file for each resource.

mod api_keys;
pub mod batch;
pub mod body;
mod deny_rules;
mod events;
mod explain;
mod field;
mod key_changes;
mod key_format;
mod key_use;
mod keys;
mod kind;
mod output;
pub(crate) mod parameter;
mod private_item;
mod public_item;
mod query;
pub mod route;
pub(crate) mod selection;
mod signed;
mod tenants;

pub use api_keys::{CreateApiKey, ListApiKeys, RevokeApiKey, RotateApiKey};
pub use body::Body;
pub use deny_rules::{AddDenyRule, ListDenyRules, RemoveDenyRule};
pub use events::ReadEvents;
pub use explain::Explain;
pub use field::Field;
pub use key_changes::{
    Archive, CancelDestruction, Generate, Restore, Retire, Rotate, ScheduleDestruction, SetBudget,
};
pub use key_format::KeyFormat;
pub use key_use::KeyUse;
pub use keys::{List, ReadActive, ReadVersion};
pub use kind::Kind;
pub use query::Query;
pub use route::{Methods, Route};
pub use signed::Signed;
pub use tenants::{CreateTenant, ListTenants, OwnTenant, OwnTenantAsList, ReadTenant};
