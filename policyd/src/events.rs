//! A tenant's own events, read from the decision ledger on a thread of its own: a page may look at megabytes, and nobody
//! else waits for it.

use crate::thread;
use chancel_domain::TenantId;
use chancel_ledger::{Bounds, Filter, Page, newest_first};
use chancel_wire::policyd::EventFilter;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Pages that may wait.
const QUEUE: usize = 64;
/// Pages of one tenant that may wait: one tenant is not to keep the others waiting.
const MOST_OF_ONE: usize = 2;
/// Records on a page.
const MOST: u16 = 500;
/// What one page may cost: then it ends early, and says where to go on.
const BOUNDS: Bounds = Bounds {
    lines: MOST as usize,
    bytes: 512 << 10,
    scanned: 2 << 20,
};

type Job = (TenantId, EventFilter, oneshot::Sender<io::Result<Page>>);

/// Reads events.
#[derive(Debug, Clone)]
pub struct Events {
    jobs: SyncSender<Job>,
    waiting: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// A tenant's place among those that wait; given back when dropped.
struct Place {
    tenant: TenantId,
    waiting: Arc<Mutex<HashMap<TenantId, usize>>>,
}

impl Place {
    fn take(events: &Events, tenant: TenantId) -> Option<Self> {
        let mut waiting = events.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(tenant).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        drop(waiting);
        Some(Self {
            tenant,
            waiting: events.waiting.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.tenant);
            }
        }
    }
}

impl Events {
    /// Starts the thread, which ends when the last `Events` is gone.
    ///
    /// # Errors
    /// When the system has no room for one.
    pub fn start(directory: PathBuf) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE);
        thread::running("events", move || read_until_gone(&directory, &waiting))?;
        Ok(Self {
            jobs,
            waiting: Arc::default(),
        })
    }

    /// A page of a tenant's events; `None` when too many wait.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn page(&self, tenant: TenantId, filter: EventFilter) -> Option<io::Result<Page>> {
        let _place = Place::take(self, tenant)?;
        let (sender, page) = oneshot::channel();
        self.jobs.try_send((tenant, filter, sender)).ok()?;
        page.await.ok()
    }
}

fn read_until_gone(directory: &std::path::Path, waiting: &Receiver<Job>) {
    while let Ok((tenant, wanted, sender)) = waiting.recv() {
        // Whoever asked has gone: nobody else is to wait for it.
        if sender.is_closed() {
            continue;
        }
        let filter = Filter {
            tenant: Some(tenant.to_string()),
            api_key: wanted.api_key.map(|id| id.to_string()),
            kind: wanted.kind,
            operation: wanted.operation.map(|operation| operation.name().to_owned()),
            request: wanted.request.map(|id| id.to_string()),
            key: None,
            rule: None,
            since_ms: wanted.since_ms,
            until_ms: wanted.until_ms,
        };
        let bounds = Bounds {
            lines: wanted.limit.clamp(1, MOST).into(),
            ..BOUNDS
        };
        // Nobody waiting any more is fine.
        let _ = sender.send(newest_first(directory, wanted.before, &filter, bounds));
    }
}
