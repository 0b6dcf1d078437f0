//! What work with a key gives, and how an answer says it.

use crate::envelope::{Object, base64_len};
use chancel_domain::HashFunction;
use chancel_pqc::{SharedSecret, Verdict};
use zeroize::Zeroizing;

/// How bytes are said: under a name, with what belongs to them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    name: &'static str,
    /// By what the digest was made, where one was signed.
    hashed_by: Option<HashFunction>,
    remark: Option<(&'static str, &'static str)>,
}

/// What one item gave.
pub(super) enum Output {
    /// Bytes.
    Bytes(Shape, Zeroizing<Vec<u8>>),
    /// A fresh shared secret, and the ciphertext that carries it.
    Encapsulated {
        kem_ciphertext: Vec<u8>,
        secret: SharedSecret,
    },
    /// What verification found, about a digest by which function.
    Verified(Verdict, Option<HashFunction>),
}

impl Shape {
    /// Bytes under a name, and nothing else.
    pub(super) const fn named(name: &'static str) -> Self {
        Self {
            name,
            hashed_by: None,
            remark: None,
        }
    }

    /// A wrapped key.
    pub(super) const fn wrapped_key() -> Self {
        Self {
            remark: Some(("wrapping_method", "KEM-DEM")),
            ..Self::named("wrapped_key")
        }
    }

    /// A signature, over a digest by which function.
    pub(super) const fn signature(hashed_by: Option<HashFunction>) -> Self {
        Self {
            hashed_by,
            remark: match hashed_by {
                Some(_) => Some(("signature_type", "detached")),
                None => None,
            },
            ..Self::named("signature")
        }
    }

    /// Writes bytes.
    pub(super) fn write(self, data: &mut Object<'_>, bytes: &[u8]) {
        data.base64(self.name, bytes);
        write_hash(data, self.hashed_by);
        if let Some((name, value)) = self.remark {
            data.text(name, value);
        }
    }
}

impl Output {
    /// Bytes of text that its values take.
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) => base64_len(bytes.len()),
            Self::Encapsulated {
                kem_ciphertext,
                secret,
            } => base64_len(kem_ciphertext.len()) + base64_len(secret.expose().len()),
            Self::Verified(..) => 0,
        }
    }

    /// Writes it.
    pub(super) fn write(&self, data: &mut Object<'_>) {
        match self {
            Self::Bytes(shape, bytes) => shape.write(data, bytes),
            Self::Encapsulated {
                kem_ciphertext,
                secret,
            } => {
                data.base64("kem_ciphertext", kem_ciphertext);
                data.base64("shared_secret", secret.expose());
            }
            Self::Verified(verdict, hashed_by) => {
                data.boolean("valid", *verdict == Verdict::Valid);
                write_hash(data, *hashed_by);
            }
        }
    }
}

fn write_hash(data: &mut Object<'_>, hashed_by: Option<HashFunction>) {
    if let Some(function) = hashed_by {
        data.text("hash_algorithm", function.name());
    }
}
