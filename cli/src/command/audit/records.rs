//! `chancel audit tail`, `query` and `export`.

use super::shown::{self, Shown};
use super::unread;
use crate::arguments::Format;
use crate::failure::Failure;
use crate::output::{Output, Table};
use chancel_ledger::{Bounds, Filter, Page, Record, Records, newest_first};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How often the end of a ledger is looked at.
const POLL: Duration = Duration::from_millis(500);
/// Lines that are read at once when following.
const STEP: usize = 256;

/// A page in JSON, the newest record first. `next` is for `--before`, null when there is no more.
#[derive(Serialize)]
struct Found {
    records: Vec<Value>,
    next: Option<u64>,
}

fn page(directory: &Path, before: Option<u64>, filter: &Filter, lines: usize) -> Result<Page, Failure> {
    let bounds = Bounds {
        lines,
        bytes: usize::MAX,
        scanned: u64::MAX,
    };
    newest_first(directory, before, filter, bounds).map_err(unread(directory))
}

pub(super) fn query(
    output: Output,
    directory: &Path,
    filter: &Filter,
    limit: usize,
    before: Option<u64>,
) -> Result<(), Failure> {
    let page = page(directory, before, filter, limit)?;
    let found = Found {
        records: page.lines.iter().map(|line| shown::value(line)).collect(),
        next: page.next,
    };
    output.print(&found, || {
        let mut table = Table::new(&Shown::HEADINGS);
        for record in &found.records {
            Shown::of(record).row(&mut table);
        }
        table
    })?;
    if let (Some(next), false) = (page.next, output.is_json()) {
        eprintln!("There are more: add --before {next}");
    }
    Ok(())
}

pub(super) fn tail(
    output: Output,
    directory: &Path,
    filter: &Filter,
    lines: usize,
    follow: bool,
) -> Result<(), Failure> {
    let mut last = newest(directory)?;
    // What is written meanwhile belongs to what follows.
    let mut newest = page(directory, last.map(|last| last + 1), filter, lines)?.lines;
    newest.reverse();
    let mut goes_on = print(output, &newest)? && follow;
    while goes_on {
        thread::sleep(POLL);
        let mut further = since(directory, last.unwrap_or(0))?;
        if let Some(record) = further
            .last()
            .and_then(|line| Record::parse(line.as_bytes()).ok())
        {
            last = Some(record.seq);
        }
        further.retain(|line| Record::parse(line.as_bytes()).is_ok_and(|record| filter.admits(&record)));
        goes_on = print(output, &further)?;
    }
    Ok(())
}

/// The number of the newest record.
fn newest(directory: &Path) -> Result<Option<u64>, Failure> {
    let page = page(directory, None, &Filter::default(), 1)?;
    Ok(page
        .lines
        .first()
        .and_then(|line| Record::parse(line.as_bytes()).ok())
        .map(|record| record.seq))
}

/// All records after a number, the oldest first. Reads from the end, so that a long ledger costs nothing.
fn since(directory: &Path, seq: u64) -> Result<Vec<String>, Failure> {
    let mut lines: Vec<String> = Vec::new();
    let mut before = None;
    loop {
        let page = page(directory, before, &Filter::default(), STEP)?;
        let is_newer = |line: &String| Record::parse(line.as_bytes()).is_ok_and(|record| record.seq > seq);
        let read = page.lines.len();
        let newer: Vec<_> = page.lines.into_iter().take_while(is_newer).collect();
        let reached = newer.len() < read;
        lines.extend(newer);
        before = page.next;
        if reached || before.is_none() {
            lines.reverse();
            return Ok(lines);
        }
    }
}

/// Prints lines as they stand in the ledger, or for people; `false` when nobody reads any more.
fn print(output: Output, lines: &[String]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| {
        if output.is_json() {
            writeln!(out, "{line}")
        } else {
            writeln!(out, "{}", Shown::of(&shown::value(line)))
        }
    });
    read_on(written.and_then(|()| out.flush()))
}

/// Whether to go on after writing: a reader that has gone away has seen enough.
fn read_on(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::NotWritten(error)),
    }
}

pub(super) fn export(directory: &Path, filter: &Filter, format: Format) -> Result<(), Failure> {
    let mut records = Records::of(directory).map_err(unread(directory))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut goes_on = match format {
        Format::Jsonl => true,
        Format::Csv => read_on(writeln!(out, "{}", shown::csv_heading()))?,
    };
    while goes_on && let Some(line) = records.next_line().map_err(unread(directory))? {
        let wanted = Record::parse(line.bytes).is_ok_and(|record| filter.admits(&record));
        if !line.is_whole || !wanted {
            continue;
        }
        let written = match format {
            Format::Jsonl => out.write_all(line.bytes).and_then(|()| writeln!(out)),
            Format::Csv => {
                let record = serde_json::from_slice(line.bytes).unwrap_or_default();
                writeln!(out, "{}", shown::csv(&record))
            }
        };
        goes_on = read_on(written)?;
    }
    read_on(out.flush()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_a_number_is_found_however_much_it_is() {
        let directory = std::env::temp_dir().join(format!("chancel-cli-since-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let lines: String = (1..=1000)
            .map(|seq| format!("{{\"seq\":{seq},\"time\":{seq},\"kind\":\"stop\",\"hash\":\"\"}}\n"))
            .collect();
        std::fs::write(directory.join("0000000001.jsonl"), lines).expect("a segment");
        assert_eq!(newest(&directory).expect("read"), Some(1000));
        for (seq, count) in [(0, 1000), (1, 999), (700, 300), (744, 256), (999, 1), (1000, 0)] {
            let found = since(&directory, seq).expect("read");
            assert_eq!(found.len(), count, "{seq}");
            let first = found.first().map(|line| shown::value(line)["seq"].clone());
            assert_eq!(first, (count > 0).then(|| (seq + 1).into()));
        }
        std::fs::remove_dir_all(&directory).expect("clean up");
    }
}
