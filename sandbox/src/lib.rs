//! What the kernel is asked to forbid, and what it is asked about others: the one crate that holds `unsafe` and libc.
//!
//! A daemon uses [`Confinement`] in two steps: [`Confinement::restrict_this_thread`] while it has one thread (no new
//! privileges, no core dumps, no ptrace, no capabilities, Landlock), then [`Restricted::seal`] once every thread runs
//! (seccomp on all of them). [`Sandboxed`] is the proof of both. Secrets live in [`SecretArena`].
//!
//! Nothing here weakens with the build profile or a feature: what the kernel cannot enforce is an error, except for the
//! rights newer than the oldest supported kernel, which [`landlock::Enforced`] reports.

pub mod capabilities;
mod confinement;
pub mod file_acl;
pub mod inherited;
pub mod landlock;
pub mod peer;
pub mod process;
pub mod seccomp;
pub mod secret_memory;
mod status;

pub use confinement::{Confinement, ConfinementError, Restricted, Sandboxed};
pub use landlock::Access;
pub use peer::{PeerCredentials, peer_credentials, peer_groups};
pub use secret_memory::{Backing, SecretArena, SecretMemoryError, SecretSlot};
