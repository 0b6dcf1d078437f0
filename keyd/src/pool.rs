//! The workers: a fixed number of threads a role, and a bounded queue in front of each role's. Roles share no
//! worker and no queue, so whatever the gateway sends or does not read, policyd's requests are begun. Nor do slow requests
//! with others, nor batches: behind a signature of seconds nobody waits but who wants another.

use crate::dispatch::{Keyd, Pace};
use crate::listen::AuthenticatedPeer;
use crate::round::Round;
use chancel_wire::hello::Role;
use chancel_wire::limits::{BATCH_DEADLINE, SLOW_DEADLINE};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Requests that may wait for a worker; one more is refused at once.
const QUEUE: usize = 1024;
/// The same of slow requests: one waits for seconds behind so many.
const SLOW_QUEUE: usize = 16;
/// The same of batches: one waits for a second or so behind so many.
const BATCH_QUEUE: usize = 16;
/// Bytes of requests that may wait or be worked on; a request beyond is refused at once.
const QUEUE_BYTES: usize = 128 << 20;

/// How long a worker of the gateway's goes on to requests that wait before it sends the answers it has. A few requests
/// take about this; where they wait for each other anyway nobody sees it.
const ROUND: Duration = Duration::from_micros(500);

/// A job a worker takes on.
pub type Job = Box<dyn FnOnce(&mut Round) + Send>;

/// The workers of each role.
pub struct Pools {
    keyd: Arc<Keyd>,
    gateway: Pool,
    /// The gateway's that are many in one.
    batches: Pool,
    /// The gateway's that take milliseconds and more.
    slow: Pool,
    policyd: Pool,
    /// policyd's that take milliseconds and more.
    slow_policyd: Pool,
}

impl Pools {
    /// Threads that [`Self::start`] makes beside those it is asked for.
    pub const FIXED_WORKERS: usize = 3;

    /// Starts so many workers for the gateway and for policyd, one for batches, and one for the slow requests of each. Each reports at
    /// `running`.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        keyd: &Arc<Keyd>,
        gateway: usize,
        policyd: usize,
        running: &Arc<Barrier>,
    ) -> io::Result<Self> {
        Ok(Self {
            keyd: Arc::clone(keyd),
            gateway: Pool::start("gateway", gateway, QUEUE, ROUND, keyd, running)?,
            batches: Pool::start("batches", 1, BATCH_QUEUE, Duration::ZERO, keyd, running)?,
            slow: Pool::start("slow", 1, SLOW_QUEUE, Duration::ZERO, keyd, running)?,
            // What policyd and operators ask for waits for the disk, each for its own.
            policyd: Pool::start("policyd", policyd, QUEUE, Duration::ZERO, keyd, running)?,
            slow_policyd: Pool::start("slow-policyd", 1, SLOW_QUEUE, Duration::ZERO, keyd, running)?,
        })
    }

    /// What the workers work on.
    pub const fn keyd(&self) -> &Arc<Keyd> {
        &self.keyd
    }

    /// Takes on no more slow requests, and waits until those that were are done, or for their time; then the same with batches.
    /// Meanwhile all others are served: a restart is not to be noticed for the length of a slow signature.
    pub fn finish_slow(&self) {
        for (pools, longest) in [
            (&[&self.slow, &self.slow_policyd][..], SLOW_DEADLINE),
            (&[&self.batches], BATCH_DEADLINE),
        ] {
            for pool in pools {
                pool.is_closed.store(true, Ordering::Relaxed);
            }
            let until = Instant::now() + longest;
            while pools
                .iter()
                .any(|pool| pool.under_way.load(Ordering::Relaxed) > 0)
                && Instant::now() < until
            {
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Whether the workers of quick requests have taken on what they were given the last time this was asked; gives them
    /// something again.
    pub fn beat(&self) -> bool {
        // Each is asked: none is to miss its turn because of another.
        [self.gateway.beat(), self.policyd.beat()] == [true; 2]
    }

    /// The workers that answer a request of a peer.
    pub fn of(&self, peer: AuthenticatedPeer, request: &[u8]) -> &Pool {
        match (peer.role(), Pace::of(request)) {
            (Role::Gateway, Pace::Quick) => &self.gateway,
            (Role::Gateway, Pace::Batch) => &self.batches,
            (Role::Gateway, Pace::Slow) => &self.slow,
            // The operator comes when policyd is down, and must not wait behind the gateway.
            (Role::Policyd | Role::Operator, Pace::Quick | Pace::Batch) => &self.policyd,
            (Role::Policyd | Role::Operator, Pace::Slow) => &self.slow_policyd,
        }
    }
}

/// Hands jobs to the workers of one role.
pub struct Pool {
    jobs: Sender<Queued>,
    held: Arc<AtomicUsize>,
    /// Jobs that wait or are worked on.
    under_way: Arc<AtomicUsize>,
    /// Whether it takes on no more.
    is_closed: AtomicBool,
    /// Whether a job was taken on since the last beat.
    beaten: Arc<AtomicBool>,
}

struct Queued {
    job: Job,
    bytes: usize,
}

/// The queue is full, or the workers have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl Pool {
    /// The workers live as long as the process: a job that panics ends alone.
    fn start(
        name: &str,
        workers: usize,
        queue: usize,
        longest: Duration,
        keyd: &Arc<Keyd>,
        running: &Arc<Barrier>,
    ) -> io::Result<Self> {
        let (sender, receiver) = bounded(queue);
        let (held, under_way) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let beaten = Arc::new(AtomicBool::new(true));
        for number in 0..workers {
            let mut worker = Worker {
                jobs: receiver.clone(),
                held: Arc::clone(&held),
                under_way: Arc::clone(&under_way),
                beaten: Arc::clone(&beaten),
                round: Round::new(keyd),
            };
            let running = Arc::clone(running);
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    running.wait();
                    worker.work(longest);
                })?;
        }
        Ok(Self {
            jobs: sender,
            held,
            under_way,
            is_closed: AtomicBool::new(false),
            beaten,
        })
    }

    fn beat(&self) -> bool {
        let was_taken_on = self.beaten.swap(false, Ordering::Relaxed);
        if was_taken_on {
            // Full: those in it are as good as this one, when one of them is taken on.
            let _ = self.submit(0, Box::new(|_| {}));
        }
        was_taken_on
    }

    /// Queues a job that holds on to `bytes` of memory, or refuses it at once.
    ///
    /// # Errors
    /// [`QueueFull`] when it was not queued.
    pub fn submit(&self, bytes: usize, job: Job) -> Result<(), QueueFull> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let queued = if self.is_closed.load(Ordering::Relaxed) || held.saturating_add(bytes) > QUEUE_BYTES {
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
            self.under_way.fetch_sub(1, Ordering::Relaxed);
        }
        queued
    }
}

struct Worker {
    jobs: Receiver<Queued>,
    held: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
    beaten: Arc<AtomicBool>,
    round: Round,
}

impl Worker {
    fn work(&mut self, longest: Duration) {
        while let Ok(first) = self.jobs.recv() {
            let until = Instant::now() + longest;
            self.take_on(first);
            while Instant::now() < until
                && let Ok(next) = self.jobs.try_recv()
            {
                self.take_on(next);
            }
            alone(|| self.round.finish());
        }
    }

    fn take_on(&mut self, Queued { job, bytes }: Queued) {
        self.beaten.store(true, Ordering::Relaxed);
        alone(|| job(&mut self.round));
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Nobody could start another worker in the place of one that panicked. The log has the panic.
fn alone(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::Rig;
    use std::sync::mpsc;

    fn pool(rig: &Rig) -> Pool {
        let running = Arc::new(Barrier::new(2));
        let pool = Pool::start("test", 1, QUEUE, ROUND, rig.keyd(), &running).unwrap();
        running.wait();
        pool
    }

    #[test]
    fn a_panic_ends_the_job_and_not_the_worker() {
        let rig = Rig::new();
        let pool = pool(&rig);
        let (done, waited) = mpsc::channel();
        pool.submit(QUEUE_BYTES, Box::new(|_| panic!("on purpose")))
            .unwrap();
        pool.submit(0, Box::new(move |_| done.send(()).unwrap())).unwrap();
        waited.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(
            pool.submit(QUEUE_BYTES, Box::new(|_| {})),
            Ok(()),
            "its bytes are given back"
        );
    }

    #[test]
    fn a_pool_whose_workers_hang_does_not_beat_full_or_not() {
        let rig = Rig::new();
        let pool = pool(&rig);
        let until = Instant::now() + Duration::from_secs(5);
        for _ in 0..3 {
            while !pool.beat() {
                assert!(
                    Instant::now() < until,
                    "a worker with nothing to do takes on a beat"
                );
                thread::sleep(Duration::from_millis(1));
            }
        }
        let (taken_on, waited) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let hang = move |_: &mut Round| {
            taken_on.send(()).unwrap();
            held.recv().unwrap();
        };
        pool.submit(0, Box::new(hang)).unwrap();
        waited.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(pool.beat(), "it was taken on");
        assert!(!pool.beat());
        while pool.submit(0, Box::new(|_| {})).is_ok() {}
        assert!(!pool.beat(), "with a full queue");
        release.send(()).unwrap();
        while !pool.beat() {
            assert!(Instant::now() < until, "it goes on");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn jobs_and_bytes_are_bounded() {
        let rig = Rig::new();
        let pool = pool(&rig);
        let (release, held) = mpsc::channel::<()>();
        pool.submit(QUEUE_BYTES - 1, Box::new(move |_| held.recv().unwrap()))
            .unwrap();
        assert_eq!(pool.submit(2, Box::new(|_| {})), Err(QueueFull));
        assert_eq!(
            pool.submit(usize::MAX - QUEUE_BYTES, Box::new(|_| {})),
            Err(QueueFull)
        );
        // The worker may have taken the first job from the queue or not.
        let queued = (0..2 * QUEUE).filter(|_| pool.submit(0, Box::new(|_| {})).is_ok());
        assert!((QUEUE - 1..=QUEUE).contains(&queued.count()));
        release.send(()).unwrap();
    }
}
