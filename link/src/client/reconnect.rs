//! Keeps a client connected. A peer that restarts is met again within a quarter of a second; a peer that
//! stays away is known to be away, so that nobody waits for it.

use super::CallError;
use super::calls::Calls;
use super::connection::{Connection, Ending};
use crate::endpoint::{ConnectError, Endpoint};
use crate::stream::Stream;
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::limits::{OPERATOR_SILENCE_LIMIT, SILENCE_LIMIT};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

/// For how long after a connection broke calls wait for the next one: a daemon restarts in less.
const RESTART_GRACE: Duration = Duration::from_millis(500);
/// The same after a peer that said goodbye: it finishes what is under way before another takes its place. Less than a request
/// of the data path may take, so that whoever stopped for good is known to be away before the first of them gives up.
const LEAVE_GRACE: Duration = Duration::from_millis(700);
/// No server takes longer to answer what it was sent before it stopped.
const LONGEST_STOP: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A connection that lived this long ends a series of failures.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Runs until the last client is gone.
pub(super) async fn keep_connected(
    endpoint: Endpoint,
    role: Role,
    token: ServiceToken,
    calls: Arc<Calls>,
    counter: watch::Sender<u64>,
) {
    let silence_limit = match role {
        Role::Operator => OPERATOR_SILENCE_LIMIT,
        Role::Gateway | Role::Policyd => SILENCE_LIMIT,
    };
    let mut outage = Outage::new();
    while !calls.is_closed() {
        match outage
            .wait(&calls, attempt(&endpoint, role, &token, silence_limit))
            .await
        {
            Ok(stream) => {
                info!(peer = %endpoint, "connected");
                calls.connected();
                counter.send_modify(|count| *count += 1);
                let since = Instant::now();
                let ended = Connection::new(stream, &calls, silence_limit).run().await;
                let lived = since.elapsed();
                match ended.ending {
                    Ending::Closed => break,
                    Ending::Leaving => {
                        info!(peer = %endpoint, "the peer stops; connecting to what comes after it");
                        // No longer than the peer takes to stop.
                        let rest = ended.rest.run(calls.left(ended.unsent));
                        tokio::spawn(timeout(LONGEST_STOP, rest));
                        outage.begin(LEAVE_GRACE, true, lived);
                    }
                    ending => {
                        let (error, grace) = match ending {
                            // A hung peer is not about to return.
                            Ending::Hung => (CallError::Hung, Duration::ZERO),
                            _ => (CallError::Lost, RESTART_GRACE),
                        };
                        warn!(peer = %endpoint, reason = %ending, "connection lost");
                        calls.lost(ended.unsent, error, !grace.is_zero());
                        outage.begin(grace, false, lived);
                    }
                }
            }
            Err(error) => outage.failed(&endpoint, &calls, &error),
        }
        let pause = outage.pause();
        outage.wait(&calls, sleep(pause)).await;
    }
    calls.lost(VecDeque::new(), CallError::Lost, false);
}

async fn attempt(
    endpoint: &Endpoint,
    role: Role,
    token: &ServiceToken,
    silence_limit: Duration,
) -> Result<Stream, ConnectError> {
    timeout(silence_limit, endpoint.connect(role, token))
        .await
        .unwrap_or(Err(ConnectError::Silent))
}

/// The time between two connections.
struct Outage {
    /// Until when calls wait; `None` once they no longer do.
    grace: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// Whether the log knows.
    reported: bool,
    /// Whether the peer said that it would go, and so that another will come.
    is_announced: bool,
}

impl Outage {
    fn new() -> Self {
        Self {
            grace: Some(Instant::now() + RESTART_GRACE),
            failures: 0,
            reported: false,
            is_announced: false,
        }
    }

    fn begin(&mut self, grace: Duration, is_announced: bool, lived: Duration) {
        self.grace = (!grace.is_zero()).then(|| Instant::now() + grace);
        self.reported = false;
        self.is_announced = is_announced;
        // A peer that accepts and hangs up again and again is not asked in a hot loop.
        self.failures = if lived >= SETTLED_AFTER {
            0
        } else {
            self.failures + 1
        };
    }

    fn failed(&mut self, endpoint: &Endpoint, calls: &Calls, error: &ConnectError) {
        self.failures += 1;
        if !error.may_pass(self.is_announced) && self.grace.take().is_some() {
            calls.unreachable();
        }
        if self.grace.is_none() && !self.reported {
            self.reported = true;
            warn!(peer = %endpoint, reason = %error, "peer cannot be reached, still trying");
        } else {
            debug!(peer = %endpoint, reason = %error, "connection attempt failed");
        }
    }

    /// Waits for something; when the time of grace ends meanwhile, those who wait are told.
    async fn wait<F: Future>(&mut self, calls: &Calls, future: F) -> F::Output {
        let mut future = pin!(future);
        if let Some(end) = self.grace {
            if let Ok(output) = timeout_at(end, &mut future).await {
                return output;
            }
            self.grace = None;
            calls.unreachable();
        }
        future.await
    }

    /// Nothing before the first attempt, then 10 ms doubling up to 250 ms, each shortened at random by up to
    /// half so that clients of one peer do not come back in step.
    fn pause(&self) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let full = FIRST_PAUSE
            .saturating_mul(1 << doublings.min(10))
            .min(LONGEST_PAUSE);
        let random = RandomState::new().hash_one(doublings) % 512;
        full * (512 + u32::try_from(random).unwrap_or(0)) / 1024
    }
}
