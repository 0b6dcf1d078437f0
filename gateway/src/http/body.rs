//! Request bodies: read whole into memory that is bounded, claimed as the bytes arrive, and wiped.

use crate::error::ApiError;
use crate::limits::{BODY_TIMEOUT, Claim};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;
use tokio::time::timeout;
use zeroize::{Zeroize, Zeroizing};

/// What is still read of a body that is not wanted: a client that is sending does not look for an answer
/// before it has finished, and would see only a broken connection.
const MAX_DISCARD: usize = 64 << 20;

/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Room made at first when the length is not declared.
const FIRST_ROOM: usize = 16 << 10;

/// A body of more bytes than this, or of an unknown number, is large.
const LARGE: u64 = 64 << 10;

/// Whether a body may take much memory; one beyond what is taken at all takes none.
pub fn is_large(body: &impl Body, most: usize) -> bool {
    match body.size_hint().exact() {
        Some(length) => length > LARGE && length <= most as u64,
        None => true,
    }
}

/// Reads a body of at most so many bytes.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], for a declared length before a byte is read; [`ApiError::BodyIncomplete`];
/// [`ApiError::Unavailable`] when all memory for bodies is in use.
pub async fn read<B>(body: &mut B, most: usize, claim: &mut Claim) -> Result<Zeroizing<Vec<u8>>, ApiError>
where
    B: Body<Data = bytes::Bytes> + Unpin,
{
    let declared = body.size_hint().exact();
    if declared.is_some_and(|length| length > most as u64) {
        return Err(ApiError::BodyTooLarge);
    }
    if body.is_end_stream() {
        return Ok(Zeroizing::default());
    }
    let room = declared.and_then(|length| usize::try_from(length).ok());
    let mut whole = Zeroizing::new(Vec::with_capacity(room.unwrap_or(FIRST_ROOM)));
    let all = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::BodyIncomplete)?;
            // Trailers are no part of the body.
            let Some(data) = frame.data_ref() else { continue };
            let length = whole.len() + data.len();
            if length > most {
                return Err(ApiError::BodyTooLarge);
            }
            claim.grow_to(length)?;
            append(&mut whole, data, most);
        }
        Ok(())
    };
    timeout(BODY_TIMEOUT, all)
        .await
        .unwrap_or(Err(ApiError::BodyIncomplete))?;
    Ok(whole)
}

/// Reads what is left of a body that is not wanted, without keeping it; whether all of it has arrived. A client that waits
/// for leave to send it is not given that.
pub async fn discard(client_waits: bool, body: &mut Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let too_much = body.size_hint().lower() > MAX_DISCARD as u64;
    if client_waits || too_much {
        return false;
    }
    let rest = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, bytes::Bytes::len);
            if read > MAX_DISCARD {
                return false;
            }
        }
        true
    };
    timeout(DISCARD_TIMEOUT, rest).await.unwrap_or(false)
}

/// A Vec that grows frees its old memory unwiped, so the move is made by hand.
fn append(whole: &mut Vec<u8>, data: &[u8], most: usize) {
    let length = whole.len() + data.len();
    if length > whole.capacity() {
        let mut larger = Vec::with_capacity(length.next_power_of_two().min(most));
        larger.extend_from_slice(whole);
        whole.zeroize();
        *whole = larger;
    }
    whole.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Limits, MAX_BODY};
    use bytes::Bytes;
    use http_body_util::Full;
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

    async fn read_all(mut body: impl Body<Data = Bytes> + Unpin) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let limits = Limits::default();
        let mut claim = limits.memory();
        let read = read(&mut body, MAX_BODY, &mut claim).await;
        if let Ok(bytes) = &read {
            assert_eq!(limits.bytes_in_use(), bytes.len());
        }
        read
    }

    #[tokio::test]
    async fn declared_bodies_are_read_up_to_the_limit() {
        let full = |length| Full::new(Bytes::from(vec![b' '; length]));
        assert_eq!(read_all(full(MAX_BODY)).await.unwrap().len(), MAX_BODY);
        assert_eq!(read_all(full(MAX_BODY + 1)).await, Err(ApiError::BodyTooLarge));
        assert_eq!(read_all(full(0)).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn chunks_are_joined_and_counted() {
        let chunks = |count: usize, length: usize| {
            let chunk = |index| Bytes::from(vec![u8::try_from(index % 251).unwrap(); length]);
            Chunked((0..count).map(chunk).collect())
        };
        let whole = read_all(chunks(1000, 1000)).await.unwrap();
        let expected: Vec<u8> = (0..1000)
            .flat_map(|index| vec![u8::try_from(index % 251).unwrap(); 1000])
            .collect();
        assert_eq!(*whole, expected);
        assert_eq!(read_all(chunks(2, MAX_BODY / 2)).await.unwrap().len(), MAX_BODY);
        assert_eq!(
            read_all(chunks(3, MAX_BODY / 2)).await,
            Err(ApiError::BodyTooLarge)
        );
    }
}
