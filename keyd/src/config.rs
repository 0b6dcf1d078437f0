//! keyd's configuration file. Read once, before anything else, and never again.

use chancel_service::account::Account;
use chancel_service::log::Level;
use serde::Deserialize;
use std::path::PathBuf;

/// The whole file; see docs/configuration.md.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where keyd listens.
    pub socket: PathBuf,
    /// Where key files lie; keyd's only directory.
    pub key_directory: PathBuf,
    /// Expanded private keys that may be in memory at once.
    #[serde(default = "default_cached_keys")]
    pub cached_keys: usize,
    /// Threads that do private-key work; a thread a core when absent.
    pub workers: Option<usize>,
    /// The least severe events that are logged.
    #[serde(default)]
    pub log: Level,
    /// The key-encryption key.
    pub kek: KekConfig,
    /// Who the gateway is.
    pub gateway: Peer,
    /// Who policyd is.
    pub policyd: Peer,
}

/// Where the key-encryption key comes from.
#[derive(Debug, Deserialize)]
#[serde(tag = "source", rename_all = "lowercase", deny_unknown_fields)]
pub enum KekConfig {
    /// A systemd credential: a file of that name under `$CREDENTIALS_DIRECTORY`.
    Credential {
        /// The credential's name.
        credential: String,
        /// Generation of this key-encryption key; files name the one they are sealed under.
        generation: u32,
    },
    /// A file of 32 bytes, owned by keyd or root, mode 0600 or less.
    File {
        /// The file.
        path: PathBuf,
        /// As above.
        generation: u32,
    },
    /// The variable `CHANCEL_KEK`, 64 hexadecimal digits. For development: warned about.
    Environment {
        /// As above.
        generation: u32,
    },
}

/// One of the two processes that may connect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// The account it runs under, as the kernel must confirm.
    pub account: Account,
    /// The file with its service token.
    pub token_file: PathBuf,
}

const fn default_cached_keys() -> usize {
    1024
}
