//! One fault at every place of a ledger: verification finds each, says where, and accuses nobody else.

mod support;

use chancel_ledger::verify::{Finding, Found, verify};
use std::path::Path;
use support::{lines, pair, write_back};

type Lines = Vec<(std::path::PathBuf, String)>;

fn found(decisions: &Path, uses: &Path) -> Vec<Found> {
    verify(decisions, Some(uses), None).unwrap().findings
}

/// Does something to each line of both ledgers in turn, and looks at what is found.
fn at_every_place(change: impl Fn(&mut Lines, usize) -> bool, expected: impl Fn(&Lines, usize, &[Found])) {
    let (_root, decisions, uses) = pair(20);
    for directory in [&decisions, &uses] {
        let whole = lines(directory);
        assert!(
            whole.iter().any(|(path, _)| *path != whole[0].0),
            "more than a segment"
        );
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            if change(&mut changed, place) {
                write_back(directory, &changed);
                expected(&whole, place, &found(&decisions, &uses));
            }
        }
        write_back(directory, &whole);
    }
    assert!(found(&decisions, &uses).is_empty());
}

/// The line's number in its file.
fn line_of(lines: &Lines, place: usize) -> u64 {
    1 + lines[..place]
        .iter()
        .filter(|(path, _)| *path == lines[place].0)
        .count() as u64
}

fn begins_a_segment(lines: &Lines, place: usize) -> bool {
    line_of(lines, place) == 1
}

#[test]
fn a_removed_record_is_found_by_its_number() {
    at_every_place(
        |lines, place| {
            let is_last = place + 1 == lines.len();
            lines.remove(place);
            // What is missing at the very end only a checkpoint or the other ledger tells.
            !is_last
        },
        |_, place, found| {
            let seq = place as u64 + 1;
            let missing = |found: &Found| found.finding == Finding::Missing(seq, seq);
            let header = |found: &Found| found.finding == Finding::NoHeader;
            assert!(
                found
                    .iter()
                    .any(|found| missing(found) || place == 0 && header(found)),
                "{place}: {found:?}"
            );
        },
    );
}

#[test]
fn a_record_that_stands_twice_is_found_by_its_number_and_place() {
    at_every_place(
        |lines, place| {
            let again = lines[place].clone();
            lines.insert(place + 1, again);
            true
        },
        |lines, place, found| {
            let seq = place as u64 + 1;
            let [found] = found else {
                panic!("{place}: {found:?}")
            };
            assert_eq!(found.finding, Finding::Duplicated(seq));
            assert_eq!(
                (&found.place.path, found.place.line),
                (&lines[place].0, line_of(lines, place) + 1)
            );
        },
    );
}

#[test]
fn a_record_that_is_put_at_the_end_again_is_found() {
    at_every_place(
        |lines, place| {
            let last = lines.last().unwrap().0.clone();
            let again = lines[place].1.clone();
            lines.push((last, again));
            true
        },
        |_, place, found| {
            let [found] = found else {
                panic!("{place}: {found:?}")
            };
            assert_eq!(found.finding, Finding::Duplicated(place as u64 + 1));
        },
    );
}

#[test]
fn two_records_that_changed_places_are_found_however_far_apart() {
    for distance in [1, 2, 7] {
        at_every_place(
            |lines, place| {
                if place + distance >= lines.len() {
                    return false;
                }
                let text = std::mem::take(&mut lines[place].1);
                lines[place].1 = std::mem::replace(&mut lines[place + distance].1, text);
                true
            },
            |lines, place, found| {
                let numbers = place as u64 + 1..=place as u64 + 1 + distance as u64;
                let misplaced = |found: &Found| match found.finding {
                    Finding::Misplaced(seq) | Finding::Changed(seq) => numbers.contains(&seq),
                    Finding::NoHeader => {
                        begins_a_segment(lines, place) || begins_a_segment(lines, place + distance)
                    }
                    Finding::Missing(from, to) => numbers.contains(&from) && numbers.contains(&to),
                    _ => false,
                };
                assert!(
                    !found.is_empty() && found.iter().all(misplaced),
                    "{place}+{distance}: {found:?}"
                );
            },
        );
    }
}

#[test]
fn any_other_byte_anywhere_is_found_there() {
    let (_root, decisions, uses) = pair(12);
    let whole = lines(&decisions);
    // One of each make: a segment's first, one in the middle, a segment's last, the last of all.
    let second = whole.iter().position(|(path, _)| *path != whole[0].0).unwrap();
    for place in [0, 3, second - 1, second, whole.len() - 1] {
        let text = whole[place].1.as_bytes();
        for byte in 0..text.len() {
            let mut bytes = text.to_vec();
            bytes[byte] ^= [0x01, 0x04, 0x80][byte % 3];
            let mut file = Vec::new();
            for (index, (path, line)) in whole.iter().enumerate() {
                if *path == whole[place].0 {
                    file.extend_from_slice(if index == place { &bytes } else { line.as_bytes() });
                    file.push(b'\n');
                }
            }
            std::fs::write(&whole[place].0, file).unwrap();
            let found = found(&decisions, &uses);
            let here = found.iter().any(|found| {
                let line = line_of(&whole, place);
                found.place.path == whole[place].0 && (line..=line + 1).contains(&found.place.line)
            });
            assert!(here, "line {place}, byte {byte}: {found:?}");
            // The line, the one after it, its permit and its use.
            assert!(found.len() <= 4, "line {place}, byte {byte}: {found:?}");
        }
        write_back(&decisions, &whole);
    }
}
