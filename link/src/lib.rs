//! The asynchronous ends of a connection between Chancel's processes: framed requests and answers of
//! `chancel-wire` over an authenticated stream, many in flight at once.
//!
//! **Client.** [`Client::new`] starts one task that keeps one connection to an [`Endpoint`]; [`Client::call`]
//! sends a request and resolves to its [`Answer`] or to a [`CallError`], within the deadline it is given
//! whatever the peer does. A request that may have been delivered is never sent again.
//! [`Client::connections`] counts connections, so that an owner can do what each new one needs.
//!
//! ```no_run
//! # use chancel_link::{Client, Endpoint};
//! # use chancel_wire::hello::{Role, ServiceToken};
//! # use chancel_wire::keyd::{KeydReply, KeydRequest};
//! # async fn example(token: ServiceToken) -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::Unix { path: "/run/chancel-keyd/keyd.sock".into(), uid: 991 };
//! let keyd = Client::new(endpoint, Role::Policyd, token);
//! let answer = keyd.call(&KeydRequest::Health, chancel_wire::limits::REQUEST_DEADLINE).await?;
//! if let KeydReply::Healthy(health) = answer.decode()? {
//!     println!("keyd {}", health.version);
//! }
//! # Ok(()) }
//! ```
//!
//! **Server.** [`Listener::bind`] takes the socket (before the sandbox closes, outside a runtime if need be);
//! [`Listener::serve`] admits peers by an [`Admission`], and gives each of their requests to a [`Handler`] as
//! an [`AuthenticatedPeer`] and an [`Incoming`]. The handler says [`Handled::Now`] or [`Handled::Later`], each
//! with a [`Reply`]. What was turned away is counted in [`Refusals`].

pub mod client;
pub mod endpoint;
mod outbox;
pub mod server;
mod stream;

pub use client::{Answer, CallError, Client};
pub use endpoint::Endpoint;
pub use server::{
    Admission, AuthenticatedPeer, BindError, Expected, Handled, Handler, Incoming, Listener, OperatorRule,
    Refusal, Refusals, Reply,
};
