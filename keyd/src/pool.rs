//! The workers: a fixed number of threads and a bounded queue in front of them.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::io;
use std::sync::{Arc, Barrier};
use std::thread;

/// Requests that may wait for a worker; one more is refused at once.
const QUEUE: usize = 1024;

/// A job a worker takes on.
pub type Job = Box<dyn FnOnce() + Send>;

/// Hands jobs to the workers.
#[derive(Clone)]
pub struct Pool(Sender<Job>);

/// The queue is full, or the workers have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl Pool {
    /// Starts the workers, each of which reports at `running`. They live as long as the process.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(workers: usize, running: &Arc<Barrier>) -> io::Result<Self> {
        let (sender, receiver): (Sender<Job>, Receiver<Job>) = bounded(QUEUE);
        for number in 0..workers {
            let receiver = receiver.clone();
            let running = Arc::clone(running);
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    running.wait();
                    for job in receiver {
                        job();
                    }
                })?;
        }
        Ok(Self(sender))
    }

    /// Queues a job, or refuses it at once.
    ///
    /// # Errors
    /// [`QueueFull`] when it was not queued.
    pub fn submit(&self, job: Job) -> Result<(), QueueFull> {
        self.0.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => QueueFull,
        })
    }
}
