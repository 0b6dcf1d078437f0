//! What the gateway takes at once: connections, requests, and bytes. Beyond each bound the answer is an error,
//! before memory grows.

use crate::error::ApiError;
use chancel_wire::limits::{MAX_IN_FLIGHT, SLOW_DEADLINE};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Body of one request, bytes: a full payload and a full `aad` in base64 with room to spare for JSON.
pub const MAX_BODY: usize = 2 << 20;

/// Body of a batch, bytes: as much as keyd takes in base64, with room to spare for JSON.
pub const MAX_BATCH_BODY: usize = 15 << 20;

/// Plaintext or message of a stream, bytes: 64 MiB. Its ciphertext, or the signature before it, is more.
pub const MAX_STREAM: usize = 64 << 20;

/// How long a piece of a stream may take to arrive, or to be taken: about 50 KB a second at least.
pub const PIECE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of such a piece.
pub const PIECE: usize = 1 << 20;

/// Bytes that one tenant's streams may come to hold: a quarter of all.
pub const MAX_STREAMS_OF_A_TENANT: usize = MAX_STREAMS / 4;

/// Bytes that streams may come to hold, all together. One holds a few pieces where its client reads while it sends; one
/// whose client reads when it has sent everything comes to hold its whole answer.
pub const MAX_STREAMS: usize = 512 << 20;

/// Bytes of bodies and answers of all requests together.
pub const MAX_BODIES: usize = 128 << 20;

/// Requests under way.
pub const MAX_REQUESTS: usize = 1024;

/// Changes of keys under way: they wait for disks and for each other, and must leave room for everything else on
/// the connection to policyd.
pub const MAX_CHANGES: usize = MAX_IN_FLIGHT / 4;

/// Connections, and those of the monitor.
pub const MAX_CONNECTIONS: usize = 2048;
/// Connections of the monitor.
pub const MAX_MONITOR_CONNECTIONS: usize = 32;

/// How long a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the headers of a request may take, and how long a connection may wait for its next request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a body may take.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sent bytes may go unacknowledged: a client that stops reading loses its connection.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Header lines of a request, and bytes of them together.
pub const MAX_HEADERS: usize = 64;
/// Bytes of a request's head.
pub const MAX_HEAD: usize = 32 << 10;

/// How long requests under way may take when the gateway stops: as long as the slowest signature.
pub const DRAIN_TIMEOUT: Duration = SLOW_DEADLINE.saturating_add(Duration::from_secs(2));

/// Requests and bytes in use.
#[derive(Debug)]
pub struct Limits {
    requests: Arc<Budget>,
    changes: Arc<Budget>,
    bytes: Arc<Budget>,
    streams: Arc<Budget>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Budget::new(MAX_REQUESTS),
            changes: Budget::new(MAX_CHANGES),
            bytes: Budget::new(MAX_BODIES),
            streams: Budget::new(MAX_STREAMS),
        }
    }
}

impl Limits {
    /// A place among the requests under way.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when all are taken.
    pub fn enter(&self) -> Result<Claim, ApiError> {
        Claim::of_one(&self.requests)
    }

    /// A place among the changes of keys under way.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when all are taken.
    pub fn enter_change(&self) -> Result<Claim, ApiError> {
        Claim::of_one(&self.changes)
    }

    /// A claim on memory, of nothing yet.
    pub fn memory(&self) -> Claim {
        Claim::none(&self.bytes)
    }

    /// A claim on what a stream may come to hold: its declared length, or that of the longest.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when others have claimed too much.
    pub fn stream(&self, declared: Option<usize>) -> Result<Claim, ApiError> {
        let mut claim = Claim::none(&self.streams);
        claim.grow_to(stream_len(declared))?;
        Ok(claim)
    }

    /// Bytes that streams have claimed.
    pub fn stream_bytes_in_use(&self) -> usize {
        MAX_STREAMS - self.streams.left.load(Ordering::Relaxed)
    }

    /// Requests under way.
    pub fn requests_in_use(&self) -> usize {
        MAX_REQUESTS - self.requests.left.load(Ordering::Relaxed)
    }

    /// Bytes in use.
    pub fn bytes_in_use(&self) -> usize {
        MAX_BODIES - self.bytes.left.load(Ordering::Relaxed)
    }
}

/// What a stream of a declared length may come to hold.
pub fn stream_len(declared: Option<usize>) -> usize {
    declared.map_or(MAX_STREAM, |length| length.min(MAX_STREAM))
}

#[derive(Debug)]
struct Budget {
    left: AtomicUsize,
}

impl Budget {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(size),
        })
    }
}

/// Part of a budget, given back when dropped.
#[derive(Debug)]
pub struct Claim {
    budget: Arc<Budget>,
    taken: usize,
}

impl Claim {
    fn none(budget: &Arc<Budget>) -> Self {
        Self {
            budget: budget.clone(),
            taken: 0,
        }
    }

    fn of_one(budget: &Arc<Budget>) -> Result<Self, ApiError> {
        let mut claim = Self::none(budget);
        claim.grow_to(1)?;
        Ok(claim)
    }

    /// Raises the claim to `size`; a larger claim stays as it is.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when the budget has no more; the claim is then unchanged.
    pub fn grow_to(&mut self, size: usize) -> Result<(), ApiError> {
        let more = size.saturating_sub(self.taken);
        let take = |left: usize| left.checked_sub(more);
        match self
            .budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        {
            Ok(_) => {
                self.taken += more;
                Ok(())
            }
            Err(_) => Err(ApiError::Unavailable),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_bounded_and_given_back() {
        let limits = Limits::default();
        let mut first = limits.memory();
        first.grow_to(MAX_BODIES - 1).unwrap();
        let mut second = limits.memory();
        assert_eq!(second.grow_to(2), Err(ApiError::Unavailable));
        second.grow_to(1).unwrap();
        second.grow_to(0).unwrap();
        assert_eq!(limits.bytes_in_use(), MAX_BODIES);
        drop((first, second));
        assert_eq!(limits.bytes_in_use(), 0);
    }

    #[test]
    fn one_request_too_many_is_refused() {
        let limits = Limits::default();
        let taken: Vec<_> = (0..MAX_REQUESTS).map(|_| limits.enter().unwrap()).collect();
        assert_eq!(limits.enter().unwrap_err(), ApiError::Unavailable);
        drop(taken);
        assert!(limits.enter().is_ok());
    }

    #[test]
    fn changes_of_keys_are_bounded_and_leave_room_for_other_requests() {
        let limits = Limits::default();
        let taken: Vec<_> = (0..MAX_CHANGES).map(|_| limits.enter_change().unwrap()).collect();
        assert_eq!(limits.enter_change().unwrap_err(), ApiError::Unavailable);
        assert!(limits.enter().is_ok());
        drop(taken);
        assert!(limits.enter_change().is_ok());
    }
}
