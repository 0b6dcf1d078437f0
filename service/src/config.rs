//! Reading a configuration file: whole or not at all, and without ever repeating what it says.
//!
//! The TOML library shows the offending line with its error, and serde quotes the offending value. Either may be a
//! secret that was put in the wrong place and would go to the log. So an error is built anew here from what is safe: the
//! file, line and column, the name of the key, and what was expected.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::de::{DeTable, DeValue, Deserializer};

mod problem;

pub use problem::Problem;

/// A configuration is a page or two. What is larger is another file.
const MAX_BYTES: u64 = 256 * 1024;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there or may not be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, pipe or device.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// More than a configuration can be.
    #[error("{}: larger than {MAX_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Not text.
    #[error("{}:{line}: not UTF-8", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Line of the first such byte, from 1.
        line: usize,
    },
    /// Not TOML.
    #[error("{}:{line}:{column}: {problem}", .path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        problem: Problem,
    },
    /// TOML, but not the configuration of this program.
    #[error("{}:{line}:{column}: {key}: {problem}", .path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The key with the tables it is in, as `table.key`.
        key: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// Reads a TOML file into `T`.
///
/// Give every struct of `T` `#[serde(deny_unknown_fields)]`. A message of a hand-written `Deserialize` is shown only if
/// it comes from `invalid_type`, `invalid_value` or `invalid_length`, and then without what was found: write into the
/// `expected` part what helps the operator, and never the value.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let bytes = read(path)?;
    let text = str::from_utf8(&bytes).map_err(|error| ConfigError::NotText {
        path: path.to_path_buf(),
        line: 1 + bytes
            .iter()
            .take(error.valid_up_to())
            .filter(|byte| **byte == b'\n')
            .count(),
    })?;
    let document = DeTable::parse(text).map_err(|error| {
        let (line, column) = position(text, error.span());
        ConfigError::NotToml {
            path: path.to_path_buf(),
            line,
            column,
            problem: Problem::of_syntax(error.message()),
        }
    })?;
    T::deserialize(Deserializer::from(document.clone())).map_err(|error| {
        let (line, column) = position(text, error.span());
        // An error about the document as a whole has an empty span at its start, where the first key may be.
        let span = error.span().filter(|span| !span.is_empty());
        let key = span.and_then(|span| key_at(document.get_ref(), &span));
        ConfigError::Rejected {
            path: path.to_path_buf(),
            line,
            column,
            key: key.unwrap_or_else(|| "top level".to_owned()),
            problem: Problem::of_value(error.message()),
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    // Without waiting for a writer, should it be a pipe.
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(ConfigError::NotAFile(path.to_path_buf()));
    }
    let mut bytes = Vec::new();
    let length = file
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match u64::try_from(length) {
        Ok(length) if length <= MAX_BYTES => Ok(bytes),
        _ => Err(ConfigError::TooLarge(path.to_path_buf())),
    }
}

/// Line and column of the start of a span, from 1. An error without a span is about the whole: line 1.
fn position(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or("").chars().count();
    (line, column)
}

/// The innermost key whose name or value covers the span.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    table.iter().find_map(|(name, value)| {
        // A table's own span is its header, so what is in it is asked first and regardless.
        let inside = tables_in(value.get_ref())
            .into_iter()
            .find_map(|table| key_at(table, span));
        let name_text = printable(name.get_ref());
        match inside {
            Some(inside) => Some(format!("{name_text}.{inside}")),
            None => (covers(name.span()) || covers(value.span())).then_some(name_text),
        }
    })
}

fn tables_in<'a, 'i>(value: &'a DeValue<'i>) -> Vec<&'a DeTable<'i>> {
    match value {
        DeValue::Table(table) => vec![table],
        DeValue::Array(array) => array
            .iter()
            .flat_map(|element| tables_in(element.get_ref()))
            .collect(),
        _ => Vec::new(),
    }
}

/// Keys come from the file and go to the log: a quoted key may hold line breaks.
fn printable(key: &str) -> String {
    key.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
