//! What the daemons' configuration files say that an operator's program needs. Leniently: which keys there may be is the
//! daemons' own business, and they refuse what is wrong. No message repeats what a file says, as a secret may have got
//! into the wrong place.

use super::Look;
use chancel_ledger::LedgerConfig;
use nix::unistd::User;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The three files.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Of keyd.
    pub keyd: Look<Keyd>,
    /// Of policyd.
    pub policyd: Look<Policyd>,
    /// Of the gateway.
    pub gateway: Look<Gateway>,
}

/// keyd.toml.
#[derive(Debug, Clone, Deserialize)]
pub struct Keyd {
    /// Where key files lie.
    pub key_directory: PathBuf,
    /// Expanded private keys in locked memory.
    #[serde(default = "usual_cached_keys")]
    pub cached_keys: u64,
    /// Where the key-encryption key comes from.
    pub kek: Kek,
    /// Its ledger.
    pub ledger: LedgerConfig,
    /// Whom it takes for the gateway.
    pub gateway: Peer,
    /// Whom it takes for policyd.
    pub policyd: Peer,
}

/// `[kek]`.
#[derive(Debug, Clone, Deserialize)]
pub struct Kek {
    /// `credential`, `file` or `environment`.
    pub source: String,
}

/// policyd.toml.
#[derive(Debug, Clone, Deserialize)]
pub struct Policyd {
    /// Where the gateway connects.
    pub socket: PathBuf,
    /// Its database.
    pub database: PathBuf,
    /// Its ledger.
    pub ledger: LedgerConfig,
    /// Whom it takes for keyd.
    pub keyd: Peer,
}

/// gateway.toml.
#[derive(Debug, Clone, Deserialize)]
pub struct Gateway {
    /// Where the API is served.
    pub listen: SocketAddr,
    /// Where health and metrics are served.
    #[serde(default = "usual_monitor")]
    pub monitor_listen: SocketAddr,
    /// Whether by TLS.
    pub tls: Option<Tls>,
}

/// `[tls]`; where its files lie is the unit's business.
#[derive(Debug, Clone, Deserialize)]
pub struct Tls {}

/// Another daemon.
#[derive(Debug, Clone, Deserialize)]
pub struct Peer {
    account: Written,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Written {
    Uid(u32),
    Name(String),
}

/// An account of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// As it is called.
    pub name: String,
    /// Its number, when there is such an account.
    pub uid: Option<u32>,
}

const fn usual_cached_keys() -> u64 {
    1024
}

fn usual_monitor() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9464).into()
}

impl Configuration {
    /// Reads what is there.
    pub fn read(directory: &Path) -> Self {
        Self {
            keyd: read(&directory.join("keyd.toml")),
            policyd: read(&directory.join("policyd.toml")),
            gateway: gateway(directory),
        }
    }

    /// keyd's account: the one that policyd expects to meet, or the usual one.
    pub fn keyd_account(&self) -> Account {
        account(self.policyd.seen().map(|policyd| &policyd.keyd), "chancel-keyd")
    }

    /// policyd's account.
    pub fn policyd_account(&self) -> Account {
        account(self.keyd.seen().map(|keyd| &keyd.policyd), "chancel-policyd")
    }

    /// The gateway's account.
    pub fn gateway_account(&self) -> Account {
        account(self.keyd.seen().map(|keyd| &keyd.gateway), "chancel-gateway")
    }
}

/// gateway.toml alone.
pub fn gateway(directory: &Path) -> Look<Gateway> {
    read(&directory.join("gateway.toml"))
}

fn account(peer: Option<&Peer>, usual: &str) -> Account {
    match peer.map(|peer| &peer.account) {
        Some(Written::Uid(uid)) => Account {
            name: format!("uid {uid}"),
            uid: Some(*uid),
        },
        Some(Written::Name(name)) => Account::named(name),
        None => Account::named(usual),
    }
}

impl Account {
    /// Looks it up.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            uid: User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()),
        }
    }

    /// The administrator's.
    pub fn root() -> Self {
        Self {
            name: "root".to_owned(),
            uid: Some(0),
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Look<T> {
    let unseen = |reason: &str| Look::Unseen(format!("{}: {reason}", path.display()));
    match fs::read_to_string(path) {
        Err(error) => unseen(&error.to_string()),
        Ok(text) => match parse(&text) {
            Ok(value) => Look::Seen(value),
            Err(line) => unseen(&format!(
                "line {line} is not understood; its daemon says why when it starts"
            )),
        },
    }
}

/// Or the line of the mistake.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, usize> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start);
        1 + text.get(..before).unwrap_or(text).matches('\n').count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = r#"
listen = "0.0.0.0:8443"
trusted_proxies = ["10.0.0.0/8"]
[tls]
certificate_file = "/run/chancel-tls/chain.pem"
key_file = "/run/chancel-tls/key.pem"
"#;

    #[test]
    fn what_is_needed_is_read_and_what_is_not_is_passed_over() {
        let gateway: Gateway = parse(GATEWAY).unwrap();
        assert_eq!(gateway.listen.port(), 8443);
        assert_eq!(gateway.monitor_listen.to_string(), "127.0.0.1:9464");
        assert!(gateway.tls.is_some());
        let (plain, _) = GATEWAY.split_once("[tls]").unwrap();
        assert!(parse::<Gateway>(plain).unwrap().tls.is_none());
    }

    #[test]
    fn a_mistake_is_told_by_its_line_and_never_by_what_stands_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        fs::write(&path, "listen = \"0.0.0.0:8443\"\nmonitor_listen = \"hunter2\"\n").unwrap();
        let Look::Unseen(reason) = read::<Gateway>(&path) else {
            panic!("it was read");
        };
        assert!(
            reason.contains("line 2") && !reason.contains("hunter2"),
            "{reason}"
        );
    }

    #[test]
    fn accounts_are_numbers_or_names() {
        let peer: Peer = parse("account = 4711").unwrap();
        assert_eq!(account(Some(&peer), "x").uid, Some(4711));
        let peer: Peer = parse("account = \"root\"").unwrap();
        assert_eq!(account(Some(&peer), "x"), Account::root());
        assert_eq!(account(None, "no-such-account").uid, None);
    }
}
