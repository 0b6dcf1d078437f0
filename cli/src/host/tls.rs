//! Where the gateway's certificate chain lies, and what is locked while it and its key are replaced.

use std::path::{Path, PathBuf};

/// The chain.
pub fn chain_file(config: &Path) -> PathBuf {
    config.join("tls/chain.pem")
}

/// What the gateway's unit locks, too, before it reads both. A file that root alone can open: a directory that everybody
/// can read, everybody can lock.
pub fn lock_file(config: &Path) -> PathBuf {
    config.join("tls/.lock")
}
