//! One authenticated connection: a thread reads frames, workers answer them in whatever order they finish.

use crate::listen::AuthenticatedPeer;
use crate::pool::Pools;
use crate::round::{Question, Round};
use chancel_wire::frame::{self, Frame, FrameBuffer};
use chancel_wire::keyd::KeydError;
use chancel_wire::limits::{FRAME_TIMEOUT, MAX_IN_FLIGHT};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A peer that does not take its answers within this time is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The peer closed it.
    #[error("closed by the peer")]
    ByPeer,
    /// A frame declared a length that no frame may have.
    #[error("a frame was out of bounds")]
    FrameOutOfBounds,
    /// A frame began and did not end in time.
    #[error("a frame did not end in time")]
    HalfFrame,
}

impl Ended {
    /// What the peer did wrong, by its name in metrics; `None` when nothing.
    pub const fn as_fault(self) -> Option<&'static str> {
        match self {
            Self::ByPeer => None,
            Self::FrameOutOfBounds => Some("frame-out-of-bounds"),
            Self::HalfFrame => Some("half-frame"),
        }
    }
}

/// The answering side of a connection, shared by its reader and the workers.
struct Answers {
    stream: Mutex<UnixStream>,
    peer: AuthenticatedPeer,
    in_flight: AtomicUsize,
}

/// One of the requests that may be under way on a connection; given back when dropped.
pub struct Place(Arc<Answers>);

impl Place {
    fn take(answers: &Arc<Answers>) -> Option<Self> {
        let place = Self(Arc::clone(answers));
        (answers.in_flight.fetch_add(1, Ordering::Relaxed) < MAX_IN_FLIGHT).then_some(place)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> AuthenticatedPeer {
        self.0.peer
    }

    /// Equal for places on one connection.
    pub fn connection(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }

    /// Whether the peer has room for more answers.
    pub fn takes_more(&self) -> bool {
        let stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waited = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        poll(&mut waited, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Sends frames to the peer.
    pub fn write(&self, frames: &[u8]) {
        self.0.write(frames);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Answers {
    fn write(&self, bytes: &[u8]) {
        // A poisoned lock means a half-written answer at worst, and the write below then fails or closes.
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.write_all(bytes).is_err() {
            // The peer would see half an answer: better none at all.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Serves a connection until it ends.
pub fn serve(mut stream: UnixStream, peer: AuthenticatedPeer, pools: &Pools) -> Ended {
    let Ok(writer) = stream.try_clone() else {
        return Ended::ByPeer;
    };
    if writer.set_write_timeout(Some(WRITE_TIMEOUT)).is_err() {
        return Ended::ByPeer;
    }
    let answers = Arc::new(Answers {
        stream: Mutex::new(writer),
        peer,
        in_flight: AtomicUsize::new(0),
    });
    let mut buffer = FrameBuffer::new();
    let mut timer = FrameTimer::default();
    let ended = loop {
        loop {
            let next = buffer.next_frame();
            if let Ok(Some(_)) = next {
                timer.frame_ended();
            }
            match next {
                Ok(Some(frame)) if frame.body.is_empty() => {
                    answers.write(&frame::seal_ping(frame.correlation))
                }
                Ok(Some(frame)) => {
                    accept(pools, &answers, &frame);
                }
                Ok(None) => break,
                Err(_) => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return Ended::FrameOutOfBounds;
                }
            }
        }
        match timer.wait(&stream, buffer.is_mid_frame()) {
            Ok(true) => {}
            Ok(false) => break Ended::HalfFrame,
            Err(Errno::EINTR) => continue,
            Err(_) => break Ended::ByPeer,
        }
        match stream.read(buffer.spare()) {
            Ok(0) => break Ended::ByPeer,
            Ok(count) => buffer.filled(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break Ended::ByPeer,
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
    ended
}

/// Queues one request for a worker, or refuses it at once.
fn accept(pools: &Pools, answers: &Arc<Answers>, request: &Frame<'_>) {
    let correlation = request.correlation;
    let queued = Place::take(answers).is_some_and(|place| {
        let question = Question {
            place,
            correlation,
            received: Instant::now(),
            budget: Duration::from_millis(request.budget_ms.into()),
            body: Zeroizing::new(request.body.to_vec()),
        };
        let bytes = request.body.len();
        let job = move |round: &mut Round| round.take_on(question);
        // A job that is not queued is dropped, and its place with it.
        pools
            .of(answers.peer, request.body)
            .submit(bytes, Box::new(job))
            .is_ok()
    });
    if !queued {
        let mut refusal = pools.keyd().refusal(KeydError::Overloaded).frame;
        frame::readdress(&mut refusal, correlation);
        answers.write(&refusal);
    }
}

/// Bounds the time from a frame's first byte to its last. Between frames a connection may rest for ever.
#[derive(Default)]
struct FrameTimer {
    until: Option<Instant>,
}

impl FrameTimer {
    /// A whole frame was read: the next one, which may have begun already, has a time of its own.
    const fn frame_ended(&mut self) {
        self.until = None;
    }

    /// Waits for bytes; `false` when the frame's time is up.
    ///
    /// Not in `read`: the kernel wakes a blocked reader of a Unix socket also when its peer has read an answer and
    /// made room for another, which is once a request and for nothing.
    fn wait(&mut self, stream: &UnixStream, mid_frame: bool) -> nix::Result<bool> {
        let timeout = if mid_frame {
            let now = Instant::now();
            let until = *self.until.get_or_insert(now + FRAME_TIMEOUT);
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return Ok(false);
            }
            // poll counts in milliseconds; a part of one is waited for as a whole one.
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        } else {
            self.until = None;
            PollTimeout::NONE
        };
        let mut waited = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        poll(&mut waited, timeout).map(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests;
