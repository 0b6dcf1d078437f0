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
    /// What something is called.
    Name,
    /// A tenant's plan.
    Plan,
    /// What an API key may do.
    Scopes,
    /// Where an API key may be used.
    Networks,
    /// When an API key stops working.
    ExpiresAt,
    /// Which API key to replace.
    KeyId,
    /// Which API key a question is about.
    ApiKeyId,
    /// Whose events, by its id.
    ApiKey,
    /// A limit to a key's uses.
    UsesPerDay,
    /// Days until a destruction, in queries; days of the week, in windows.
    Days,
    /// The algorithm a ciphertext shall be for.
    TargetAlgorithm,
    /// The key version a ciphertext shall be for.
    TargetKeyVersion,
    /// Which operation.
    Operation,
    /// Which operations.
    Operations,
    /// Which algorithms.
    Algorithms,
    /// When a rule denies: an object.
    Window,
    /// Where a window begins.
    From,
    /// Where a window, or a time, ends.
    Until,
    /// For which addresses a rule denies: an object.
    Sources,
    /// Networks that are meant.
    Within,
    /// Networks outside of which is meant.
    Outside,
    /// Where a request would come from.
    Source,
    /// When a request would be made.
    At,
    /// Where a page of a list begins.
    After,
    /// Where a page of events begins.
    Before,
    /// How long a page is.
    Limit,
    /// Which kind of events.
    Kind,
    /// Which request's events.
    RequestId,
    /// Where a time begins.
    Since,
    /// The context string of a signature.
    Context,
    /// Whether a message is one, or ML-DSA's μ.
    MessageType,
    /// A digest that is signed, or was.
    Hash,
    /// By which function.
    HashAlgorithm,
    /// What makes deterministic encryption unpredictable.
    Salt,
    /// In which form a public key is wanted, in queries.
    Format,
    /// What a batch is about: a list of objects.
    Items,
    /// Where the signature ends that a stream begins with, in queries.
    SignatureLength,
    /// How many items a batch would have, in questions.
    Batch,
}

/// All fields with their names.
pub const FIELDS: [(Field, &str); 50] = [
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
    (Field::Name, "name"),
    (Field::Plan, "plan"),
    (Field::Scopes, "scopes"),
    (Field::Networks, "networks"),
    (Field::ExpiresAt, "expires_at"),
    (Field::KeyId, "key_id"),
    (Field::ApiKeyId, "api_key_id"),
    (Field::ApiKey, "api_key"),
    (Field::UsesPerDay, "uses_per_day"),
    (Field::Days, "days"),
    (Field::TargetAlgorithm, "target_algorithm"),
    (Field::TargetKeyVersion, "target_key_version"),
    (Field::Operation, "operation"),
    (Field::Operations, "operations"),
    (Field::Algorithms, "algorithms"),
    (Field::Window, "window"),
    (Field::From, "from"),
    (Field::Until, "until"),
    (Field::Sources, "sources"),
    (Field::Within, "within"),
    (Field::Outside, "outside"),
    (Field::Source, "source"),
    (Field::At, "at"),
    (Field::After, "after"),
    (Field::Before, "before"),
    (Field::Limit, "limit"),
    (Field::Kind, "kind"),
    (Field::RequestId, "request_id"),
    (Field::Since, "since"),
    (Field::Context, "context"),
    (Field::MessageType, "message_type"),
    (Field::Hash, "hash"),
    (Field::HashAlgorithm, "hash_algorithm"),
    (Field::Salt, "salt"),
    (Field::Format, "format"),
    (Field::Items, "items"),
    (Field::SignatureLength, "signature_length"),
    (Field::Batch, "batch"),
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

    /// Whether it is an object with fields of its own.
    pub const fn is_object(self) -> bool {
        matches!(self, Self::Window | Self::Sources)
    }

    /// The code for text in it that is not base64.
    pub const fn invalid_encoding(self) -> Code {
        match self {
            Self::Ciphertext | Self::KemCiphertext => Code::InvalidCiphertext,
            Self::WrappedKey => Code::InvalidWrappedKey,
            Self::Message | Self::Hash | Self::Context => Code::InvalidMessage,
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
