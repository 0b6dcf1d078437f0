//! The format of a key file: one private key's seed, sealed for one tenant, algorithm, version and handle.
//!
//! `header(50) ‖ salt(32) ‖ iv(12) ‖ AES-256-GCM(seed) ‖ tag(16)`, integers big-endian. The header is
//! `"CHNCKEY" ‖ format u8 ‖ KEK generation u32 ‖ tenant(16) ‖ algorithm u16 ‖ version u32 ‖ handle(16)`. Header,
//! salt and IV are the AAD, and the header is also in the key derivation, so a file moved to another name
//! does not open even for someone who can write the directory. A seed has no way from here to a file but
//! [`seal`].

use crate::crypto::Seed;
use crate::kek::Kek;
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::rand;
use chancel_wire::keyd::{KeyFileDamage, KeyIdentity};
use zeroize::Zeroizing;

/// Bytes of the header.
pub const HEADER_LEN: usize = 50;
/// Bytes of the salt.
pub const SALT_LEN: usize = 32;
const TAG_LEN: usize = 16;
const PREFIX_LEN: usize = HEADER_LEN + SALT_LEN + NONCE_LEN;
const MAGIC: [u8; 8] = *b"CHNCKEY\x01";

/// The largest file [`open`] looks at, bytes.
pub const MAX_LEN: usize = PREFIX_LEN + 128 + TAG_LEN;

/// The random source or the cipher failed; nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealing the key file failed")]
pub struct SealFailed;

/// A private key as it may be stored.
pub struct WrappedKey(Vec<u8>);

impl WrappedKey {
    /// The bytes of the file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn header(kek_generation: u32, key: &KeyIdentity) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let fields: [&[u8]; 6] = [
        &MAGIC,
        &kek_generation.to_be_bytes(),
        key.tenant.as_bytes(),
        &u16::from(key.algorithm).to_be_bytes(),
        &key.version.number().to_be_bytes(),
        key.handle.as_bytes(),
    ];
    for (slot, byte) in header.iter_mut().zip(fields.into_iter().flatten()) {
        *slot = *byte;
    }
    header
}

/// Seals a seed for the key it belongs to, under a fresh salt and IV: equal seeds give different files.
///
/// # Errors
/// [`SealFailed`] when no randomness was to be had.
pub fn seal(kek: &Kek, key: &KeyIdentity, seed: &Seed) -> Result<WrappedKey, SealFailed> {
    let header = header(kek.generation(), key);
    let mut salt = [0; SALT_LEN];
    let mut iv = [0; NONCE_LEN];
    rand::fill(&mut salt).map_err(|_| SealFailed)?;
    rand::fill(&mut iv).map_err(|_| SealFailed)?;
    let prefix = [header.as_slice(), &salt, &iv].concat();
    let mut body = Zeroizing::new(seed.expose().to_vec());
    let tag = kek
        .file_key(&header, &salt)
        .ok_or(SealFailed)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(&prefix), &mut body)
        .map_err(|_| SealFailed)?;
    Ok(WrappedKey([prefix.as_slice(), &body, tag.as_ref()].concat()))
}

/// Opens a key file that must be the one of `key`.
///
/// # Errors
/// [`KeyFileDamage`] says what is wrong with the file, as far as that can be told without trusting it.
pub fn open(kek: &Kek, key: &KeyIdentity, file: &[u8]) -> Result<Seed, KeyFileDamage> {
    let seed_len = key.algorithm.spec().seed_len;
    if file.len() != PREFIX_LEN + seed_len + TAG_LEN {
        return Err(KeyFileDamage::Malformed);
    }
    let (prefix, body) = file
        .split_at_checked(PREFIX_LEN)
        .ok_or(KeyFileDamage::Malformed)?;
    let (found, rest) = prefix
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(KeyFileDamage::Malformed)?;
    let (salt, iv) = rest
        .split_first_chunk::<SALT_LEN>()
        .ok_or(KeyFileDamage::Malformed)?;
    let iv: [u8; NONCE_LEN] = iv.try_into().map_err(|_| KeyFileDamage::Malformed)?;
    check_header(found, &header(kek.generation(), key))?;
    let mut body = Zeroizing::new(body.to_vec());
    let seed = kek
        .file_key(found, salt)
        .ok_or(KeyFileDamage::NotAuthentic)?
        .open_in_place(Nonce::assume_unique_for_key(iv), Aad::from(prefix), &mut body)
        .map_err(|_| KeyFileDamage::NotAuthentic)?;
    Seed::from_secret(key.algorithm, seed).map_err(|_| KeyFileDamage::Malformed)
}

/// Names the difference, for the log; authenticity is decided by the tag, over these same bytes.
fn check_header(found: &[u8; HEADER_LEN], expected: &[u8; HEADER_LEN]) -> Result<(), KeyFileDamage> {
    if found == expected {
        return Ok(());
    }
    let (found_magic, found) = found.split_at(MAGIC.len());
    let (magic, expected) = expected.split_at(MAGIC.len());
    if found_magic != magic {
        return Err(KeyFileDamage::Malformed);
    }
    let (found_generation, found) = found.split_at(4);
    let (generation, expected) = expected.split_at(4);
    if found == expected && found_generation != generation {
        return Err(KeyFileDamage::OtherKekGeneration);
    }
    Err(KeyFileDamage::Misplaced)
}
