//! Reading: forward line by line from a place on, and backward by pages. Readers take no lock and may run beside the
//! writer: the last line, while it is being written, is not a line yet.

mod search;

use crate::filter::Filter;
use crate::record::Record;
use crate::segment::{self, SegmentFile};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;
/// No line is longer: checkpoints are the longest, and no event holds text of a caller's length.
const LONGEST_LINE: usize = 64 << 10;

/// The lines of a ledger, in order.
#[derive(Debug)]
pub struct Records {
    segments: std::vec::IntoIter<SegmentFile>,
    open: Option<OpenSegment>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct OpenSegment {
    path: PathBuf,
    reader: BufReader<File>,
    lines: u64,
    offset: u64,
    /// Bytes that were there when it was opened: what is written meanwhile belongs to the next look.
    length: u64,
}

/// A line where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The segment's file.
    pub path: &'a Path,
    /// Its number in the file, from 1.
    pub number: u64,
    /// Its bytes, without the newline.
    pub bytes: &'a [u8],
    /// Whether a newline ended it.
    pub is_whole: bool,
}

impl Records {
    /// All lines of a directory's segments.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn of(directory: &Path) -> io::Result<Self> {
        Ok(Self::over(segment::list(directory)?))
    }

    /// The lines after a number, and those before it that share its segment.
    ///
    /// # Errors
    /// When the directory or a segment cannot be read.
    pub fn after(directory: &Path, seq: u64) -> io::Result<Self> {
        let mut segments = segment::list(directory)?;
        let mut keep = 0;
        for (index, segment) in segments.iter().enumerate() {
            if first_of(segment)?.is_some_and(|first| first <= seq) {
                keep = index;
            }
        }
        Ok(Self::over(segments.split_off(keep)))
    }

    fn over(segments: Vec<SegmentFile>) -> Self {
        Self {
            segments: segments.into_iter(),
            open: None,
            line: Vec::new(),
        }
    }

    /// The next line; `None` after the last.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        while !self.read()? {
            let Some(segment) = self.segments.next() else {
                return Ok(None);
            };
            self.open = OpenSegment::open(segment).map(Some).or_else(is_gone)?;
        }
        Ok(self.open.as_ref().map(|open| Line {
            path: &open.path,
            number: open.lines,
            bytes: self.line.strip_suffix(b"\n").unwrap_or(&self.line),
            is_whole: self.line.ends_with(b"\n"),
        }))
    }

    /// Reads a line of the open segment; `false` when there is none left.
    fn read(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        self.line.clear();
        // What is longer is no line: it is handed out in pieces.
        let left = open.length.saturating_sub(open.offset).min(LONGEST_LINE as u64);
        let count = io::Read::take(&mut open.reader, left).read_until(b'\n', &mut self.line)?;
        open.lines += 1;
        open.offset += count as u64;
        Ok(count > 0)
    }
}

impl OpenSegment {
    fn open(segment: SegmentFile) -> io::Result<Self> {
        let file = File::open(&segment.path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            path: segment.path,
            reader: BufReader::with_capacity(BLOCK, file),
            lines: 0,
            offset: 0,
            length,
        })
    }
}

/// A segment whose time was over between the listing and the reading has no lines.
fn is_gone<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    }
}

/// The number of a segment's first line; `None` while it has none.
fn first_of(segment: &SegmentFile) -> io::Result<Option<u64>> {
    let Some(file) = File::open(&segment.path).map(Some).or_else(is_gone)? else {
        return Ok(None);
    };
    let mut line = Vec::new();
    BufReader::with_capacity(1024, file).read_until(b'\n', &mut line)?;
    Ok(line
        .strip_suffix(b"\n")
        .and_then(|line| Record::parse(line).ok())
        .map(|record| record.seq))
}

/// Records, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The lines.
    pub lines: Vec<String>,
    /// The next page holds what is before this number; `None` when there is nothing.
    pub next: Option<u64>,
}

/// How much work a page may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines on it.
    pub lines: usize,
    /// Bytes of them together.
    pub bytes: usize,
    /// Bytes looked at.
    pub scanned: u64,
}

/// The newest records that a filter admits, before a given number. Stops early when a bound is reached; `next` then
/// says where to go on.
///
/// # Errors
/// When a segment cannot be read.
pub fn newest_first(
    directory: &Path,
    before: Option<u64>,
    filter: &Filter,
    bounds: Bounds,
) -> io::Result<Page> {
    let mut page = Page::default();
    let (mut scanned, mut taken) = (0, 0);
    for segment in segment::list(directory)?.iter().rev() {
        if let Some(before) = before
            && first_of(segment)?.is_none_or(|first| first >= before)
        {
            continue;
        }
        let Some(mut lines) = Backward::open(segment, before).map(Some).or_else(is_gone)? else {
            continue;
        };
        while let Some(line) = lines.next_line()? {
            scanned += line.len() as u64 + 1;
            let Ok(record) = Record::parse(&line) else {
                continue;
            };
            if before.is_some_and(|before| record.seq >= before) {
                continue;
            }
            let is_too_much = taken + line.len() > bounds.bytes && !page.lines.is_empty();
            let full = page.lines.len() >= bounds.lines || is_too_much;
            if filter.admits(&record) {
                if full {
                    page.next = Some(record.seq + 1);
                    return Ok(page);
                }
                taken += line.len();
                page.lines.push(String::from_utf8_lossy(&line).into_owned());
            }
            if filter
                .since_ms
                .is_some_and(|since| record.time.saturating_add(CLOCK_STEPS_MS) < since)
            {
                return Ok(page);
            }
            if scanned >= bounds.scanned {
                page.next = (record.seq > 1).then_some(record.seq);
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// Time stamps may go back a little when the clock is set.
const CLOCK_STEPS_MS: i64 = 3_600_000;

/// The lines of a segment from its end on.
struct Backward {
    file: File,
    /// Bytes before this place have not been read.
    place: u64,
    /// Read, and not handed out yet.
    block: Vec<u8>,
}

impl Backward {
    /// From the end, or from the first line on whose number is not before the given one.
    fn open(segment: &SegmentFile, before: Option<u64>) -> io::Result<Self> {
        let file = File::open(&segment.path)?;
        let length = file.metadata()?.len();
        let place = match before {
            Some(before) => search::end_before(&file, length, before)?,
            None => length,
        };
        let mut backward = Self {
            file,
            place,
            block: Vec::new(),
        };
        // What follows the last newline is not a line yet.
        while backward.read_more()? {
            if let Some(end) = backward.block.iter().rposition(|byte| *byte == b'\n') {
                backward.block.truncate(end + 1);
                break;
            }
        }
        Ok(backward)
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let text = self.block.strip_suffix(b"\n").unwrap_or_default();
            if let Some(start) = text.iter().rposition(|byte| *byte == b'\n') {
                let mut line = self.block.split_off(start + 1);
                line.pop();
                return Ok(Some(line));
            }
            if self.block.len() > LONGEST_LINE + BLOCK {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.read_more()? {
                let mut line = std::mem::take(&mut self.block);
                return Ok(line.pop().map(|_newline| line));
            }
        }
    }

    /// Puts the block before this one in front of it; `false` at the beginning of the file.
    fn read_more(&mut self) -> io::Result<bool> {
        let count = self.place.min(BLOCK as u64);
        if count == 0 {
            return Ok(false);
        }
        self.place -= count;
        let mut block = vec![0; usize::try_from(count).unwrap_or(BLOCK)];
        self.file.read_exact_at(&mut block, self.place)?;
        block.append(&mut self.block);
        self.block = block;
        Ok(true)
    }
}
