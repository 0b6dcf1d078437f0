//! The calls of one client: which are waiting to be written, which for an answer, and whether it makes sense
//! to wait at all. Shared by callers and by the connection's task under one short lock.

use super::{Answer, CallError, MAX_IN_FLIGHT};
use crate::outbox::{Outbox, Queued};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

type Outcome = Result<Answer, CallError>;

/// Correlation of pings; calls are numbered from 1.
pub(super) const PING: u64 = 0;

#[derive(Debug)]
pub(super) struct Calls {
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether a call should wait: there is a connection, or one may come shortly.
    reachable: bool,
    /// Whether the last client is gone.
    closed: bool,
    /// Not yet taken by a connection.
    queue: VecDeque<Queued>,
    /// Everybody who waits for an answer, including those whose frame is still in the queue.
    waiting: HashMap<u64, oneshot::Sender<Outcome>>,
    /// The connection's task.
    task: Option<Waker>,
    /// The task has been woken, and will look at the queue.
    woken: bool,
}

/// What the connection's task finds when it looks.
pub(super) struct Backlog {
    /// Calls that wait for an answer.
    pub(super) waiting: usize,
    /// Frames still in the queue.
    pub(super) queued: usize,
    /// The last client is gone.
    pub(super) closed: bool,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            next: AtomicU64::new(PING + 1),
            state: Mutex::new(State {
                reachable: true,
                closed: false,
                queue: VecDeque::new(),
                waiting: HashMap::new(),
                task: None,
                woken: false,
            }),
        }
    }

    pub(super) fn next_correlation(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a frame and wakes the connection's task.
    pub(super) fn submit(
        self: &Arc<Self>,
        correlation: u64,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Result<Ticket, CallError> {
        let (sender, outcome) = oneshot::channel();
        let task = {
            let mut state = self.lock();
            if !state.reachable {
                return Err(CallError::Unreachable);
            }
            if state.waiting.len() >= MAX_IN_FLIGHT {
                return Err(CallError::Overloaded);
            }
            state.waiting.insert(correlation, sender);
            state.queue.push_back(Queued { correlation, bytes });
            state.wake_once()
        };
        wake(task);
        Ok(Ticket {
            calls: self.clone(),
            correlation,
            outcome,
            settled: false,
        })
    }

    /// Registers the connection's task and reports what there is to do.
    pub(super) fn look(&self, task: &Waker) -> Backlog {
        let mut state = self.lock();
        match &mut state.task {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
        // With frames queued the task is about to take them, and needs no waking for more.
        if state.queue.is_empty() {
            state.woken = false;
        }
        Backlog {
            waiting: state.waiting.len(),
            queued: state.queue.len(),
            closed: state.closed,
        }
    }

    /// Moves all queued frames into an outbox, except those whose caller has gone.
    pub(super) fn take_queue(&self, outbox: &mut Outbox) {
        let mut state = self.lock();
        state.woken = false;
        while let Some(frame) = state.queue.pop_front() {
            if state.waiting.contains_key(&frame.correlation) {
                outbox.push(frame);
            }
        }
    }

    /// Takes out those who wait for these answers; late answers find nobody.
    pub(super) fn settle(
        &self,
        answers: impl Iterator<Item = (u64, Answer)>,
        settled: &mut Vec<(oneshot::Sender<Outcome>, Answer)>,
    ) {
        let mut state = self.lock();
        settled.extend(
            answers.filter_map(|(correlation, answer)| Some((state.waiting.remove(&correlation)?, answer))),
        );
    }

    /// A connection stands; calls may be made.
    pub(super) fn connected(&self) {
        self.lock().reachable = true;
    }

    /// A connection has broken. Whoever's request may have left fails; the rest stays queued, or fails as
    /// well when no connection is to be expected shortly.
    pub(super) fn lost(&self, unsent: VecDeque<Queued>, error: CallError, still_reachable: bool) {
        let failed: Vec<_> = {
            let mut state = self.lock();
            state.reachable = still_reachable;
            let mut queue = unsent;
            queue.append(&mut state.queue);
            if !still_reachable {
                queue.clear();
            }
            let kept: HashSet<u64> = queue.iter().map(|frame| frame.correlation).collect();
            state.queue = queue;
            let gone = state
                .waiting
                .extract_if(|correlation, _| !kept.contains(correlation));
            gone.map(|(_, caller)| caller).collect()
        };
        fail(failed, error);
    }

    /// A connection on which nothing more is asked: frames that it did not begin are queued again. Takes out those whom it
    /// still owes an answer: what becomes of the connections after it is nothing to them.
    pub(super) fn left(&self, unsent: VecDeque<Queued>) -> Owed {
        let mut state = self.lock();
        let mut queue = unsent;
        queue.append(&mut state.queue);
        let kept: HashSet<u64> = queue.iter().map(|frame| frame.correlation).collect();
        state.queue = queue;
        let owed = state
            .waiting
            .extract_if(|correlation, _| !kept.contains(correlation));
        Owed(owed.collect())
    }

    /// No connection is to be expected shortly: all who wait fail, and so do new calls, at once.
    pub(super) fn unreachable(&self) {
        let failed: Vec<_> = {
            let mut state = self.lock();
            state.reachable = false;
            state.queue.clear();
            state.waiting.drain().map(|(_, sender)| sender).collect()
        };
        fail(failed, CallError::Unreachable);
    }

    /// The last client is gone.
    pub(super) fn close(&self) {
        let task = {
            let mut state = self.lock();
            state.closed = true;
            state.wake_once()
        };
        wake(task);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn abandon(&self, correlation: u64) {
        self.lock().waiting.remove(&correlation);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No critical section here can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_once(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.woken, true) {
            None
        } else {
            self.task.clone()
        }
    }
}

/// Those whom a connection owes an answer on which nothing more is asked. Whoever is left when it is dropped gets none.
pub(super) struct Owed(HashMap<u64, oneshot::Sender<Outcome>>);

impl Owed {
    /// Whether nobody waits any more.
    pub(super) fn is_settled(&self) -> bool {
        self.0.values().all(oneshot::Sender::is_closed)
    }

    pub(super) fn settle(&mut self, correlation: u64, answer: Answer) {
        if let Some(caller) = self.0.remove(&correlation) {
            // A caller that has gone meanwhile needs no answer.
            let _ = caller.send(Ok(answer));
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        fail(
            self.0.drain().map(|(_, caller)| caller).collect(),
            CallError::Lost,
        );
    }
}

// Outside the lock: a woken task may run, and ask for it, at once.
fn wake(task: Option<Waker>) {
    if let Some(task) = task {
        task.wake();
    }
}

fn fail(callers: Vec<oneshot::Sender<Outcome>>, error: CallError) {
    for caller in callers {
        // A caller that has gone meanwhile needs no error.
        let _ = caller.send(Err(error));
    }
}

/// One call that waits; dropping it abandons the call.
#[derive(Debug)]
pub(super) struct Ticket {
    calls: Arc<Calls>,
    correlation: u64,
    outcome: oneshot::Receiver<Outcome>,
    settled: bool,
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = std::task::ready!(Pin::new(&mut self.outcome).poll(cx));
        self.settled = true;
        // The sender is dropped without a word only when the runtime shuts down.
        Poll::Ready(outcome.unwrap_or(Err(CallError::Lost)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            self.calls.abandon(self.correlation);
        }
    }
}
