//! API keys: what their text looks like, what is kept of them, and how one becomes a [`ServiceContext`].

mod authenticate;
mod context;
mod hash;
mod text;

pub use authenticate::{Caller, authenticate};
pub use context::ServiceContext;
pub use hash::{ApiKeyHasher, LookupHash, ScopedHash, SecretHashes};
pub use text::{ApiKeySecretText, NotAnApiKey, ReceivedApiKey};

#[cfg(test)]
pub(crate) use context::tests::context_for_tests;
