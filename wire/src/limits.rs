//! Every bound of the protocol, each defined once and used by both sides.

use chancel_domain::{Algorithm, BatchSize};
use std::time::Duration;

/// Version of everything in this crate. Peers of different versions refuse each other in the hello.
pub const PROTOCOL_VERSION: u16 = 5;

/// Plaintext or message of one request, bytes: 1 MiB.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// Caller's additional authenticated data, bytes.
pub const MAX_AAD: usize = 16 << 10;

/// Inputs of a batch together, and its outputs together, bytes: 8 MiB of plaintexts, and what a thousand ciphertexts have
/// beside them.
pub const MAX_BATCH_BYTES: usize = 10 << 20;

/// Body of one frame, bytes: a full payload, a full `aad`, and room for the envelope, a permit and a signature.
pub const MAX_FRAME_BODY: usize = MAX_PAYLOAD + MAX_AAD + (16 << 10);

/// Body of one frame between the gateway and keyd, bytes: a full batch, with room for a permit and for what each of its items
/// has beside its bytes.
pub const MAX_BATCH_FRAME_BODY: usize = MAX_BATCH_BYTES + (64 << 10);

/// Requests under way on one connection; one more is answered with an overload error.
pub const MAX_IN_FLIGHT: usize = 512;

/// How long a server waits for the whole hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a frame may take from its first byte to its last.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one request of the data path may take, all hops together: callers hear within a second.
pub const REQUEST_DEADLINE: Duration = Duration::from_millis(800);

/// How long a use of a private key of a slow algorithm may take: a signature takes up to seconds, and may wait for others.
pub const SLOW_DEADLINE: Duration = Duration::from_secs(20);

/// How long a batch may take: hundreds of signatures, and batches of others before it.
pub const BATCH_DEADLINE: Duration = Duration::from_secs(10);

/// How long a lifecycle request may take: it waits for several fsyncs.
pub const LIFECYCLE_DEADLINE: Duration = Duration::from_secs(10);

/// A peer that has sent nothing for this long while it owes an answer, not even to a ping, counts as hung.
pub const SILENCE_LIMIT: Duration = Duration::from_millis(600);

/// The same for the operator's command line: nobody upstream waits for it, and a change that was made is better
/// heard of late than taken for lost.
pub const OPERATOR_SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// How long a permit can be used after policyd issued it.
pub const PERMIT_LIFETIME: Duration = Duration::from_secs(5);

/// How long a permit for a key of an algorithm can be used: one for a slow algorithm or a batch may wait in keyd for its
/// turn.
pub const fn permit_lifetime(algorithm: Algorithm, batch: Option<BatchSize>) -> Duration {
    match (algorithm.is_slow(), batch) {
        (true, _) => SLOW_DEADLINE,
        (false, Some(_)) => BATCH_DEADLINE,
        (false, None) => PERMIT_LIFETIME,
    }
}

/// How long a server that stops waits for its peers to end their side, where they have nothing under way.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long keyd accepts permits under one permit key.
pub const PERMIT_KEY_LIFETIME: Duration = Duration::from_secs(600);

/// How often policyd asks keyd for a new permit key.
pub const PERMIT_KEY_RENEWAL: Duration = Duration::from_secs(240);

/// Rows of one page of keyd's inventory.
pub const INVENTORY_PAGE: usize = 256;

/// Rows of one page of an operators' list: with the longest names and scopes, a page still fits in a frame.
pub const ADMIN_PAGE: usize = 64;

/// API key text as a caller may send it, bytes.
pub const MAX_API_KEY: usize = 128;
