//! Frames on their way into a stream: as many as are waiting leave in one write, none is copied, and each is
//! wiped once it has left (frames carry plaintexts and API keys).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use zeroize::Zeroizing;

/// Slices given to one `writev`; more would be copied in and out for nothing, sockets fill long before.
const MOST_SLICES: usize = 64;

/// Bytes beyond which an outbox is full. A request of a few bytes can have an answer of many.
const FULL: usize = 1 << 20;

/// A sealed frame.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The number in its header, by which an unsent frame is known to belong to a waiting call.
    pub(crate) correlation: u64,
    /// Header and body.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// Frames in order, the first of them perhaps partly written.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<Queued>,
    written: usize,
    /// Bytes of all frames in it.
    held: usize,
}

impl Outbox {
    /// Adds a frame behind the others.
    pub(crate) fn push(&mut self, frame: Queued) {
        self.held += frame.bytes.len();
        self.frames.push_back(frame);
    }

    /// Whether so much would wait in it, with so many bytes more, that it should be written before more is made.
    pub(crate) const fn would_be_full_with(&self, bytes: usize) -> bool {
        self.held.saturating_add(bytes) >= FULL
    }

    /// Whether everything has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Frames of which not a single byte has left.
    pub(crate) fn into_unsent(mut self) -> VecDeque<Queued> {
        if self.written > 0 {
            self.frames.pop_front();
        }
        self.frames
    }

    /// Writes until the outbox is empty or the stream takes no more.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let mut count = 0;
            for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                let from = if count == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&frame.bytes[from..]);
                count += 1;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        while let Some(first) = self.frames.front() {
            if self.written < first.bytes.len() {
                break;
            }
            self.written -= first.bytes.len();
            self.held -= first.bytes.len();
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_is_full_by_its_bytes_and_empties_as_they_leave() {
        let mut outbox = Outbox::default();
        for correlation in 0..4 {
            assert!(!outbox.would_be_full_with(0));
            let bytes = Zeroizing::new(vec![0; FULL / 4]);
            outbox.push(Queued { correlation, bytes });
        }
        assert!(outbox.would_be_full_with(0));
        outbox.advance(FULL / 4);
        assert!(!outbox.would_be_full_with(0));
    }

    #[test]
    fn only_frames_of_which_nothing_has_left_count_as_unsent() {
        for (written, unsent) in [
            (0, vec![1, 2]),
            (1, vec![2]),
            (3, vec![2]),
            (4, vec![]),
            (6, vec![]),
        ] {
            let mut outbox = Outbox::default();
            for (correlation, length) in [(1, 3), (2, 3)] {
                outbox.push(Queued {
                    correlation,
                    bytes: Zeroizing::new(vec![0; length]),
                });
            }
            outbox.advance(written);
            let left: Vec<u64> = outbox
                .into_unsent()
                .iter()
                .map(|frame| frame.correlation)
                .collect();
            assert_eq!(left, unsent, "after {written} bytes");
        }
    }
}
