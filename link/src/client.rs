//! The asking end: one connection, many calls in flight, every call answered within its deadline.
//!
//! What a caller can rely on:
//! * A call resolves no later than its deadline, and earlier with an error as soon as the peer is known to be
//!   away or hung. Nothing here waits for an operating-system time-out.
//! * A request is sent at most once. When the connection breaks, calls of which a byte may have left fail with
//!   [`CallError::Lost`]; those that were still waiting to be written go out on the next connection.
//! * Memory is bounded: at most [`MAX_IN_FLIGHT`] calls, each with one frame.

mod calls;
mod connection;
mod reconnect;

use crate::endpoint::Endpoint;
use calls::{Calls, Ticket};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::limits::MAX_IN_FLIGHT;
use chancel_wire::{DecodeError, frame};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection, and the last attempt to make one has failed. The request was not sent.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// Too many calls are under way. The request was not sent.
    #[error("too many calls are under way")]
    Overloaded,
    /// No answer came in time. The request may have been carried out.
    #[error("the deadline passed")]
    DeadlinePassed,
    /// The peer owes answers and does not even answer pings. The request may have been carried out.
    #[error("the peer is hung")]
    Hung,
    /// The connection broke before the answer came. The request may have been carried out.
    #[error("the connection broke")]
    Lost,
}

/// One answer: the encoded message, wiped when dropped.
#[derive(Debug)]
pub struct Answer(Zeroizing<Vec<u8>>);

impl Answer {
    fn new(body: &[u8]) -> Self {
        Self(Zeroizing::new(body.to_vec()))
    }

    /// The message; what it borrows, it borrows from the answer's buffer.
    ///
    /// # Errors
    /// [`DecodeError`] when the peer sent something else.
    pub fn decode<'a, R: Deserialize<'a>>(&'a self) -> Result<R, DecodeError> {
        chancel_wire::decode(&self.0)
    }
}

/// A connection to one peer, shared by all who call it. Clones are cheap and share the connection, which ends
/// when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    owner: Arc<Owner>,
    connections: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Owner(Arc<Calls>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Client {
    /// Starts connecting, and reconnecting for as long as a clone of the client exists, in a task of the
    /// current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime with its time and I/O drivers enabled.
    pub fn new(endpoint: Endpoint, role: Role, token: ServiceToken) -> Self {
        let calls = Arc::new(Calls::new());
        let (counter, connections) = watch::channel(0);
        tokio::spawn(reconnect::keep_connected(
            endpoint,
            role,
            token,
            calls.clone(),
            counter,
        ));
        Self {
            owner: Arc::new(Owner(calls)),
            connections,
        }
    }

    /// Sends a request, which is encoded and queued before this returns, and resolves to its answer. Dropping
    /// the future abandons the call: an answer that still comes is discarded.
    ///
    /// While the peer restarts, calls wait for the new connection; when it stays away they fail at once.
    ///
    /// # Errors
    /// [`CallError`], no later than `deadline` from now.
    pub fn call<T: Serialize>(
        &self,
        request: &T,
        deadline: Duration,
    ) -> impl Future<Output = Result<Answer, CallError>> + Send + use<T> {
        let until = Instant::now() + deadline;
        // Rounded up: a budget of 0 would say that nobody waits.
        let budget_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX).max(1);
        let calls = &self.owner.0;
        let correlation = calls.next_correlation();
        let frame = Zeroizing::new(frame::seal(correlation, budget_ms, request));
        let submitted = calls.submit(correlation, frame);
        async move {
            let ticket: Ticket = submitted?;
            match timeout_at(until, ticket).await {
                Ok(outcome) => outcome,
                Err(_) => Err(CallError::DeadlinePassed),
            }
        }
    }

    /// Counts connections: 0 before the first, one more each time one has been established. Wait for a change
    /// to do what each new connection needs.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }
}
