//! Reading what may be a secret.

use std::io::{self, ErrorKind, Read};
use zeroize::Zeroizing;

/// Most of what is read here is a page of text.
const USUAL: usize = 16 << 10;

/// Reads to the end. A `Vec` that grows by itself leaves copies of what it held; here each outgrown one is wiped.
///
/// # Errors
/// What the system said.
pub fn read_to_end(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut held = Zeroizing::new(vec![0; USUAL]);
    let mut filled = 0;
    loop {
        if filled == held.len() {
            let mut larger = Zeroizing::new(vec![0; 2 * filled]);
            larger[..filled].copy_from_slice(&held);
            held = larger;
        }
        match from.read(&mut held[filled..]) {
            Ok(0) => {
                held.truncate(filled);
                return Ok(held);
            }
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_whole_whether_it_fits_or_not() {
        for length in [0, 1, USUAL - 1, USUAL, USUAL + 1, 5 * USUAL] {
            let text: Vec<u8> = (0_u8..=250).cycle().take(length).collect();
            // In pieces, as a pipe gives them.
            let (start, end) = text.split_at(length / 3);
            assert_eq!(*read_to_end(start.chain(end)).unwrap(), text, "{length} bytes");
        }
    }
}
