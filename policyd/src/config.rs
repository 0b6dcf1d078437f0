//! policyd's configuration file. Read once, before anything else, and never again.

use chancel_ledger::LedgerConfig;
use chancel_service::account::Account;
use chancel_service::log::Level;
use nix::unistd::Group;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// The whole file; see docs/configuration.md.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where policyd listens for the gateway.
    pub socket: PathBuf,
    /// Where policyd listens for operators.
    pub admin_socket: PathBuf,
    /// Whose members are operators, beside root and policyd's own user.
    pub admin_group: Option<AdminGroup>,
    /// The database file; its directory is the only one policyd can write to.
    pub database: PathBuf,
    /// The file with the key of the API keys' hashes.
    pub api_key_secret_file: PathBuf,
    /// The file with the plans' terms; the defaults when absent.
    pub plans_file: Option<PathBuf>,
    /// What is logged.
    #[serde(default)]
    pub log: Level,
    /// The decision ledger.
    pub ledger: LedgerConfig,
    /// Who the gateway is.
    pub gateway: Gateway,
    /// Where keyd is.
    pub keyd: Keyd,
}

/// The one service that may connect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// The account it runs under, as the kernel must confirm.
    pub account: Account,
    /// The file with its service token.
    pub token_file: PathBuf,
}

/// The service that policyd connects to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyd {
    /// Where it listens.
    pub socket: PathBuf,
    /// The account that must be listening there.
    pub account: Account,
    /// The file with policyd's service token.
    pub token_file: PathBuf,
}

/// A group of the host, as a gid or a name. A name is resolved when the file is read; one that does not exist is
/// an error of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminGroup(u32);

impl AdminGroup {
    /// Its gid.
    pub const fn gid(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for AdminGroup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a gid or a group name")]
        enum Written {
            Gid(u32),
            Name(String),
        }
        let unusable = |found, wanted: &str| D::Error::invalid_value(Unexpected::Other(found), &wanted);
        match Written::deserialize(deserializer)? {
            Written::Gid(gid) => Ok(Self(gid)),
            Written::Name(name) => match Group::from_name(&name) {
                Ok(Some(group)) => Ok(Self(group.gid.as_raw())),
                Ok(None) => Err(unusable("a name without group", "the name of an existing group")),
                Err(_) => Err(unusable("a name", "a readable group database, or a gid")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
socket = "/run/chancel-policyd/policyd.sock"
admin_socket = "/run/chancel-policyd/admin.sock"
admin_group = "root"
database = "/var/lib/chancel-policyd/chancel.db"
api_key_secret_file = "/etc/chancel/policyd/api-key.secret"

[ledger]
directory = "/var/lib/chancel-policyd/ledger"

[gateway]
account = 61001
token_file = "/etc/chancel/policyd/gateway.token"

[keyd]
socket = "/run/chancel-keyd/keyd.sock"
account = 61002
token_file = "/etc/chancel/policyd/policyd.token"
"#;

    fn loaded(text: &str) -> Result<Config, chancel_service::config::ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policyd.toml");
        std::fs::write(&path, text).unwrap();
        chancel_service::config::load(&path)
    }

    #[test]
    fn the_documented_file_is_read() {
        let config = loaded(GOOD).unwrap();
        assert_eq!(config.admin_group, Some(AdminGroup(0)));
        assert_eq!(config.gateway.account.uid(), 61001);
        let without = loaded(&GOOD.replace("admin_group = \"root\"\n", "")).unwrap();
        assert_eq!(without.admin_group, None);
    }

    #[test]
    fn unknown_keys_unknown_groups_and_missing_keys_are_refused() {
        for (from, to) in [
            ("admin_group = \"root\"", "admin_group = \"no-such-group\""),
            ("admin_group = \"root\"", "dangerous = true"),
            ("account = 61002\n", ""),
            ("[ledger]\ndirectory = \"/var/lib/chancel-policyd/ledger\"\n", ""),
            ("database = ", "databse = "),
        ] {
            loaded(&GOOD.replace(from, to)).unwrap_err();
        }
    }
}
