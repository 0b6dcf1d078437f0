//! API keys: what their text looks like, what is kept of them, and how one becomes a [`ServiceContext`].

mod authenticate;
mod changes;
mod context;
mod hash;
mod standing;
mod text;

pub use authenticate::{Caller, authenticate};
pub use changes::{ApiKeyChanges, By};
pub use context::ServiceContext;
pub use hash::{ApiKeyHasher, LookupHash, ScopedHash, SecretHashes};
pub use standing::Standing;
pub use text::{ApiKeySecretText, NotAnApiKey, ReceivedApiKey};

#[cfg(test)]
pub(crate) use context::tests::context_for_tests;
