//! Where in a segment a number stands, without reading the segment: lines are in the order of their numbers, and each
//! begins with its own.

use super::LONGEST_LINE;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A stretch that is rather read than halved again.
const SHORT: u64 = 16 << 10;
/// Bytes that are read at once: most lines are shorter.
const PROBE: usize = 2 << 10;
const FRONT: &[u8] = b"{\"seq\":";

/// The place up to which a file is to be read for all lines whose number is before the given one; at most a few
/// lines more are before that place. Where the lines do not read like a ledger's, that is the file's end.
pub(super) fn end_before(file: &File, length: u64, before: u64) -> io::Result<u64> {
    // What begins up to `low` is before the number, what begins at `end` or later is not; in between it changes,
    // before `high`.
    let (mut low, mut high, mut end) = (0, length, length);
    while high - low > SHORT {
        let middle = low + (high - low) / 2;
        match line_after(file, middle, high)? {
            Probe::Line { start, seq } if seq >= before => {
                high = middle;
                end = start;
            }
            Probe::Line { start, .. } => low = start,
            Probe::NoLine => high = middle,
            Probe::Unreadable => return Ok(end),
        }
    }
    Ok(end)
}

enum Probe {
    /// A line that begins after the place.
    Line { start: u64, seq: u64 },
    /// None does, up to the bound.
    NoLine,
    /// Not a ledger's line.
    Unreadable,
}

fn line_after(file: &File, place: u64, bound: u64) -> io::Result<Probe> {
    let mut read = Vec::new();
    loop {
        let from = place + read.len() as u64;
        let mut block = [0; PROBE];
        let count = file.read_at(&mut block, from)?;
        read.extend_from_slice(block.get(..count).unwrap_or_default());
        if let Some(newline) = read.iter().position(|byte| *byte == b'\n') {
            let start = place + newline as u64 + 1;
            let rest = read.get(newline + 1..).unwrap_or_default();
            match number(rest) {
                _ if start > bound || (rest.is_empty() && count == 0) => return Ok(Probe::NoLine),
                Some(seq) => return Ok(Probe::Line { start, seq }),
                // The number itself may go on in the next block.
                None if rest.len() > FRONT.len() + 20 || count == 0 => return Ok(Probe::Unreadable),
                None => {}
            }
        } else if from >= bound || count == 0 {
            return Ok(Probe::NoLine);
        } else if read.len() > LONGEST_LINE {
            return Ok(Probe::Unreadable);
        }
    }
}

fn number(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(FRONT)?;
    let digits = rest.get(..rest.iter().position(|byte| *byte == b',')?)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
