//! keyd's configuration file. Read once, before anything else, and never again.

use crate::break_glass::{DEFAULT_LONGEST, HARD_MAXIMUM};
use chancel_ledger::LedgerConfig;
use chancel_service::account::Account;
use chancel_service::log::Level;
use chancel_service::period::Period;
use serde::Deserialize;
use serde::de::{Error as _, Unexpected};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

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
    /// The ledger of uses.
    pub ledger: LedgerConfig,
    /// Break-glass.
    #[serde(default)]
    pub break_glass: BreakGlassConfig,
}

/// Whether break-glass can be opened, and for how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassConfig {
    /// Whether it can be opened at all.
    #[serde(default = "yes")]
    enabled: bool,
    /// For how long at most; none and zero stand for the default.
    #[serde(default, deserialize_with = "longest")]
    longest: Duration,
}

impl Default for BreakGlassConfig {
    fn default() -> Self {
        Self {
            enabled: yes(),
            longest: Duration::ZERO,
        }
    }
}

impl BreakGlassConfig {
    /// For how long it can be opened at most; zero when it cannot.
    pub const fn longest(&self) -> Duration {
        match (self.enabled, self.longest.is_zero()) {
            (false, _) => Duration::ZERO,
            (true, true) => DEFAULT_LONGEST,
            (true, false) => self.longest,
        }
    }
}

const fn yes() -> bool {
    true
}

fn longest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let longest = Period::deserialize(deserializer)?.duration();
    if longest > HARD_MAXIMUM {
        return Err(D::Error::invalid_value(
            Unexpected::Other("a longer time"),
            &"a time of at most \"15m\"",
        ));
    }
    Ok(longest)
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
    /// Whether two of the three daemons run under one account, keyd itself under `own`, or one of them under the
    /// operator's.
    pub fn shares_accounts(&self, own: u32) -> bool {
        let (gateway, policyd) = (self.gateway.account.uid(), self.policyd.account.uid());
        own == gateway || own == policyd || gateway == policyd || gateway == 0 || policyd == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn break_glass_lasts_five_minutes_unless_told_otherwise_and_fifteen_at_most() {
        let minutes = |count: u64| Some(Duration::from_secs(count * 60));
        for (text, expected) in [
            ("", minutes(5)),
            ("longest = \"0s\"", minutes(5)),
            ("longest = \"1m\"", minutes(1)),
            ("longest = \"15m\"", minutes(15)),
            ("enabled = false", minutes(0)),
            ("enabled = false\nlongest = \"5m\"", minutes(0)),
            ("longest = \"900001ms\"", None),
            ("longest = \"1h\"", None),
            ("longest = 300", None),
            ("for = \"5m\"", None),
        ] {
            let found = toml::from_str::<BreakGlassConfig>(text).ok();
            assert_eq!(found.map(|config| config.longest()), expected, "{text}");
        }
        assert_eq!(BreakGlassConfig::default().longest(), DEFAULT_LONGEST);
    }
}
