//! `chancel tls …`: the gateway's certificate in `tls/chain.pem` and its key, sealed, in `credentials/tls-key.cred`.

mod gateway;
mod pair;
mod replace;

use super::unread;
use crate::arguments::{CONFIG_DIRECTORY, ImportArguments, TlsCommand};
use crate::certificate::{Chain, Shown, pem};
use crate::failure::Failure;
use crate::host::credentials::{TLS_KEY, sealed_by};
use crate::host::tls::{chain_file, lock_file};
use crate::host::{program, secret};
use crate::output::{Output, Table};
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
/// Seals all secrets of an installation; it comes with the packages. The key goes there through a pipe, and is in no file
/// and no argument.
const SEALER: &str = "/usr/libexec/chancel/credentials";

/// What an import did, in JSON.
#[derive(Serialize)]
struct Imported {
    certificate: Shown,
    sealed_by: Option<String>,
    gateway: &'static str,
}

pub(super) fn run(config: &Path, output: Output, command: &TlsCommand) -> Result<(), Failure> {
    match command {
        TlsCommand::Show => {
            let shown = read_chain(&chain_file(config))?.shown(Timestamp::now());
            output.print(&shown, || shown.table())
        }
        // Else the certificate would come into one installation and the key into another.
        TlsCommand::Import(_) if config != Path::new(CONFIG_DIRECTORY) => Err(Failure::SealedElsewhere),
        TlsCommand::Import(arguments) => import(config, output, arguments),
    }
}

/// Reads the chain of a file.
pub(super) fn read_chain(path: &Path) -> Result<Chain, Failure> {
    Chain::parse(&read(path)?).map_err(|source| Failure::NotAChain {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    File::open(path)
        .and_then(|file| secret::read_to_end(file.take(MAX_FILE)))
        .map_err(unread(path))
}

fn import(config: &Path, output: Output, arguments: &ImportArguments) -> Result<(), Failure> {
    let (chain_pem, key_pem) = (read(&arguments.certificate)?, read(&arguments.key)?);
    let pair = Pair::check(&chain_pem, &key_pem, Timestamp::now())?;
    for doubt in pair.doubts() {
        eprintln!("warning: {doubt}");
    }
    place(config, SEALER, &pair, &key_pem)?;
    let told = (!arguments.no_reload).then(|| gateway::takes(config, pair.certificates()));
    let imported = Imported {
        certificate: pair.chain().shown(Timestamp::now()),
        sealed_by: sealed_by(config).seen().cloned(),
        gateway: match &told {
            Some(Ok(())) => "serving",
            Some(Err(Failure::NotServed(_))) => "not-serving",
            Some(Err(_)) | None => "not-told",
        },
    };
    output.print(&imported, || imported.table())?;
    eprintln!(
        "note: {} is not needed any more; remove it, or keep it where this host is not",
        arguments.key.display()
    );
    told.unwrap_or(Ok(()))
}

/// Puts both in place. The gateway's unit takes the same lock before it opens them, so it sees both old or both new. A
/// host that loses power between the two has an old chain and a new key; the unit refuses that pair, and the same
/// command again mends it.
fn place(config: &Path, sealer: &str, pair: &Pair, key_pem: &[u8]) -> Result<(), Failure> {
    let _lock = replace::lock(&lock_file(config), replace::PATIENCE)?;
    let chain = Staged::write(&chain_file(config), pem(pair.certificates()).as_bytes(), 0o644)?;
    program::run(sealer, &["seal", TLS_KEY], key_pem)?;
    // The same command again mends this as well, and the unit says so.
    chain.put()
}

impl Imported {
    fn table(&self) -> Table {
        let mut table = self.certificate.table();
        let sealed_by = self.sealed_by.as_deref().unwrap_or("?");
        table.row(&["key", &format!("sealed with key '{sealed_by}'")]);
        let gateway = match self.gateway {
            "serving" => "serves it",
            "not-serving" => "was told, and does not serve it",
            _ => "was not told: systemctl reload chancel-gateway",
        };
        table.row(&["gateway", gateway]);
        table
    }
}

#[cfg(test)]
mod tests;
