//! What the service manager hears from the gateway while it serves.

use crate::neighbours::Neighbours;
use crate::pipeline::Gateway;
use chancel_service::manager::Manager;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// How long the other daemons may take to answer before the gateway is called ready without them.
const NEIGHBOURS_PATIENCE: Duration = Duration::from_secs(5);

/// Tells the service manager that the gateway is ready, when the other daemons answer. It serves already, and tells callers
/// itself when they are away: so whoever waits for it to start waits for no daemon that is not coming.
pub(super) async fn say_ready(manager: &Manager, gateway: &Gateway, address: SocketAddr) {
    let both = async {
        while !Neighbours::ask(gateway, NEIGHBOURS_PATIENCE).await.are_ready() {
            sleep(NEIGHBOURS_PATIENCE / 100).await;
        }
    };
    if timeout(NEIGHBOURS_PATIENCE, both).await.is_ok() {
        return manager.ready(&format!("serving at {address}"));
    }
    tracing::warn!("policyd or keyd is away; serving without it");
    manager.ready(&format!(
        "serving at {address}, when it started without policyd or keyd"
    ));
}

/// Tells the service manager that the gateway lives, as often as all of its serving threads have done something.
pub(super) async fn say_alive(manager: &Manager, serving: &[Handle]) {
    let Some(pulse) = manager.pulse() else {
        return std::future::pending().await;
    };
    loop {
        sleep(pulse).await;
        for thread in serving {
            // One that panics while it does nothing is past telling.
            let _ = thread.spawn(async {}).await;
        }
        manager.alive();
    }
}
