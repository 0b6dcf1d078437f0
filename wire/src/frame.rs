//! Frames: `length u32 ‖ correlation u64 ‖ budget u32 ‖ body`, integers big-endian.
//!
//! `length` counts everything after itself. `correlation` is chosen by the requester and repeated in the
//! answer, so that many requests are in flight on one connection. `budget` is how many milliseconds the
//! requester will still wait (0 in answers): work nobody waits for is not begun. An empty body is a ping and
//! is answered with an empty body at once, whatever else is under way. An empty body with the correlation [`GOODBYE`], from a
//! server, says that it is about to stop: it answers what it is sent until the requester ends its side, which is at once.

use crate::codec::encode_after;
use crate::limits::MAX_PAYLOAD;
use serde::Serialize;
use zeroize::Zeroize;

/// Bytes before the body.
pub const HEADER_LEN: usize = 4 + AFTER_LENGTH;
const AFTER_LENGTH: usize = 8 + 4;

/// The number of no request: a server stops.
pub const GOODBYE: u64 = u64::MAX;

/// A declared length no frame may have; the connection it came from is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame length out of bounds")]
pub struct LengthOutOfBounds;

/// A received frame; its body borrows from the [`FrameBuffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The requester's number for this request.
    pub correlation: u64,
    /// Milliseconds the requester still waits; 0 in answers.
    pub budget_ms: u32,
    /// One encoded message; empty for a ping.
    pub body: &'a [u8],
}

/// Encodes a frame around a message, ready to be written.
pub fn seal<T: Serialize>(correlation: u64, budget_ms: u32, message: &T) -> Vec<u8> {
    let mut bytes = encode_after(header(0, correlation, budget_ms).to_vec(), message);
    // NOTE(expect): messages are built from bounded parts, so they stay far below 4 GiB.
    let length = u32::try_from(bytes.len() - 4).expect("frames stay below 4 GiB");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Encodes a frame with an empty body: a ping, or the answer to one.
pub fn seal_ping(correlation: u64) -> [u8; HEADER_LEN] {
    header(AFTER_LENGTH as u32, correlation, 0)
}

/// Makes a sealed frame the answer to another request: servers encode an answer before its number is at hand.
///
/// # Panics
/// When `frame` is shorter than a header.
pub fn readdress(frame: &mut [u8], correlation: u64) {
    frame[4..12].copy_from_slice(&correlation.to_be_bytes());
}

fn header(length: u32, correlation: u64, budget_ms: u32) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..12].copy_from_slice(&correlation.to_be_bytes());
    bytes[12..].copy_from_slice(&budget_ms.to_be_bytes());
    bytes
}

/// Collects received bytes and hands out whole frames. Holds at most one frame of the largest size plus one
/// read, and is wiped when dropped: bodies carry plaintexts and API keys.
pub struct FrameBuffer {
    /// The largest body.
    most: usize,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

const READ_SIZE: usize = 16 << 10;
/// Room that is kept between frames.
const KEPT: usize = MAX_PAYLOAD + (64 << 10);

impl FrameBuffer {
    /// An empty buffer for frames with a body of at most so many bytes.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            bytes: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// Room to read into; never empty. Follow with [`FrameBuffer::filled`].
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.bytes.len() > KEPT {
                // A batch has passed, and the next one may be long in coming.
                self.bytes.zeroize();
                self.bytes = Vec::new();
            }
        } else if self.start > 0 && self.bytes.len() - self.end < READ_SIZE {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = self.end + self.missing().max(READ_SIZE);
        if self.bytes.len() < wanted {
            // A growing Vec frees its old block unwiped, so move by hand.
            let mut larger = vec![0; wanted];
            larger[..self.end].copy_from_slice(&self.bytes[..self.end]);
            self.bytes.zeroize();
            self.bytes = larger;
        }
        &mut self.bytes[self.end..]
    }

    /// Says how many bytes of [`FrameBuffer::spare`] now hold received data.
    ///
    /// # Panics
    /// When `count` is more than the room that was handed out.
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end, "more bytes than room");
        self.end += count;
    }

    /// Whether part of a frame is waiting for its rest.
    pub fn is_mid_frame(&self) -> bool {
        self.start != self.end
    }

    /// The next whole frame, `None` when more bytes must be read first.
    ///
    /// # Errors
    /// [`LengthOutOfBounds`] as soon as a length is declared that no frame may have, before any room is made
    /// for it.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LengthOutOfBounds> {
        let Some(length) = self.declared_length()? else {
            return Ok(None);
        };
        if self.end - self.start < 4 + length {
            return Ok(None);
        }
        let from = self.start + 4;
        self.start = from + length;
        let (head, body) = self.bytes[from..self.start].split_at(AFTER_LENGTH);
        let mut correlation = [0; 8];
        correlation.copy_from_slice(&head[..8]);
        let mut budget = [0; 4];
        budget.copy_from_slice(&head[8..]);
        Ok(Some(Frame {
            correlation: u64::from_be_bytes(correlation),
            budget_ms: u32::from_be_bytes(budget),
            body,
        }))
    }

    fn declared_length(&self) -> Result<Option<usize>, LengthOutOfBounds> {
        let Some(prefix) = self.bytes[self.start..self.end].first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if !(AFTER_LENGTH..=AFTER_LENGTH + self.most).contains(&length) {
            return Err(LengthOutOfBounds);
        }
        Ok(Some(length))
    }

    /// Bytes still to come of a frame that has begun; 0 when unknown or out of bounds.
    fn missing(&self) -> usize {
        match self.declared_length() {
            Ok(Some(length)) => (4 + length).saturating_sub(self.end - self.start),
            _ => 0,
        }
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_FRAME_BODY;

    fn feed(buffer: &mut FrameBuffer, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = buffer.spare();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
        }
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_come_in() {
        let sent = [
            seal(1, 5, &"one"),
            seal(2, 0, &vec![7u8; 100_000]),
            seal_ping(3).to_vec(),
        ]
        .concat();
        for step in [1, 3, 16, 17, 4096, sent.len()] {
            let mut buffer = FrameBuffer::new(MAX_FRAME_BODY);
            let mut seen = Vec::new();
            for chunk in sent.chunks(step) {
                feed(&mut buffer, chunk);
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push((frame.correlation, frame.budget_ms, frame.body.len()));
                }
            }
            assert_eq!(
                seen,
                [(1, 5, 4), (2, 0, 100_003), (3, 0, 0)],
                "in steps of {step}"
            );
            assert!(!buffer.is_mid_frame());
        }
    }

    #[test]
    fn a_readdressed_frame_is_the_one_sealed_with_that_number() {
        let mut frame = seal(0, 7, &"answer");
        readdress(&mut frame, u64::MAX - 1);
        assert_eq!(frame, seal(u64::MAX - 1, 7, &"answer"));
    }

    #[test]
    fn the_largest_frame_passes_and_one_byte_more_does_not() {
        for (body, fits) in [(MAX_FRAME_BODY, true), (MAX_FRAME_BODY + 1, false)] {
            let mut buffer = FrameBuffer::new(MAX_FRAME_BODY);
            let length = (AFTER_LENGTH + body) as u32;
            feed(&mut buffer, &length.to_be_bytes());
            assert_eq!(buffer.next_frame().is_ok(), fits);
        }
    }

    #[test]
    fn a_declared_length_makes_no_room_before_it_is_checked() {
        let mut buffer = FrameBuffer::new(MAX_FRAME_BODY);
        feed(&mut buffer, &u32::MAX.to_be_bytes());
        assert_eq!(buffer.next_frame(), Err(LengthOutOfBounds));
        assert!(buffer.spare().len() <= READ_SIZE);
        let mut short = FrameBuffer::new(MAX_FRAME_BODY);
        feed(&mut short, &11u32.to_be_bytes());
        assert_eq!(short.next_frame(), Err(LengthOutOfBounds));
    }
}
