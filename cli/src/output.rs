//! What is printed: a table for people, or one JSON object for programs.

use crate::failure::Failure;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Tables, or JSON.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one answer.
    ///
    /// # Errors
    /// [`Failure::NotWritten`].
    pub fn print<T: Serialize, D: fmt::Display>(
        self,
        answer: &T,
        table: impl FnOnce() -> D,
    ) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = if self.json {
            serde_json::to_writer(&mut out, answer)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            write!(out, "{}", table())
        };
        written.and_then(|()| out.flush()).map_err(Failure::NotWritten)
    }
}

impl Output {
    /// Whether programs read it.
    pub const fn is_json(self) -> bool {
        self.json
    }
}

/// Rows of text in columns as wide as they need to be.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose columns have headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = Self::without_heading();
        table.row(headings);
        table
    }

    /// A table whose rows are a name and a value each.
    pub const fn without_heading() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[&str]) {
        self.rows
            .push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let Some((last, before)) = row.split_last() else {
                continue;
            };
            for (cell, column) in before.iter().zip(&widths) {
                write!(f, "{cell}{:space$}", "", space = column - width(cell) + 2)?;
            }
            writeln!(f, "{last}")?;
        }
        Ok(())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A time as it is printed: RFC 3339, UTC.
pub fn time(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(time) => time.to_string(),
        // Beyond the year 9999, where no calendar form exists.
        Err(_) => format!("{unix_ms} ms"),
    }
}

/// A limit as it is printed.
pub fn limit<T: fmt::Display>(number: Option<T>) -> String {
    number.map_or_else(|| "no limit".to_owned(), |number| number.to_string())
}

/// A length of time as it is printed: whole seconds, the last one counted in full.
pub fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["ID", "NAME"]);
        table.row(&["1", "Ärzte"]);
        table.row(&["1234", "x"]);
        assert_eq!(table.to_string(), "ID    NAME\n1     Ärzte\n1234  x\n");
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_767_225_600_000), "2026-01-01T00:00:00Z");
        assert_eq!(time(i64::MAX), format!("{} ms", i64::MAX));
    }
}
