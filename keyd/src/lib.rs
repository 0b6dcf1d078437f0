//! chancel-keyd, the key daemon: the only process that holds the key-encryption key and private keys.
//!
//! It generates, decrypts, unwraps, decapsulates and signs; it has no HTTP, no database, no async runtime and
//! no message that could carry a private key out. Every use needs a permit of policyd, checked in [`permit`] and nowhere
//! else, and is recorded before its output leaves; while [`break_glass`] is open the gateway's word stands for a permit.
//! Start-up order is in [`run`].
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::unreachable
    )
)]

pub mod audit_key;
pub mod break_glass;
pub mod config;
pub mod connection;
pub mod crypto;
pub mod dispatch;
pub mod kek;
pub mod kek_check;
pub mod keydir;
pub mod keyfile;
pub mod keyring;
pub mod listen;
pub mod metrics;
pub mod ops;
pub mod permit;
pub mod pool;
pub mod pulse;
#[cfg(test)]
mod rig;
pub mod round;
pub mod run;
pub mod use_ledger;
pub mod verified;
