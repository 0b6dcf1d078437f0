//! One established connection: writes what callers queue, hands out what arrives, and notices a peer that
//! has stopped working. All of it in one task without channels, so that a call costs one wake-up here.

use super::calls::{Calls, Owed, PING};
use super::{Answer, CallError};
use crate::outbox::{Outbox, Queued};
use crate::stream::Stream;
use chancel_wire::frame::{self, FrameBuffer};
use chancel_wire::limits::{GOODBYE_TIMEOUT, MAX_BATCH_FRAME_BODY};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use zeroize::Zeroizing;

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    #[error("no client is left")]
    Closed,
    #[error("the peer stops, and answers what it was sent")]
    Leaving,
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
    settled: Settled,
    /// Frames wait until everything else that is ready has run, so that they leave together.
    gathering: bool,
    /// The peer has said goodbye, and until when it has to take what was on its way.
    leaving: Option<Pin<Box<Sleep>>>,
    watchdog: Watchdog,
}

/// What is left of a connection: frames that were never begun, and, when the peer stops, the side on which it answers.
pub(super) struct Ended {
    pub(super) ending: Ending,
    pub(super) unsent: VecDeque<Queued>,
    pub(super) rest: Rest,
}

/// A connection on which nothing more is asked.
pub(super) struct Rest {
    stream: Stream,
    incoming: FrameBuffer,
}

impl Rest {
    /// Hands out answers until all that are owed are there, or the connection ends.
    pub(super) async fn run(mut self, mut owed: Owed) {
        while !owed.is_settled() {
            match self.stream.read(self.incoming.spare()).await {
                Ok(count) if count > 0 => self.incoming.filled(count),
                _ => return,
            }
            loop {
                match self.incoming.next_frame() {
                    Ok(Some(frame)) => owed.settle(frame.correlation, Answer::new(frame.body)),
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: Stream, calls: &'a Calls, silence_limit: Duration) -> Self {
        Self {
            stream,
            calls,
            incoming: FrameBuffer::new(MAX_BATCH_FRAME_BODY),
            outbox: Outbox::default(),
            settled: Vec::new(),
            gathering: false,
            leaving: None,
            watchdog: Watchdog::new(silence_limit),
        }
    }

    /// Works until the connection ends, or the peer is about to.
    pub(super) async fn run(mut self) -> Ended {
        let ending = std::future::poll_fn(|cx| self.poll(cx)).await;
        Ended {
            ending,
            unsent: self.outbox.into_unsent(),
            rest: Rest {
                stream: self.stream,
                incoming: self.incoming,
            },
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Poll::Ready(ending) = self.poll_incoming(cx) {
            return Poll::Ready(ending);
        }
        if let Some(end) = &mut self.leaving {
            if end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ending::Hung);
            }
            return self.poll_leave(cx);
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

    /// What was taken from the queue is sent, and then it is said that nothing more comes.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Err(error) = ready!(self.outbox.poll_write(&mut self.stream, cx)) {
            return Poll::Ready(error.into());
        }
        match ready!(Pin::new(&mut self.stream).poll_shutdown(cx)) {
            Ok(()) => Poll::Ready(Ending::Leaving),
            Err(error) => Poll::Ready(error.into()),
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
            match hand_out(&mut self.incoming, self.calls, &mut self.settled) {
                Ok(true) => self.leaving = Some(Box::pin(sleep(GOODBYE_TIMEOUT))),
                Ok(false) => {}
                Err(_) => return Poll::Ready(Ending::Malformed),
            }
        }
    }
}

type Settled = Vec<(oneshot::Sender<Result<Answer, CallError>>, Answer)>;

/// Hands out whole frames; whether one of them was a goodbye.
fn hand_out(
    incoming: &mut FrameBuffer,
    calls: &Calls,
    settled: &mut Settled,
) -> Result<bool, frame::LengthOutOfBounds> {
    let (mut broken, mut leaving) = (None, false);
    let answers = std::iter::from_fn(|| match incoming.next_frame() {
        Ok(frame) => frame.map(|frame| {
            leaving |= frame.correlation == frame::GOODBYE;
            (frame.correlation, Answer::new(frame.body))
        }),
        Err(error) => {
            broken = Some(error);
            None
        }
    });
    calls.settle(answers, settled);
    for (caller, answer) in settled.drain(..) {
        // A caller that has gone meanwhile needs no answer.
        let _ = caller.send(Ok(answer));
    }
    broken.map_or(Ok(leaving), Err)
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
