//! What the kernel offers of what the daemons' sandboxes need.

use super::Look;
use chancel_sandbox::{landlock, secret_memory};
use std::fs;

/// A kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its release, as `uname -r` says it.
    pub release: Look<String>,
    /// The ABI of Landlock that it offers.
    pub landlock: Look<i32>,
    /// Whether it offers `memfd_secret`.
    pub memfd_secret: bool,
    /// Whether seccomp can end a process.
    pub seccomp: Look<bool>,
}

impl Kernel {
    /// Asks the running one.
    pub fn look() -> Self {
        Self {
            release: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map(|text| text.trim().to_owned())
                .into(),
            landlock: landlock::offered_abi().into(),
            memfd_secret: secret_memory::memfd_secret_is_offered(),
            seccomp: fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")
                .map(|text| text.split_ascii_whitespace().any(|word| word == "kill_process"))
                .into(),
        }
    }
}

/// The first two numbers of a release.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_numbers() {
        assert_eq!(version("6.1.0-25-amd64"), Some((6, 1)));
        assert_eq!(version("5.19"), Some((5, 19)));
        assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version("unknown"), None);
        assert!(version("5.4.1") < Some((5, 19)));
    }
}
