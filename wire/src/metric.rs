//! Counters as they travel to whoever exposes them (Prometheus data model: a name, labels, a value).

use serde::{Deserialize, Serialize};

/// One value of one time series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Metric name, for example `chancel_keyd_permits_refused_total`.
    pub name: String,
    /// Label names and values.
    pub labels: Vec<(String, String)>,
    /// Its present value.
    pub value: u64,
}

impl Sample {
    /// A sample with at most one label.
    pub fn new(name: &str, label: Option<(&str, &str)>, value: u64) -> Self {
        let labels = label
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            name: name.to_owned(),
            labels,
            value,
        }
    }
}
