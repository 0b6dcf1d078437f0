//! Files, directories and sockets, without opening them.

use super::Look;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What a path can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A Unix socket.
    Socket,
    /// Anything else.
    Other,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub kind: Kind,
    /// Whose.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of a file.
    pub size: u64,
}

/// Looks at a path; nothing there is an answer, too.
pub fn look(path: &Path) -> Look<Option<Found>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            let kind = metadata.file_type();
            Look::Seen(Some(Found {
                kind: if kind.is_file() {
                    Kind::File
                } else if kind.is_dir() {
                    Kind::Directory
                } else if kind.is_socket() {
                    Kind::Socket
                } else {
                    Kind::Other
                },
                uid: metadata.uid(),
                mode: metadata.mode() & 0o7777,
                size: metadata.len(),
            }))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Look::Seen(None),
        Err(error) => Look::Unseen(format!("{}: {error}", path.display())),
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Socket => "a socket",
            Self::Other => "something else",
        })
    }
}
