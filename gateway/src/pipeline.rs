//! One request, seven stages, in this order and each in its file:
//!
//! 1. [`skip`]: health needs no key.
//! 2. [`api_key`]: the `x-api-key` header.
//! 3. [`identity`]: policyd resolves the key.
//! 4. [`context`]: request id and tenant.
//! 5. [`rate_limit`]; [`unknown_sources`] for who is not known.
//! 6. [`policy`]: policyd's verdict.
//!    When policyd does not answer, [`break_glass`].
//! 7. [`route`]: public-key work here, private-key work in keyd.
//!
//! 3 and 6 share one call to policyd. For callers that it has confirmed lately, 5 comes before that call, so that a
//! request over the rate is neither counted nor recorded; for others it comes after. What changes something would be
//! done by then, and has a call of its own for stage 3.

pub mod api_key;
pub mod asking;
pub mod break_glass;
pub mod context;
pub mod idempotency;
pub mod identity;
pub mod policy;
pub mod rate_limit;
pub mod route;
pub mod skip;
pub mod unknown_sources;

use crate::api::{Query, Route};
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::helpers::Helpers;
use crate::http::proxies::Proxies;
use crate::http::response::{self, Marks, Response};
use crate::http::{Cut, body, request_id};
use crate::keyd_client::KeydClient;
use crate::known_callers::KnownCallers;
use crate::limits::{Claim, Limits};
use crate::metrics::Metrics;
use crate::policyd_client::PolicydClient;
use crate::shares::{Share, Shares};
use crate::streams::{self, Outgoing};
use asking::Stages;
use break_glass::BreakGlass;
use chancel_domain::{RequestId, TenantId};
use chancel_wire::policyd::{Ask, Caller};
use context::Context;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, EXPECT};
use hyper::http::request::Parts;
use policy::Grant;
use rate_limit::RateLimits;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use unknown_sources::UnknownSources;

/// Everything that answering a request needs. Each serving thread has its own connections to the other daemons;
/// all share the rest.
pub struct Gateway {
    /// The daemon that decides.
    pub policyd: PolicydClient,
    /// The daemon that holds the keys.
    pub keyd: KeydClient,
    /// Token buckets of callers.
    pub rates: Arc<RateLimits>,
    /// Callers that policyd has confirmed.
    pub callers: Arc<KnownCallers>,
    /// Token buckets of addresses that send unknown API keys.
    pub sources: Arc<UnknownSources>,
    /// What stands in for policyd when an operator says so.
    pub break_glass: Arc<BreakGlass>,
    /// Whose word on where a request comes from is believed.
    pub proxies: Arc<Proxies>,
    /// What is taken at once.
    pub limits: Arc<Limits>,
    /// What a tenant may have of requests that take long.
    pub shares: Arc<Shares>,
    /// What a tenant may have of the memory for streams.
    pub stream_bytes: Arc<Shares>,
    /// Threads for public-key work that takes long.
    pub helpers: Helpers,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// One operation of the API, parsed and ready to be judged.
pub trait Operation: Sized + Send {
    /// What policyd is asked.
    fn ask(&self) -> Ask;

    /// Does it, on policyd's grant; returns the finished answer. Again, on another grant, when keyd had forgotten the permit.
    fn carry_out(
        &self,
        grant: Grant,
        context: Context<'_>,
    ) -> impl Future<Output = Result<Json, ApiError>> + Send;
}

/// What is known of a request so far, for its answer and its line in the log.
#[derive(Debug, Default, Clone, Copy)]
struct Noted {
    route: Option<Route>,
    tenant: Option<TenantId>,
    /// What a success is, where it is no JSON.
    media_type: Option<&'static str>,
    /// Whether its body was asked for.
    has_begun_body: bool,
    marks: Marks,
}

/// An answer.
enum Finished {
    /// That is finished, with its claim on memory until it has been sent.
    Whole {
        json: Json,
        status: u16,
        claim: Claim,
        /// What a batch has of what its tenant may have.
        share: Option<Share>,
    },
    /// That is made while it is sent.
    Stream(Outgoing),
}

/// Answers a request.
pub async fn respond(gateway: &Gateway, request: Request<Incoming>, peer: IpAddr) -> Response {
    let began = Instant::now();
    let (parts, incoming) = request.into_parts();
    // Streams that are answered while they arrive take it along.
    let mut incoming = Some(incoming);
    let id = request_id::of(&parts.headers);
    let mut noted = Noted::default();
    let outcome = match skip::answer(&parts, id) {
        Some(json) => Ok(Finished::Whole {
            json,
            status: 200,
            claim: gateway.limits.memory(),
            share: None,
        }),
        None => stages(gateway, &parts, &mut incoming, id, peer, &mut noted).await,
    };
    let (mut response, error) = match outcome {
        Ok(Finished::Whole {
            json,
            status,
            claim,
            share,
        }) => (
            response::success(status, noted.media_type, json, claim, share),
            None,
        ),
        Ok(Finished::Stream(outgoing)) => {
            if let Some(cut) = parts.extensions.get::<Cut>() {
                outgoing.leaves_by(cut.clone());
            }
            (response::stream(outgoing), None)
        }
        Err(error) => {
            let arrived = match &mut incoming {
                // It has been waited for long enough.
                _ if error == ApiError::BodyIncomplete => false,
                Some(incoming) => {
                    let waits = parts.headers.contains_key(EXPECT) && !noted.has_begun_body;
                    body::discard(waits, incoming).await
                }
                None => false,
            };
            let json = envelope::error(id, &error);
            (response::failure(&error, json, arrived), Some(error))
        }
    };
    response::add_common(&mut response, id, &noted.marks);
    let took = began.elapsed();
    let route = noted.route.map_or("none", Route::name);
    let status = response.status().as_u16();
    let code = error.map_or("none", |error| error.code().name());
    gateway
        .metrics
        .answered(noted.route, error.map(|error| error.code()), took);
    // Anybody can cause any number of these lines, so they are not for the usual log. What an operator must
    // know of failing daemons is logged where it is found, and counted here.
    tracing::debug!(request = %id, route, status, code, tenant = noted.tenant.map(tracing::field::display),
        micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered");
    response
}

async fn stages(
    gateway: &Gateway,
    parts: &Parts,
    incoming: &mut Option<Incoming>,
    id: RequestId,
    peer: IpAddr,
    noted: &mut Noted,
) -> Result<Finished, ApiError> {
    let query = Query::new(parts.uri.query());
    let path = parts.uri.path();
    api_key::refuse_in_url(&parts.uri, query)?;
    let route = Route::find(&parts.method, path)?;
    noted.route = Some(route);
    let api_key = api_key::take(&parts.headers)?;
    let source = gateway.proxies.source(&parts.headers, peer)?;
    let _turn = gateway.limits.enter()?;
    let caller = Caller {
        api_key,
        request: id,
        source,
        idempotency_key: None,
    };
    let mut stages = Stages::begin(gateway, caller, noted)?;
    if streams::is_one(route, &parts.headers) {
        return match streams::respond(route, query, incoming, &mut stages).await? {
            streams::Answer::Stream(outgoing) => Ok(Finished::Stream(outgoing)),
            streams::Answer::Json(json) => Ok(Finished::Whole {
                json,
                status: route.success(),
                claim: gateway.limits.memory(),
                share: None,
            }),
        };
    }
    let incoming = incoming.as_mut().ok_or(ApiError::Internal)?;
    let most = route.max_body();
    if route.batch_of().is_some() {
        // It takes memory and time from the first byte on.
        stages.hold_share(1).await?;
    } else if body::is_large(incoming, most) {
        // Memory is not for everybody who can spell an API key.
        stages.recognise().await?;
    }
    let mut claim = gateway.limits.memory();
    let body = body::read(incoming, most, &mut claim).await?;
    if let Some(family) = route.batch_of() {
        let json = stages.run_batch(family, body, &mut claim).await?;
        claim.grow_to(json.len())?;
        return Ok(Finished::Whole {
            json,
            status: route.success(),
            claim,
            share: stages.take_share(),
        });
    }
    if route.honours_idempotency_key() {
        match idempotency::take(&parts.headers) {
            Ok(key) => stages.with_idempotency_key(key),
            Err(error) => return Err(stages.refuse(error).await?),
        }
    }
    let accept = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let json = route::dispatch(route, &body, path, query, accept, &mut stages).await?;
    let status = route.success();
    claim.grow_to(json.len())?;
    Ok(Finished::Whole {
        json,
        status,
        claim,
        share: None,
    })
}
