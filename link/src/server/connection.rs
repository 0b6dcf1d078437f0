//! One admitted connection: reads what has come, answers all of it, writes all answers at once.

use super::{AuthenticatedPeer, Handled, Handler, Incoming, Refusal, Reply};
use crate::outbox::{Outbox, Queued};
use crate::stream::Stream;
use chancel_wire::frame::{self, FrameBuffer, GOODBYE};
use chancel_wire::limits::{FRAME_TIMEOUT, GOODBYE_TIMEOUT, MAX_FRAME_BODY, MAX_IN_FLIGHT};
use std::future::poll_fn;
use std::mem;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::error;
use zeroize::Zeroizing;

struct Connection<'a, H> {
    stream: Stream,
    peer: AuthenticatedPeer,
    handler: &'a H,
    outbox: Outbox,
    held: Held,
    later: JoinSet<(u64, Reply)>,
}

/// Answers that wait for the end of their turn.
#[derive(Default)]
struct Held {
    answers: Vec<(u64, Reply)>,
    bytes: usize,
}

/// How a turn ended.
struct Turned {
    answered: usize,
    /// Whether its answers were so many that whole frames may be left.
    is_cut_short: bool,
}

/// Serves a peer until it leaves, breaks the protocol, or the server stops.
pub(super) async fn serve<H: Handler>(
    stream: Stream,
    peer: AuthenticatedPeer,
    handler: &H,
    stopped: watch::Receiver<bool>,
) -> Result<(), Refusal> {
    let mut connection = Connection {
        stream,
        peer,
        handler,
        outbox: Outbox::default(),
        held: Held::default(),
        later: JoinSet::new(),
    };
    connection.run(stopped).await
}

impl<H> Drop for Connection<'_, H> {
    /// What was begun is finished although nobody hears of it: half a change would be worse. Also when the server has no
    /// more patience with the connection.
    fn drop(&mut self) {
        self.later.detach_all();
    }
}

impl<H: Handler> Connection<'_, H> {
    async fn run(&mut self, mut stopped: watch::Receiver<bool>) -> Result<(), Refusal> {
        let mut incoming = FrameBuffer::new(MAX_FRAME_BODY);
        let mut frame_due = None;
        let mut leave_by = None;
        loop {
            tokio::select! {
                biased;
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) }, if leave_by.is_none() => {
                    let bytes = Zeroizing::new(frame::seal_ping(GOODBYE).to_vec());
                    self.outbox.push(Queued { correlation: GOODBYE, bytes });
                    leave_by = Some(Instant::now() + GOODBYE_TIMEOUT);
                }
                () = until(leave_by) => break,
                Some(finished) = self.later.join_next() => {
                    self.finish(finished);
                    while let Some(finished) = self.later.try_join_next() {
                        self.finish(finished);
                    }
                }
                read = self.stream.read(incoming.spare()) => {
                    // An error is a peer that has gone, like the end of the stream.
                    let Some(count) = read.ok().filter(|count| *count > 0) else {
                        if leave_by.is_some() {
                            // It has sent all that it had begun.
                            break;
                        }
                        return Ok(());
                    };
                    incoming.filled(count);
                    let mut turn = self.answer(&mut incoming)?;
                    let mut answered = turn.answered;
                    while turn.is_cut_short {
                        if !self.write().await? {
                            return Ok(());
                        }
                        turn = self.answer(&mut incoming)?;
                        answered += turn.answered;
                    }
                    frame_due = match frame_due {
                        _ if !incoming.is_mid_frame() => None,
                        Some(due) if answered == 0 => Some(due),
                        _ => Some(Instant::now() + FRAME_TIMEOUT),
                    };
                }
                () = until(frame_due) => return Err(Refusal::HalfOpenFrame),
            }
            if !self.write().await? {
                return Ok(());
            }
        }
        while let Some(finished) = self.later.join_next().await {
            self.finish(finished);
            if !self.write().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Handles whole frames, which are a turn, until none is left or the answers fill the outbox.
    fn answer(&mut self, incoming: &mut FrameBuffer) -> Result<Turned, Refusal> {
        let mut turn = H::Turn::default();
        let handled = self.handle_all(incoming, &mut turn);
        // Also before the connection ends for a bad frame: what was begun is finished.
        self.end(turn);
        handled
    }

    fn handle_all(&mut self, incoming: &mut FrameBuffer, turn: &mut H::Turn) -> Result<Turned, Refusal> {
        let mut answered = 0;
        while !self.outbox.would_be_full_with(self.held.bytes) {
            let Some(frame) = incoming.next_frame().map_err(|_| Refusal::MalformedFrame)? else {
                return Ok(Turned {
                    answered,
                    is_cut_short: false,
                });
            };
            answered += 1;
            let correlation = frame.correlation;
            if frame.body.is_empty() {
                let bytes = Zeroizing::new(frame::seal_ping(correlation).to_vec());
                self.outbox.push(Queued { correlation, bytes });
                continue;
            }
            let request = Incoming {
                body: frame.body,
                budget: Duration::from_millis(frame.budget_ms.into()),
            };
            match self.handler.handle(&self.peer, request, turn) {
                Handled::Now(reply) => self.send(correlation, reply),
                Handled::AtEnd(reply) => {
                    self.held.bytes += reply.len();
                    self.held.answers.push((correlation, reply));
                }
                Handled::Later(future) if self.later.len() < MAX_IN_FLIGHT => {
                    self.later.spawn(async move { (correlation, future.await) });
                }
                Handled::Later(_) => self.send(correlation, self.handler.overloaded()),
            }
        }
        Ok(Turned {
            answered,
            is_cut_short: true,
        })
    }

    fn end(&mut self, turn: H::Turn) {
        let ended = self.handler.end_turn(turn);
        self.held.bytes = 0;
        // Taken and put back for its memory.
        let mut answers = mem::take(&mut self.held.answers);
        for (correlation, reply) in answers.drain(..) {
            let instead = ended.as_ref().err().cloned();
            self.send(correlation, instead.unwrap_or(reply));
        }
        self.held.answers = answers;
    }

    fn finish(&mut self, finished: Result<(u64, Reply), JoinError>) {
        match finished {
            Ok((correlation, reply)) => self.send(correlation, reply),
            // Its caller runs into the deadline. What the panic said may quote a request; its place is logged where it happens.
            Err(_) => error!("a request's task failed"),
        }
    }

    fn send(&mut self, correlation: u64, reply: Reply) {
        let bytes = reply.into_frame(correlation);
        self.outbox.push(Queued { correlation, bytes });
    }

    /// Writes everything; `false` when the peer has gone.
    async fn write(&mut self) -> Result<bool, Refusal> {
        if self.outbox.is_empty() {
            return Ok(true);
        }
        let all = poll_fn(|cx| self.outbox.poll_write(&mut self.stream, cx));
        match timeout(FRAME_TIMEOUT, all).await {
            Ok(written) => Ok(written.is_ok()),
            Err(_) => Err(Refusal::UnreadAnswers),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
