//! The life of keys: making, rotating and retiring them with keyd, and comparing keyd's files with the database.

mod changes;
mod compare;
mod lifecycle;
mod locks;
mod reconcile;

pub use lifecycle::Lifecycle;
pub use locks::{Busy, KeyLock, KeyLocks};
pub use reconcile::Reconciler;
