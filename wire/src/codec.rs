//! Encoding of messages: postcard, with the whole input consumed or an error.

use serde::{Deserialize, Serialize};

/// The bytes are no message of the expected type. Says nothing of their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not an encoding of the type.
    #[error("malformed message")]
    Malformed,
    /// A message, and then more bytes.
    #[error("message with trailing bytes")]
    TrailingBytes,
}

/// Encodes a message.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    encode_after(Vec::new(), message)
}

/// Encodes a message behind bytes that are already in a buffer (a frame's header, usually).
///
/// The buffer grows once, to its final size: growing step by step would leave copies of what the message
/// carries in freed memory, where nobody wipes them.
pub fn encode_after<T: Serialize>(mut buffer: Vec<u8>, message: &T) -> Vec<u8> {
    let size = postcard::experimental::serialized_size(message);
    buffer.reserve_exact(size.expect("plain values have a size"));
    // NOTE(expect): a Vec takes any length, and every message type here is a plain value whose
    // Serialize cannot fail (no maps, no sequences of unknown length).
    postcard::to_extend(message, buffer).expect("plain values encode into a Vec")
}

/// Decodes one message that fills `bytes` exactly; what it borrows, it borrows from `bytes`.
///
/// # Errors
/// [`DecodeError`] when the bytes are anything else. Never panics, and allocates no more than `bytes.len()`
/// allows (postcard reserves no more than what can follow).
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (message, rest) = postcard::take_from_bytes(bytes).map_err(|_| DecodeError::Malformed)?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(DecodeError::TrailingBytes)
    }
}
