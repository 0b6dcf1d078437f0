//! What the kernel says of a running daemon's sandbox, in `/proc`: the daemons do not have to be believed.

use super::Look;
use std::fs;

/// How a process is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// Under which account it runs.
    pub uid: u32,
    /// 2 for a filter of system calls.
    pub seccomp: u64,
    /// Whether it has given up new privileges.
    pub no_new_privs: bool,
    /// Its capabilities; none is 0.
    pub capabilities: u64,
}

/// Looks at a process.
pub fn confinement(pid: u32) -> Look<Confined> {
    let path = format!("/proc/{pid}/status");
    match fs::read_to_string(&path) {
        Err(error) => Look::Unseen(format!("{path}: {error}")),
        Ok(text) => {
            parse(&text).map_or_else(|| Look::Unseen(format!("{path}: a line is missing")), Look::Seen)
        }
    }
}

fn parse(text: &str) -> Option<Confined> {
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|values| values.split_ascii_whitespace().next())
    };
    Some(Confined {
        uid: value("Uid")?.parse().ok()?,
        seccomp: value("Seccomp")?.parse().ok()?,
        no_new_privs: value("NoNewPrivs")? == "1",
        capabilities: u64::from_str_radix(value("CapEff")?, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_count_are_read_and_this_process_is_not_confined() {
        let text = "Name:\tchancel-keyd\nUid:\t990\t990\t990\t990\nCapEff:\t0000000000000000\n\
            NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";
        let confined = Confined {
            uid: 990,
            seccomp: 2,
            no_new_privs: true,
            capabilities: 0,
        };
        assert_eq!(parse(text), Some(confined));
        assert_eq!(parse("Uid:\t0\n"), None);
        assert!(confinement(std::process::id()).seen().is_some());
    }
}
