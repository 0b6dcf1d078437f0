//! `chancel tls …`

use clap::Subcommand;
use std::path::PathBuf;

/// What to do with the gateway's certificate.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Take a certificate and its key into use: check both, seal the key, have the gateway read them; root only
    Import {
        /// The certificate and what it was issued by, PEM, the gateway's own first
        #[arg(long, value_name = "CHAIN.pem")]
        certificate: PathBuf,
        /// Its private key, PEM, without a passphrase; not needed any more afterwards
        #[arg(long, value_name = "KEY.pem")]
        key: PathBuf,
        /// Do not have the gateway read them now
        #[arg(long)]
        no_reload: bool,
    },
    /// Show the certificate that is in place
    Show,
}
