//! The watchdog: the service manager hears that keyd lives while its workers take on jobs and its ledger's thread runs. Not
//! the workers of slow requests: a queue of those may take longer than any watchdog waits.

use crate::pool::Pools;
use chancel_service::manager::Manager;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Felt by the ledger's thread, once a second.
pub struct Pulse {
    manager: Arc<Manager>,
    pools: Arc<Pools>,
    every: Option<Duration>,
    last: Instant,
}

impl Pulse {
    /// As often as the service manager asks for it; never, when it does not.
    pub fn new(manager: &Arc<Manager>, pools: &Arc<Pools>) -> Self {
        Self {
            manager: Arc::clone(manager),
            pools: Arc::clone(pools),
            every: manager.pulse(),
            last: Instant::now(),
        }
    }

    /// Tells the service manager, when it is time and the workers have taken on what was given to them last time.
    pub fn feel(&mut self) {
        if self.every.is_some_and(|every| self.last.elapsed() >= every) && self.pools.beat() {
            self.last = Instant::now();
            self.manager.alive();
        }
    }
}
