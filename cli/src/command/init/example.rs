//! The lines with which somebody tries an installation. Pure: from configuration, certificate and scopes to text.

use crate::certificate::{CertifiedName, Chain};
use crate::host::config::Gateway;
use crate::host::listener::reachable;
use crate::host::tls::chain_file;
use chancel_domain::{Algorithm, Operation, Scopes};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What the documentation says `listen` is.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// Where the API is, as a client on this host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://HOST:PORT`.
    pub url: String,
    /// What a client must be given to trust it.
    pub ca_file: Option<PathBuf>,
    /// `HOST:PORT:ADDRESS` where the certified name does not lead to this host by itself.
    resolve: Option<String>,
}

/// A key is made, and used.
#[derive(Debug)]
pub struct Example(Vec<String>);

impl Endpoint {
    /// From what the gateway's configuration and certificate say.
    pub fn new(gateway: Option<&Gateway>, chain: Option<&Chain>, config: &Path) -> Self {
        let listen = gateway.map_or(USUAL, |gateway| reachable(gateway.listen));
        let (address, port) = (listen.ip(), listen.port());
        if gateway.is_some_and(|gateway| gateway.tls.is_none()) {
            return Self {
                url: format!("http://{}", SocketAddr::new(address, port)),
                ca_file: None,
                resolve: None,
            };
        }
        let (host, resolve) = host(address, chain);
        Self {
            url: format!("https://{host}:{port}"),
            // A root that clients have already is not in the file; one that only this file has must be given.
            ca_file: chain
                .is_none_or(Chain::ends_in_itself)
                .then(|| chain_file(config)),
            resolve: resolve.then(|| format!("{host}:{port}:{}", bracketed(address))),
        }
    }

    fn options(&self) -> String {
        let mut options = String::new();
        if let Some(file) = &self.ca_file {
            options.push_str(&format!(" --cacert {}", quoted(&file.to_string_lossy())));
        }
        if let Some(resolve) = &self.resolve {
            options.push_str(&format!(" --resolve {}", quoted(resolve)));
        }
        options
    }
}

/// A name that the certificate is good for, and whether it has to be said where that is.
fn host(address: IpAddr, chain: Option<&Chain>) -> (String, bool) {
    let Some(own) = chain.map(Chain::own) else {
        return (bracketed(address), false);
    };
    if address.is_loopback() && own.covers("localhost") {
        return ("localhost".to_owned(), false);
    }
    if own.covers(&address.to_string()) {
        return (bracketed(address), false);
    }
    own.names
        .iter()
        .find_map(|name| match name {
            CertifiedName::Dns(name) if !name.contains('*') => Some((name.clone(), true)),
            _ => None,
        })
        .unwrap_or_else(|| (bracketed(address), false))
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl Example {
    /// For an API key of these scopes: signing or else encrypting, with the key for it; nothing where they allow neither.
    pub fn new(endpoint: &Endpoint, scopes: &Scopes) -> Self {
        /// "hello" in base64.
        const HELLO: &str = "aGVsbG8=";
        let allowed = |operation, algorithm| scopes.cover(operation, Some(algorithm));
        let uses = [
            (
                Operation::Sign,
                Algorithm::MlDsa65,
                "/api/v1/signature/sign",
                "message",
            ),
            (
                Operation::Encrypt,
                Algorithm::MlKem768,
                "/api/v1/kem/encrypt",
                "plaintext",
            ),
        ];
        let possible = uses
            .into_iter()
            .find(|(operation, algorithm, ..)| allowed(*operation, *algorithm));
        let Some((_, algorithm, route, field)) = possible else {
            return Self(Vec::new());
        };
        let name = algorithm.spec().standard_name;
        let mut lines = Vec::new();
        if allowed(Operation::GenerateKey, algorithm) {
            lines.push(post(
                endpoint,
                "/api/v1/kms/keys/generate",
                &format!(r#"{{"algorithm": "{name}"}}"#),
            ));
        }
        let body = format!(r#"{{"algorithm": "{name}", "{field}": "{HELLO}"}}"#);
        lines.push(post(endpoint, route, &body));
        Self(lines)
    }

    /// Its lines.
    pub fn into_lines(self) -> Vec<String> {
        self.0
    }
}

/// The API key goes through a pipe: arguments of a process can be read by everybody on the host.
fn post(endpoint: &Endpoint, route: &str, body: &str) -> String {
    format!(
        "printf 'x-api-key: %s' \"$CHANCEL_API_KEY\" | curl -sS -w '\\n'{} -H @- -H 'content-type: application/json' -d '{body}' {}{route}",
        endpoint.options(),
        endpoint.url
    )
}

#[cfg(test)]
mod tests;
