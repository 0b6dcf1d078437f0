//! How long segments are kept. A segment ended when the next one began, by that one's first time stamp.
//!
//! One segment at a time is removed: a clock that stands years ahead for a moment costs one, not all.

use crate::record::Record;
use crate::segment::{self, SegmentFile};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The oldest segment, when it ended longer ago than `retention`.
pub(crate) fn due(directory: &Path, retention: Duration) -> Option<u64> {
    let segments = segment::list(directory).ok()?;
    let [oldest, next, ..] = segments.as_slice() else {
        return None;
    };
    let ended = u64::try_from(begun_at(next)?).ok().map(Duration::from_millis)?;
    let age = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH + ended)
        .ok()?;
    (age > retention).then_some(oldest.number)
}

/// Removes all segments up to and with one.
pub(crate) fn remove_through(directory: &Path, through: u64) -> io::Result<()> {
    for old in segment::list(directory)?
        .iter()
        .filter(|segment| segment.number <= through)
    {
        fs::remove_file(&old.path)?;
    }
    Ok(())
}

fn begun_at(segment: &SegmentFile) -> Option<i64> {
    let mut line = Vec::new();
    BufReader::new(File::open(&segment.path).ok()?)
        .read_until(b'\n', &mut line)
        .ok()?;
    Record::parse(line.trim_ascii_end())
        .ok()
        .map(|record| record.time)
}
