//! Each kind of tampering with copies of a real installation's ledgers is found, and where.

use crate::work::Party;
use chancel_ledger::LedgerName::{self, Decisions, Uses};
use chancel_ledger::verify::{Finding, Report};
use chancel_tests::ledgers::Copies;
use chancel_tests::{Daemon, Installation};
use std::path::PathBuf;
use std::sync::OnceLock;

struct Made {
    copies: Copies,
    key: Vec<u8>,
}

/// Copies of the ledgers of an installation that worked and was stopped.
fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let system = Installation::new();
        let parties = ["one", "two"].map(|name| Party::new(&system, name));
        for party in &parties {
            party.work(&system, 8);
        }
        let key = system.audit_key();
        for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
            system.stop(daemon);
        }
        let made = Made {
            copies: system.copy_ledgers(),
            key,
        };
        let report = made.copies.verify(&made.key);
        assert!(
            report.is_sound(),
            "the untouched copy is sound: {:?}",
            report.findings
        );
        assert!(report.agreed > 0);
        made
    })
}

type Lines = Vec<(PathBuf, String)>;

/// Does something to a ledger's lines and returns what the verifier says.
#[track_caller]
fn tamper(name: LedgerName, change: impl FnOnce(&mut Lines)) -> Report {
    let made = made();
    let copies = made.copies.again();
    let mut lines = copies.lines(name);
    let before = lines.clone();
    change(&mut lines);
    assert_ne!(lines, before, "something was done");
    copies.write_back(name, &lines);
    copies.verify(&made.key)
}

/// Whether a finding is at a line (from 0) of a ledger, or at one beside it: what follows a missing line shows that.
#[track_caller]
fn assert_found_at(report: &Report, name: LedgerName, line: usize, what: &str) {
    let near = |found: u64| found.abs_diff(line as u64 + 1) <= 1;
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.ledger == name && near(found.place.line)),
        "{what} {name} line {}: {:?}",
        line + 1,
        report.findings
    );
}

/// Lines that are tried: all of a short ledger, a sample of a long one, always the first and the last but the very last.
fn sample(count: usize) -> Vec<usize> {
    let step = (count / 40).max(1);
    let mut sample: Vec<_> = (0..count).step_by(step).collect();
    sample.extend([count - 2, count - 1]);
    sample
}

#[test]
fn any_record_that_is_removed_is_found() {
    for name in [Decisions, Uses] {
        let count = made().copies.lines(name).len();
        // The very last line's removal is what a checkpoint, or the other ledger, or a later line shows.
        for line in sample(count).into_iter().filter(|line| *line + 1 < count) {
            let report = tamper(name, |lines| _ = lines.remove(line));
            assert!(!report.is_sound(), "{name} without line {}", line + 1);
            assert_found_at(&report, name, line, "removed from");
        }
    }
}

#[test]
fn any_record_that_is_edited_is_found() {
    for name in [Decisions, Uses] {
        let lines = made().copies.lines(name);
        for line in sample(lines.len()) {
            let length = lines[line].1.len();
            for place in [8, length / 3, length / 2, length - 4] {
                let report = tamper(name, |lines| {
                    let mut bytes = lines[line].1.clone().into_bytes();
                    bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
                    lines[line].1 = String::from_utf8(bytes).expect("text");
                });
                assert!(!report.is_sound(), "{name} line {} byte {place}", line + 1);
                assert_found_at(&report, name, line, "edited in");
            }
        }
    }
}

#[test]
fn any_record_that_is_duplicated_or_moved_is_found() {
    for name in [Decisions, Uses] {
        let count = made().copies.lines(name).len();
        for line in sample(count) {
            let report = tamper(name, |lines| lines.insert(line, lines[line].clone()));
            assert!(!report.is_sound(), "{name} line {} twice", line + 1);
            assert_found_at(&report, name, line, "duplicated in");
            if line + 1 < count {
                let report = tamper(name, |lines| lines.swap(line, line + 1));
                assert!(
                    !report.is_sound(),
                    "{name} lines {} and the next swapped",
                    line + 1
                );
                assert_found_at(&report, name, line, "swapped in");
            }
        }
    }
}

/// What somebody can do who has the files and knows the format: hash everything anew.
fn rechain(lines: &mut Lines) {
    use aws_lc_rs::digest::{SHA256, digest};
    let mut head = [0; 32];
    for (number, (_, line)) in lines.iter_mut().enumerate() {
        let end = line.rfind(",\"hash\":").expect("a line has a hash");
        let mut body = line[..end].to_owned();
        let rest = body.split_once(',').expect("a line has members").1.to_owned();
        body = format!("{{\"seq\":{},{rest}", number + 1);
        let hash = digest(&SHA256, &[&head[..], body.as_bytes()].concat());
        head.copy_from_slice(hash.as_ref());
        let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        *line = format!("{body},\"hash\":\"{hex}\"}}");
    }
}

#[test]
fn hashing_anew_as_the_daemons_do_gives_the_same_lines() {
    // The control: without it the tests below would find their own mistakes.
    for name in [Decisions, Uses] {
        let mut lines = made().copies.lines(name);
        let before = lines.clone();
        rechain(&mut lines);
        assert_eq!(lines, before, "{name}");
    }
}

#[test]
fn a_chain_that_was_hashed_anew_is_found_by_its_checkpoints() {
    for name in [Decisions, Uses] {
        let made = made();
        let copies = made.copies.again();
        let mut lines = copies.lines(name);
        lines.remove(3);
        rechain(&mut lines);
        copies.write_back(name, &lines);
        let report = copies.verify(&made.key);
        let by_signature = |finding: &Finding| {
            matches!(
                finding,
                Finding::BadSignature | Finding::OtherHead(_) | Finding::Foreign | Finding::Missing(..)
            )
        };
        assert!(
            report
                .findings
                .iter()
                .any(|found| found.ledger == name && by_signature(&found.finding)),
            "{name}: {:?}",
            report.findings
        );
    }
}

#[test]
fn a_use_without_a_permit_is_found_although_its_chain_is_sound() {
    // A decision taken away, and everything after it hashed anew: the use that it allowed stands alone.
    let made = made();
    let copies = made.copies.again();
    let mut lines = copies.lines(Decisions);
    let allowed = lines
        .iter()
        .position(|(_, line)| line.contains("\"kind\":\"allow\"") && line.contains("\"permit\":"))
        .expect("a permit");
    lines.remove(allowed);
    rechain(&mut lines);
    copies.write_back(Decisions, &lines);
    let report = copies.verify(&made.key);
    let alone = |finding: &Finding| matches!(finding, Finding::UseWithoutPermit(_));
    assert_eq!(
        report
            .findings
            .iter()
            .filter(|found| alone(&found.finding))
            .count(),
        1,
        "{:?}",
        report.findings
    );
    let found = report
        .findings
        .iter()
        .find(|found| alone(&found.finding))
        .expect("found");
    assert_eq!(found.ledger, Uses);
    let line = usize::try_from(found.place.line).expect("a line") - 1;
    assert!(
        copies.lines(Uses)[line].1.contains("\"kind\":\"use\""),
        "and where"
    );
}

#[test]
fn a_use_of_something_else_than_was_permitted_and_a_second_use_are_found() {
    type Edit = fn(&mut Lines, usize);
    type Expected = fn(&Finding) -> bool;
    let edits: [(Edit, Expected); 3] = [
        (
            |lines, line| {
                lines[line].1 =
                    lines[line]
                        .1
                        .replacen("\"operation\":\"sign\"", "\"operation\":\"decrypt\"", 1)
            },
            |finding| matches!(finding, Finding::OtherThanPermitted(..)),
        ),
        (
            |lines, line| {
                let at = lines[line].1.find("\"tenant\":\"").expect("a tenant") + 10;
                let other = if &lines[line].1[at..=at] == "0" { "1" } else { "0" };
                lines[line].1.replace_range(at..=at, other);
            },
            |finding| matches!(finding, Finding::OtherThanPermitted(..)),
        ),
        (
            |lines, line| lines.insert(line, lines[line].clone()),
            |finding| matches!(finding, Finding::PermitUsedTwice(..)),
        ),
    ];
    for (number, (edit, is_it)) in edits.iter().enumerate() {
        let made = made();
        let copies = made.copies.again();
        let mut lines = copies.lines(Uses);
        let line = lines
            .iter()
            .position(|(_, line)| {
                line.contains("\"kind\":\"use\"") && line.contains("\"operation\":\"sign\"")
            })
            .expect("a signature");
        edit(&mut lines, line);
        rechain(&mut lines);
        copies.write_back(Uses, &lines);
        let report = copies.verify(&made.key);
        assert!(
            report.findings.iter().any(|found| is_it(&found.finding)),
            "edit {number}: {:?}",
            report.findings
        );
    }
}

#[test]
fn a_ledger_of_another_installation_and_another_ones_key_are_not_taken_for_this_ones() {
    let system = Installation::new();
    Party::new(&system, "elsewhere").work(&system, 2);
    let other_key = system.audit_key();
    for daemon in [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd] {
        system.stop(daemon);
    }
    let made = made();
    assert_ne!(other_key, made.key);
    let report = made.copies.verify(&other_key);
    assert!(
        report
            .findings
            .iter()
            .all(|found| found.finding == Finding::BadSignature)
            && !report.is_sound(),
        "{:?}",
        report.findings
    );
    // The uses of one with the decisions of the other.
    let mixed = made.copies.again();
    let others = system.copy_ledgers();
    mixed.write_back(Decisions, &[]);
    let lines: Lines = others
        .lines(Decisions)
        .into_iter()
        .map(|(path, line)| {
            let name = path.file_name().expect("a name").to_owned();
            (mixed.ledger(Decisions).join(name), line)
        })
        .collect();
    mixed.write_back(Decisions, &lines);
    assert!(!mixed.verify(&made.key).is_sound());
}
