//! The key-encryption key: where it comes from, and the one thing it does, deriving a key for one key file.

use crate::config::KekConfig;
use crate::keyfile::{HEADER_LEN, SALT_LEN};
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use chancel_sandbox::{SecretArena, SecretSlot};
use chancel_service::secret_file::{self, SecretFileError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key-encryption key.
pub const KEK_LEN: usize = 32;
const VARIABLE: &str = "CHANCEL_KEK";
const LABEL: &[u8] = b"chancel key file v1\0";
const CHECK_LABEL: &[u8] = b"chancel key-encryption key check v1\0";
/// Bytes of a check value.
pub const CHECK_LEN: usize = 32;

/// The key-encryption key, in locked memory. Neither printable nor copyable; nothing hands its bytes out.
pub struct Kek {
    secret: SecretSlot,
    generation: u32,
    source: &'static str,
}

/// Why there is no key-encryption key. keyd does not start without one.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The file or credential was refused.
    #[error("key-encryption key: {0}")]
    File(#[from] SecretFileError),
    /// A credential is configured, and systemd passed no credentials directory.
    #[error("key-encryption key: $CREDENTIALS_DIRECTORY is not set: is the unit's LoadCredential= there?")]
    NoCredentialsDirectory,
    /// A credential name with a path in it.
    #[error("key-encryption key: the credential's name must be a plain file name")]
    BadCredentialName,
    /// The variable is absent or not 64 hexadecimal digits.
    #[error("key-encryption key: {VARIABLE} must be 64 hexadecimal digits")]
    BadVariable,
    /// Generations count from 1.
    #[error("key-encryption key: generation must be 1 or more")]
    BadGeneration,
    /// No locked memory was left for it.
    #[error("key-encryption key: no locked memory left")]
    NoSecretMemory,
}

impl Kek {
    /// Obtains the key from where the configuration says and puts it into locked memory.
    ///
    /// # Errors
    /// [`KekError`] says what is wrong with the source; no other source is tried.
    pub fn obtain(config: &KekConfig, arena: &Arc<SecretArena>) -> Result<Self, KekError> {
        let (bytes, generation, source) = match config {
            KekConfig::Credential {
                credential,
                generation,
            } => {
                let path = credential_path(credential)?;
                (secret_file::read_exact_32(&path)?, *generation, "credential")
            }
            KekConfig::File { path, generation } => (secret_file::read_exact_32(path)?, *generation, "file"),
            KekConfig::Environment { generation } => {
                tracing::warn!(
                    "the key-encryption key comes from the environment, where any process of this account \
                     can read it: use a credential or a file outside development"
                );
                (from_environment()?, *generation, "environment")
            }
        };
        if generation == 0 {
            return Err(KekError::BadGeneration);
        }
        let mut secret = arena.claim().ok_or(KekError::NoSecretMemory)?;
        secret
            .store(bytes.as_slice())
            .map_err(|_| KekError::NoSecretMemory)?;
        Ok(Self {
            secret,
            generation,
            source,
        })
    }

    /// Number of this key; it stands in each file sealed under it.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// `credential`, `file` or `environment`.
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// What may be stored to know this key by: HKDF-SHA256 (RFC 5869) of it under a label of its own, so that it says nothing
    /// of what is sealed under the key.
    pub(super) fn check_value(&self) -> Option<[u8; CHECK_LEN]> {
        let prk = Salt::new(HKDF_SHA256, &[]).extract(self.secret.expose());
        let generation = self.generation.to_be_bytes();
        let info = [CHECK_LABEL, &generation];
        let mut value = [0; CHECK_LEN];
        prk.expand(&info, HKDF_SHA256).ok()?.fill(&mut value).ok()?;
        Some(value)
    }

    /// The AES-256-GCM key of one key file: HKDF-SHA256 (RFC 5869) with the file's salt, bound to its header.
    pub(super) fn file_key(&self, header: &[u8; HEADER_LEN], salt: &[u8; SALT_LEN]) -> Option<LessSafeKey> {
        let prk = Salt::new(HKDF_SHA256, salt).extract(self.secret.expose());
        let info = [LABEL, header.as_slice()];
        // Through a wiped array: made from the HKDF output directly, the cipher leaves the key on the stack.
        let mut key = Zeroizing::new([0; KEK_LEN]);
        prk.expand(&info, &AES_256_GCM)
            .ok()?
            .fill(key.as_mut_slice())
            .ok()?;
        UnboundKey::new(&AES_256_GCM, key.as_slice())
            .ok()
            .map(LessSafeKey::new)
    }
}

fn credential_path(name: &str) -> Result<PathBuf, KekError> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(KekError::BadCredentialName);
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(KekError::NoCredentialsDirectory)?;
    Ok(Path::new(&directory).join(name))
}

fn from_environment() -> Result<Zeroizing<[u8; KEK_LEN]>, KekError> {
    let text = Zeroizing::new(std::env::var(VARIABLE).map_err(|_| KekError::BadVariable)?);
    let mut key = Zeroizing::new([0; KEK_LEN]);
    let digits = text.as_bytes();
    if digits.len() != 2 * KEK_LEN || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(KekError::BadVariable);
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let mut pair = std::str::from_utf8(pair)
            .map_err(|_| KekError::BadVariable)?
            .to_owned();
        *byte = u8::from_str_radix(&pair, 16).map_err(|_| KekError::BadVariable)?;
        pair.zeroize();
    }
    Ok(key)
}
