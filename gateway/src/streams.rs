//! Bodies of `application/octet-stream`: encrypt, decrypt, sign and verify what is too large for JSON, piece by piece as it
//! arrives. What is said about it stands in the query.
//!
//! Nothing of it goes to keyd but what needs the private key: the head of a ciphertext, with the key of its segments, or
//! the digest that is signed. So a stream costs the gateway a few pieces, and the other daemons no more than any request.

mod decrypt;
mod digest;
mod encrypt;
mod incoming;
mod outgoing;
mod query;
mod segments;
mod sign;
mod verify;

pub use outgoing::Outgoing;

use crate::api::{Query, Route};
use crate::envelope::Json;
use crate::error::ApiError;
use crate::pipeline::asking::Stages;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;

/// The media type of such bodies.
pub const MEDIA_TYPE: &str = "application/octet-stream";

/// The answer to a stream.
pub enum Answer {
    /// What was made of it, in an envelope.
    Json(Json),
    /// What is made of it.
    Stream(Outgoing),
}

/// Whether a request's body is a stream that its route takes.
pub fn is_one(route: Route, headers: &HeaderMap) -> bool {
    let takes = matches!(
        route,
        Route::Encrypt | Route::Decrypt | Route::Sign | Route::Verify
    );
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    takes && essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Answers a request whose body is one. Where the answer is made while it is sent, the body goes with it.
///
/// # Errors
/// What is wrong with the request, or why it is not done.
pub async fn respond(
    route: Route,
    query: Query<'_>,
    body: &mut Option<Incoming>,
    stages: &mut Stages<'_>,
) -> Result<Answer, ApiError> {
    // A stream holds on to more than a request, and for longer.
    stages.hold_share(1).await?;
    match route {
        Route::Encrypt => encrypt::run(query, body, stages).await.map(Answer::Stream),
        Route::Decrypt => decrypt::run(query, body, stages).await.map(Answer::Stream),
        Route::Sign => sign::run(query, body, stages).await.map(Answer::Json),
        _ => verify::run(query, body, stages).await.map(Answer::Json),
    }
}
