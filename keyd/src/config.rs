//! keyd's configuration file. Read once, before anything else, and never again.

use chancel_service::account::Account;
use chancel_service::log::Level;
use serde::Deserialize;
use std::num::NonZeroUsize;
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
    pub cached_keys: NonZeroUsize,
    /// Threads that do private-key work; a thread a core when absent.
    pub workers: Option<NonZeroUsize>,
    /// Lets keyd, policyd and the gateway share accounts. Then the kernel cannot tell them apart: service tokens
    /// alone do, and whoever runs code in the gateway can read key files.
    #[serde(default)]
    pub dangerous_shared_account: bool,
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

fn default_cached_keys() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(1023)
}

impl Config {
    /// Whether two of the three daemons run under one account, keyd itself under `own`.
    pub fn shares_accounts(&self, own: u32) -> bool {
        let (gateway, policyd) = (self.gateway.account.uid(), self.policyd.account.uid());
        own == gateway || own == policyd || gateway == policyd
    }
}
