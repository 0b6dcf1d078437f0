//! On what the numbers were measured, and what else ran there.

use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

/// The unit of /proc/stat; the kernel reports in hundredths of a second whatever its own clock is.
const TICK: Duration = Duration::from_millis(10);

/// Processor, cores and kernel in one line.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| field(&text, "model name"))
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = cores();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpu}, {cores} cores, Linux {}", kernel.trim())
}

/// Cores that the scheduler gives this process.
pub fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// CPU time of all cores that something has used, or that a hypervisor has taken; `None` where the kernel does not say.
pub fn busy() -> Option<Duration> {
    parse_busy(&fs::read_to_string("/proc/stat").ok()?)
}

fn parse_busy(stat: &str) -> Option<Duration> {
    let ticks: Vec<u32> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in user already.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
        return None;
    };
    Some(TICK * (user + nice + system + irq + softirq + steal))
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_everything_but_idle_and_waiting() {
        let stat = "cpu  1 2 3 400 500 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_busy(stat), Some(Duration::from_millis(270)));
        assert_eq!(parse_busy("cpu  1 2 3\n"), None);
        assert!(busy().is_some_and(|busy| busy > Duration::ZERO));
    }

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 3.0 GHz\n\nmodel name\t: Other\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU @ 3.0 GHz"));
        assert_eq!(field(text, "model"), None);
    }
}
