//! A body as it arrives, in pieces of the sizes that are asked for.

use crate::error::ApiError;
use crate::limits::{PIECE, PIECE_TIMEOUT};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use tokio::time::{Instant, timeout_at};
use zeroize::{Zeroize, Zeroizing};

/// How long a body is declared to be.
pub fn declared_len(body: Option<&Incoming>) -> Option<usize> {
    let exact = body.and_then(|body| body.size_hint().exact());
    exact.and_then(|length| usize::try_from(length).ok())
}

/// Bytes that were received and not taken yet; wiped as they are.
pub struct Pieces<B> {
    body: B,
    received: Zeroizing<Vec<u8>>,
    /// Bytes that may still come.
    left: usize,
    has_ended: bool,
    /// Since when the present piece arrives, and how much of it is there.
    since: Instant,
    arrived: usize,
}

impl<B> Pieces<B> {
    /// Goes on with the same body, held otherwise.
    pub fn with_body<C>(self, body: C) -> Pieces<C> {
        Pieces {
            body,
            received: self.received,
            left: self.left,
            has_ended: self.has_ended,
            since: self.since,
            arrived: self.arrived,
        }
    }
}

impl<B> Pieces<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// A body of at most so many bytes.
    ///
    /// # Errors
    /// [`ApiError::BodyTooLarge`] when it is declared to be longer.
    pub fn new(body: B, most: usize) -> Result<Self, ApiError> {
        if body.size_hint().lower() > most as u64 {
            return Err(ApiError::BodyTooLarge);
        }
        Ok(Self {
            body,
            received: Zeroizing::default(),
            left: most,
            has_ended: false,
            since: Instant::now(),
            arrived: 0,
        })
    }

    /// Reads until so many bytes wait to be taken, or the body ends.
    async fn fill(&mut self, wanted: usize) -> Result<(), ApiError> {
        while self.received.len() < wanted && !self.has_ended {
            // A client may be slow, but not so slow that others find no room.
            let next = timeout_at(self.since + PIECE_TIMEOUT, self.body.frame());
            match next.await.map_err(|_| ApiError::BodyIncomplete)? {
                None => self.has_ended = true,
                Some(frame) => {
                    let frame = frame.map_err(|_| ApiError::BodyIncomplete)?;
                    // Trailers are no part of the body.
                    let Some(data) = frame.data_ref() else { continue };
                    self.left = self.left.checked_sub(data.len()).ok_or(ApiError::BodyTooLarge)?;
                    self.arrived += data.len();
                    if self.arrived >= PIECE {
                        (self.since, self.arrived) = (Instant::now(), 0);
                    }
                    self.append(data, wanted);
                }
            }
        }
        Ok(())
    }

    /// Exactly so many bytes; fewer only when there are no more.
    pub async fn take(&mut self, wanted: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        self.fill(wanted).await?;
        Ok(self.split(wanted, wanted))
    }

    /// A segment of so many bytes, in a buffer with room for more, and whether it is the last: then it may be shorter.
    pub async fn segment(
        &mut self,
        size: usize,
        room: usize,
    ) -> Result<(Zeroizing<Vec<u8>>, bool), ApiError> {
        self.fill(size + 1).await?;
        let is_last = self.received.len() <= size;
        Ok((self.split(size, room), is_last))
    }

    fn split(&mut self, wanted: usize, room: usize) -> Zeroizing<Vec<u8>> {
        let count = wanted.min(self.received.len());
        let mut piece = Zeroizing::new(Vec::with_capacity(room.max(count)));
        piece.extend_from_slice(&self.received[..count]);
        let left = self.received.len() - count;
        self.received.copy_within(count.., 0);
        // Truncating wipes nothing.
        self.received[left..].zeroize();
        self.received.truncate(left);
        piece
    }

    /// A Vec that grows frees its old memory unwiped, so the move is made by hand.
    fn append(&mut self, data: &[u8], wanted: usize) {
        let length = self.received.len() + data.len();
        if length > self.received.capacity() {
            let mut larger = Vec::with_capacity(length.max(wanted));
            larger.extend_from_slice(&self.received);
            self.received = Zeroizing::new(larger);
        }
        self.received.extend_from_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;
    use tokio::time::{Sleep, sleep};

    struct Chunked(VecDeque<Bytes>);

    impl Body for Chunked {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    fn pieces(bytes: &[u8], chunk: usize) -> Pieces<Chunked> {
        let body = Chunked(bytes.chunks(chunk).map(Bytes::copy_from_slice).collect());
        Pieces::new(body, 100).unwrap()
    }

    #[tokio::test]
    async fn segments_are_of_one_size_and_the_last_is_known_to_be_it() {
        for length in [0, 1, 9, 10, 11, 20, 25] {
            let bytes: Vec<u8> = (0..length).collect();
            for chunk in [1, 3, 10, 30] {
                let mut pieces = pieces(&bytes, chunk);
                let mut joined = Vec::new();
                loop {
                    let (segment, is_last) = pieces.segment(10, 26).await.unwrap();
                    assert!(is_last || segment.len() == 10);
                    assert!(!is_last || segment.len() <= 10);
                    assert!(segment.capacity() >= 26);
                    joined.extend_from_slice(&segment);
                    if is_last {
                        break;
                    }
                }
                assert_eq!(joined, bytes, "in chunks of {chunk}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_taken_first_is_missing_from_the_segments() {
        let mut pieces = pieces(b"headsegment", 4);
        assert_eq!(*pieces.take(4).await.unwrap(), b"head");
        assert_eq!(*pieces.segment(100, 0).await.unwrap().0, b"segment");
        assert!(pieces.take(1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn more_than_is_taken_is_not_read() {
        for (length, is_taken) in [(100, true), (101, false)] {
            let mut body = pieces(&vec![0; length], 10);
            let outcome = loop {
                match body.segment(10, 0).await {
                    Ok((_, true)) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            assert_eq!(outcome.is_ok(), is_taken, "{length}");
        }
    }

    /// A byte every nine seconds: never silent for long, and never done.
    struct Trickle(Pin<Box<Sleep>>);

    impl Body for Trickle {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            std::task::ready!(self.0.as_mut().poll(cx));
            self.0 = Box::pin(sleep(Duration::from_secs(9)));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_a_byte_now_and_then_is_cut_off() {
        let trickle = Trickle(Box::pin(sleep(Duration::ZERO)));
        let began = Instant::now();
        let taken = Pieces::new(trickle, 1 << 20).unwrap().take(1 << 10).await;
        assert_eq!(taken, Err(ApiError::BodyIncomplete));
        assert_eq!(began.elapsed().as_secs(), PIECE_TIMEOUT.as_secs());
    }
}
