//! `chancel tls …`: the gateway's certificate in `tls/chain.pem` and its key, sealed, in `credentials/tls-key.cred`.

mod pair;
mod replace;
mod seal;

use super::unread;
use crate::arguments::TlsCommand;
use crate::certificate::{Chain, Shown};
use crate::failure::Failure;
use crate::host::{credentials, program, systemd};
use crate::output::Output;
use jiff::Timestamp;
use pair::Pair;
pub use pair::Unfit;
use replace::Staged;
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// A chain is a few pages of text. A file that is larger is another file.
const MAX_FILE: u64 = 1 << 20;
const GATEWAY: &str = "chancel-gateway";

/// What an import did, in JSON.
#[derive(Serialize)]
struct Imported {
    certificate: Shown,
    sealed_by: String,
    reloaded: bool,
}

pub(super) fn run(config: &Path, output: Output, command: &TlsCommand) -> Result<(), Failure> {
    match command {
        TlsCommand::Show => {
            let shown = read_chain(&chain_file(config))?.shown(Timestamp::now());
            output.print(&shown, || shown.table())
        }
        TlsCommand::Import {
            certificate,
            key,
            no_reload,
        } => import(config, output, certificate, key, !no_reload),
    }
}

/// Where the chain lies.
pub(super) fn chain_file(config: &Path) -> std::path::PathBuf {
    config.join("tls/chain.pem")
}

/// Reads the chain of a file.
pub(super) fn read_chain(path: &Path) -> Result<Chain, Failure> {
    Chain::parse(&read(path)?).map_err(|source| Failure::NotAChain {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Made large enough at once: a buffer that grows leaves copies of what it held.
    let mut text = Zeroizing::new(Vec::with_capacity(64 << 10));
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
        .map_err(unread(path))?;
    Ok(text)
}

fn import(
    config: &Path,
    output: Output,
    certificate: &Path,
    key: &Path,
    reload: bool,
) -> Result<(), Failure> {
    let (chain_pem, key_pem) = (read(certificate)?, read(key)?);
    let pair = Pair::check(&chain_pem, &key_pem, Timestamp::now())?;
    for doubt in pair.doubts() {
        eprintln!("warning: {doubt}");
    }
    let with = credentials::sealed_by(config);
    let sealed = seal::tls_key(&key_pem, with.seen().map(String::as_str))?;
    place(config, &chain_pem, &sealed.text)?;
    if reload {
        reload_gateway()?;
    }
    let imported = Imported {
        certificate: pair.chain().shown(Timestamp::now()),
        sealed_by: sealed.with,
        reloaded: reload,
    };
    output.print(&imported, || {
        let mut table = imported.certificate.table();
        table.row(&["key", &format!("sealed with key '{}'", imported.sealed_by)]);
        let gateway = match imported.reloaded {
            true => "has read it",
            false => "has not read it yet: systemctl reload chancel-gateway",
        };
        table.row(&["gateway", gateway]);
        table
    })?;
    eprintln!(
        "note: {} is not needed any more; remove it, or keep it where this host is not",
        key.display()
    );
    Ok(())
}

/// Puts both files in place. The gateway's unit takes the same lock before it opens them, so it sees both old or both
/// new. A host that loses power between the two renames has an old chain and a new key; the unit refuses that pair, and
/// the same command again mends it.
fn place(config: &Path, chain: &[u8], sealed_key: &[u8]) -> Result<(), Failure> {
    let chain_file = chain_file(config);
    let key_file = credentials::file(config, credentials::TLS_KEY);
    let lock = replace::lock_directory_of(&chain_file)?;
    let key = Staged::write(&key_file, sealed_key, 0o600)?;
    let chain = Staged::write(&chain_file, chain, 0o644)?;
    key.put()?;
    chain.put()?;
    drop(lock);
    Ok(())
}

fn reload_gateway() -> Result<(), Failure> {
    if !systemd::is_running() {
        return Err(Failure::NotReloaded(
            "systemd does not run here; have whatever keeps the gateway open the key and send it SIGHUP"
                .to_owned(),
        ));
    }
    program::run("systemctl", &["reload", GATEWAY], b"")
        .map(|_| ())
        .map_err(|failed| {
            Failure::NotReloaded(format!(
                "{failed}; journalctl -u {GATEWAY} says more, systemctl reload {GATEWAY} tries again"
            ))
        })
}
