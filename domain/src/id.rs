//! Identifiers. Each is sixteen bytes, written as a UUID (RFC 9562); each is a type of its own so that a
//! tenant can never be passed where a key handle is meant. Making a fresh one needs randomness and so
//! belongs to the process that owns the thing named.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The text was not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnIdentifier;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps sixteen bytes that already are an identifier: fresh random ones, or stored ones.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The sixteen bytes, most significant first.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAnIdentifier;

            fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
                let id = Uuid::try_parse(text).map_err(|_| NotAnIdentifier)?;
                Ok(Self(id.into_bytes()))
            }
        }
    };
}

identifier!(
    /// A tenant: the owner of keys and API keys.
    TenantId
);
identifier!(
    /// An API key, across its rotations (each rotation raises the API key's version, not its id).
    ApiKeyId
);
identifier!(
    /// The name of one private key in keyd's storage. Reveals nothing and grants nothing.
    KeyHandle
);
identifier!(
    /// One HTTP request, as it appears in answers, logs and both ledgers.
    RequestId
);

identifier!(
    /// A deny rule of a tenant.
    DenyRuleId
);

impl TenantId {
    /// Whom the API keys of operators belong to: no tenant, and it can have no keys. All ones (RFC 9562 §5.10).
    pub const OPERATORS: Self = Self::from_bytes([0xff; 16]);

    /// Whom the key belongs to that signs the ledgers' checkpoints. All zeros (RFC 9562 §5.9).
    pub const INSTALLATION: Self = Self::from_bytes([0; 16]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_rejects_other_text() {
        let id = TenantId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string(), "abababab-abab-abab-abab-abababababab");
        assert_eq!(id.to_string().parse::<TenantId>(), Ok(id));
        assert_eq!("".parse::<TenantId>(), Err(NotAnIdentifier));
        assert_eq!("../etc".parse::<TenantId>(), Err(NotAnIdentifier));
    }
}
