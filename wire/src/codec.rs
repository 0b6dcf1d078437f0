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

/// Decodes a list of as many messages as it must have, which fills `bytes` exactly. Looks at the number first, and makes
/// room for that many.
///
/// # Errors
/// [`DecodeError`] when the bytes are anything else, a list of another length included.
pub fn decode_list<'a, T: Deserialize<'a>>(bytes: &'a [u8], length: usize) -> Result<Vec<T>, DecodeError> {
    let (declared, _) = postcard::take_from_bytes::<u64>(bytes).map_err(|_| DecodeError::Malformed)?;
    if declared == length as u64 {
        decode(bytes)
    } else {
        Err(DecodeError::Malformed)
    }
}

/// Encodes a list of messages that are encoded already.
pub fn encode_list<'a>(items: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let count = encode(&(items.len() as u64));
    let size = items.clone().map(<[u8]>::len).sum::<usize>() + count.len();
    let mut list = Vec::with_capacity(size);
    list.extend_from_slice(&count);
    items.for_each(|item| list.extend_from_slice(item));
    list
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_encoded_messages_is_the_encoded_list_and_of_its_own_length() {
        for count in [0u64, 1, 127, 128, 1000] {
            let messages: Vec<u64> = (0..count).map(|number| number * 1_000_003).collect();
            let encoded: Vec<_> = messages.iter().map(encode).collect();
            let list = encode_list(encoded.iter().map(Vec::as_slice));
            assert_eq!(list, encode(&messages));
            assert_eq!(decode_list(&list, messages.len()), Ok(messages.clone()));
            let other = decode_list::<u64>(&list, messages.len() + 1);
            assert_eq!(other, Err(DecodeError::Malformed));
        }
    }
}
