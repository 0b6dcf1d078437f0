//! The fields that request bodies and queries may have. A name that is not here is ignored.

use crate::error::Code;
use std::fmt;

/// A field the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// What to encrypt.
    Plaintext,
    /// What to decrypt.
    Ciphertext,
    /// What to decapsulate.
    KemCiphertext,
    /// What to wrap.
    SymmetricKey,
    /// What to unwrap.
    WrappedKey,
    /// What to sign, or was signed.
    Message,
    /// What to verify.
    Signature,
    /// Additional authenticated data.
    Aad,
    /// Standard or deterministic encryption.
    Mode,
    /// Which version of a key.
    KeyVersion,
    /// Which algorithm.
    Algorithm,
    /// Which state, in queries.
    Status,
}

/// All fields with their names.
pub const FIELDS: [(Field, &str); 12] = [
    (Field::Plaintext, "plaintext"),
    (Field::Ciphertext, "ciphertext"),
    (Field::KemCiphertext, "kem_ciphertext"),
    (Field::SymmetricKey, "symmetric_key"),
    (Field::WrappedKey, "wrapped_key"),
    (Field::Message, "message"),
    (Field::Signature, "signature"),
    (Field::Aad, "aad"),
    (Field::Mode, "mode"),
    (Field::KeyVersion, "key_version"),
    (Field::Algorithm, "algorithm"),
    (Field::Status, "status"),
];

impl Field {
    /// Looks a name up.
    pub fn from_name(name: &str) -> Option<Self> {
        FIELDS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(field, _)| *field)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        // NOTE(index): a test holds that the table lists the variants in their order.
        FIELDS[self as usize].1
    }

    /// The code for text in it that is not base64.
    pub const fn invalid_encoding(self) -> Code {
        match self {
            Self::Ciphertext | Self::KemCiphertext => Code::InvalidCiphertext,
            Self::WrappedKey => Code::InvalidWrappedKey,
            Self::Message => Code::InvalidMessage,
            Self::Signature => Code::InvalidSignature,
            _ => Code::InvalidKemInput,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_field_in_order() {
        for (index, (field, name)) in FIELDS.iter().enumerate() {
            assert_eq!(*field as usize, index);
            assert_eq!(Field::from_name(name), Some(*field));
            assert_eq!(field.name(), *name);
        }
        assert_eq!(Field::from_name("tenant_id"), None);
    }
}
