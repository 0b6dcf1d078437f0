//! One established connection: writes what callers queue, hands out what arrives, and notices a peer that
//! has stopped working. All of it in one task without channels, so that a call costs one wake-up here.

use super::calls::{Calls, PING};
use super::{Answer, CallError};
use crate::outbox::{Outbox, Queued};
use crate::stream::Stream;
use chancel_wire::frame::{self, FrameBuffer};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};
use zeroize::Zeroizing;

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    #[error("no client is left")]
    Closed,
    #[error("the peer closed the connection")]
    HungUp,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the peer sent a frame that is out of bounds")]
    Malformed,
    #[error("the peer owes answers and has been silent, also to a ping")]
    Hung,
}

pub(super) struct Connection<'a> {
    stream: Stream,
    calls: &'a Calls,
    incoming: FrameBuffer,
    outbox: Outbox,
    settled: Vec<(oneshot::Sender<Result<Answer, CallError>>, Answer)>,
    /// Frames wait until everything else that is ready has run, so that they leave together.
    gathering: bool,
    watchdog: Watchdog,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: Stream, calls: &'a Calls, silence_limit: Duration) -> Self {
        Self {
            stream,
            calls,
            incoming: FrameBuffer::new(),
            outbox: Outbox::default(),
            settled: Vec::new(),
            gathering: false,
            watchdog: Watchdog::new(silence_limit),
        }
    }

    /// Works until the connection ends; returns why it did, and the frames that were never begun.
    pub(super) async fn run(mut self) -> (Ending, VecDeque<Queued>) {
        let ending = std::future::poll_fn(|cx| self.poll(cx)).await;
        (ending, self.outbox.into_unsent())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Poll::Ready(ending) = self.poll_incoming(cx) {
            return Poll::Ready(ending);
        }
        let backlog = self.calls.look(cx.waker());
        if backlog.closed {
            return Poll::Ready(Ending::Closed);
        }
        match self.watchdog.poll(cx, backlog.waiting) {
            Alarm::None => {}
            Alarm::Ping => self.outbox.push(Queued {
                correlation: PING,
                bytes: Zeroizing::new(frame::seal_ping(PING).to_vec()),
            }),
            Alarm::Hung => return Poll::Ready(Ending::Hung),
        }
        // Others are calling too: what they are about to send can share a write with what is queued. With one
        // call under way there is nobody to wait for.
        if backlog.queued > 0 && backlog.waiting > 1 && !self.gathering {
            self.gathering = true;
            // Polled once, this asks to be run again after all that is ready now.
            let _ = pin!(yield_now()).poll(cx);
        } else if backlog.queued > 0 {
            self.gathering = false;
            self.calls.take_queue(&mut self.outbox);
        }
        match self.outbox.poll_write(&mut self.stream, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error.into()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            let mut room = ReadBuf::new(self.incoming.spare());
            match Pin::new(&mut self.stream).poll_read(cx, &mut room) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                Poll::Ready(Ok(())) => {}
            }
            let count = room.filled().len();
            if count == 0 {
                return Poll::Ready(Ending::HungUp);
            }
            self.incoming.filled(count);
            self.watchdog.heard();
            if self.hand_out().is_err() {
                return Poll::Ready(Ending::Malformed);
            }
        }
    }

    fn hand_out(&mut self) -> Result<(), frame::LengthOutOfBounds> {
        let mut broken = None;
        let incoming = &mut self.incoming;
        let answers = std::iter::from_fn(|| match incoming.next_frame() {
            Ok(frame) => frame.map(|frame| (frame.correlation, Answer::new(frame.body))),
            Err(error) => {
                broken = Some(error);
                None
            }
        });
        self.calls.settle(answers, &mut self.settled);
        for (caller, answer) in self.settled.drain(..) {
            // A caller that has gone meanwhile needs no answer.
            let _ = caller.send(Ok(answer));
        }
        broken.map_or(Ok(()), Err)
    }
}

enum Alarm {
    None,
    Ping,
    Hung,
}

/// Notices silence of a peer that owes answers. Runs only while it does, and its timer is moved at most twice
/// a limit, so that a busy connection does not pay for it on each call.
struct Watchdog {
    /// A peer that owes an answer is pinged after this much silence, and has as long to answer the ping.
    ping_after: Duration,
    timer: Pin<Box<Sleep>>,
    armed: bool,
    owed: bool,
    owed_since: Instant,
    heard_at: Instant,
    pinged: bool,
}

impl Watchdog {
    fn new(silence_limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            ping_after: silence_limit / 2,
            timer: Box::pin(sleep_until(now)),
            armed: false,
            owed: false,
            owed_since: now,
            heard_at: now,
            pinged: false,
        }
    }

    fn heard(&mut self) {
        self.heard_at = Instant::now();
        self.pinged = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>, owed: usize) -> Alarm {
        let owes = owed > 0;
        if owes && !self.owed {
            self.owed_since = Instant::now();
        }
        self.owed = owes;
        if owes && !self.armed {
            self.arm(Instant::now() + self.ping_after);
        }
        let mut alarm = Alarm::None;
        while self.armed && self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let silent_since = self.heard_at.max(self.owed_since);
            if !owes {
                self.armed = false;
            } else if now < silent_since + self.ping_after {
                self.arm(silent_since + self.ping_after);
            } else if self.pinged {
                return Alarm::Hung;
            } else {
                self.pinged = true;
                alarm = Alarm::Ping;
                self.arm(now + self.ping_after);
            }
        }
        alarm
    }

    fn arm(&mut self, at: Instant) {
        self.armed = true;
        self.timer.as_mut().reset(at);
    }
}
