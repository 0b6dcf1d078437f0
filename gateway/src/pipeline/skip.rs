//! Stage 1: what needs no API key. Health of this process only; whether the whole service can work is the
//! monitor's to say, on its own listener.

use crate::envelope::{self, Json};
use chancel_domain::RequestId;
use hyper::Method;
use hyper::http::request::Parts;

/// The answer, when the request is exempt from all other stages.
pub fn answer(parts: &Parts, id: RequestId) -> Option<Json> {
    (parts.uri.path() == "/healthz" && parts.method == Method::GET)
        .then(|| envelope::success(id, 0, |data| data.text("status", "alive")))
}
