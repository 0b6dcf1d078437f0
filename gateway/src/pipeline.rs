//! One request, seven stages, in this order and each in its file:
//!
//! 1. [`skip`]: health needs no key.
//! 2. [`api_key`]: the `x-api-key` header.
//! 3. [`identity`]: policyd resolves the key.
//! 4. [`context`]: request id and tenant.
//! 5. [`rate_limit`].
//! 6. [`policy`]: policyd's verdict.
//! 7. [`route`]: public-key work here, private-key work in keyd.
//!
//! 3 and 6 share one call to policyd. A permit that stage 5 leaves unused expires by itself; what changes keys
//! would be done by then, and has a call of its own for stage 3.

pub mod api_key;
pub mod context;
pub mod identity;
pub mod policy;
pub mod rate_limit;
pub mod route;
pub mod skip;

use crate::api::{Query, Route};
use crate::deadline::Deadline;
use crate::envelope::{self, Json};
use crate::error::ApiError;
use crate::http::response::{self, Response};
use crate::http::{body, request_id};
use crate::keyd_client::KeydClient;
use crate::limits::{Claim, Limits};
use crate::metrics::Metrics;
use crate::policyd_client::PolicydClient;
use chancel_domain::{RequestId, TenantId};
use chancel_wire::limits::{LIFECYCLE_DEADLINE, REQUEST_DEADLINE};
use chancel_wire::policyd::{Ask, Caller, Subject};
use context::Context;
use hyper::Request;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use policy::Grant;
use rate_limit::{Allowance, RateLimits};
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Everything that answering a request needs. Each serving thread has its own connections to the other daemons;
/// all share the rest.
pub struct Gateway {
    /// The daemon that decides.
    pub policyd: PolicydClient,
    /// The daemon that holds the keys.
    pub keyd: KeydClient,
    /// Token buckets.
    pub rates: Arc<RateLimits>,
    /// What is taken at once.
    pub limits: Arc<Limits>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// One operation of the API, parsed and ready to be judged.
pub trait Operation: Sized + Send {
    /// What policyd is asked.
    fn ask(&self) -> Ask;

    /// Does it, on policyd's grant; returns the finished answer.
    fn carry_out(
        self,
        grant: Grant,
        context: Context<'_>,
    ) -> impl Future<Output = Result<Json, ApiError>> + Send;
}

/// What is known of a request so far, for its answer and its line in the log.
#[derive(Debug, Default, Clone, Copy)]
struct Noted {
    route: Option<Route>,
    tenant: Option<TenantId>,
    allowance: Option<Allowance>,
}

/// A finished answer, with its claim on memory until it has been sent.
struct Finished {
    json: Json,
    status: u16,
    claim: Claim,
}

/// Answers a request.
pub async fn respond(gateway: &Gateway, request: Request<Incoming>, source: IpAddr) -> Response {
    let began = Instant::now();
    let (parts, mut incoming) = request.into_parts();
    let id = request_id::of(&parts.headers);
    let mut noted = Noted::default();
    let outcome = match skip::answer(&parts, id) {
        Some(json) => Ok(Finished {
            json,
            status: 200,
            claim: gateway.limits.memory(),
        }),
        None => stages(gateway, &parts, &mut incoming, id, source, &mut noted).await,
    };
    let (mut response, error) = match outcome {
        Ok(finished) => (
            response::success(finished.status, finished.json, finished.claim),
            None,
        ),
        Err(error) => {
            let arrived = body::discard(&parts.headers, &mut incoming).await;
            let json = envelope::error(id, &error);
            (response::failure(&error, json, arrived), Some(error))
        }
    };
    response::add_common(&mut response, id, noted.allowance.as_ref());
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
    incoming: &mut Incoming,
    id: RequestId,
    source: IpAddr,
    noted: &mut Noted,
) -> Result<Finished, ApiError> {
    let query = Query::new(parts.uri.query());
    let path = parts.uri.path();
    api_key::refuse_in_url(&parts.uri, query)?;
    let route = Route::find(&parts.method, path)?;
    noted.route = Some(route);
    let api_key = api_key::take(&parts.headers)?;
    let _turn = gateway.limits.enter()?;
    let caller = Caller {
        api_key,
        request: id,
        source,
    };
    if body::is_large(incoming) {
        // Memory is not for everybody who can spell an API key.
        let about = policy::About::of(&Ask::ReadTenant);
        let deadline = Deadline::after(REQUEST_DEADLINE);
        identity::recognise(&gateway.policyd, Caller { ..caller }, about, deadline).await?;
    }
    let mut claim = gateway.limits.memory();
    let body = body::read(incoming, &mut claim).await?;
    let mut stages = Stages {
        gateway,
        caller,
        noted,
    };
    let (status, json) = route::dispatch(route, &body, path, query, &mut stages).await?;
    claim.grow_to(json.len())?;
    Ok(Finished { json, status, claim })
}

/// The stages that every operation goes through once it has been parsed.
pub struct Stages<'a> {
    gateway: &'a Gateway,
    caller: Caller<'a>,
    noted: &'a mut Noted,
}

impl Stages<'_> {
    async fn run<O: Operation>(&mut self, parsed: Result<O, ApiError>) -> Result<Json, ApiError> {
        let operation = match parsed {
            Ok(operation) => operation,
            Err(error) => return Err(self.refuse(error).await?),
        };
        let ask = operation.ask();
        let about = policy::About::of(&ask);
        let changes_keys = matches!(ask, Ask::GenerateKey(_) | Ask::RotateKey(_) | Ask::RetireKey(..));
        let deadline = Deadline::after(if changes_keys {
            LIFECYCLE_DEADLINE
        } else {
            REQUEST_DEADLINE
        });
        // policyd's answer to these means that the change is done, so the rate is looked at before the question.
        let _change = if changes_keys {
            self.admit(about, deadline).await?;
            Some(self.gateway.limits.enter_change()?)
        } else {
            None
        };
        let caller = Caller { ..self.caller };
        let request = caller.request;
        let identified = identity::identify(&self.gateway.policyd, caller, ask, deadline).await?;
        let context = Context::attach(&identified, request, &self.gateway.keyd, deadline);
        if !changes_keys {
            self.count(&identified.subject)?;
        }
        let grant = policy::judge(identified.verdict, about)?;
        operation.carry_out(grant, context).await
    }

    /// A request that makes no sense goes through the stages before the last all the same: what is wrong with it
    /// is for a caller that policyd knows, and counts as one of its requests.
    async fn refuse(&mut self, error: ApiError) -> Result<ApiError, ApiError> {
        let about = policy::About::of(&Ask::ReadTenant);
        self.admit(about, Deadline::after(REQUEST_DEADLINE)).await?;
        Ok(error)
    }

    /// Stages 3 to 5 alone, with a question that permits nothing.
    async fn admit(&mut self, about: policy::About, deadline: Deadline) -> Result<(), ApiError> {
        let caller = Caller { ..self.caller };
        let subject = identity::recognise(&self.gateway.policyd, caller, about, deadline).await?;
        self.count(&subject)
    }

    fn count(&mut self, subject: &Subject) -> Result<(), ApiError> {
        self.noted.tenant = Some(subject.tenant);
        self.noted.allowance = self.gateway.rates.take(subject)?;
        Ok(())
    }
}
