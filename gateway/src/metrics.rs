//! Counters of the gateway, as samples like those that the other daemons send.

use crate::api::Route;
use crate::error::{CODES, Code};
use crate::limits::Limits;
use chancel_wire::metric::Sample;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the duration classes, in microseconds.
const CLASSES: [u64; 10] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000,
];

/// Why a connection was not served, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// As many connections as are allowed.
    TooMany,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// Not HTTP.
    Malformed,
    /// It broke, or the next request took too long.
    Broken,
    /// The client took too little of a stream.
    TooSlow,
}

const TURNED: [(Turned, &str); 6] = [
    (Turned::TooMany, "too-many"),
    (Turned::HandshakeFailed, "handshake-failed"),
    (Turned::HandshakeTimeout, "handshake-timeout"),
    (Turned::Malformed, "malformed"),
    (Turned::Broken, "broken"),
    (Turned::TooSlow, "too-slow"),
];

/// Counters of a listener's connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicU64,
    accepted: AtomicU64,
    turned: [AtomicU64; TURNED.len()],
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// Counts an accepted connection.
    pub fn opened(&self) -> Open<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(&self.open)
    }

    /// Counts a connection that was not served, or not to its end.
    pub fn turned_away(&self, turned: Turned) {
        // NOTE(index): a test holds that the table lists the variants in their order.
        self.turned[turned as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// All counters.
pub struct Metrics {
    /// Connections of the API.
    pub connections: Connections,
    routes: BTreeMap<&'static str, Durations>,
    errors: [AtomicU64; CODES.len()],
}

#[derive(Default)]
struct Durations {
    /// Requests by class; one more for those beyond all classes.
    classes: [AtomicU64; CLASSES.len() + 1],
    micros: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            connections: Connections::default(),
            routes: Route::names()
                .chain(["none"])
                .map(|name| (name, Durations::default()))
                .collect(),
            errors: std::array::from_fn(|_| AtomicU64::default()),
        }
    }
}

impl Metrics {
    /// Counts an answered request; `route` is `None` for one without a route.
    pub fn answered(&self, route: Option<Route>, error: Option<Code>, took: Duration) {
        if let Some(durations) = self.routes.get(route.map_or("none", Route::name)) {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let class = CLASSES.partition_point(|end| *end < micros);
            durations.classes[class].fetch_add(1, Ordering::Relaxed);
            durations.micros.fetch_add(micros, Ordering::Relaxed);
        }
        if let Some(code) = error {
            self.failed(code);
        }
    }

    /// Counts an error: an answer that is one, or why one broke off that had begun well.
    pub fn failed(&self, code: Code) {
        self.errors[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All counters as samples.
    pub fn samples(&self, limits: &Limits) -> Vec<Sample> {
        let one = |name: &str, value| Sample::new(name, None, value);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        let mut samples = vec![
            one("chancel_gateway_connections", read(&self.connections.open)),
            one(
                "chancel_gateway_connections_total",
                read(&self.connections.accepted),
            ),
            one(
                "chancel_gateway_requests_under_way",
                size(limits.requests_in_use()),
            ),
            one("chancel_gateway_body_bytes", size(limits.bytes_in_use())),
            one("chancel_gateway_stream_bytes", size(limits.stream_bytes_in_use())),
        ];
        for ((_, name), counter) in TURNED.iter().zip(&self.connections.turned) {
            let metric = "chancel_gateway_connections_turned_away_total";
            samples.push(Sample::new(metric, Some(("reason", name)), read(counter)));
        }
        for ((_, name, _), counter) in CODES.iter().zip(&self.errors) {
            let metric = "chancel_gateway_errors_total";
            samples.push(Sample::new(metric, Some(("code", name)), read(counter)));
        }
        for (route, durations) in &self.routes {
            durations.sample(route, &mut samples);
        }
        samples
    }
}

impl Durations {
    /// A histogram as Prometheus counts: each class holds all that took no longer.
    fn sample(&self, route: &str, samples: &mut Vec<Sample>) {
        let name = "chancel_gateway_request_duration_microseconds";
        let mut count = 0;
        let ends = CLASSES.iter().map(u64::to_string).chain(["+Inf".to_owned()]);
        for (end, class) in ends.zip(&self.classes) {
            count += class.load(Ordering::Relaxed);
            let mut sample = Sample::new(&format!("{name}_bucket"), Some(("route", route)), count);
            sample.labels.push(("le".to_owned(), end));
            samples.push(sample);
        }
        let label = Some(("route", route));
        samples.push(Sample::new(&format!("{name}_count"), label, count));
        let micros = self.micros.load(Ordering::Relaxed);
        samples.push(Sample::new(&format!("{name}_sum"), label, micros));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_reason_in_order() {
        for (index, (turned, _)) in TURNED.iter().enumerate() {
            assert_eq!(*turned as usize, index);
        }
    }

    #[test]
    fn requests_and_errors_are_counted_where_they_belong() {
        let metrics = Metrics::default();
        metrics.answered(Some(Route::Sign), None, Duration::from_micros(500));
        metrics.answered(
            Some(Route::Sign),
            Some(Code::Unavailable),
            Duration::from_secs(60),
        );
        metrics.answered(None, Some(Code::UnknownRoute), Duration::ZERO);
        let samples = metrics.samples(&Limits::default());
        let value = |name: &str, labels: &[(&str, &str)]| {
            let found = samples.iter().find(|sample| {
                let same = |((a, b), (c, d)): (&(String, String), &(&str, &str))| a == c && b == d;
                sample.name == name && sample.labels.iter().zip(labels).all(same)
            });
            found.map(|sample| sample.value)
        };
        let bucket = "chancel_gateway_request_duration_microseconds_bucket";
        assert_eq!(value(bucket, &[("route", "sign"), ("le", "250")]), Some(0));
        assert_eq!(value(bucket, &[("route", "sign"), ("le", "500")]), Some(1));
        assert_eq!(value(bucket, &[("route", "sign"), ("le", "10000000")]), Some(1));
        assert_eq!(value(bucket, &[("route", "sign"), ("le", "+Inf")]), Some(2));
        let errors = "chancel_gateway_errors_total";
        assert_eq!(value(errors, &[("code", "ERR_SERVICE_001")]), Some(1));
        assert_eq!(value(errors, &[("code", "ERR_NOT_FOUND_002")]), Some(1));
    }

    #[test]
    fn open_connections_are_counted_while_they_are() {
        let connections = Connections::default();
        let open = connections.opened();
        assert_eq!(connections.open.load(Ordering::Relaxed), 1);
        drop(open);
        assert_eq!(connections.open.load(Ordering::Relaxed), 0);
    }
}
