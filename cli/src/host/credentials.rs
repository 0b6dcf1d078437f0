//! The daemons' secrets, sealed by systemd-creds: where they lie, and with what they are sealed. Never what they hold.

use super::Look;
use std::fs;
use std::path::{Path, PathBuf};

/// The gateway's TLS key.
pub const TLS_KEY: &str = "tls-key";
/// The key-encryption key.
pub const KEK: &str = "kek";
/// What API keys are hashed with.
pub const API_KEY_SECRET: &str = "api-key-secret";
/// These and the tokens between the daemons: what every installation has.
pub const NAMES: [&str; 5] = [
    KEK,
    "gateway-keyd",
    "policyd-keyd",
    "gateway-policyd",
    API_KEY_SECRET,
];

/// Their directory.
pub fn directory(config: &Path) -> PathBuf {
    config.join("credentials")
}

/// A credential's file.
pub fn file(config: &Path, name: &str) -> PathBuf {
    directory(config).join(format!("{name}.cred"))
}

/// The word in `sealed-by`: `host`, `tpm2`, or both.
pub fn sealed_by(config: &Path) -> Look<String> {
    let path = directory(config).join("sealed-by");
    fs::read_to_string(&path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| format!("{}: {error}", path.display()))
        .into()
}

/// Whether this host has a TPM that could seal.
pub fn has_tpm() -> bool {
    Path::new("/dev/tpmrm0").exists()
}
