//! The chain: the hash of a line covers its own bytes and the hash of the line before (SHA-256, FIPS 180-4).
//!
//! A line ends in `,"hash":"` and 64 hexadecimal digits; what is hashed is everything before. Nothing here parses
//! JSON, so what is protected is the bytes and not somebody's reading of them.

use aws_lc_rs::digest::{Context, SHA256};
use std::fmt;

/// What stands between a line's own members and its hash.
const BEFORE: &[u8] = b",\"hash\":\"";
/// What ends a line, without the newline.
const AFTER: &[u8] = b"\"}";
const HEX_LEN: usize = 64;

/// A line's hash, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first line of a ledger is chained to.
    pub const GENESIS: Self = Self([0; 32]);

    /// Takes the 32 bytes of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of the line whose protected bytes are `body`, after the line of this hash.
    pub(crate) fn of_next(&self, body: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(body);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != HEX_LEN {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (digit(*high)? << 4) | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// Its 64 hexadecimal digits. In the path of every line, so not a digit at a time.
    fn digits(&self) -> [u8; HEX_LEN] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; HEX_LEN];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            // NOTE(index): four bits each.
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        digits
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Upper case is no digit: one hash has one spelling.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Ends a line whose members stand in `line` from `start` on: appends its hash, the brace and the newline.
pub(crate) fn seal(line: &mut Vec<u8>, start: usize, previous: &Hash) -> Hash {
    let hash = previous.of_next(line.get(start..).unwrap_or_default());
    line.extend_from_slice(BEFORE);
    line.extend_from_slice(&hash.digits());
    line.extend_from_slice(AFTER);
    line.push(b'\n');
    hash
}

/// The protected bytes and the hash of a line without its newline; `None` when it does not end like a line.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], Hash)> {
    let rest = line.strip_suffix(AFTER)?;
    let (rest, hex) = rest.split_at_checked(rest.len().checked_sub(HEX_LEN)?)?;
    Some((rest.strip_suffix(BEFORE)?, Hash::parse(hex)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_is_split_into_what_was_sealed() {
        let mut line = b"{\"seq\":1".to_vec();
        let hash = seal(&mut line, 0, &Hash::GENESIS);
        let text = line.strip_suffix(b"\n").unwrap();
        assert_eq!(split(text), Some((&b"{\"seq\":1"[..], hash)));
        assert_eq!(Hash::GENESIS.of_next(b"{\"seq\":1"), hash);
        assert_ne!(Hash::from_bytes([1; 32]).of_next(b"{\"seq\":1"), hash);
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let text = "0a".repeat(32);
        assert_eq!(Hash::parse(text.as_bytes()).unwrap().to_string(), text);
        for bad in ["0A".repeat(32), "0a".repeat(31), "0g".repeat(32)] {
            assert_eq!(Hash::parse(bad.as_bytes()), None);
        }
    }
}
