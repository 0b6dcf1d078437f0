//! The machine: kernel, memory, clock.

use crate::command::doctor::facts::Facts;
use crate::command::doctor::finding::Finding;
use crate::host::Look;
use crate::host::kernel::version;
use crate::host::memory::SwapKind;
use chancel_sandbox::landlock::OLDEST_OFFER;

/// The first that has all that the sandboxes need.
const OLDEST_KERNEL: (u32, u32) = (5, 19);

/// Whether the kernel is new enough.
pub fn kernel(facts: &Facts) -> Vec<Finding> {
    let finding = match &facts.kernel.release {
        Look::Unseen(reason) => Finding::skip(reason),
        Look::Seen(release) => match version(release) {
            None => Finding::skip(format!("a release {release:?} that cannot be compared")),
            Some(found) if found >= OLDEST_KERNEL => Finding::ok(format!("Linux {release}")),
            Some(_) => Finding::fail(
                format!("Linux {release}"),
                "install Linux 5.19 or newer; Debian 12 has 6.1",
            ),
        },
    };
    vec![finding]
}

/// Whether the file system can be restricted.
pub fn landlock(facts: &Facts) -> Vec<Finding> {
    const BOOT: &str = "boot with lsm=landlock,… before the others in the kernel's command line; no daemon starts without it";
    let finding = match &facts.kernel.landlock {
        Look::Seen(abi) if *abi >= OLDEST_OFFER => Finding::ok(format!("offered, ABI {abi}")),
        Look::Seen(abi) => Finding::fail(
            format!("ABI {abi}, and {OLDEST_OFFER} is needed"),
            "install Linux 5.19 or newer; no daemon starts without it",
        ),
        Look::Unseen(reason) => Finding::fail(format!("not offered: {reason}"), BOOT),
    };
    vec![finding]
}

/// Whether system calls can be filtered.
pub fn seccomp(facts: &Facts) -> Vec<Finding> {
    let finding = match &facts.kernel.seccomp {
        Look::Seen(true) => Finding::ok("filters that end a process"),
        Look::Seen(false) => Finding::fail(
            "no filters that end a process",
            "install a kernel with CONFIG_SECCOMP_FILTER",
        ),
        Look::Unseen(reason) => Finding::fail(
            format!("not offered: {reason}"),
            "install a kernel with CONFIG_SECCOMP_FILTER; no daemon starts without it",
        ),
    };
    vec![finding]
}

/// Whether keys can be where not even the kernel maps them.
pub fn secret_memory(facts: &Facts) -> Vec<Finding> {
    let finding = if facts.kernel.memfd_secret {
        Finding::ok("memfd_secret: keys are in no map but keyd's own")
    } else {
        Finding::warn(
            "no memfd_secret: keys are in locked pages, which the kernel and root can read",
            "boot with secretmem.enable=1 (before Linux 6.5 it is off), and restart chancel-keyd",
        )
    };
    vec![finding]
}

/// Whether memory can get onto a disk.
pub fn swap(facts: &Facts) -> Vec<Finding> {
    let swaps = match &facts.swaps {
        Look::Unseen(reason) => return vec![Finding::skip(reason)],
        Look::Seen(swaps) => swaps,
    };
    let plain: Vec<&str> = swaps
        .iter()
        .filter(|swap| swap.kind == SwapKind::Plain)
        .map(|swap| swap.name.as_str())
        .collect();
    let finding = if !plain.is_empty() {
        Finding::warn(
            format!("on {}, which is not known to be encrypted", plain.join(", ")),
            "encrypt it or swapoff it: keyd's keys are never swapped, but policyd's and the gateway's secrets can be",
        )
    } else if swaps.is_empty() {
        Finding::ok("none")
    } else {
        Finding::ok("in memory or on encrypted devices only")
    };
    vec![finding]
}

/// Whether the time is right: permits, API keys and certificates expire by it.
pub fn clock(facts: &Facts) -> Vec<Finding> {
    let finding = match &facts.clock_synchronised {
        Look::Unseen(reason) => Finding::skip(format!("whether it is synchronised: {reason}")),
        Look::Seen(true) => Finding::ok("synchronised"),
        Look::Seen(false) => Finding::warn(
            "not synchronised: expiry, hours of rules and times in ledgers are only as right as it is",
            "timedatectl set-ntp true, or install chrony",
        ),
    };
    vec![finding]
}
