//! The daemons: configured, running, within their limits, confined, ready.

use crate::command::doctor::facts::Facts;
use crate::command::doctor::finding::Finding;
use crate::host::Look;
use crate::host::systemd::{GATEWAY, KEYD, UNITS, Unit};

/// Bytes of locked memory a key, and how many more there are than cached keys; docs/configuration.md.
const SECRET_SLOT: u64 = 5120;
const MORE_SLOTS: u64 = 2;
/// Files that the gateway needs; docs/configuration.md.
const GATEWAY_FILES: u64 = 2144;

/// Whether the files are there and can be read. What they say is checked by the daemons.
pub fn configuration(facts: &Facts) -> Vec<Finding> {
    let configuration = &facts.configuration;
    let reasons = [
        unseen(&configuration.keyd),
        unseen(&configuration.policyd),
        unseen(&configuration.gateway),
    ];
    let findings: Vec<_> = reasons
        .into_iter()
        .flatten()
        .map(|reason| {
            Finding::fail(
                reason,
                "mend it (docs/configuration.md); where it is meant to be elsewhere, say --config-directory",
            )
        })
        .collect();
    if findings.is_empty() {
        vec![Finding::ok("keyd.toml, policyd.toml and gateway.toml are there")]
    } else {
        findings
    }
}

fn unseen<T>(look: &Look<T>) -> Option<&str> {
    match look {
        Look::Unseen(reason) => Some(reason),
        Look::Seen(_) => None,
    }
}

/// Whether the daemons have an account each, and none of them root's.
pub fn accounts(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<_> = facts
        .accounts
        .iter()
        .filter(|account| account.uid.is_none())
        .map(|account| {
            Finding::fail(
                format!("there is no account {}", account.name),
                "systemd-sysusers makes those of the packages",
            )
        })
        .collect();
    let mut uids: Vec<u32> = facts.accounts.iter().filter_map(|account| account.uid).collect();
    uids.sort_unstable();
    uids.dedup();
    if findings.is_empty() && (uids.len() < facts.accounts.len() || uids.contains(&0)) {
        findings.push(Finding::fail(
            "daemons share an account, or use root's: the kernel cannot keep them apart",
            "give each its own in keyd.toml, policyd.toml and gateway.toml",
        ));
    }
    if findings.is_empty() {
        let names: Vec<_> = facts
            .accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect();
        findings.push(Finding::ok(names.join(", ")));
    }
    findings
}

/// Whether they run, and since when without a crash.
pub fn active(facts: &Facts) -> Vec<Finding> {
    match &facts.units {
        Look::Unseen(reason) => vec![Finding::skip(format!("whether the units are active: {reason}"))],
        Look::Seen(units) => UNITS
            .iter()
            .map(|name| match units.iter().find(|unit| unit.name == *name) {
                None => Finding::skip(format!("{name}: systemctl did not tell of it")),
                Some(unit) => judged(unit),
            })
            .collect(),
    }
}

fn judged(unit: &Unit) -> Finding {
    let Unit {
        name,
        active_state,
        sub_state,
        since,
        restarts,
        ..
    } = unit;
    if unit.load_state == "not-found" {
        Finding::fail(
            format!("{name}: there is no such unit"),
            "install the package it is in",
        )
    } else if active_state != "active" {
        Finding::fail(
            format!("{name}: {active_state} ({sub_state})"),
            format!("journalctl -u {name} -n 30 says why; then systemctl start {name}"),
        )
    } else if *restarts > 0 {
        Finding::warn(
            format!(
                "{name}: active since {since}; it ended by itself {}",
                times(*restarts)
            ),
            format!("journalctl -u {name} says why it ended; systemctl restart sets the count back"),
        )
    } else {
        Finding::ok(format!("{name}: active since {since}"))
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// Whether what they may have is enough, and no core is dumped.
pub fn limits(facts: &Facts) -> Vec<Finding> {
    let Look::Seen(units) = &facts.units else {
        return vec![Finding::skip("the units' limits: systemd does not tell of them")];
    };
    let mut findings = Vec::new();
    let loaded = |name| facts.unit(name).filter(|unit| unit.load_state == "loaded");
    if let (Some(unit), Some(keyd)) = (loaded(KEYD), facts.configuration.keyd.seen()) {
        let needed = keyd
            .cached_keys
            .saturating_add(MORE_SLOTS)
            .saturating_mul(SECRET_SLOT);
        let found = format!(
            "keyd locks {needed} bytes for {} cached keys, and may lock {}",
            keyd.cached_keys,
            limit(unit.memlock)
        );
        findings.push(enough(unit.memlock, needed, found, KEYD, "LimitMEMLOCK"));
    }
    if let Some(unit) = loaded(GATEWAY) {
        let found = format!(
            "the gateway may have {} files open, and needs {GATEWAY_FILES}",
            limit(unit.open_files)
        );
        findings.push(enough(
            unit.open_files,
            GATEWAY_FILES,
            found,
            GATEWAY,
            "LimitNOFILE",
        ));
    }
    let dumping: Vec<_> = units
        .iter()
        .filter(|unit| unit.name.ends_with(".service") && unit.load_state == "loaded" && unit.core != Some(0))
        .map(|unit| unit.name.as_str())
        .collect();
    if dumping.is_empty() {
        findings.push(Finding::ok("no core dumps"));
    } else {
        findings.push(Finding::warn(
            format!(
                "{} may dump core; the daemons forbid it themselves, from a moment after their start",
                dumping.join(", ")
            ),
            "LimitCORE=0 in a drop-in (systemctl edit)",
        ));
    }
    findings
}

fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string())
}

fn enough(limit: Option<u64>, needed: u64, found: String, unit: &str, setting: &str) -> Finding {
    if limit.is_none_or(|limit| limit >= needed) {
        Finding::ok(found)
    } else {
        Finding::fail(
            found,
            format!("{setting}={needed} in a drop-in (systemctl edit {unit}), then restart it"),
        )
    }
}

/// Whether the kernel says of each running daemon that it is confined.
pub fn sandbox(facts: &Facts) -> Vec<Finding> {
    if facts.processes.is_empty() {
        return vec![Finding::skip(
            "the daemons' sandboxes: systemd tells of no running daemon",
        )];
    }
    facts
        .processes
        .iter()
        .map(|(unit, process)| match process {
            Look::Unseen(reason) => Finding::skip(format!("{unit}: {reason}")),
            Look::Seen(confined)
                if confined.seccomp == 2
                    && confined.no_new_privs
                    && confined.capabilities == 0
                    && confined.uid != 0 =>
            {
                Finding::ok(format!(
                    "{unit}: system calls filtered, no capabilities, uid {}",
                    confined.uid
                ))
            }
            Look::Seen(confined) => Finding::fail(
                format!(
                    "{unit}: seccomp mode {}, no new privileges: {}, capabilities {:x}, uid {}",
                    confined.seccomp, confined.no_new_privs, confined.capabilities, confined.uid
                ),
                format!(
                    "it is not the shipped program, or is starting: look again, then at journalctl -u {unit}"
                ),
            ),
        })
        .collect()
}

/// Whether requests are answered.
pub fn readiness(facts: &Facts) -> Vec<Finding> {
    let finding = match &facts.readiness {
        Look::Unseen(reason) if facts.configuration.gateway.seen().is_none() => {
            Finding::skip(format!("where the monitor is: {reason}"))
        }
        Look::Unseen(reason) => Finding::fail(
            format!("the gateway's monitor does not answer: {reason}"),
            "is the gateway running (systemctl status chancel-gateway)?",
        ),
        Look::Seen(readiness) if readiness.is_ready() => Finding::ok("requests are answered"),
        Look::Seen(readiness) => Finding::fail(
            format!("policyd is {}, keyd {}", readiness.policyd, readiness.keyd),
            "journalctl -u chancel-policyd -u chancel-keyd -n 30 says why",
        ),
    };
    vec![finding]
}
