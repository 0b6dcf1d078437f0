//! The gateway's configuration file. Read once, before anything else, and never again.

use crate::http::proxies::ProxyHeader;
use chancel_domain::Networks;
use chancel_service::account::Account;
use chancel_service::log::Level;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The whole file; see docs/configuration.md.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the API is served.
    pub listen: SocketAddr,
    /// Where health and metrics are served.
    #[serde(default = "default_monitor_listen")]
    pub monitor_listen: SocketAddr,
    /// Plain HTTP on an address that is not loopback: everything sent can then be read on its way.
    #[serde(default)]
    pub dangerous_plain_http: bool,
    /// Threads that serve, from 1 to 6; when absent one a core, and six at most.
    pub workers: Option<usize>,
    /// A file to write the API's address to, for a `listen` port of 0.
    pub address_file: Option<PathBuf>,
    /// The same for the monitor.
    pub monitor_address_file: Option<PathBuf>,
    /// Networks of the proxies whose word on where a request comes from is believed; none by default.
    #[serde(default)]
    pub trusted_proxies: Networks,
    /// The header in which they say so.
    #[serde(default)]
    pub proxy_header: ProxyHeader,
    /// The least severe events that are logged.
    #[serde(default)]
    pub log: Level,
    /// Certificate and key; plain HTTP when absent.
    pub tls: Option<Tls>,
    /// The daemon that decides.
    pub policyd: Peer,
    /// The daemon that holds the keys.
    pub keyd: Peer,
}

/// The gateway's certificate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM, the gateway's own first.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

/// A daemon the gateway connects to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Where it listens.
    pub socket: PathBuf,
    /// The account that must be listening there.
    pub account: Account,
    /// The file with the gateway's service token.
    pub token_file: PathBuf,
}

/// How the API is protected on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// TLS.
    Tls,
    /// Not at all, but it does not leave the host.
    Loopback,
    /// Not at all, by the operator's explicit word.
    Dangerous,
}

/// Plain HTTP on a reachable address without the operator's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("listen: plain HTTP is for loopback addresses; add a [tls] section")]
pub struct Unprotected;

impl Config {
    /// How the API is to be protected.
    ///
    /// # Errors
    /// [`Unprotected`] when it would not be, and nobody has asked for that.
    pub fn protection(&self) -> Result<Protection, Unprotected> {
        match &self.tls {
            Some(_) => Ok(Protection::Tls),
            None if self.listen.ip().to_canonical().is_loopback() => Ok(Protection::Loopback),
            None if self.dangerous_plain_http => Ok(Protection::Dangerous),
            None => Err(Unprotected),
        }
    }
}

fn default_monitor_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9464).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "127.0.0.1:8443"
[tls]
certificate_file = "/etc/chancel/gateway/tls.crt"
key_file = "/etc/chancel/gateway/tls.key"
[policyd]
socket = "/run/chancel-policyd/policyd.sock"
account = 61001
token_file = "/etc/chancel/gateway/gateway.token"
[keyd]
socket = "/run/chancel-keyd/keyd.sock"
account = 61002
token_file = "/etc/chancel/gateway/gateway.token"
"#;

    fn loaded(text: &str) -> Result<Config, chancel_service::config::ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        chancel_service::config::load(&path)
    }

    #[test]
    fn the_documented_file_is_read_and_others_are_refused() {
        assert_eq!(loaded(GOOD).unwrap().protection(), Ok(Protection::Tls));
        for (from, to) in [
            ("account = 61001", "account = \"no-such-account\""),
            ("listen = ", "listens = "),
            ("account = 61002\n", ""),
            ("listen = \"127.0.0.1:8443\"", "listen = \"localhost\""),
            ("[tls]", "[tls]\nverify = false"),
            ("[tls]", "trusted_proxies = [\"10.0.0.1/8\"]\n[tls]"),
            ("[tls]", "trusted_proxies = \"10.0.0.0/8\"\n[tls]"),
            ("[tls]", "proxy_header = \"x-real-ip\"\n[tls]"),
        ] {
            loaded(&GOOD.replace(from, to)).unwrap_err();
        }
    }

    #[test]
    fn no_proxy_is_believed_unless_it_is_named() {
        let config = loaded(GOOD).unwrap();
        assert!(config.trusted_proxies.is_empty());
        assert_eq!(config.proxy_header, ProxyHeader::Either);
        let named = "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nproxy_header = \"forwarded\"\n[tls]";
        let config = loaded(&GOOD.replace("[tls]", named)).unwrap();
        assert!(config.trusted_proxies.contain("10.1.2.3".parse().unwrap()));
        assert_eq!(config.proxy_header, ProxyHeader::Forwarded);
    }

    #[test]
    fn plain_http_stays_on_the_host_unless_the_operator_insists() {
        let (tls, peers) = (GOOD.find("[tls]").unwrap(), GOOD.find("[policyd]").unwrap());
        let plain = |listen: &str, more: &str| {
            let text = format!("listen = \"{listen}\"\n{more}\n{}", &GOOD[peers..]);
            loaded(&text).unwrap().protection()
        };
        assert!(tls < peers);
        assert_eq!(plain("127.0.0.1:80", ""), Ok(Protection::Loopback));
        assert_eq!(plain("[::1]:80", ""), Ok(Protection::Loopback));
        assert_eq!(plain("0.0.0.0:80", ""), Err(Unprotected));
        assert_eq!(plain("[::]:80", ""), Err(Unprotected));
        assert_eq!(
            plain("192.0.2.1:80", "dangerous_plain_http = true"),
            Ok(Protection::Dangerous)
        );
    }
}
