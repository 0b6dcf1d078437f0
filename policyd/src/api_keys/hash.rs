//! What is kept of an API key: two keyed hashes. With the database alone nobody can test a guess, because the
//! hash key lies in a file of its own; and a row moved to another tenant no longer fits its second hash.

use super::{ApiKeySecretText, ReceivedApiKey};
use aws_lc_rs::{constant_time, hmac};
use chancel_domain::TenantId;
use zeroize::Zeroizing;

const HASH_LEN: usize = 32;
/// What the two hashes start with, so that neither can ever equal the other.
const LOOKUP_LABEL: &[u8] = b"lookup\0";
const SCOPED_LABEL: &[u8] = b"scoped\0";

/// Finds the row: HMAC-SHA256(secret, "lookup" ‖ 0 ‖ API key).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LookupHash([u8; HASH_LEN]);

impl LookupHash {
    /// The hash, to search for.
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }
}

/// Proves whose it is: HMAC-SHA256(secret, "scoped" ‖ 0 ‖ tenant id ‖ API key). Compared in constant time only.
#[derive(Clone, Copy)]
pub struct ScopedHash([u8; HASH_LEN]);

impl ScopedHash {
    /// A stored hash.
    pub const fn from_bytes(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }

    /// The hash, to be stored.
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }

    /// Whether two hashes are equal; takes the same time wherever they differ.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// Both hashes of one API key.
#[derive(Clone, Copy)]
pub struct SecretHashes {
    /// Finds the row.
    pub lookup: LookupHash,
    /// Proves whose it is.
    pub scoped: ScopedHash,
}

/// Makes the hashes; owns the key they are made with.
pub struct ApiKeyHasher {
    key: hmac::Key,
}

impl ApiKeyHasher {
    /// Takes the 32 bytes of the API key secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The look-up hash of what a caller sent.
    pub fn lookup(&self, api_key: &ReceivedApiKey<'_>) -> LookupHash {
        LookupHash(self.hash(&[LOOKUP_LABEL, api_key.expose_bytes()]))
    }

    /// The scoped hash of what a caller sent, as if it were a tenant's.
    pub fn scoped(&self, tenant: TenantId, api_key: &ReceivedApiKey<'_>) -> ScopedHash {
        ScopedHash(self.hash(&[SCOPED_LABEL, tenant.as_bytes(), api_key.expose_bytes()]))
    }

    /// Both hashes of a new API key of a tenant.
    pub fn hashes(&self, tenant: TenantId, secret: &ApiKeySecretText) -> SecretHashes {
        let api_key =
            ReceivedApiKey::parse(secret.expose_text()).expect("a generated API key has the form of one");
        SecretHashes {
            lookup: self.lookup(&api_key),
            scoped: self.scoped(tenant, &api_key),
        }
    }

    /// A key for another purpose, of which the database knows as little as of this one: HMAC-SHA256(secret, label).
    pub fn derive(&self, label: &[u8]) -> Zeroizing<[u8; HASH_LEN]> {
        Zeroizing::new(self.hash(&[label]))
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; HASH_LEN] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part);
        }
        let mut hash = [0; HASH_LEN];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_depend_on_the_secret_the_tenant_and_the_purpose() {
        let text = ApiKeySecretText::generate();
        let api_key = ReceivedApiKey::parse(text.expose_text()).unwrap();
        let (hasher, other) = (ApiKeyHasher::new(&[1; 32]), ApiKeyHasher::new(&[2; 32]));
        let (a, b) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        assert!(hasher.lookup(&api_key) == hasher.hashes(a, &text).lookup);
        assert!(hasher.lookup(&api_key) != other.lookup(&api_key));
        assert!(
            hasher
                .scoped(a, &api_key)
                .matches(&hasher.hashes(a, &text).scoped)
        );
        assert!(!hasher.scoped(a, &api_key).matches(&hasher.scoped(b, &api_key)));
        assert!(!hasher.scoped(a, &api_key).matches(&other.scoped(a, &api_key)));
        assert_ne!(
            hasher.lookup(&api_key).as_bytes(),
            hasher.scoped(a, &api_key).as_bytes()
        );
    }

    #[test]
    fn the_construction_is_frozen() {
        // Computed independently (Python's hmac and hashlib): a change here would lock every caller out.
        let hasher = ApiKeyHasher::new(&[1; 32]);
        let tenant = TenantId::from_bytes([2; 16]);
        assert_eq!(hasher.hash(&[LOOKUP_LABEL, b"key"]), LOOKUP_OF_KEY);
        assert_eq!(
            hasher.hash(&[SCOPED_LABEL, tenant.as_bytes(), b"key"]),
            SCOPED_OF_KEY
        );
    }

    const LOOKUP_OF_KEY: [u8; 32] = [
        0x5b, 0x51, 0xec, 0x4f, 0x9e, 0x89, 0xe4, 0x20, 0x14, 0x8e, 0xce, 0xde, 0xcf, 0xbc, 0xf2, 0x68, 0x20,
        0xcb, 0x56, 0xf0, 0x17, 0x5f, 0x93, 0xe4, 0x88, 0x4c, 0xf9, 0x3e, 0x60, 0x27, 0x20, 0x50,
    ];
    const SCOPED_OF_KEY: [u8; 32] = [
        0x67, 0xac, 0x36, 0x80, 0x16, 0x97, 0x40, 0x74, 0x78, 0x17, 0x02, 0xfb, 0xec, 0x56, 0x04, 0x36, 0xcd,
        0xe1, 0xef, 0x1f, 0xd1, 0xe5, 0xb4, 0x7c, 0x4f, 0x4b, 0xd7, 0x78, 0xb8, 0x96, 0x34, 0xd3,
    ];
}
