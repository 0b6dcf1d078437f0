//! The ciphertext of a stream:
//!
//! ```text
//! bytes  field
//!     h  head: an envelope of format 0x4304 whose plaintext is a key of 32 random bytes, used for this stream alone
//!     7  nonce prefix, random
//!     …  segments of 65,536 bytes of plaintext and a tag of 16 each; the last may be shorter
//! ```
//!
//! The segments are the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015) over AES-256-GCM, by the
//! `aead-stream` crate: nonce = prefix ‖ number of the segment (4, big-endian) ‖ whether it is the last (1). One that is
//! changed, moved, left out or added does not open, and the end cannot be cut off unnoticed. Tenant, key version and `aad`
//! are bound by the head.

use aead_stream::{DecryptorBE32, EncryptorBE32};
use aes_gcm::Aes256Gcm;
use chancel_domain::Algorithm;
use chancel_pqc::envelope::overhead;
use zeroize::Zeroizing;

/// Plaintext of a segment, bytes.
pub const SEGMENT: usize = 64 << 10;
/// What a segment has beside it.
pub const TAG_LEN: usize = 16;
/// Key of the segments.
pub const KEY_LEN: usize = 32;
/// Random part of the nonces.
pub const PREFIX_LEN: usize = 7;

/// A segment that is not what was sealed at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAuthentic;

/// Bytes of the head.
pub const fn head_len(algorithm: Algorithm) -> usize {
    overhead(algorithm) + KEY_LEN
}

/// Bytes that sealing makes of so many, without head and prefix.
pub const fn sealed_len(plaintext: usize) -> usize {
    let segments = plaintext.div_ceil(SEGMENT);
    plaintext + TAG_LEN * if segments == 0 { 1 } else { segments }
}

/// The reverse; `None` where no plaintext has such a length.
pub fn opened_len(sealed: usize) -> Option<usize> {
    let segments = sealed.div_ceil(SEGMENT + TAG_LEN).max(1);
    let plaintext = sealed.checked_sub(TAG_LEN * segments)?;
    (sealed_len(plaintext) == sealed).then_some(plaintext)
}

/// Seals segments in their order.
pub struct Sealer(EncryptorBE32<Aes256Gcm>);

/// Opens them.
pub struct Opener(DecryptorBE32<Aes256Gcm>);

impl Sealer {
    pub fn new(key: &[u8; KEY_LEN], prefix: [u8; PREFIX_LEN]) -> Self {
        Self(EncryptorBE32::new(key.into(), &prefix.into()))
    }

    /// Seals a segment where it lies; `None` for the sealer when it was the last.
    pub fn seal(
        mut self,
        segment: &mut Zeroizing<Vec<u8>>,
        is_last: bool,
    ) -> Result<Option<Self>, NotAuthentic> {
        let segment: &mut Vec<u8> = segment;
        if is_last {
            let sealed = self.0.encrypt_last_in_place(&[], segment);
            return sealed.map(|()| None).map_err(|_| NotAuthentic);
        }
        let sealed = self.0.encrypt_next_in_place(&[], segment);
        sealed.map(|()| Some(self)).map_err(|_| NotAuthentic)
    }
}

impl Opener {
    pub fn new(key: &[u8; KEY_LEN], prefix: [u8; PREFIX_LEN]) -> Self {
        Self(DecryptorBE32::new(key.into(), &prefix.into()))
    }

    /// Opens a segment where it lies; `None` for the opener when it was the last.
    pub fn open(
        mut self,
        segment: &mut Zeroizing<Vec<u8>>,
        is_last: bool,
    ) -> Result<Option<Self>, NotAuthentic> {
        let segment: &mut Vec<u8> = segment;
        if is_last {
            let opened = self.0.decrypt_last_in_place(&[], segment);
            return opened.map(|()| None).map_err(|_| NotAuthentic);
        }
        let opened = self.0.decrypt_next_in_place(&[], segment);
        opened.map(|()| Some(self)).map_err(|_| NotAuthentic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    const KEY: [u8; KEY_LEN] = [3; KEY_LEN];
    const PREFIX: [u8; PREFIX_LEN] = [5; PREFIX_LEN];

    fn sealed(plaintexts: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut sealer = Some(Sealer::new(&KEY, PREFIX));
        let mut segments = Vec::new();
        for (index, plaintext) in plaintexts.iter().enumerate() {
            let mut segment = Zeroizing::new(plaintext.clone());
            let is_last = index + 1 == plaintexts.len();
            sealer = sealer.unwrap().seal(&mut segment, is_last).unwrap();
            segments.push(segment.to_vec());
        }
        assert!(sealer.is_none());
        segments
    }

    fn opened(segments: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let mut opener = Some(Opener::new(&KEY, PREFIX));
        let mut plaintexts = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let mut segment = Zeroizing::new(segment.clone());
            let is_last = index + 1 == segments.len();
            opener = opener.unwrap().open(&mut segment, is_last).ok()?;
            plaintexts.push(segment.to_vec());
        }
        Some(plaintexts)
    }

    /// By another library, with nonces written out: the construction is the one that the documentation describes.
    #[test]
    fn segments_are_aes_gcm_under_nonces_of_prefix_number_and_last() {
        let plaintexts = vec![vec![1; 100], vec![2; 100], vec![3; 7]];
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
        for (number, segment) in sealed(&plaintexts).into_iter().enumerate() {
            let mut nonce = [0; 12];
            nonce[..7].copy_from_slice(&PREFIX);
            nonce[7..11].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
            nonce[11] = u8::from(number == 2);
            let mut segment = segment;
            let nonce = Nonce::assume_unique_for_key(nonce);
            let opened = key.open_in_place(nonce, Aad::empty(), &mut segment).unwrap();
            assert_eq!(opened, plaintexts[number]);
        }
    }

    #[test]
    fn a_segment_that_is_changed_moved_left_out_added_or_cut_off_does_not_open() {
        let plaintexts = vec![vec![1; 20], vec![2; 20], vec![3; 20]];
        let good = sealed(&plaintexts);
        assert_eq!(opened(&good), Some(plaintexts));
        type Spoil = fn(&mut Vec<Vec<u8>>);
        let spoilt: [(&str, Spoil); 7] = [
            ("changed", |segments| segments[1][3] ^= 1),
            ("moved", |segments| segments.swap(0, 1)),
            ("first left out", |segments| _ = segments.remove(0)),
            ("middle left out", |segments| _ = segments.remove(1)),
            ("cut off", |segments| segments.truncate(2)),
            ("added", |segments| segments.push(segments[2].clone())),
            ("shortened", |segments| _ = segments[2].pop()),
        ];
        for (what, spoil) in spoilt {
            let mut segments = good.clone();
            spoil(&mut segments);
            assert_eq!(opened(&segments), None, "{what}");
        }
        let mut other = Zeroizing::new(good[0].clone());
        assert!(
            Opener::new(&[4; KEY_LEN], PREFIX)
                .open(&mut other, false)
                .is_err()
        );
    }

    #[test]
    fn lengths_go_there_and_back() {
        for plaintext in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 1024 * SEGMENT] {
            assert_eq!(opened_len(sealed_len(plaintext)), Some(plaintext));
        }
        for sealed in [0, 15, SEGMENT + 17, SEGMENT + 31] {
            assert_eq!(opened_len(sealed), None, "{sealed}");
        }
        assert_eq!(opened_len(SEGMENT + 33), Some(SEGMENT + 1));
    }
}
