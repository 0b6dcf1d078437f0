//! The end of a connection by the gateway's own will, whatever is still to be sent over it.

use std::sync::Arc;
use tokio::sync::Notify;

/// Ends a connection; requests find it among their extensions.
#[derive(Debug, Clone, Default)]
pub struct Cut(Arc<Notify>);

impl Cut {
    /// Ends it now.
    pub fn now(&self) {
        self.0.notify_one();
    }

    /// Waits for that.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}
