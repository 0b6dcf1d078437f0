//! Everything a caller can ask for, one noun each. The same noun names the permit's grant, keyd's handler,
//! the gateway's route, the API key's scope and the ledger's record.

use crate::Family;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An operation of the API. The order of the variants is part of the wire format: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// KEM and AES-256-GCM over a plaintext; public-key work.
    Encrypt,
    /// The reverse of [`Operation::Encrypt`]; private-key work.
    Decrypt,
    /// A fresh shared secret and its KEM ciphertext; public-key work.
    Encapsulate,
    /// The shared secret of a KEM ciphertext; private-key work.
    Decapsulate,
    /// Encryption of a symmetric key, in a domain of its own; public-key work.
    Wrap,
    /// The reverse of [`Operation::Wrap`]; private-key work.
    Unwrap,
    /// A signature over a message; private-key work.
    Sign,
    /// Verification of a signature; public-key work.
    Verify,
    /// First key of an algorithm.
    GenerateKey,
    /// Next version of a key; the old one becomes retired.
    RotateKey,
    /// Takes a version out of use for new work.
    RetireKey,
    /// Metadata and public key of one version.
    ReadKey,
    /// Metadata and public keys of all versions.
    ListKeys,
    /// The caller's own tenant.
    ReadTenant,
    /// Takes a retired version out of every use.
    ArchiveKey,
    /// Makes an archived version a retired one again.
    RestoreKey,
    /// Sets a date for a version's destruction.
    ScheduleDestruction,
    /// Takes that date back.
    CancelDestruction,
    /// A ciphertext for one key becomes a ciphertext for another, inside keyd; private-key work.
    Rewrap,
    /// A limit to the private-key uses of an algorithm's key in a day.
    SetKeyBudget,
    /// A new API key of the tenant.
    CreateApiKey,
    /// The tenant's API keys.
    ListApiKeys,
    /// Another secret for an API key; the old one is dead.
    RotateApiKey,
    /// An API key's end.
    RevokeApiKey,
    /// The tenant's own deny rules.
    ListDenyRules,
    /// A new deny rule.
    AddDenyRule,
    /// A deny rule's end.
    RemoveDenyRule,
    /// How a request would be judged.
    ExplainPolicy,
    /// The tenant's own events in the ledger.
    ReadEvents,
    /// A new tenant; an operator's.
    CreateTenant,
    /// Any tenant, or all; an operator's.
    ReadTenants,
    /// [`Operation::Encrypt`] with equal ciphertexts for equal plaintexts; public-key work.
    EncryptDeterministic,
    /// [`Operation::Sign`] over a digest that the caller computed; private-key work.
    SignHash,
    /// [`Operation::Sign`] over an external μ, of which nobody here can see what it stands for; private-key work.
    SignMu,
}

/// Which process carries an operation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the gateway, with a public key.
    PublicKey,
    /// In keyd, with a private key and under a permit.
    PrivateKey,
    /// In policyd: metadata and lifecycle.
    Management,
}

/// Whose API keys an operation is for: a tenant's act on that tenant alone, an operator's on the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// API keys of tenants.
    Tenants,
    /// API keys of operators.
    Operators,
    /// Either, each on what is its own to manage.
    Both,
}

/// All operations with the name that scopes, ledgers and logs use.
pub const OPERATIONS: [(Operation, &str); 34] = [
    (Operation::Encrypt, "encrypt"),
    (Operation::Decrypt, "decrypt"),
    (Operation::Encapsulate, "encapsulate"),
    (Operation::Decapsulate, "decapsulate"),
    (Operation::Wrap, "wrap"),
    (Operation::Unwrap, "unwrap"),
    (Operation::Sign, "sign"),
    (Operation::Verify, "verify"),
    (Operation::GenerateKey, "generate-key"),
    (Operation::RotateKey, "rotate-key"),
    (Operation::RetireKey, "retire-key"),
    (Operation::ReadKey, "read-key"),
    (Operation::ListKeys, "list-keys"),
    (Operation::ReadTenant, "read-tenant"),
    (Operation::ArchiveKey, "archive-key"),
    (Operation::RestoreKey, "restore-key"),
    (Operation::ScheduleDestruction, "schedule-destruction"),
    (Operation::CancelDestruction, "cancel-destruction"),
    (Operation::Rewrap, "rewrap"),
    (Operation::SetKeyBudget, "set-key-budget"),
    (Operation::CreateApiKey, "create-api-key"),
    (Operation::ListApiKeys, "list-api-keys"),
    (Operation::RotateApiKey, "rotate-api-key"),
    (Operation::RevokeApiKey, "revoke-api-key"),
    (Operation::ListDenyRules, "list-deny-rules"),
    (Operation::AddDenyRule, "add-deny-rule"),
    (Operation::RemoveDenyRule, "remove-deny-rule"),
    (Operation::ExplainPolicy, "explain-policy"),
    (Operation::ReadEvents, "read-events"),
    (Operation::CreateTenant, "create-tenant"),
    (Operation::ReadTenants, "read-tenants"),
    (Operation::EncryptDeterministic, "encrypt-deterministic"),
    (Operation::SignHash, "sign-hash"),
    (Operation::SignMu, "sign-mu"),
];

/// A name that is in no row of [`OPERATIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown operation")]
pub struct UnknownOperation;

impl Operation {
    /// Looks a name up.
    ///
    /// # Errors
    /// [`UnknownOperation`] when no operation has that name.
    pub fn from_name(name: &str) -> Result<Self, UnknownOperation> {
        OPERATIONS
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(op, _)| *op)
            .ok_or(UnknownOperation)
    }

    /// Its name in scopes, ledgers and logs.
    pub fn name(self) -> &'static str {
        // NOTE(index): a test holds that the table lists the variants in their order.
        OPERATIONS[self as usize].1
    }

    /// Where it is carried out.
    pub const fn place(self) -> Place {
        match self {
            Self::Encrypt | Self::EncryptDeterministic | Self::Encapsulate | Self::Wrap | Self::Verify => {
                Place::PublicKey
            }
            Self::Decrypt
            | Self::Decapsulate
            | Self::Unwrap
            | Self::Sign
            | Self::SignHash
            | Self::SignMu
            | Self::Rewrap => Place::PrivateKey,
            Self::GenerateKey
            | Self::RotateKey
            | Self::RetireKey
            | Self::ReadKey
            | Self::ListKeys
            | Self::ReadTenant
            | Self::ArchiveKey
            | Self::RestoreKey
            | Self::ScheduleDestruction
            | Self::CancelDestruction
            | Self::SetKeyBudget
            | Self::CreateApiKey
            | Self::ListApiKeys
            | Self::RotateApiKey
            | Self::RevokeApiKey
            | Self::ListDenyRules
            | Self::AddDenyRule
            | Self::RemoveDenyRule
            | Self::ExplainPolicy
            | Self::ReadEvents
            | Self::CreateTenant
            | Self::ReadTenants => Place::Management,
        }
    }

    /// What it is a special case of. Who denies the general case denies this one too; who is allowed it is not allowed this one
    /// by it.
    pub const fn special_case_of(self) -> Option<Self> {
        match self {
            Self::EncryptDeterministic => Some(Self::Encrypt),
            Self::SignHash | Self::SignMu => Some(Self::Sign),
            _ => None,
        }
    }

    /// Who may ask for it at all, whatever the scopes of the API key.
    pub const fn audience(self) -> Audience {
        match self {
            Self::CreateTenant | Self::ReadTenants => Audience::Operators,
            Self::ReadTenant
            | Self::CreateApiKey
            | Self::ListApiKeys
            | Self::RotateApiKey
            | Self::RevokeApiKey => Audience::Both,
            _ => Audience::Tenants,
        }
    }

    /// The family of keys it uses; `None` where any family (or no key) will do.
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::Encrypt
            | Self::EncryptDeterministic
            | Self::Decrypt
            | Self::Encapsulate
            | Self::Decapsulate
            | Self::Wrap
            | Self::Unwrap
            | Self::Rewrap => Some(Family::Kem),
            Self::Sign | Self::SignHash | Self::SignMu | Self::Verify => Some(Family::Signature),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_variant_in_order() {
        for (index, (operation, name)) in OPERATIONS.iter().enumerate() {
            assert_eq!(*operation as usize, index);
            assert_eq!(operation.name(), *name);
            assert_eq!(Operation::from_name(name), Ok(*operation));
        }
    }
}
