//! How the other two daemons are, as far as the gateway can tell.

use crate::pipeline::Gateway;
use crate::policyd_client::PolicydHealth;
use std::time::Duration;

/// What the other daemons answered.
#[derive(Debug, Clone, Copy)]
pub struct Neighbours {
    /// policyd, and whether it has keyd.
    pub policyd: PolicydHealth,
    /// Whether keyd can work.
    pub keyd: bool,
}

impl Neighbours {
    /// Asks both, who have that long.
    pub async fn ask(gateway: &Gateway, within: Duration) -> Self {
        let (policyd, keyd) = tokio::join!(gateway.policyd.health(within), gateway.keyd.is_healthy(within));
        Self { policyd, keyd }
    }

    /// Whether requests can be answered.
    pub fn are_ready(&self) -> bool {
        self.policyd == PolicydHealth::Ready && self.keyd
    }
}
