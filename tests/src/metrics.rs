//! Counters, from a scrape (Prometheus text) or from a daemon's own answer on its socket.

use chancel_wire::metric::Sample;
use std::collections::BTreeMap;

/// All series of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics(BTreeMap<Series, u64>);

/// A name and its labels, sorted.
type Series = (String, Vec<(String, String)>);

impl Metrics {
    /// Reads the text format, as far as Chancel uses it: one series a line, no escapes, whole values. Lines that are
    /// no such series (histograms' fractions) are left out.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    /// From what a daemon answered.
    pub fn of(samples: Vec<Sample>) -> Self {
        let series = samples.into_iter().map(|sample| {
            let mut labels = sample.labels;
            labels.sort();
            ((sample.name, labels), sample.value)
        });
        Self(series.collect())
    }

    /// One series; 0 where there is none, for counters appear when they first count.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let mut labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        self.0.get(&(name.to_owned(), labels)).copied().unwrap_or(0)
    }

    /// The sum of all series of a name.
    pub fn sum(&self, name: &str) -> u64 {
        self.0
            .iter()
            .filter(|((found, _), _)| found == name)
            .map(|(_, value)| value)
            .sum()
    }

    /// Whether there is any series of a name.
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|(found, _)| found == name)
    }
}

fn parse_line(line: &str) -> Option<(Series, u64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
    };
    let mut labels: Vec<_> = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (name, value) = label.split_once('=')?;
            Some((name.trim().to_owned(), value.trim_matches('"').to_owned()))
        })
        .collect::<Option<_>>()?;
    labels.sort();
    Some(((name.to_owned(), labels), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_series_by_series() {
        let metrics = Metrics::parse(
            "# HELP a_total What.\n# TYPE a_total counter\na_total{reason=\"x\",kind=\"k\"} 3\na_total{reason=\"y\"} 4\nb 1\n",
        );
        assert_eq!(metrics.value("a_total", &[("kind", "k"), ("reason", "x")]), 3);
        assert_eq!(metrics.value("a_total", &[("reason", "z")]), 0);
        assert_eq!(metrics.sum("a_total"), 7);
        assert_eq!(metrics.value("b", &[]), 1);
        assert!(!metrics.has("c"));
    }
}
