//! chancel-policyd: who may do what. It owns the database, judges every request by the rule chain, issues permits
//! and conducts the life of keys. It never sees a plaintext, a message or a private key.
//!
//! A library with a thin `main`, so that its parts can be tested. [`run::run`] is the whole daemon; one question
//! goes [`service`] → [`ask`] → [`api_keys`] → [`decide`] → [`permit`] or [`keys`] → [`record`], and all of it asks
//! [`store`].

pub mod actor;
pub mod admin;
pub mod api_keys;
pub mod ask;
pub mod checkpoints;
pub mod clock;
pub mod config;
pub mod decide;
pub mod events;
pub mod failure;
pub mod idempotency;
pub mod identifier;
pub mod keyd;
pub mod keys;
pub mod metrics;
pub mod paging;
pub mod permit;
pub mod plans;
pub mod policies;
pub mod record;
pub mod rules;
pub mod run;
pub mod service;
pub mod store;
pub mod tenants;
pub mod thread;
pub mod turn;
pub mod usage;
