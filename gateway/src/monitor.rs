//! The monitor, on a listener of its own that belongs on loopback: `/healthz` (this process is alive),
//! `/readyz` (policyd and keyd answer), `/metrics` (counters of all three daemons, Prometheus text format).

mod text;

use crate::api::Methods;
use crate::error::ApiError;
use crate::http::Served;
use crate::http::response::{Response, plain};
use crate::metrics::Connections;
use crate::neighbours::Neighbours;
use crate::pipeline::Gateway;
use crate::policyd_client::PolicydHealth;
use chancel_wire::metric::Sample;
use hyper::body::Incoming;
use hyper::{Method, Request};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long the other daemons may take.
const PATIENCE: Duration = Duration::from_millis(800);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// What the monitor answers from.
#[derive(Clone)]
pub struct Monitor {
    /// The gateway it tells of.
    pub gateway: Arc<Gateway>,
    /// Its own connections.
    pub connections: Arc<Connections>,
}

impl Served for Monitor {
    async fn respond(&self, request: Request<Incoming>, _: IpAddr) -> Response {
        if request.method() != Method::GET {
            return refused(ApiError::MethodNotAllowed(Methods::GET));
        }
        match request.uri().path() {
            "/healthz" => plain(200, JSON, r#"{"status":"alive"}"#.to_owned()),
            "/readyz" => self.ready().await,
            "/metrics" => self.metrics().await,
            _ => refused(ApiError::UnknownRoute),
        }
    }

    fn connections(&self) -> &Connections {
        &self.connections
    }
}

impl Monitor {
    async fn ready(&self) -> Response {
        let neighbours = Neighbours::ask(&self.gateway, PATIENCE).await;
        let ready = neighbours.are_ready();
        let word = |ready| if ready { "ready" } else { "unavailable" };
        let policyd = match neighbours.policyd {
            PolicydHealth::Ready => "ready",
            PolicydHealth::WithoutKeyd => "without keyd",
            PolicydHealth::Unavailable => "unavailable",
        };
        let (status, keyd) = (word(ready), word(neighbours.keyd));
        let body = format!(r#"{{"status":"{status}","policyd":"{policyd}","keyd":"{keyd}"}}"#);
        plain(if ready { 200 } else { 503 }, JSON, body)
    }

    async fn metrics(&self) -> Response {
        let Gateway { policyd, keyd, .. } = &*self.gateway;
        let (policyd, keyd) = tokio::join!(policyd.samples(PATIENCE), keyd.samples(PATIENCE));
        let up = |daemon, up: bool| Sample::new("chancel_up", Some(("daemon", daemon)), u64::from(up));
        let mut samples = vec![
            up("gateway", true),
            up("policyd", policyd.is_some()),
            up("keyd", keyd.is_some()),
        ];
        samples.extend(self.gateway.metrics.samples(&self.gateway.limits));
        let stood_in = self.gateway.break_glass.granted();
        let name = "chancel_gateway_break_glass_requests_total";
        samples.push(Sample::new(name, None, stood_in));
        samples.extend(policyd.unwrap_or_default());
        samples.extend(keyd.unwrap_or_default());
        plain(200, TEXT, text::render(samples))
    }
}

fn refused(error: ApiError) -> Response {
    let code = error.code();
    let body = format!(
        r#"{{"error":{{"error_code":"{}","message":"{error}"}}}}"#,
        code.name()
    );
    plain(code.status(), JSON, body)
}
