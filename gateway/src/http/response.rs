//! Finished responses: JSON, a request id, never cached, never a redirect.

use super::request_id;
use crate::envelope::Json;
use crate::error::{ApiError, Code};
use crate::limits::Claim;
use crate::pipeline::rate_limit::Allowance;
use crate::shares::Share;
use crate::streams::{MEDIA_TYPE, Outgoing};
use bytes::Bytes;
use chancel_domain::RequestId;
use http_body_util::{Either, Full};
use hyper::StatusCode;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

/// A response, whose body is there or made while it is sent.
pub type Response = hyper::Response<Either<Full<Bytes>, Outgoing>>;

/// A body that holds its place in memory until it has been sent, and is then wiped.
struct Held {
    json: Json,
    _claim: Claim,
    _share: Option<Share>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// A response to a request that succeeded, JSON unless it is said to be something else. What it holds is given back when it
/// has been sent: a client that reads slowly holds on to it.
pub fn success(
    status: u16,
    media_type: Option<&'static str>,
    json: Json,
    claim: Claim,
    share: Option<Share>,
) -> Response {
    let held = Held {
        json,
        _claim: claim,
        _share: share,
    };
    let mut response = with_status(status, Bytes::from_owner(held));
    if let Some(media_type) = media_type {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}

/// A response whose body is made while it is sent.
pub fn stream(outgoing: Outgoing) -> Response {
    let version = outgoing.key_version.into();
    let algorithm = HeaderValue::from_static(outgoing.algorithm);
    let mut response = of(200, Either::Right(outgoing));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(HeaderName::from_static("x-chancel-key-version"), version);
    headers.insert(HeaderName::from_static("x-chancel-algorithm"), algorithm);
    response
}

/// A response to a request that failed. When its body has not `arrived` in full, the connection ends here.
pub fn failure(error: &ApiError, json: Json, arrived: bool) -> Response {
    let mut response = with_status(error.code().status(), Bytes::from_owner(json));
    let headers = response.headers_mut();
    match error {
        ApiError::MethodNotAllowed(methods) => {
            headers.insert(ALLOW, HeaderValue::from_static(methods.text()));
        }
        ApiError::RateLimited(allowance) => {
            headers.insert(RETRY_AFTER, allowance.retry_after_s.into());
            add_allowance(&mut response, allowance);
        }
        _ if matches!(
            error.code(),
            Code::RateLimited | Code::Unavailable | Code::LedgerUnwritable | Code::IdempotencyInProgress
        ) =>
        {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    if !arrived {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A response of the monitor.
pub fn plain(status: u16, content_type: &'static str, body: String) -> Response {
    let mut response = with_status(status, body.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What the stages have to say in headers.
#[derive(Debug, Default, Clone, Copy)]
pub struct Marks {
    /// What is left of the caller's rate.
    pub allowance: Option<Allowance>,
    /// The rule that denied, for operators.
    pub deny_rule: Option<&'static str>,
    /// Whether break-glass stood in for policyd.
    pub break_glass: bool,
}

/// Adds what every response of the API has.
pub fn add_common(response: &mut Response, request: RequestId, marks: &Marks) {
    if let Some(allowance) = &marks.allowance {
        add_allowance(response, allowance);
    }
    let headers = response.headers_mut();
    if let Some(rule) = marks.deny_rule {
        headers.insert(
            HeaderName::from_static("x-chancel-deny-rule"),
            HeaderValue::from_static(rule),
        );
    }
    if marks.break_glass {
        headers.insert(
            HeaderName::from_static("x-chancel-break-glass"),
            HeaderValue::from_static("open"),
        );
    }
    // NOTE(expect): a UUID is ASCII.
    let id = HeaderValue::from_str(&request.to_string()).expect("a UUID is a header value");
    headers.insert(request_id::HEADER, id);
}

fn add_allowance(response: &mut Response, allowance: &Allowance) {
    let headers = response.headers_mut();
    let name = HeaderName::from_static;
    headers.insert(name("ratelimit-limit"), allowance.limit.into());
    headers.insert(name("ratelimit-remaining"), allowance.remaining.into());
    headers.insert(name("ratelimit-reset"), allowance.reset_s.into());
}

fn with_status(status: u16, body: Bytes) -> Response {
    of(status, Either::Left(Full::new(body)))
}

fn of(status: u16, body: Either<Full<Bytes>, Outgoing>) -> Response {
    let mut response = hyper::Response::new(body);
    // NOTE(expect): statuses come from the error table and a few literals, all between 200 and 599.
    *response.status_mut() = StatusCode::from_u16(status).expect("our statuses are valid");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Methods;
    use crate::error::CODES;
    use crate::limits::Limits;

    #[test]
    fn every_status_of_the_error_table_is_one() {
        for (_, name, status) in CODES {
            assert!(StatusCode::from_u16(status).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_claim_lasts_as_long_as_the_body() {
        let limits = Limits::default();
        let mut claim = limits.memory();
        claim.grow_to(1000).unwrap();
        let response = success(200, None, Json::new(vec![b'x'; 10]), claim, None);
        assert_eq!(limits.bytes_in_use(), 1000);
        drop(response);
        assert_eq!(limits.bytes_in_use(), 0);
    }

    #[test]
    fn failures_say_when_to_try_again_and_what_is_allowed() {
        let allowance = Allowance {
            limit: 20,
            remaining: 0,
            reset_s: 2,
            retry_after_s: 1,
        };
        let limited = failure(&ApiError::RateLimited(allowance), Json::default(), true);
        assert_eq!(limited.headers()["retry-after"], "1");
        assert_eq!(limited.headers()["ratelimit-limit"], "20");
        assert_eq!(limited.headers()["ratelimit-remaining"], "0");
        assert_eq!(limited.headers()["ratelimit-reset"], "2");
        let away = failure(&ApiError::Unavailable, Json::default(), true);
        assert_eq!(away.headers()["retry-after"], "1");
        assert!(!away.headers().contains_key(CONNECTION));
        let method = failure(&ApiError::MethodNotAllowed(Methods::POST), Json::default(), false);
        assert_eq!(method.headers()["allow"], "POST");
        assert_eq!(method.headers()["connection"], "close");
    }
}
