//! An answer that is made while it is sent. Should it break off, the connection does: what was sent without its end is
//! worthless, and the client sees that.

use crate::error::ApiError;
use crate::http::Cut;
use crate::limits::{Claim, PIECE, PIECE_TIMEOUT};
use crate::metrics::Metrics;
use crate::pipeline::context::Context;
use crate::shares::Share;
use bytes::Bytes;
use chancel_domain::RequestId;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll, ready};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// Pieces that may wait to be sent: all of the longest stream, for there are clients that send everything before they
/// read anything. The claim is for so much.
const MOST_WAITING: usize = 1100;

/// A body that is made while it is sent.
pub struct Outgoing {
    channel: Channel<Bytes, ApiError>,
    left: Option<u64>,
    progress: Arc<Progress>,
    /// In the answer's headers.
    pub key_version: u32,
    /// In the answer's headers.
    pub algorithm: &'static str,
    _held: Held,
}

/// What a stream holds until it has been sent.
pub struct Held {
    pub share: Option<Share>,
    pub claims: (Claim, Share),
}

/// What an answer says of the key, and what its length is, where that is known.
pub struct Said {
    pub length: Option<u64>,
    pub key_version: u32,
    pub algorithm: &'static str,
}

/// How much the client has taken.
#[derive(Default)]
struct Progress {
    taken: AtomicUsize,
    more: Notify,
    /// What ends the connection of a client that takes too little.
    cut: OnceLock<Cut>,
}

/// Where its pieces are put.
pub struct Sink {
    /// Until it has been ended: a sink that is lost breaks its stream off.
    sender: Option<Sender<Bytes, ApiError>>,
    put: usize,
    progress: Arc<Progress>,
    metrics: Arc<Metrics>,
    request: RequestId,
}

impl Outgoing {
    /// A body, and where its pieces are put.
    pub fn new(said: &Said, held: Held, context: &Context<'_>) -> (Sink, Self) {
        let (sender, channel) = Channel::new(MOST_WAITING);
        let progress = Arc::new(Progress::default());
        let sink = Sink {
            sender: Some(sender),
            put: 0,
            progress: Arc::clone(&progress),
            metrics: Arc::clone(context.metrics),
            request: context.request,
        };
        let outgoing = Self {
            channel,
            left: said.length,
            progress,
            key_version: said.key_version,
            algorithm: said.algorithm,
            _held: held,
        };
        (sink, outgoing)
    }

    /// Over which connection it leaves.
    pub fn leaves_by(&self, cut: Cut) {
        // There is one.
        let _ = self.progress.cut.set(cut);
    }
}

impl Sink {
    /// Sends a piece, which is wiped when it has left.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub async fn send(&mut self, piece: Zeroizing<Vec<u8>>) -> Result<(), ApiError> {
        let Some(sender) = self.sender.as_mut().filter(|_| !piece.is_empty()) else {
            return Ok(());
        };
        self.put += piece.len();
        let sent = sender.send_data(Bytes::from_owner(Wiped(piece))).await;
        sent.map_err(|_| ApiError::BodyIncomplete)
    }

    /// Ends the stream when it has been taken, or breaks it off.
    pub async fn end(mut self, outcome: Result<(), ApiError>) {
        let outcome = match outcome {
            Ok(()) => self.progress.taken(self.put).await,
            failed => failed,
        };
        match (outcome, self.sender.take()) {
            (Ok(()), _) => {}
            (Err(error), sender) => {
                let code = error.code();
                tracing::debug!(request = %self.request, code = code.name(), "a stream broke off");
                self.metrics.failed(code);
                if let Some(sender) = sender {
                    sender.abort(error);
                }
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.abort(ApiError::Internal);
        }
    }
}

impl Progress {
    /// Waits until so many bytes have been taken.
    ///
    /// # Errors
    /// When the client takes less than a piece in its time; its connection is then cut.
    async fn taken(&self, wanted: usize) -> Result<(), ApiError> {
        loop {
            let before = self.taken.load(Ordering::Relaxed);
            let next = wanted.min(before + PIECE);
            let until = Instant::now() + PIECE_TIMEOUT;
            while self.taken.load(Ordering::Relaxed) < next {
                if timeout_at(until, self.more.notified()).await.is_err() {
                    if let Some(cut) = self.cut.get() {
                        cut.now();
                    }
                    return Err(ApiError::BodyIncomplete);
                }
            }
            if next == wanted {
                return Ok(());
            }
        }
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        let frame = ready!(Pin::new(&mut self.channel).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(length as u64);
            }
            self.progress.taken.fetch_add(length, Ordering::Relaxed);
            self.progress.more.notify_one();
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn sink(progress: &Arc<Progress>) -> (Sink, Channel<Bytes, ApiError>) {
        let (sender, channel) = Channel::new(MOST_WAITING);
        let sink = Sink {
            sender: Some(sender),
            put: 0,
            progress: Arc::clone(progress),
            metrics: Arc::default(),
            request: RequestId::from_bytes([0; 16]),
        };
        (sink, channel)
    }

    /// Without its end a stream must not look whole, whatever became of who made it.
    #[tokio::test]
    async fn a_sink_that_is_lost_breaks_its_stream_off() {
        let (mut lost, mut channel) = sink(&Arc::default());
        lost.send(Zeroizing::new(vec![1])).await.unwrap();
        drop(lost);
        let is_error =
            |frame: Option<Result<_, _>>| frame.map(|frame: Result<Frame<Bytes>, _>| frame.is_err());
        // The piece may have been overtaken; an end without an error may not come.
        let first = is_error(channel.frame().await);
        let last = if first == Some(false) {
            is_error(channel.frame().await)
        } else {
            first
        };
        assert_eq!(last, Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_too_little_is_cut_off() {
        let progress = Arc::new(Progress::default());
        let cut = Cut::default();
        progress.cut.set(cut.clone()).ok().unwrap();
        let (mut slow, _channel) = sink(&progress);
        slow.send(Zeroizing::new(vec![0; 3 * PIECE])).await.unwrap();
        progress.taken.store(PIECE + 1, Ordering::Relaxed);
        let began = Instant::now();
        tokio::join!(slow.end(Ok(())), cut.wait());
        assert!(began.elapsed() >= PIECE_TIMEOUT);
    }
}
