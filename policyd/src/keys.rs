//! The life of keys: making, rotating and retiring them with keyd, and comparing keyd's files with the database.

mod changes;
mod compare;
mod lifecycle;
mod locks;
mod reconcile;
mod sweeper;

pub use changes::usual_destruction;
pub use lifecycle::{Lifecycle, Order};
pub use locks::{Busy, KeyLock, KeyLocks};
pub use reconcile::Reconciler;
pub use sweeper::Sweeper;
