//! The result: a table for people and rows for programs, both from the same medians over windows.

use crate::load::Window;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// The daemons, in the order of their columns and of the clocks.
pub const DAEMONS: [&str; 3] = ["gateway", "policyd", "keyd"];

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    name: String,
    connections: usize,
    rps: f64,
    p50_us: f64,
    p99_us: f64,
    /// CPU time per request of each daemon, microseconds.
    cpu_us: [f64; 3],
    /// Of all three: median, least and most of the windows.
    total_us: f64,
    total_range: (f64, f64),
    /// CPU time per request of the load generator.
    client_us: f64,
    bare_us: f64,
    others: Option<f64>,
}

/// The middle value; the upper of two.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The latency below which `part` of the requests stayed.
fn percentile(sorted: &[Duration], part: f64) -> f64 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(f64::NAN, |latency| micros(*latency))
}

impl Row {
    /// Sums windows up. Their CPU times are those of [`DAEMONS`], then the load generator's.
    pub fn new(name: &str, connections: usize, windows: &[Window], bare_us: f64) -> Self {
        let over =
            |value: &dyn Fn(&Window) -> f64| median(&mut windows.iter().map(value).collect::<Vec<_>>());
        let each = |window: &Window, at: usize| micros(window.cpu[at]) / window.completed as f64;
        let total = |window: &Window| (0..DAEMONS.len()).map(|at| each(window, at)).sum::<f64>();
        let totals = windows.iter().map(total);
        Self {
            name: name.to_owned(),
            connections,
            rps: over(&|window| window.completed as f64 / window.length.as_secs_f64()),
            p50_us: over(&|window| percentile(&window.latencies, 0.50)),
            p99_us: over(&|window| percentile(&window.latencies, 0.99)),
            cpu_us: [0, 1, 2].map(|at| over(&|window| each(window, at))),
            total_us: over(&total),
            total_range: (
                totals.clone().fold(f64::INFINITY, f64::min),
                totals.fold(0.0, f64::max),
            ),
            client_us: over(&|window| each(window, DAEMONS.len())),
            bare_us,
            others: windows
                .iter()
                .map(|window| window.others)
                .collect::<Option<Vec<_>>>()
                .map(|mut others| median(&mut others)),
        }
    }

    /// What other programs used of the machine meanwhile, from 0 to 1.
    pub const fn others(&self) -> Option<f64> {
        self.others
    }

    /// The row for programs.
    pub fn to_json(&self) -> Value {
        let round = |value: f64| (value * 10.0).round() / 10.0;
        let [gateway, policyd, keyd] = self.cpu_us.map(round);
        json!({
            "scenario": self.name,
            "connections": self.connections,
            "rps": round(self.rps),
            "p50_us": round(self.p50_us),
            "p99_us": round(self.p99_us),
            "cpu_us": {"gateway": gateway, "policyd": policyd, "keyd": keyd, "total": round(self.total_us)},
            "bare_us": round(self.bare_us),
        })
    }

    /// The row for people.
    pub fn to_line(&self) -> String {
        let mut line = format!(
            "{:<26} {:>5} {:>8.0} {:>8.0} {:>8.0}",
            self.name, self.connections, self.rps, self.p50_us, self.p99_us
        );
        for cpu in self.cpu_us {
            // Writing to a String does not fail.
            let _ = write!(line, " {cpu:>8.1}");
        }
        let (least, most) = self.total_range;
        let range = format!("{least:.0}-{most:.0}");
        let _ = write!(
            line,
            " {:>8.1} {range:>9} {:>8.1} {:>8.1} {:>6}",
            self.total_us,
            self.bare_us,
            self.client_us,
            self.others
                .map_or_else(|| "?".to_owned(), |others| format!("{:.0} %", others * 100.0))
        );
        line
    }
}

/// What stands above the rows.
pub fn header() -> String {
    let mut line = format!(
        "{:<26} {:>5} {:>8} {:>8} {:>8}",
        "scenario", "conns", "rps", "p50 µs", "p99 µs"
    );
    let [gateway, policyd, keyd] = DAEMONS;
    // Writing to a String does not fail.
    let _ = write!(
        line,
        " {gateway:>8} {policyd:>8} {keyd:>8} {:>8} {:>9} {:>8} {:>8} {:>6}",
        "total", "range", "bare", "client", "others"
    );
    format!("{:60}{:-^63}\n{line}", "", " CPU µs per request ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(completed: u64, cpu: [u64; 4]) -> Window {
        Window {
            completed,
            length: Duration::from_secs(2),
            latencies: (1..=completed).map(Duration::from_micros).collect(),
            cpu: cpu.map(Duration::from_micros).to_vec(),
            others: Some(completed as f64 / 1000.0),
        }
    }

    #[test]
    fn rows_are_medians_of_windows_per_request() {
        let windows = [
            window(100, [1000, 200, 3000, 500]),
            window(200, [2000, 800, 6200, 1000]),
            window(100, [9000, 200, 3100, 500]),
        ];
        let row = Row::new("sign 1 KiB", 64, &windows, 90.04);
        assert_eq!(
            row.to_json(),
            json!({
                "scenario": "sign 1 KiB", "connections": 64, "rps": 50.0, "p50_us": 50.0, "p99_us": 99.0,
                "cpu_us": {"gateway": 10.0, "policyd": 2.0, "keyd": 31.0, "total": 45.0}, "bare_us": 90.0,
            })
        );
        assert_eq!(row.total_range, (42.0, 123.0));
        assert_eq!((row.client_us, row.others()), (5.0, Some(0.1)));
    }

    #[test]
    fn header_and_rows_line_up() {
        let row = Row::new("encrypt 1 KiB", 1, &[window(100, [1, 2, 3, 4])], 1.0);
        let wide = |text: &str| text.chars().count();
        assert_eq!(
            wide(header().lines().next_back().expect("a line")),
            wide(&row.to_line())
        );
    }
}
