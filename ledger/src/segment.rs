//! Segments: files `0000000001.jsonl` and on in the ledger's directory, each begun with a line that says which
//! ledger it belongs to and what it is chained to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jsonl";
const DIGITS: usize = 10;

/// A ledger's own id: 16 random bytes, made with its first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LedgerId([u8; 16]);

impl LedgerId {
    /// Takes 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads 32 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|bits| Self(bits.to_be_bytes()))
    }
}

impl std::fmt::Display for LedgerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
}

impl SegmentFile {
    pub(crate) fn of(directory: &Path, number: u64) -> Self {
        Self {
            number,
            path: directory.join(format!("{number:0DIGITS$}{SUFFIX}")),
        }
    }

    /// Makes the file; fails when there is one.
    pub(crate) fn create(&self) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o640)
            .open(&self.path)
    }

    /// Opens it to write on.
    pub(crate) fn append(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(&self.path)
    }
}

/// The segments of a directory in their order. Other files are passed over.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(SUFFIX))
            .filter(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok());
        if let Some(number) = number {
            found.push(SegmentFile::of(directory, number));
        }
    }
    found.sort_by_key(|segment| segment.number);
    Ok(found)
}

/// Makes a change of the directory last.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_listed_in_order_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "0000000010.jsonl",
            "0000000009.jsonl",
            "9.jsonl",
            "0000000001.jsonl.gz",
            "notes",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let numbers: Vec<u64> = list(directory.path()).unwrap().iter().map(|s| s.number).collect();
        assert_eq!(numbers, [9, 10]);
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = LedgerId::from_bytes([0x0a; 16]);
        assert_eq!(LedgerId::parse(&id.to_string()), Some(id));
        assert_eq!(LedgerId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(LedgerId::parse("+a"), None);
    }
}
