//! chancel-gateway: HTTP in, one question to policyd, at most one use of keyd, HTTP out.
//!
//! The gateway is assumed compromised. It holds no tenant's secret, opens no database, and can do nothing
//! with a private key without a permit that policyd made for the very request at hand, or an operator who has opened
//! break-glass at keyd. What it is trusted with is the caller's API key and payload, while the request lasts.
//!
//! Data flows one way: [`http`] takes bytes in and bounds them; [`pipeline`] runs the stages; a file of
//! [`api`] parses a body into domain types, and turns the outcome into bytes; [`envelope`] and [`error`] are
//! the only shapes an answer has.

pub mod api;
pub mod config;
pub mod deadline;
pub mod envelope;
pub mod error;
pub mod helpers;
pub mod http;
pub mod keyd_client;
pub mod known_callers;
pub mod limits;
pub mod metrics;
pub mod monitor;
pub mod neighbours;
pub mod openapi;
pub mod pipeline;
pub mod policyd_client;
pub mod recent;
pub mod run;
pub mod shares;
pub mod streams;
pub mod timestamp;
