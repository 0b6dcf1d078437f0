//! The public-key half of Chancel's cryptography: encapsulate, verify and the ciphertext envelope, by
//! AWS-LC where it can. The gateway links this crate and is assumed compromised, so no function here takes a private
//! key: keyd brings the shared secret with which an [`Envelope`] opens.

#![forbid(unsafe_code)]

pub mod envelope;
pub mod kem;
pub mod mu;
pub mod public_key;
pub mod signature;

pub use envelope::{Envelope, EnvelopeError, Purpose, SealError, Undecryptable, seal};
pub use kem::{EncapsulateError, SharedSecret, encapsulate};
pub use mu::{Mu, NoMu};
pub use signature::{Verdict, VerifyError, verify};
