//! Whatever is done to one record, verification finds it and says where.

mod support;

use chancel_domain::Operation;
use chancel_ledger::verify::{Finding, verify};
use chancel_ledger::{AuditKey, Event, LedgerName, Options, checkpoint_message};
use proptest::prelude::*;
use support::{allow, decision, lines, open, pair, used, write_back};

fn findings(decisions: &std::path::Path, uses: &std::path::Path) -> Vec<Finding> {
    let report = verify(decisions, Some(uses), None).unwrap();
    assert_eq!(report.total_findings as usize, report.findings.len());
    report.findings.into_iter().map(|found| found.finding).collect()
}

#[test]
fn whole_ledgers_agree() {
    let (_root, decisions, uses) = pair(40);
    let report = verify(&decisions, Some(&uses), None).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.agreed, 40);
    assert!(report.decisions.records > 40, "segments have their first lines");
    assert_eq!(report.decisions.first, Some(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_record_that_is_changed_in_any_byte_is_found(place in 0usize..30, byte in 0usize..600, with in 1u8..255) {
        let (_root, decisions, uses) = pair(20);
        let mut all = lines(&decisions);
        let place = place % all.len();
        let mut bytes = all[place].1.clone().into_bytes();
        let byte = byte % bytes.len();
        bytes[byte] ^= with;
        prop_assume!(bytes[byte] != b'\n');
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        all[place].1 = text;
        write_back(&decisions, &all);
        let report = verify(&decisions, Some(&uses), None).unwrap();
        prop_assert!(!report.is_sound());
        let line = 1 + all[..place].iter().filter(|(path, _)| *path == all[place].0).count() as u64;
        let found = report.findings.iter().any(|found| {
            // A changed number shows in the line after it at the latest.
            found.place.path == all[place].0 && (line..=line + 1).contains(&found.place.line)
                || found.place.line == 1
        });
        prop_assert!(found, "line {line}: {:?}", report.findings);
    }

    #[test]
    fn a_record_that_is_removed_is_found(place in 0usize..30) {
        let (_root, decisions, uses) = pair(20);
        let mut all = lines(&uses);
        // The last one: its absence is the tail's, which a checkpoint protects.
        let place = place % (all.len() - 1);
        all.remove(place);
        write_back(&uses, &all);
        let seq = place as u64 + 1;
        let found = findings(&decisions, &uses);
        // Without its first line the first segment may begin anywhere: it says so.
        let expected = if place == 0 { Finding::NoHeader } else { Finding::Missing(seq, seq) };
        prop_assert!(found.contains(&expected), "{seq}: {found:?}");
    }

    #[test]
    fn two_records_that_change_places_are_found(place in 1usize..30) {
        let (_root, decisions, uses) = pair(20);
        let mut all = lines(&uses);
        let place = 1 + place % (all.len() - 2);
        let (first, second) = (all[place].1.clone(), all[place + 1].1.clone());
        all[place].1 = second;
        all[place + 1].1 = first;
        write_back(&uses, &all);
        let found = findings(&decisions, &uses);
        prop_assert!(found.contains(&Finding::Misplaced(place as u64 + 1)), "{place}: {found:?}");
    }

    #[test]
    fn a_record_that_is_there_twice_is_found(place in 0usize..30) {
        let (_root, decisions, uses) = pair(20);
        let mut all = lines(&uses);
        let place = place % all.len();
        let again = all[place].clone();
        all.insert(place + 1, again);
        write_back(&uses, &all);
        let found = findings(&decisions, &uses);
        prop_assert!(found.contains(&Finding::Duplicated(place as u64 + 1)), "{place}: {found:?}");
    }
}

#[test]
fn a_use_without_a_permit_is_found_though_its_chain_is_whole() {
    let (_root, decisions, uses) = pair(5);
    let ledger = open(&uses, Options::of(LedgerName::Uses));
    let position = ledger.ledger.append(&used(99)).unwrap();
    drop(ledger);
    assert_eq!(
        findings(&decisions, &uses),
        [Finding::UseWithoutPermit(position.seq)]
    );
}

#[test]
fn a_permit_that_was_used_twice_is_found() {
    let (_root, decisions, uses) = pair(5);
    let ledger = open(&uses, Options::of(LedgerName::Uses));
    let position = ledger.ledger.append(&used(3)).unwrap();
    drop(ledger);
    let found = findings(&decisions, &uses);
    assert!(
        matches!(found[..], [Finding::PermitUsedTwice(seq, _)] if seq == position.seq),
        "{found:?}"
    );
}

#[test]
fn a_use_of_something_else_than_was_permitted_is_found() {
    let (_root, decisions, uses) = pair(5);
    let (allowed, taken) = (
        open(&decisions, Options::of(LedgerName::Decisions)),
        open(&uses, Options::of(LedgerName::Uses)),
    );
    let mut wrong = decision(Some(support::permit(50)), 50);
    wrong.operation = Operation::Decrypt;
    allowed.ledger.append(&Event::Allow(wrong)).unwrap();
    let position = taken.ledger.append(&used(50)).unwrap();
    drop((allowed, taken));
    let found = findings(&decisions, &uses);
    assert!(
        matches!(found[..], [Finding::OtherThanPermitted(seq, _)] if seq == position.seq),
        "{found:?}"
    );
}

#[test]
fn a_permit_that_two_decisions_name_is_found() {
    let (_root, decisions, uses) = pair(5);
    let ledger = open(&decisions, Options::of(LedgerName::Decisions));
    let position = ledger.ledger.append(&allow(2)).unwrap();
    drop(ledger);
    assert_eq!(
        findings(&decisions, &uses),
        [Finding::PermitIssuedTwice(position.seq)]
    );
}

#[test]
fn a_segment_of_another_ledger_is_found() {
    let (_root, decisions, uses) = pair(20);
    let (_other, others, _) = pair(20);
    let name = "0000000002.jsonl";
    std::fs::copy(others.join(name), decisions.join(name)).unwrap();
    let found = findings(&decisions, &uses);
    assert!(found.contains(&Finding::Foreign), "{found:?}");
}

#[test]
fn a_segment_that_is_taken_away_is_found() {
    let (_root, decisions, uses) = pair(40);
    std::fs::remove_file(decisions.join("0000000002.jsonl")).unwrap();
    let found = findings(&decisions, &uses);
    assert!(
        found.iter().any(|found| matches!(found, Finding::Missing(..))),
        "{found:?}"
    );
}

#[test]
fn a_checkpoint_counts_when_the_audit_key_signed_it_and_not_otherwise() {
    use aws_lc_rs::signature::KeyPair;
    use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
    let (_root, decisions, uses) = pair(5);
    let key = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let ledger = open(&decisions, Options::of(LedgerName::Decisions));
    let request = ledger.ledger.checkpoint_due(true).unwrap();
    let mut signature = vec![0; 3309];
    key.sign(
        &checkpoint_message(LedgerName::Decisions, &request),
        &mut signature,
    )
    .unwrap();
    ledger.ledger.append_checkpoint(&request, &signature).unwrap();
    assert_eq!(ledger.ledger.checkpoint_due(true), None, "nothing new to cover");
    drop(ledger);
    let public = AuditKey::parse(key.public_key().as_ref()).unwrap();
    let report = verify(&decisions, Some(&uses), Some(&public)).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(
        (report.decisions.checkpoints, report.decisions.covered),
        (1, Some(request.covers))
    );
    let other = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let other = AuditKey::parse(other.public_key().as_ref()).unwrap();
    let report = verify(&decisions, Some(&uses), Some(&other)).unwrap();
    assert!(matches!(report.findings[..], [ref found] if found.finding == Finding::BadSignature));
}
