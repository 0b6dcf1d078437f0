//! `chancel mu …`

use super::value;
use chancel_domain::Algorithm;
use std::path::PathBuf;

/// What mu is computed of.
#[derive(Debug, clap::Args)]
pub struct MuArguments {
    /// The ML-DSA public key that will verify: PEM or DER (GET /api/v1/kms/keys/{version}?format=pem), or raw with --algorithm
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,
    /// The algorithm of a raw public key
    #[arg(long, value_name = "NAME", value_parser = value::algorithm)]
    pub algorithm: Option<Algorithm>,
    /// The context string of the signature
    #[arg(long, value_name = "TEXT", value_parser = value::context)]
    pub context: Option<String>,
    /// The message; - for standard input
    #[arg(value_name = "FILE")]
    pub message: PathBuf,
}
