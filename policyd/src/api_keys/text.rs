//! The text of an API key: `qph_`, 27 characters that write 160 random bits, 6 characters of checksum.
//!
//! The prefix and the checksum let scanners recognise a leaked key, and let policyd turn away everything else
//! before it asks the database. Digits are base62 (0-9, A-Z, a-z), most significant first, fixed width.

use aws_lc_rs::rand;
use zeroize::{Zeroize, Zeroizing};

const PREFIX: &str = "qph_";
const RANDOM_BYTES: usize = 20;
/// 62^27 is the first power that holds 160 bits.
const RANDOM_DIGITS: usize = 27;
/// 62^6 is the first power that holds a CRC-32.
const CHECKSUM_DIGITS: usize = 6;
const CHECKED_LEN: usize = PREFIX.len() + RANDOM_DIGITS;
const TEXT_LEN: usize = CHECKED_LEN + CHECKSUM_DIGITS;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text is no API key: wrong length, prefix, alphabet or checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct NotAnApiKey;

/// Text of the form of an API key, as a caller sent it. Nothing is known of whether such a key exists.
pub struct ReceivedApiKey<'a>(&'a str);

impl<'a> ReceivedApiKey<'a> {
    /// Takes text of the right form.
    ///
    /// # Errors
    /// [`NotAnApiKey`] for any other text.
    pub fn parse(text: &'a str) -> Result<Self, NotAnApiKey> {
        let (checked, checksum) = text.split_at_checked(CHECKED_LEN).ok_or(NotAnApiKey)?;
        let random = checked.strip_prefix(PREFIX).ok_or(NotAnApiKey)?;
        let well_formed = text.len() == TEXT_LEN
            && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && checksum.as_bytes() == checksum_of(checked);
        well_formed.then_some(Self(text)).ok_or(NotAnApiKey)
    }

    /// The bytes to hash.
    pub(super) const fn expose_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The text of a new API key. Wiped when dropped; neither Debug nor Clone.
pub struct ApiKeySecretText(Zeroizing<String>);

impl ApiKeySecretText {
    /// A fresh one.
    pub fn generate() -> Self {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        rand::fill(random.as_mut()).expect("AWS-LC ends the process when the system has no randomness");
        Self::from_random(&random)
    }

    fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        let mut digits = base62::<RANDOM_DIGITS, RANDOM_BYTES>(random);
        // At its full size from the start: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
        text.push_str(PREFIX);
        text.extend(digits.iter().map(|digit| char::from(*digit)));
        digits.zeroize();
        let checksum = checksum_of(&text);
        text.extend(checksum.iter().map(|digit| char::from(*digit)));
        Self(text)
    }

    /// The text, to be shown this once.
    pub(crate) fn expose_text(&self) -> &str {
        &self.0
    }
}

fn checksum_of(checked: &str) -> [u8; CHECKSUM_DIGITS] {
    base62::<CHECKSUM_DIGITS, 4>(&crc32fast::hash(checked.as_bytes()).to_be_bytes())
}

/// Writes a big-endian number in base 62: long division, a digit at a time from the least significant.
fn base62<const WIDTH: usize, const BYTES: usize>(number: &[u8; BYTES]) -> [u8; WIDTH] {
    let mut rest = Zeroizing::new(*number);
    let mut digits = [DIGITS[0]; WIDTH];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0;
        for byte in rest.iter_mut() {
            let dividend = (remainder << 8) | u32::from(*byte);
            // Below 256, because the remainder before it was below 62.
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        *digit = DIGITS[remainder as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_in_fixed_width() {
        assert_eq!(&base62::<6, 4>(&[0; 4]), b"000000");
        assert_eq!(&base62::<6, 4>(&61u32.to_be_bytes()), b"00000z");
        assert_eq!(&base62::<6, 4>(&62u32.to_be_bytes()), b"000010");
        // 2^32 - 1 and 2^160 - 1: the largest values fit and lose nothing.
        assert_eq!(&base62::<6, 4>(&[0xff; 4]), b"4gfFC3");
        let largest = base62::<RANDOM_DIGITS, RANDOM_BYTES>(&[0xff; RANDOM_BYTES]);
        assert_ne!(largest[0], DIGITS[0]);
    }

    #[test]
    fn a_fresh_key_has_the_documented_form_and_parses() {
        let one = ApiKeySecretText::generate();
        let other = ApiKeySecretText::generate();
        assert_ne!(one.expose_text(), other.expose_text());
        assert_eq!(one.expose_text().len(), 37);
        assert!(one.expose_text().starts_with("qph_"));
        assert!(ReceivedApiKey::parse(one.expose_text()).is_ok());
    }

    #[test]
    fn the_form_is_frozen() {
        let text = ApiKeySecretText::from_random(&[7; RANDOM_BYTES]);
        assert_eq!(text.expose_text(), FROZEN);
    }

    /// Computed independently (Python's integers and zlib).
    const FROZEN: &str = "qph_10AOhycyamkKyENaw2sLSsN3q0V2zS4Zi";

    #[test]
    fn other_lengths_prefixes_and_alphabets_are_no_api_keys() {
        let good = ApiKeySecretText::from_random(&[7; RANDOM_BYTES]);
        let good = good.expose_text();
        for bad in [
            "",
            "qph_",
            &good[1..],
            &good[..TEXT_LEN - 1],
            &format!("{good}0"),
            &good.replace("qph_", "QPH_"),
            &format!("qph_{}", "é".repeat(16)),
            &format!("qph_{}\0{}", &good[4..30], &good[31..]),
        ] {
            assert!(ReceivedApiKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_noticed(
            random: [u8; RANDOM_BYTES], at in PREFIX.len()..TEXT_LEN, digit in 0..62usize,
        ) {
            let text = ApiKeySecretText::from_random(&random);
            let mut edited = text.expose_text().to_owned().into_bytes();
            prop_assume!(edited[at] != DIGITS[digit]);
            edited[at] = DIGITS[digit];
            let edited = String::from_utf8(edited).unwrap();
            prop_assert!(ReceivedApiKey::parse(&edited).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = ReceivedApiKey::parse(&text);
        }

        #[test]
        fn equal_text_means_equal_bits(one: [u8; RANDOM_BYTES], other: [u8; RANDOM_BYTES]) {
            prop_assume!(one != other);
            let (one, other) = (ApiKeySecretText::from_random(&one), ApiKeySecretText::from_random(&other));
            prop_assert_ne!(one.expose_text(), other.expose_text());
        }
    }
}
