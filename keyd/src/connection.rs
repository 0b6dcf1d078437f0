//! One authenticated connection: a thread reads frames, workers answer them in whatever order they finish.

use crate::listen::{AuthenticatedPeer, Stop};
use crate::pool::Pools;
use crate::round::{Question, Round};
use chancel_wire::frame::{self, Frame, FrameBuffer, GOODBYE};
use chancel_wire::hello::Role;
use chancel_wire::keyd::KeydError;
use chancel_wire::limits::{
    FRAME_TIMEOUT, GOODBYE_TIMEOUT, LIFECYCLE_DEADLINE, MAX_BATCH_FRAME_BODY, MAX_FRAME_BODY, MAX_IN_FLIGHT,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long keyd, when it stops, goes on with what is under way: no request that is not slow takes longer than a change of
/// keys, and those that are have been finished before.
pub const DRAIN_TIMEOUT: Duration = LIFECYCLE_DEADLINE.saturating_add(Duration::from_secs(2));
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
    /// A worker gives a place back when its answer has been sent.
    fn wait_until_all_are_sent(&self) {
        let until = Instant::now() + DRAIN_TIMEOUT;
        while self.in_flight.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn write(&self, bytes: &[u8]) {
        // A poisoned lock means a half-written answer at worst, and the write below then fails or closes.
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.write_all(bytes).is_err() {
            // The peer would see half an answer: better none at all.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Serves a connection until it ends. When keyd is about to stop, the peer hears of it; what it has sent until it ends its
/// side is answered.
pub fn serve(mut stream: UnixStream, peer: AuthenticatedPeer, pools: &Pools, stop: &Stop) -> Ended {
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
    let mut buffer = FrameBuffer::new(match peer.role() {
        Role::Gateway => MAX_BATCH_FRAME_BODY,
        Role::Policyd | Role::Operator => MAX_FRAME_BODY,
    });
    let mut timer = FrameTimer::default();
    // Set when it has said goodbye.
    let mut leave_by = None;
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
        match timer.wait(&stream, stop, leave_by, buffer.is_mid_frame()) {
            Ok(Woken::Readable) => {}
            Ok(Woken::Stop) => {
                answers.write(&frame::seal_ping(GOODBYE));
                leave_by = Some(Instant::now() + GOODBYE_TIMEOUT);
                continue;
            }
            Ok(Woken::InVain) if buffer.is_mid_frame() => break Ended::HalfFrame,
            // Told, and it has had its time.
            Ok(Woken::InVain) => break Ended::ByPeer,
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
    if leave_by.is_some() {
        answers.wait_until_all_are_sent();
    }
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

/// Why a wait ended.
enum Woken {
    Readable,
    Stop,
    InVain,
}

impl Woken {
    const fn of(is_readable: bool, is_stopped: bool) -> Self {
        match (is_readable, is_stopped) {
            // First: a peer that floods keyd must not keep it from stopping.
            (_, true) => Self::Stop,
            (true, false) => Self::Readable,
            (false, false) => Self::InVain,
        }
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

    /// Waits for bytes, or for `stop`; in vain when the frame's time is up. After a goodbye there is an instant at which
    /// nothing more is waited for, however much the peer sends.
    ///
    /// Not in `read`: the kernel wakes a blocked reader of a Unix socket also when its peer has read an answer and
    /// made room for another, which is once a request and for nothing.
    fn wait(
        &mut self,
        stream: &UnixStream,
        stop: &Stop,
        leave_by: Option<Instant>,
        mid_frame: bool,
    ) -> nix::Result<Woken> {
        let now = Instant::now();
        let until = if mid_frame {
            let until = *self.until.get_or_insert(now + FRAME_TIMEOUT);
            Some(leave_by.map_or(until, |leave_by| until.min(leave_by + FRAME_TIMEOUT)))
        } else {
            self.until = None;
            leave_by
        };
        let timeout = match until.map(|until| until.saturating_duration_since(now)) {
            None => PollTimeout::NONE,
            Some(Duration::ZERO) => return Ok(Woken::InVain),
            // poll counts in milliseconds; a part of one is waited for as a whole one.
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
        };
        let waited = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let is_ready = |waited: &PollFd<'_>| waited.any().unwrap_or(true);
        if leave_by.is_some() {
            let mut stream = [waited(stream.as_fd())];
            poll(&mut stream, timeout)?;
            return Ok(Woken::of(stream.iter().any(is_ready), false));
        }
        let mut both = [waited(stream.as_fd()), waited(stop.as_fd())];
        poll(&mut both, timeout)?;
        let [stream, stop] = &both;
        Ok(Woken::of(is_ready(stream), is_ready(stop)))
    }
}

#[cfg(test)]
mod tests;
