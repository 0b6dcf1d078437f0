//! From written to durable: one thread syncs for everybody. Whoever needs a line on the disk waits for the number of
//! the newest one that is.

use crate::options::{Sync, Unwritable};
use crate::writer::Ledger;
use crate::{retention, segment};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the ledger is looked after when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How often old segments are looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);

type Callback = Box<dyn FnOnce(Result<(), Unwritable>) + Send>;

/// What is on the disk, and who waits for what is not.
pub struct Durability {
    progress: Mutex<Progress>,
    /// The syncer has something to do.
    work: Condvar,
    /// Something became durable, or will not.
    done: Condvar,
}

#[derive(Default)]
struct Progress {
    synced: u64,
    /// Lines up to here are known not to be durable for certain.
    lost: u64,
    /// The highest line somebody waits for.
    awaited: u64,
    first_unsynced: Option<Instant>,
    callbacks: Vec<(u64, Callback)>,
    /// The callbacks of lost lines are to be called.
    lost_more: bool,
    remove_through: Option<u64>,
    stopping: bool,
    /// Whether a syncer runs at all.
    running: bool,
}

impl fmt::Debug for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Durability")
    }
}

impl Durability {
    pub(crate) fn new(synced: u64) -> Self {
        let progress = Progress {
            synced,
            running: true,
            ..Progress::default()
        };
        Self {
            progress: Mutex::new(progress),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// A line was written.
    pub(crate) fn written(&self) {
        let mut progress = self.progress();
        if progress.first_unsynced.is_none() {
            progress.first_unsynced = Some(Instant::now());
            self.work.notify_one();
        }
    }

    /// Lines up to here may not be on the disk, whatever a later sync says.
    pub(crate) fn lose(&self, seq: u64) {
        let mut progress = self.progress();
        progress.lost = progress.lost.max(seq);
        progress.lost_more = true;
        drop(progress);
        self.done.notify_all();
        self.work.notify_one();
    }

    pub(crate) fn remove_through(&self, segment: u64) {
        self.progress().remove_through = Some(segment);
        self.work.notify_one();
    }

    /// Waits until a line is on the disk.
    pub(crate) fn wait(&self, seq: u64) -> Result<(), Unwritable> {
        let mut progress = self.progress();
        loop {
            if let Some(outcome) = progress.outcome(seq) {
                return outcome;
            }
            progress.awaited = progress.awaited.max(seq);
            self.work.notify_one();
            progress = self.done.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn notify(&self, seq: u64, callback: Callback) {
        let mut progress = self.progress();
        match progress.outcome(seq) {
            Some(outcome) => {
                drop(progress);
                callback(outcome);
            }
            None => {
                progress.awaited = progress.awaited.max(seq);
                progress.callbacks.push((seq, callback));
                self.work.notify_one();
            }
        }
    }

    fn settle(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress();
        change(&mut progress);
        progress.lost_more = false;
        let mut settled = Vec::new();
        let waiting = std::mem::take(&mut progress.callbacks);
        for (seq, callback) in waiting {
            match progress.outcome(seq) {
                Some(outcome) => settled.push((callback, outcome)),
                None => progress.callbacks.push((seq, callback)),
            }
        }
        drop(progress);
        self.done.notify_all();
        for (callback, outcome) in settled {
            callback(outcome);
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Numbers that only grow.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the syncer is to do.
struct Work {
    sync: bool,
    remove: Option<u64>,
    settle: bool,
    stop: bool,
}

impl Progress {
    const fn is_to_be_seen_to(&self) -> bool {
        self.stopping || self.lost_more || self.remove_through.is_some()
    }

    fn outcome(&self, seq: u64) -> Option<Result<(), Unwritable>> {
        if seq <= self.lost {
            Some(Err(Unwritable))
        } else if seq <= self.synced {
            Some(Ok(()))
        } else if self.running {
            None
        } else {
            Some(Err(Unwritable))
        }
    }
}

/// Syncs a ledger and looks after it. Runs on a thread of its own, which the daemon makes before its sandbox closes.
#[derive(Debug)]
pub struct Syncer {
    ledger: Arc<Ledger>,
}

impl Syncer {
    pub(crate) const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// Runs until [`Ledger::stop`]; then syncs a last time. `tick` is called about once a second, and once more at
    /// the end with `true`: the place for checkpoints.
    pub fn run(self, mut tick: impl FnMut(&Ledger, bool)) {
        let durability = self.ledger.durability.clone();
        let mut next_tick = Instant::now() + TICK;
        self.remove_old();
        let mut next_retention = Instant::now() + RETENTION_INTERVAL;
        loop {
            let work = self.wait_for_work(next_tick);
            if work.stop {
                tick(&self.ledger, true);
            }
            // That segments are removed is on the disk before they are.
            let synced = (work.sync || work.stop || work.remove.is_some()) && self.sync();
            if work.settle {
                durability.settle(|_| {});
            }
            if let Some(through) = work.remove.filter(|_| synced) {
                self.remove(through);
            }
            if work.stop {
                durability.settle(|progress| progress.running = false);
                return;
            }
            if Instant::now() >= next_tick {
                self.ledger.look_after();
                tick(&self.ledger, false);
                next_tick = Instant::now() + TICK;
            }
            if Instant::now() >= next_retention {
                self.remove_old();
                next_retention = Instant::now() + RETENTION_INTERVAL;
            }
        }
    }

    /// Removes the oldest segment, if its time has come and the ledger can say so.
    fn remove_old(&self) {
        if let Some(through) = retention::due(self.ledger.directory(), self.ledger.options.retention)
            && self.ledger.append_retention(through).is_ok()
        {
            self.remove(through);
        }
    }

    /// Waits until there is something to sync and its time has come, or until the next tick.
    fn wait_for_work(&self, next_tick: Instant) -> Work {
        let durability = &self.ledger.durability;
        let mut progress = durability.progress();
        loop {
            let now = Instant::now();
            let due = progress.first_unsynced.map(|first| match self.ledger.sync() {
                Sync::EveryRecord => now,
                Sync::Within(_) if progress.awaited > progress.synced => now,
                Sync::Within(patience) => first + patience,
            });
            let sync = due.is_some_and(|due| due <= now);
            if sync || progress.is_to_be_seen_to() || next_tick <= now {
                return Work {
                    sync,
                    remove: progress.remove_through.take(),
                    settle: progress.lost_more,
                    stop: progress.stopping,
                };
            }
            let until = due.map_or(next_tick, |due| due.min(next_tick));
            (progress, _) = durability
                .work
                .wait_timeout(progress, until - now)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether it succeeded.
    fn sync(&self) -> bool {
        let durability = &self.ledger.durability;
        durability.progress().first_unsynced = None;
        match self.ledger.sync_now() {
            Ok(seq) => {
                durability.settle(|progress| progress.synced = progress.synced.max(seq));
                true
            }
            Err(error) => {
                self.ledger.sync_failed(&error);
                durability.settle(|_| {});
                false
            }
        }
    }

    fn remove(&self, through: u64) {
        let directory = self.ledger.directory();
        if let Err(error) =
            retention::remove_through(directory, through).and_then(|()| segment::sync_directory(directory))
        {
            tracing::warn!(ledger = self.ledger.name().name(), %error, "old segments could not be removed");
        }
    }
}

impl Ledger {
    /// Tells the syncer to end.
    pub fn stop(&self) {
        self.durability.progress().stopping = true;
        self.durability.work.notify_one();
    }

    /// The syncer cannot wait for itself.
    fn append_retention(&self, through: u64) -> Result<(), Unwritable> {
        self.append(&crate::Event::Retention { through })?;
        self.sync_now().map(|_| ()).map_err(|error| {
            self.sync_failed(&error);
            Unwritable
        })
    }
}
