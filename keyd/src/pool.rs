//! The workers: a fixed number of threads a role, and a bounded queue in front of each role's. Roles share no
//! worker and no queue, so whatever the gateway sends or does not read, policyd's requests are begun.

use crate::listen::AuthenticatedPeer;
use chancel_wire::hello::Role;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

/// Requests that may wait for a worker; one more is refused at once.
const QUEUE: usize = 1024;
/// Bytes of requests that may wait or be under way; a request beyond is refused at once.
const QUEUE_BYTES: usize = 128 << 20;

/// A job a worker takes on.
pub type Job = Box<dyn FnOnce() + Send>;

/// The workers of each role.
pub struct Pools {
    /// The gateway's.
    pub gateway: Pool,
    /// policyd's, and the operator's.
    pub policyd: Pool,
}

impl Pools {
    /// The workers that answer a peer.
    pub const fn of(&self, peer: AuthenticatedPeer) -> &Pool {
        match peer.role() {
            // The operator comes when policyd is down, and must not wait behind the gateway.
            Role::Policyd | Role::Operator => &self.policyd,
            Role::Gateway => &self.gateway,
        }
    }
}

/// Hands jobs to the workers of one role.
pub struct Pool {
    jobs: Sender<Queued>,
    held: Arc<AtomicUsize>,
}

struct Queued {
    job: Job,
    bytes: usize,
}

/// The queue is full, or the workers have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl Pool {
    /// Starts the workers, each of which reports at `running`. They live as long as the process: a job that
    /// panics ends alone.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(name: &str, workers: usize, running: &Arc<Barrier>) -> io::Result<Self> {
        let (sender, receiver): (Sender<Queued>, Receiver<Queued>) = bounded(QUEUE);
        let held = Arc::new(AtomicUsize::new(0));
        for number in 0..workers {
            let receiver = receiver.clone();
            let held = Arc::clone(&held);
            let running = Arc::clone(running);
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    running.wait();
                    for Queued { job, bytes } in receiver {
                        // Nobody could start another worker in this one's place. The log has the panic.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                        held.fetch_sub(bytes, Ordering::Relaxed);
                    }
                })?;
        }
        Ok(Self { jobs: sender, held })
    }

    /// Queues a job that holds on to `bytes` of memory, or refuses it at once.
    ///
    /// # Errors
    /// [`QueueFull`] when it was not queued.
    pub fn submit(&self, bytes: usize, job: Job) -> Result<(), QueueFull> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        let queued = if held.saturating_add(bytes) > QUEUE_BYTES {
            Err(QueueFull)
        } else {
            self.jobs
                .try_send(Queued { job, bytes })
                .map_err(|error| match error {
                    TrySendError::Full(_) | TrySendError::Disconnected(_) => QueueFull,
                })
        };
        if queued.is_err() {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn pool() -> Pool {
        let running = Arc::new(Barrier::new(2));
        let pool = Pool::start("test", 1, &running).unwrap();
        running.wait();
        pool
    }

    #[test]
    fn a_panic_ends_the_job_and_not_the_worker() {
        let pool = pool();
        let (done, waited) = mpsc::channel();
        pool.submit(QUEUE_BYTES, Box::new(|| panic!("on purpose")))
            .unwrap();
        pool.submit(0, Box::new(move || done.send(()).unwrap())).unwrap();
        waited.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(
            pool.submit(QUEUE_BYTES, Box::new(|| {})),
            Ok(()),
            "its bytes are given back"
        );
    }

    #[test]
    fn jobs_and_bytes_are_bounded() {
        let pool = pool();
        let (release, held) = mpsc::channel::<()>();
        pool.submit(QUEUE_BYTES - 1, Box::new(move || held.recv().unwrap()))
            .unwrap();
        assert_eq!(pool.submit(2, Box::new(|| {})), Err(QueueFull));
        assert_eq!(
            pool.submit(usize::MAX - QUEUE_BYTES, Box::new(|| {})),
            Err(QueueFull)
        );
        // The worker may have taken the first job from the queue or not.
        let queued = (0..2 * QUEUE).filter(|_| pool.submit(0, Box::new(|| {})).is_ok());
        assert!((QUEUE - 1..=QUEUE).contains(&queued.count()));
        release.send(()).unwrap();
    }
}
