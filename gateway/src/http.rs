//! HTTP/1.1 at its edges: connections and TLS, bounded bodies, request ids, finished responses. Nothing here
//! knows an operation.

pub mod body;
mod cut;
pub mod listener;
pub mod proxies;
mod refused_head;
pub mod request_id;
pub mod response;
pub mod tls;

pub use cut::Cut;
pub use listener::{Place, Served, Site, serve};
