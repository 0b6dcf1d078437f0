//! The answering end: who may connect is data ([`Admission`]), what is answered is a [`Handler`].
//!
//! What a handler can rely on: it is called only for peers that the kernel's credentials, the hello and the
//! token have all identified; requests of one connection come to it in order; answers of
//! [`Handled::Later`] are sent as they are ready, and such work goes on when its connection breaks.

mod admission;
mod connection;
mod listener;
mod refusals;

pub use admission::{Admission, AuthenticatedPeer, Expected, OperatorRule};
pub use listener::{BindError, DRAIN_TIMEOUT, Listener, MAX_CONNECTIONS};
pub use refusals::{Refusal, Refusals};

use chancel_wire::frame;
use serde::Serialize;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use zeroize::Zeroizing;

/// One request of an authenticated peer.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// The encoded message.
    pub body: &'a [u8],
    /// How long the peer still waits for the answer, counted from now.
    pub budget: Duration,
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({} bytes, {:?})", self.body.len(), self.budget)
    }
}

/// An encoded answer, wiped once it is sent.
#[derive(Clone)]
pub struct Reply(Zeroizing<Vec<u8>>);

impl Reply {
    /// Encodes an answer.
    pub fn new<T: Serialize>(message: &T) -> Self {
        Self(Zeroizing::new(frame::seal(0, 0, message)))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn into_frame(mut self, correlation: u64) -> Zeroizing<Vec<u8>> {
        frame::readdress(&mut self.0, correlation);
        self.0
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} bytes)", self.0.len())
    }
}

/// How a request is answered.
pub enum Handled {
    /// With this; for work of microseconds, which runs between reading and writing.
    Now(Reply),
    /// With this, if the turn ends well: [`Handler::end_turn`].
    AtEnd(Reply),
    /// With what this comes to, meanwhile others are answered; for work that waits.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl Handled {
    /// Answers with a message at once.
    pub fn now<T: Serialize>(message: &T) -> Self {
        Self::Now(Reply::new(message))
    }

    /// Answers with the outcome of a future.
    pub fn later(future: impl Future<Output = Reply> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

/// What a server does with requests. Those that come together are a turn: they are handled one after the other, and
/// no answer to any of them leaves before the turn has ended.
pub trait Handler: Send + Sync + 'static {
    /// What the requests of a turn leave to its end.
    type Turn: Default + Send;

    /// Answers one request. Never blocks: what waits is [`Handled::Later`].
    fn handle(&self, peer: &AuthenticatedPeer, request: Incoming<'_>, turn: &mut Self::Turn) -> Handled;

    /// Does what the requests of a turn left to its end. With an error, that is the answer to all that were to be
    /// answered [`Handled::AtEnd`].
    ///
    /// # Errors
    /// The answer that is given instead.
    fn end_turn(&self, _turn: Self::Turn) -> Result<(), Reply> {
        Ok(())
    }

    /// The answer to a request that would be one too many under way.
    fn overloaded(&self) -> Reply;
}
