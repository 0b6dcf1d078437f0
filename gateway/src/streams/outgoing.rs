//! An answer that is made while it is sent. Should it break off, the connection does: what was sent without its end is
//! worthless, and the client sees that.

use crate::error::ApiError;
use crate::limits::Claim;
use crate::metrics::Metrics;
use crate::pipeline::context::Context;
use crate::shares::Share;
use bytes::Bytes;
use chancel_domain::RequestId;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use zeroize::Zeroizing;

/// Pieces that may wait to be sent: all of the longest stream, for there are clients that send everything before they
/// read anything. The claim is for so much.
const MOST_WAITING: usize = 1100;

/// A body that is made while it is sent.
pub struct Outgoing {
    channel: Channel<Bytes, ApiError>,
    left: Option<u64>,
    /// In the answer's headers.
    pub key_version: u32,
    /// In the answer's headers.
    pub algorithm: &'static str,
    _held: Held,
}

/// What a stream holds until it has been sent.
pub struct Held {
    pub share: Option<Share>,
    pub claim: Claim,
}

/// What an answer says of the key, and what its length is, where that is known.
pub struct Said {
    pub length: Option<u64>,
    pub key_version: u32,
    pub algorithm: &'static str,
}

/// Where its pieces are put.
pub struct Sink {
    sender: Sender<Bytes, ApiError>,
    metrics: Arc<Metrics>,
    request: RequestId,
}

impl Outgoing {
    /// A body, and where its pieces are put.
    pub fn new(said: &Said, held: Held, context: &Context<'_>) -> (Sink, Self) {
        let (sender, channel) = Channel::new(MOST_WAITING);
        let sink = Sink {
            sender,
            metrics: Arc::clone(context.metrics),
            request: context.request,
        };
        let outgoing = Self {
            channel,
            left: said.length,
            key_version: said.key_version,
            algorithm: said.algorithm,
            _held: held,
        };
        (sink, outgoing)
    }
}

impl Sink {
    /// Sends a piece, which is wiped when it has left.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub async fn send(&mut self, piece: Zeroizing<Vec<u8>>) -> Result<(), ApiError> {
        if piece.is_empty() {
            return Ok(());
        }
        let sent = self.sender.send_data(Bytes::from_owner(Wiped(piece))).await;
        sent.map_err(|_| ApiError::BodyIncomplete)
    }

    /// Ends the stream, or breaks it off.
    pub fn end(self, outcome: Result<(), ApiError>) {
        if let Err(error) = outcome {
            let code = error.code();
            tracing::debug!(request = %self.request, code = code.name(), "a stream broke off");
            self.metrics.failed(code);
            self.sender.abort(error);
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
        if let (Some(Ok(frame)), Some(left)) = (&frame, &mut self.left) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
