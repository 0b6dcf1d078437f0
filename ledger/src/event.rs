//! What a ledger records, as the daemons write it: a type a kind. No payload, no plaintext, no API key: identifiers, names
//! and digests.

use crate::LedgerName;
use crate::chain::Hash;
use crate::segment::LedgerId;
use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;

fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn maybe_text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn number<S: Serializer>(value: &KeyVersion, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(value.number())
}

fn version<S: Serializer>(value: &Option<KeyVersion>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_u32(value.number()),
        None => serializer.serialize_none(),
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The first line of each segment.
    Segment {
        /// Which ledger.
        #[serde(serialize_with = "text")]
        ledger: LedgerName,
        /// The ledger's own id.
        #[serde(serialize_with = "text")]
        id: LedgerId,
        /// The segment's number.
        number: u64,
        /// The hash of the last line before it.
        #[serde(serialize_with = "text")]
        previous: Hash,
    },
    /// A daemon began.
    Start {
        /// Its version.
        version: &'a str,
        /// How it runs: the state of its sandbox, where its keys come from.
        details: Details<'a>,
    },
    /// A daemon ended of its own accord.
    Stop,
    /// policyd allowed a request.
    Allow(Decision<'a>),
    /// policyd denied one.
    Deny(Decision<'a>),
    /// policyd changed something that lasts.
    Change(Change<'a>),
    /// keyd was asked to use a private key, and did or did not.
    Use(Use<'a>),
    /// keyd made or destroyed a private key.
    Key(KeyChange<'a>),
    /// keyd refused requests to use a private key that came without a permit to believe.
    Refused(Refusals<'a>),
    /// Break-glass was opened, used, closed.
    BreakGlass(BreakGlass<'a>),
    /// policyd met a keyd.
    Keyd {
        /// What keyd says of itself.
        details: Details<'a>,
    },
    /// The ledger was whole up to a line.
    Checkpoint {
        /// The last line that is covered.
        covers: u64,
        /// Its hash.
        #[serde(serialize_with = "text")]
        head: Hash,
        /// The audit key's signature of [`crate::checkpoint_message`], base64.
        signature: &'a str,
    },
    /// The ledger could not be written for a time.
    Gap {
        /// Since when, Unix milliseconds.
        since: i64,
        /// Requests that were allowed without a record.
        allowed: u64,
        /// Requests that were denied without a record.
        denied: u64,
        /// Why it could not.
        reason: &'a str,
    },
    /// A crash had left half a line.
    Repaired {
        /// Bytes that were dropped.
        dropped: u64,
    },
    /// Old segments were removed.
    Retention {
        /// The newest of them.
        through: u64,
    },
}

/// Names and values.
#[derive(Debug, Clone, Copy)]
pub struct Details<'a>(pub &'a [(&'a str, &'a str)]);

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A request and what policyd made of it.
#[derive(Debug, Clone, Serialize)]
pub struct Decision<'a> {
    /// Whose API key.
    #[serde(serialize_with = "text")]
    pub tenant: TenantId,
    /// Which.
    #[serde(serialize_with = "text")]
    pub api_key: ApiKeyId,
    /// Its version.
    pub api_key_version: u32,
    /// The HTTP request.
    #[serde(serialize_with = "text")]
    pub request: RequestId,
    /// Where it came from.
    #[serde(serialize_with = "text")]
    pub source: IpAddr,
    /// What it asked for.
    #[serde(serialize_with = "text")]
    pub operation: Operation,
    /// With a key of which algorithm.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub algorithm: Option<Algorithm>,
    /// With which version.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "version")]
    pub key_version: Option<KeyVersion>,
    /// With which private key.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub key: Option<KeyHandle>,
    /// For which other key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<KeyReference>,
    /// How many inputs it is for, when it is for a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u16>,
    /// The permit that was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit: Option<PermitReference>,
    /// The rule that denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// What the caller was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// A key by its whole name.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KeyReference {
    /// Its parameter set.
    #[serde(serialize_with = "text")]
    pub algorithm: Algorithm,
    /// Its version.
    #[serde(serialize_with = "number")]
    pub key_version: KeyVersion,
    /// keyd's name for it.
    #[serde(serialize_with = "text")]
    pub key: KeyHandle,
}

/// A permit, as both ledgers name it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PermitReference {
    /// Its permit key's number.
    pub epoch: u64,
    /// Its own.
    pub serial: u64,
    /// SHA-256 of the input it is for.
    #[serde(serialize_with = "text")]
    pub payload: Hash,
}

/// A lasting change.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Change<'a> {
    /// What was done, for example `key-generated`, `tenant-suspended`, `api-key-revoked`.
    pub what: &'a str,
    /// To which tenant's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub tenant: Option<TenantId>,
    /// By which API key.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub api_key: Option<ApiKeyId>,
    /// In which request.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub request: Option<RequestId>,
    /// By which operator's account on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// A key's algorithm.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub algorithm: Option<Algorithm>,
    /// A key's version.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "version")]
    pub key_version: Option<KeyVersion>,
    /// A key's handle.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub key: Option<KeyHandle>,
    /// The id of what else was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Cow<'a, str>>,
    /// Its new value, where that is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Cow<'a, str>>,
}

/// A use of a private key.
#[derive(Debug, Clone, Serialize)]
pub struct Use<'a> {
    /// For which tenant.
    #[serde(serialize_with = "text")]
    pub tenant: TenantId,
    /// With which API key.
    #[serde(serialize_with = "text")]
    pub api_key: ApiKeyId,
    /// Its version.
    pub api_key_version: u32,
    /// In which request.
    #[serde(serialize_with = "text")]
    pub request: RequestId,
    /// What.
    #[serde(serialize_with = "text")]
    pub operation: Operation,
    /// With a key of which algorithm.
    #[serde(serialize_with = "text")]
    pub algorithm: Algorithm,
    /// Which version.
    #[serde(serialize_with = "number")]
    pub key_version: KeyVersion,
    /// Which private key.
    #[serde(serialize_with = "text")]
    pub key: KeyHandle,
    /// For which other key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<KeyReference>,
    /// Under which permit; none in break-glass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit: Option<PermitReference>,
    /// SHA-256 of the input, where no permit says it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_text")]
    pub payload: Option<Hash>,
    /// On how many inputs, when they are a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<usize>,
    /// How many of a batch gave nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<usize>,
    /// `ok`, `partial` for a batch some of which failed, or why nothing came of it.
    pub result: &'a str,
    /// Whether it was done without a permit because break-glass was open.
    #[serde(skip_serializing_if = "is_false")]
    pub break_glass: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A private key's beginning or end.
#[derive(Debug, Clone, Serialize)]
pub struct KeyChange<'a> {
    /// `generated` or `destroyed`.
    pub what: &'a str,
    /// Whose.
    #[serde(serialize_with = "text")]
    pub tenant: TenantId,
    /// Its parameter set.
    #[serde(serialize_with = "text")]
    pub algorithm: Algorithm,
    /// Its version.
    #[serde(serialize_with = "number")]
    pub key_version: KeyVersion,
    /// Its handle.
    #[serde(serialize_with = "text")]
    pub key: KeyHandle,
}

/// Refused requests of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Refusals<'a> {
    /// Why.
    pub reason: &'a str,
    /// How many since the record before of this kind.
    pub count: u64,
}

/// Break-glass.
#[derive(Debug, Clone, Serialize)]
pub struct BreakGlass<'a> {
    /// `opened`, `closed`, `expired`.
    pub what: &'a str,
    /// By which account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// For how long, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Uses while it was open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
}
