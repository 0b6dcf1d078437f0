//! Sockets, state and the room for it.

use crate::command::doctor::expected::{Expected, Group};
use crate::command::doctor::facts::{Facts, LedgerRoom};
use crate::command::doctor::finding::Finding;
use crate::host::Look;
use crate::host::disk::bytes;
use crate::host::file::Found;

/// Below so many times the reserve somebody should begin to think of it.
const SOON: u64 = 16;

/// What should be where, in one group. Everything in order is one finding and not ten.
pub fn of(group: Group, facts: &Facts) -> Vec<Finding> {
    let looked: Vec<_> = facts
        .files
        .iter()
        .filter(|(expected, _)| expected.group == group)
        .collect();
    if looked.is_empty() {
        return vec![Finding::skip("the configuration does not say where")];
    }
    let mut findings = Vec::new();
    let mut sound = 0;
    for (expected, found) in looked {
        match judged(expected, found) {
            Some(finding) => findings.push(finding),
            None => sound += 1,
        }
    }
    if sound > 0 {
        findings.insert(
            0,
            Finding::ok(format!("{sound} with the right owner and permissions")),
        );
    }
    findings
}

/// What is wrong with it.
fn judged(expected: &Expected, found: &Look<Option<Found>>) -> Option<Finding> {
    let path = expected.path.display();
    let found = match found {
        Look::Unseen(reason) => return Some(Finding::skip(format!("{reason}; root can look"))),
        Look::Seen(None) => {
            return Some(Finding::fail(format!("{path} is missing"), expected.when_missing));
        }
        Look::Seen(Some(found)) => found,
    };
    let open = found.mode & expected.forbidden;
    if found.kind != expected.kind {
        return Some(Finding::fail(
            format!("{path} is {}, and should be {}", found.kind, expected.kind),
            "find out who put it there, and remove it",
        ));
    }
    if !expected.owners.iter().any(|owner| owner.uid == Some(found.uid)) {
        let wanted: Vec<_> = expected.owners.iter().map(|owner| owner.name.as_str()).collect();
        return Some(Finding::fail(
            format!("{path} belongs to uid {}", found.uid),
            format!("chown {} {path}", wanted.first().unwrap_or(&"root")),
        ));
    }
    if open != 0 {
        return Some(Finding::fail(
            format!("{path} has mode {:o}: others can get at it", found.mode),
            format!("chmod {:o} {path}", found.mode & !expected.forbidden),
        ));
    }
    None
}

/// Whether there is room to go on writing ledgers.
pub fn ledger_space(facts: &Facts) -> Vec<Finding> {
    if facts.ledgers.is_empty() {
        return vec![Finding::skip("the configuration does not say where")];
    }
    facts.ledgers.iter().map(room).collect()
}

fn room(ledger: &LedgerRoom) -> Finding {
    let LedgerRoom {
        name,
        directory,
        reserve,
        space,
    } = ledger;
    let space = match space {
        Look::Unseen(reason) => return Finding::skip(format!("{name}: {reason}")),
        Look::Seen(space) => space,
    };
    let found = format!(
        "{name}: {} of {} free at {}",
        bytes(space.free),
        bytes(space.total),
        directory.display()
    );
    if space.free == 0 || space.free < *reserve {
        Finding::fail(
            format!("{found}, less than its reserve of {}", bytes(*reserve)),
            "make room now: when it is full, what cannot be recorded is not done (docs/operations/audit.md)",
        )
    } else if space.free < reserve.saturating_mul(SOON) {
        Finding::warn(found, "make room, or shorten retention_days")
    } else {
        Finding::ok(found)
    }
}
