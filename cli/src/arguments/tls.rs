//! `chancel tls …`

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with the gateway's certificate.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Take a certificate and its key into use: check both, seal the key, have the gateway serve them; root only
    Import(ImportArguments),
    /// Show the certificate that is in place
    Show,
}

/// What is to be served.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The certificate and what it was issued by, PEM, the gateway's own first
    #[arg(value_name = "CHAIN.pem")]
    pub certificate: PathBuf,
    /// Its private key, PEM, without a passphrase; not needed any more afterwards
    #[arg(value_name = "KEY.pem")]
    pub key: PathBuf,
    /// Put them in place, and do not tell the gateway
    #[arg(long)]
    pub no_reload: bool,
}
