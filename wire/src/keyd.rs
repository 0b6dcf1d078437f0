//! Everything keyd can be asked, and everything it can answer. There is no message that asks for a private
//! key, and no answer that could carry one.

use crate::metric::Sample;
use crate::permit::{PermitKey, SignedPermit};
use chancel_domain::tenant::Name;
use chancel_domain::{
    Algorithm, ApiKeyId, BatchSize, Content, KeyHandle, KeyVersion, Operation, RequestId, TenantId,
};
use serde::{Deserialize, Serialize};

/// A request to keyd. The gateway may ask for [`KeydRequest::Use`], [`KeydRequest::UseInBreakGlass`],
/// [`KeydRequest::Health`] and [`KeydRequest::Metrics`]; an operator for [`KeydRequest::BreakGlass`],
/// [`KeydRequest::AuditKey`] and [`KeydRequest::Health`]; policyd for everything but uses and
/// [`KeydRequest::BreakGlass`].
#[derive(Debug, Serialize, Deserialize)]
pub enum KeydRequest<'a> {
    /// Use a private key, under a permit.
    Use {
        /// Policyd's statement that this may be done.
        permit: SignedPermit,
        /// An encoded [`UseInput`], or for a permit of a batch a list of them; the permit holds its SHA-256.
        #[serde(borrow, with = "serde_bytes")]
        input: &'a [u8],
    },
    /// Make a key pair and store the private key.
    Generate(KeyIdentity),
    /// Overwrite and remove a private key's file, and wipe what is in memory of it. For keys that were never
    /// acknowledged, and for those whose date of destruction has come.
    Destroy(KeyIdentity),
    /// Make a permit key for this connection's policyd.
    RenewPermitKey,
    /// One page of what lies in the key directory, in order, after a given place.
    Inventory {
        /// Where the page starts: after this key; `None` for the first page.
        after: Option<KeyIdentity>,
    },
    /// Whether keyd can work.
    Health,
    /// Counters.
    Metrics,
    /// Sign a checkpoint of policyd's ledger with the audit key.
    SignCheckpoint(CheckpointClaims),
    /// The public half of the audit key.
    AuditKey,
    /// Open, look at or close break-glass; an operator's.
    BreakGlass(BreakGlassCommand),
    /// Use a private key without a permit, while break-glass is open.
    UseInBreakGlass {
        /// What the gateway says of the request; in break-glass it is believed.
        claims: BreakGlassClaims,
        /// An encoded [`UseInput`], or for claims of a batch a list of them.
        #[serde(borrow, with = "serde_bytes")]
        input: &'a [u8],
    },
}

/// The state of policyd's ledger that a checkpoint states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointClaims {
    /// The ledger's own id.
    pub ledger: [u8; 16],
    /// The number of the newest record that is covered.
    pub seq: u64,
    /// That record's hash.
    pub head: [u8; 32],
}

/// What an operator wants of break-glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BreakGlassCommand {
    /// Open it, or begin its time anew.
    Open {
        /// For how long, milliseconds; keyd has a maximum.
        for_ms: u64,
        /// Why; it stands in the ledger.
        reason: Name,
    },
    /// Say whether it is open.
    Status,
    /// Close it.
    Close,
}

/// Break-glass as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassState {
    /// How long it stays open, milliseconds on keyd's monotonic clock; 0 when it is closed.
    pub remaining_ms: u64,
    /// Uses since it was opened last, also when it has been closed since.
    pub uses: u64,
    /// The longest time it can be opened for, milliseconds.
    pub longest_ms: u64,
}

/// What the gateway says of a request in break-glass: what a permit would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassClaims {
    /// The tenant.
    pub tenant: TenantId,
    /// The API key.
    pub api_key: ApiKeyId,
    /// Its version.
    pub api_key_version: u32,
    /// The HTTP request.
    pub request: RequestId,
    /// With which private key.
    pub key: KeyIdentity,
    /// How many inputs it is for; `None` for a single one.
    pub batch: Option<BatchSize>,
}

/// What names one private key in full: all of it stands in the key file's authenticated header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyIdentity {
    /// The owner.
    pub tenant: TenantId,
    /// The parameter set.
    pub algorithm: Algorithm,
    /// The version within tenant and algorithm.
    pub version: KeyVersion,
    /// The key's handle.
    pub handle: KeyHandle,
}

/// The input of a private-key operation. Which key, for whom: that comes from the permit alone.
#[derive(Debug, Serialize, Deserialize)]
pub enum UseInput<'a> {
    /// Open what encrypt made.
    Decrypt {
        /// The envelope.
        #[serde(borrow, with = "serde_bytes")]
        ciphertext: &'a [u8],
        /// The caller's additional authenticated data, empty when none was given.
        #[serde(borrow, with = "serde_bytes")]
        aad: &'a [u8],
    },
    /// Open what wrap made.
    Unwrap {
        /// The envelope.
        #[serde(borrow, with = "serde_bytes")]
        wrapped_key: &'a [u8],
    },
    /// Recover a KEM shared secret.
    Decapsulate {
        /// The KEM ciphertext.
        #[serde(borrow, with = "serde_bytes")]
        kem_ciphertext: &'a [u8],
    },
    /// Sign.
    Sign(#[serde(borrow)] Content<'a>),
    /// Open what encrypt made, and encrypt it for the permit's target.
    Rewrap {
        /// The envelope.
        #[serde(borrow, with = "serde_bytes")]
        ciphertext: &'a [u8],
        /// The additional authenticated data of both envelopes, empty when none was given.
        #[serde(borrow, with = "serde_bytes")]
        aad: &'a [u8],
    },
    /// Open the head of a stream that encrypt made: the key of its segments, and of nothing else.
    OpenStream {
        /// The head, an envelope.
        #[serde(borrow, with = "serde_bytes")]
        head: &'a [u8],
        /// The caller's additional authenticated data, empty when none was given.
        #[serde(borrow, with = "serde_bytes")]
        aad: &'a [u8],
    },
}

impl UseInput<'_> {
    /// The operation this is the input of.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Decrypt { .. } | Self::OpenStream { .. } => Operation::Decrypt,
            Self::Unwrap { .. } => Operation::Unwrap,
            Self::Decapsulate { .. } => Operation::Decapsulate,
            Self::Sign(Content::Raw { .. }) => Operation::Sign,
            Self::Sign(Content::Hash { .. }) => Operation::SignHash,
            Self::Sign(Content::Mu { .. }) => Operation::SignMu,
            Self::Rewrap { .. } => Operation::Rewrap,
        }
    }
}

/// An answer of keyd.
#[derive(Debug, Serialize, Deserialize)]
pub enum KeydReply<'a> {
    /// The result of [`KeydRequest::Use`]: plaintext, symmetric key, shared secret,
    /// signature or rewrapped ciphertext.
    Output(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    /// The key pair is made, its file is on disk.
    Generated {
        /// The encoded public key.
        #[serde(borrow, with = "serde_bytes")]
        public_key: &'a [u8],
    },
    /// The file is gone (also when there was none).
    Destroyed,
    /// A permit key.
    PermitKey(PermitKeyGrant),
    /// A page of the inventory.
    Inventory {
        /// What was found, in the order of [`KeyIdentity`].
        files: Vec<InventoryEntry>,
        /// Whether more follows the last of them.
        more: bool,
    },
    /// keyd works.
    Healthy(KeydHealth),
    /// Counters.
    Metrics(Vec<Sample>),
    /// The request was refused or failed.
    Refused(KeydError),
    /// The audit key's signature of a checkpoint (ML-DSA-65, FIPS 204; 3309 bytes).
    Checkpoint(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    /// The audit key's public half (ML-DSA-65; 1952 bytes).
    AuditKey(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    /// Break-glass as it stands.
    BreakGlass(BreakGlassState),
    /// The results of a batch, in the order of its inputs: what [`KeydReply::Output`] would be, or why there is none.
    Outputs(#[serde(borrow)] Vec<Result<&'a serde_bytes::Bytes, KeydError>>),
}

/// A permit key with what policyd must know to use it.
#[derive(Debug, Serialize, Deserialize)]
pub struct PermitKeyGrant {
    /// Number of the key, repeated in each permit.
    pub epoch: u64,
    /// The key.
    pub key: PermitKey,
    /// keyd's clock when it answered: milliseconds since it started.
    pub now_ms: u64,
}

/// One key file that keyd found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryEntry {
    /// What its name says it is.
    pub key: KeyIdentity,
    /// `None` when it opens; else why it does not.
    pub damage: Option<KeyFileDamage>,
}

/// What keyd says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeydHealth {
    /// Where the key-encryption key came from: `credential`, `file` or `environment`.
    pub kek_source: String,
    /// What key bytes lie in: `memfd_secret` or `locked pages`.
    pub secret_memory: String,
    /// The version of the program.
    pub version: String,
    /// Break-glass as it stands.
    pub break_glass: BreakGlassState,
    /// How the use ledger is: `writable`, `low` on space, or `unwritable`.
    pub ledger: String,
}

/// Why a key file does not open. Each stands for that key alone; all other keys work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum KeyFileDamage {
    /// Not the length, magic or format of a key file.
    #[error("the key file is truncated or not a key file")]
    Malformed,
    /// A sound-looking header that names another tenant, algorithm, version or handle.
    #[error("the key file belongs to another key")]
    Misplaced,
    /// Sealed under another generation of the key-encryption key.
    #[error("the key file is sealed under another key-encryption key generation")]
    OtherKekGeneration,
    /// The contents do not authenticate: changed bytes, or another key-encryption key.
    #[error("the key file does not authenticate")]
    NotAuthentic,
    /// The file could not be read.
    #[error("the key file cannot be read")]
    Unreadable,
}

/// Why keyd did not do as asked. The order of the variants is part of the wire format: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum KeydError {
    /// The bytes were no request.
    #[error("malformed request")]
    Malformed,
    /// This peer may not ask for this.
    #[error("this peer may not ask for this")]
    NotForThisPeer,
    /// Made up, edited, or under a permit key that is no longer kept.
    #[error("the permit is not authentic")]
    PermitForged,
    /// Used after its time.
    #[error("the permit has expired")]
    PermitExpired,
    /// Used a second time.
    #[error("the permit was used before")]
    PermitReplayed,
    /// For another operation than the input's.
    #[error("the permit is for another operation")]
    PermitForOtherOperation,
    /// For another input.
    #[error("the permit is for another payload")]
    PermitForOtherPayload,
    /// There is no such private key.
    #[error("no such private key")]
    KeyNotFound,
    /// A file of that key exists already.
    #[error("a key file of that name exists")]
    KeyExists,
    /// The key's file does not open.
    #[error("{0}")]
    KeyFileDamaged(KeyFileDamage),
    /// The ciphertext was not made for this key, tenant, version and aad, or was changed.
    #[error("the ciphertext cannot be opened")]
    Undecryptable,
    /// The input is not of the form the operation takes.
    #[error("the input is not of the form the operation takes")]
    InvalidInput,
    /// Too much at once; try again.
    #[error("too many requests under way")]
    Overloaded,
    /// Nobody waits for the answer any more.
    #[error("the deadline passed before the work began")]
    DeadlinePassed,
    /// The key directory could not be read or written.
    #[error("the key directory failed")]
    StorageFailed,
    /// The other library did not confirm what this one made; nothing was released.
    #[error("a cryptographic self-check failed")]
    SelfCheckFailed,
    /// What cannot be recorded is not done.
    #[error("the ledger cannot be written")]
    LedgerUnwritable,
    /// Break-glass is not open.
    #[error("break-glass is not open")]
    BreakGlassClosed,
    /// Break-glass cannot be opened for so long, or for no time at all.
    #[error("break-glass cannot be opened for that time")]
    BreakGlassTime,
}
