//! The attacker in the gateway: code under the gateway's uid, with the gateway's own service tokens, that speaks the
//! protocol to keyd and policyd by itself. It gets genuine permits as the gateway does, with API keys it has seen, and
//! abuses them. No private key is used but with a permit, once, for exactly what it says; each try is counted.
//!
//! The threat model's A-3 (and A-6 for other accounts). keyd and policyd are the real ones; the gateway is not started,
//! for the attacker is in its place.

mod connections;
mod frames;
mod permits;
mod permits_edited;
mod policy;
mod scene;
