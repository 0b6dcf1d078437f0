//! A body as it arrives, in pieces of the sizes that are asked for.

use crate::error::ApiError;
use crate::limits::{BODY_TIMEOUT, MAX_STREAM};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use tokio::time::timeout;
use zeroize::{Zeroize, Zeroizing};

/// Refuses what is declared to be too long before a byte of it is read.
pub fn check_declared(body: &Incoming) -> Result<(), ApiError> {
    if body.size_hint().lower() > MAX_STREAM as u64 {
        Err(ApiError::BodyTooLarge)
    } else {
        Ok(())
    }
}

/// Bytes that were received and not taken yet; wiped as they are.
pub struct Pieces<B> {
    body: B,
    received: Zeroizing<Vec<u8>>,
    /// Bytes in all.
    total: usize,
    has_ended: bool,
}

impl<B> Pieces<B> {
    /// Goes on with the same body, held otherwise.
    pub fn with_body<C>(self, body: C) -> Pieces<C> {
        Pieces {
            body,
            received: self.received,
            total: self.total,
            has_ended: self.has_ended,
        }
    }
}

impl<B> Pieces<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub fn new(body: B) -> Self {
        Self {
            body,
            received: Zeroizing::default(),
            total: 0,
            has_ended: false,
        }
    }

    /// Reads until so many bytes wait to be taken, or the body ends.
    async fn fill(&mut self, wanted: usize) -> Result<(), ApiError> {
        while self.received.len() < wanted && !self.has_ended {
            // A client may be slow, but not silent.
            let next = timeout(BODY_TIMEOUT, self.body.frame());
            match next.await.map_err(|_| ApiError::BodyIncomplete)? {
                None => self.has_ended = true,
                Some(frame) => {
                    let frame = frame.map_err(|_| ApiError::BodyIncomplete)?;
                    // Trailers are no part of the body.
                    let Some(data) = frame.data_ref() else { continue };
                    self.total += data.len();
                    if self.total > MAX_STREAM {
                        return Err(ApiError::BodyTooLarge);
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
        Pieces::new(Chunked(bytes.chunks(chunk).map(Bytes::copy_from_slice).collect()))
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
    async fn more_than_the_longest_stream_is_not_read() {
        let mebibyte = Bytes::from(vec![0; 1 << 20]);
        let mut body = Pieces::new(Chunked(vec![mebibyte; 1 + (MAX_STREAM >> 20)].into()));
        loop {
            match body.segment(1 << 20, 0).await {
                Ok((_, is_last)) => assert!(!is_last),
                Err(error) => return assert_eq!(error, ApiError::BodyTooLarge),
            }
        }
    }
}
