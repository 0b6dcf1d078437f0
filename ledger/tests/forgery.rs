//! Changes by somebody who knows the format and makes the hashes fit.

mod support;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use chancel_domain::{Algorithm, KeyHandle, KeyVersion};
use chancel_ledger::verify::{Finding, Report, verify};
use chancel_ledger::{AuditKey, Event, KeyReference, LedgerName, Options, Record, checkpoint_message};
use std::fs;
use std::path::{Path, PathBuf};
use support::{allow, decision, lines, open, pair, permit, used, write_back};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The line's protected bytes, and its hash.
fn split(line: &str) -> (&str, &str) {
    let (body, rest) = line.rsplit_once(",\"hash\":\"").unwrap();
    (body, rest.strip_suffix("\"}").unwrap())
}

/// Makes all hashes from a place on fit what stands there.
fn reseal(lines: &mut [(PathBuf, String)], from: usize) {
    for place in from..lines.len() {
        let previous = match place.checked_sub(1) {
            Some(before) => split(&lines[before].1).1.to_owned(),
            None => "00".repeat(32),
        };
        let mut bytes: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&previous[at..at + 2], 16).unwrap())
            .collect();
        let body = split(&lines[place].1).0.to_owned();
        bytes.extend_from_slice(body.as_bytes());
        let hash = hex(digest(&SHA256, &bytes).as_ref());
        lines[place].1 = format!("{body},\"hash\":\"{hash}\"}}");
    }
}

fn kinds(report: &Report) -> Vec<&Finding> {
    report.findings.iter().map(|found| &found.finding).collect()
}

fn checkpoint(directory: &Path, name: LedgerName, key: &PqdsaKeyPair) -> u64 {
    let open = open(directory, Options::of(name));
    let request = open.ledger.checkpoint_due(true).unwrap();
    let mut signature = vec![0; 3309];
    key.sign(&checkpoint_message(name, &request), &mut signature)
        .unwrap();
    open.ledger.append_checkpoint(&request, &signature).unwrap();
    request.covers
}

#[test]
fn a_record_whose_own_hash_was_made_to_fit_shows_in_the_next() {
    let (_root, decisions, _) = pair(20);
    let whole = lines(&decisions);
    for place in 0..whole.len() - 1 {
        let mut forged = whole.clone();
        let body = forged[place].1.replacen("\"time\":1", "\"time\":2", 1);
        forged[place].1 = body;
        reseal(&mut forged[..=place], place);
        write_back(&decisions, &forged);
        let report = verify(&decisions, None, None).unwrap();
        assert_eq!(kinds(&report), [&Finding::Changed(place as u64 + 2)], "{place}");
    }
}

#[test]
fn a_ledger_rewritten_from_a_record_on_is_found_by_the_checkpoints_that_covered_it() {
    let (_root, decisions, _) = pair(5);
    let key = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let public = AuditKey::parse(key.public_key().as_ref()).unwrap();
    let covers = checkpoint(&decisions, LedgerName::Decisions, &key);
    let mut forged = lines(&decisions);
    forged[2].1 = forged[2].1.replacen("\"serial\":2", "\"serial\":9", 1);
    reseal(&mut forged, 2);
    write_back(&decisions, &forged);
    assert!(
        verify(&decisions, None, None).unwrap().is_sound(),
        "the chain alone does not tell"
    );
    let report = verify(&decisions, None, Some(&public)).unwrap();
    assert_eq!(kinds(&report), [&Finding::OtherHead(covers)]);
    assert_eq!(report.decisions.covered, None);
}

#[test]
fn a_checkpoint_of_the_other_ledger_does_not_count() {
    let (_root, decisions, uses) = pair(5);
    let key = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let public = AuditKey::parse(key.public_key().as_ref()).unwrap();
    let open = open(&decisions, Options::of(LedgerName::Decisions));
    let request = open.ledger.checkpoint_due(true).unwrap();
    let mut signature = vec![0; 3309];
    key.sign(&checkpoint_message(LedgerName::Uses, &request), &mut signature)
        .unwrap();
    open.ledger.append_checkpoint(&request, &signature).unwrap();
    drop(open);
    let report = verify(&decisions, Some(&uses), Some(&public)).unwrap();
    assert_eq!(kinds(&report), [&Finding::BadSignature]);
}

#[test]
fn a_record_of_a_later_version_is_checked_like_any_other() {
    let (_root, decisions, _) = pair(5);
    let mut later = lines(&decisions);
    let (path, last) = later.last().unwrap().clone();
    let seq = Record::parse(last.as_bytes()).unwrap().seq + 1;
    // Members that this version knows by other types.
    let body = format!(
        "{{\"seq\":{seq},\"time\":1,\"kind\":\"later\",\"permit\":\"none\",\"number\":\"one\",\"key\":{{\"a\":[1]}},\"key_version\":\"2\""
    );
    later.push((path, format!("{body},\"hash\":\"\"}}")));
    let place = later.len() - 1;
    reseal(&mut later, place);
    write_back(&decisions, &later);
    let report = verify(&decisions, None, None).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.decisions.last, Some(seq));
    // And written on.
    drop(open(&decisions, Options::of(LedgerName::Decisions)));
    later[place].1 = later[place].1.replacen("later", "lager", 1);
    write_back(&decisions, &later);
    let report = verify(&decisions, None, None).unwrap();
    assert_eq!(kinds(&report), [&Finding::Changed(seq)]);
}

#[test]
fn each_member_that_a_use_shares_with_its_decision_must_agree() {
    let (_root, decisions, uses) = pair(1);
    let open = [(&decisions, LedgerName::Decisions), (&uses, LedgerName::Uses)]
        .map(|(directory, name)| open(directory, Options::of(name)));
    let reference = |byte| KeyReference {
        algorithm: Algorithm::MlKem768,
        key_version: KeyVersion::new(2).unwrap(),
        key: KeyHandle::from_bytes([byte; 16]),
    };
    let mut serial = 100;
    let mut wrong = |change: fn(&mut chancel_ledger::Use<'static>)| {
        serial += 1;
        open[0].ledger.append(&allow(serial)).unwrap();
        let Event::Use(mut taken) = used(serial) else {
            panic!()
        };
        change(&mut taken);
        open[1].ledger.append(&Event::Use(taken)).unwrap().seq
    };
    let wrong = [
        wrong(|taken| taken.tenant = chancel_domain::TenantId::from_bytes([9; 16])),
        wrong(|taken| taken.api_key = chancel_domain::ApiKeyId::from_bytes([9; 16])),
        wrong(|taken| taken.api_key_version = 2),
        wrong(|taken| taken.request = chancel_domain::RequestId::from_bytes([9; 16])),
        wrong(|taken| taken.operation = chancel_domain::Operation::Decrypt),
        wrong(|taken| taken.algorithm = Algorithm::MlKem768),
        wrong(|taken| taken.key_version = KeyVersion::new(7).unwrap()),
        wrong(|taken| taken.key = KeyHandle::from_bytes([9; 16])),
        wrong(|taken| {
            taken.permit.as_mut().unwrap().payload = chancel_ledger::Hash::from_bytes([9; 32]);
        }),
    ];
    // A rewrapped ciphertext for another key than was permitted.
    let mut rewrap = decision(Some(permit(200)), 200);
    rewrap.target = Some(reference(1));
    open[0].ledger.append(&Event::Allow(rewrap)).unwrap();
    let Event::Use(mut taken) = used(200) else {
        panic!()
    };
    taken.target = Some(reference(2));
    let target = open[1].ledger.append(&Event::Use(taken)).unwrap().seq;
    drop(open);
    let report = verify(&decisions, Some(&uses), None).unwrap();
    let accused: Vec<u64> = report
        .findings
        .iter()
        .map(|found| match found.finding {
            Finding::OtherThanPermitted(seq, _) => seq,
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(accused, wrong.into_iter().chain([target]).collect::<Vec<_>>());
    assert_eq!(report.agreed, 1);
}

#[test]
fn uses_without_a_permit_are_each_found_and_no_other_use_is_accused() {
    let (_root, decisions, uses) = pair(200);
    let mut forged = lines(&uses);
    // Permits of the first thirty uses never were: as many searches in vain.
    for (_, line) in &mut forged[1..31] {
        *line = line.replacen("\"epoch\":7", "\"epoch\":8", 1);
    }
    reseal(&mut forged, 1);
    write_back(&uses, &forged);
    let report = verify(&decisions, Some(&uses), None).unwrap();
    let expected: Vec<u64> = forged[1..31]
        .iter()
        .filter(|(_, line)| line.contains("\"kind\":\"use\""))
        .map(|(_, line)| Record::parse(line.as_bytes()).unwrap().seq)
        .collect();
    let accused: Vec<u64> = report
        .findings
        .iter()
        .filter_map(|found| match found.finding {
            Finding::UseWithoutPermit(seq) => Some(seq),
            _ => None,
        })
        .collect();
    assert_eq!(accused, expected);
    assert_eq!(report.agreed, 200 - expected.len() as u64);
}

#[test]
fn uses_whose_decisions_were_removed_for_their_age_are_accused_of_nothing() {
    let (_root, decisions, uses) = pair(40);
    // The two were written within milliseconds: also those uses count as old that came just after the oldest decision.
    let removed = lines(&decisions)
        .iter()
        .filter(|(path, line)| path.ends_with("0000000001.jsonl") && line.contains("\"permit\""))
        .count() as u64;
    assert!(removed > 2);
    fs::remove_file(decisions.join("0000000001.jsonl")).unwrap();
    let open = open(&decisions, Options::of(LedgerName::Decisions));
    open.ledger.append(&Event::Retention { through: 1 }).unwrap();
    drop(open);
    let report = verify(&decisions, Some(&uses), None).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.too_old, report.agreed), (removed, 40 - removed));
}

#[test]
fn segments_that_went_without_a_word_are_missing() {
    let (_root, decisions, _) = pair(40);
    fs::remove_file(decisions.join("0000000001.jsonl")).unwrap();
    let report = verify(&decisions, None, None).unwrap();
    let first = report.decisions.first.unwrap();
    assert_eq!(kinds(&report), [&Finding::Missing(1, first - 1)]);
}

#[test]
fn a_ledger_of_which_nothing_is_left_is_not_sound() {
    let (_root, decisions, uses) = pair(5);
    let empty = tempfile::tempdir().unwrap();
    assert!(!verify(empty.path(), None, None).unwrap().is_sound());
    assert!(!verify(&decisions, Some(empty.path()), None).unwrap().is_sound());
    assert!(!verify(empty.path(), Some(&uses), None).unwrap().is_sound());
}
