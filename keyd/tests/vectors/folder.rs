//! Where the vectors are that are no part of this repository: in the folder named by `CHANCEL_VECTORS`. Without them tests
//! say SKIPPED, unless the variable promised them. And how their bytes are written.

use crate::report::say;
use std::path::{Path, PathBuf};

/// A file or folder among the vectors.
///
/// # Panics
/// When `CHANCEL_VECTORS` is set and it is not there.
pub fn find(name: &str) -> Option<PathBuf> {
    let promised = std::env::var_os("CHANCEL_VECTORS");
    let root = promised.as_ref().map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        promised.is_none(),
        "CHANCEL_VECTORS is set, but there is no {}",
        path.display()
    );
    say(&format!("SKIPPED: vectors not found at {}", path.display()));
    None
}

/// The bytes of a file among the vectors.
pub fn vectors(name: &str) -> Option<Vec<u8>> {
    find(name).map(|path| std::fs::read(path).expect("the file is readable"))
}

/// The bytes of a hexadecimal field.
pub fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("fields are hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}
