//! What this host says of an installation: its configuration, units, files, file systems, kernel. Everything here looks,
//! and neither judges nor changes anything; what cannot be looked at is a value that says so.

pub mod config;
pub mod credentials;
pub mod disk;
pub mod file;
pub mod kernel;
pub mod listener;
pub mod memory;
pub mod monitor;
pub mod process;
pub mod program;
pub mod secret;
pub mod systemd;
pub mod tls;

/// Something that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// Seen.
    Seen(T),
    /// It could not be looked at, for this reason.
    Unseen(String),
}

impl<T> Look<T> {
    /// What was seen.
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            Self::Unseen(_) => None,
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Look<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Seen(value),
            Err(error) => Self::Unseen(error.to_string()),
        }
    }
}
