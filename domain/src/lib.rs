//! The meaning of Chancel's nouns: tenants, keys, algorithms, operations, plans.
//!
//! Pure values and tables. No I/O, no cryptography, no clock: every process links this crate, so nothing
//! that could reach a key or a socket may live here.

pub mod algorithm;
pub mod batch;
pub mod content;
pub mod deny_rule;
pub mod id;
pub mod key;
pub mod network;
pub mod operation;
pub mod plan;
pub mod scope;
pub mod tenant;

pub use algorithm::{Algorithm, Family, Maturity};
pub use batch::BatchSize;
pub use content::{Content, HashFunction};
pub use deny_rule::DenyRule;
pub use id::{ApiKeyId, DenyRuleId, KeyHandle, RequestId, TenantId};
pub use key::{KeyState, KeyVersion};
pub use network::Networks;
pub use operation::Operation;
pub use plan::{Feature, Plan};
pub use scope::Scopes;
pub use tenant::TenantStatus;
