//! Stage 1: what needs no API key. Health of this process only, for whether the whole service can work is the
//! monitor's to say, on its own listener; and the description of the API, which is the same for everybody.

use crate::envelope::{self, Json};
use crate::openapi;
use bytes::Bytes;
use chancel_domain::RequestId;
use hyper::Method;
use hyper::http::request::Parts;

/// Where the gateway says that it is alive.
pub const HEALTH: &str = "/healthz";

/// Where the API is described for programs.
pub const OPENAPI: &str = "/openapi.json";

/// What is said to anybody.
pub enum Answer {
    /// Something about this request.
    Json(Json),
    /// What does not change, without an envelope.
    Document(Bytes),
}

/// The answer, when the request is exempt from all other stages.
pub fn answer(parts: &Parts, id: RequestId) -> Option<Answer> {
    if parts.method != Method::GET {
        return None;
    }
    match parts.uri.path() {
        HEALTH => Some(Answer::Json(envelope::success(id, 0, |data| {
            data.text("status", "alive");
        }))),
        OPENAPI => Some(Answer::Document(openapi::document())),
        _ => None,
    }
}
