//! Why there is no result. Every one of them ends the run: a benchmark with errors in it measures nothing.

use std::io;

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The system did not start.
    #[error("the system did not start: {0}")]
    NotStarted(String),
    /// The authority's certificate is none.
    #[error("the authority's certificate: {0}")]
    Certificate(#[from] rustls::Error),
    /// A connection could not be made or broke.
    #[error("connection to the gateway: {0}")]
    Connection(#[source] io::Error),
    /// The gateway's answer is not HTTP as this client understands it.
    #[error("the gateway's answer is not understood: {0}")]
    NotHttp(&'static str),
    /// The gateway answered with another status than was expected.
    #[error("{path}: status {status}: {body}")]
    Status {
        /// What was asked.
        path: String,
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// An answer is wrong.
    #[error("{0}")]
    Wrong(String),
    /// Requests failed under load.
    #[error("{scenario} with {connections} connections: {count} requests failed, the first: {first}")]
    Failed {
        /// What ran.
        scenario: String,
        /// With how many connections.
        connections: usize,
        /// How many failed.
        count: u64,
        /// How the first failed.
        first: String,
    },
    /// Nothing was answered in a whole window.
    #[error("{scenario} with {connections} connections: no request was completed in a window")]
    Nothing {
        /// What ran.
        scenario: String,
        /// With how many connections.
        connections: usize,
    },
    /// A CPU clock cannot be read.
    #[error("CPU time of {process}: {source}")]
    Clock {
        /// Whose.
        process: &'static str,
        /// Why.
        source: nix::Error,
    },
    /// A primitive failed.
    #[error("bare primitive: {0}")]
    Primitive(String),
    /// The runtime or a file of the system.
    #[error("{what}: {source}")]
    System {
        /// What was done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}
