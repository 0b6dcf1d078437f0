//! Merging two sorted lists: the keys that the database knows and the files that keyd has.

use crate::store::WalkedRow;
use chancel_wire::keyd::{InventoryEntry, KeyFileDamage, KeyIdentity};
use std::cmp::Ordering;

/// What is to be said of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Row and file, and the file opens.
    Sound,
    /// Row and file, and the file does not open.
    Damaged(KeyIdentity, KeyFileDamage),
    /// A row without a file.
    Missing(KeyIdentity),
    /// A file without a row.
    Unclaimed(KeyIdentity),
}

/// Compares rows and files, both ascending and both complete over the same range. A reserved row says nothing:
/// its file may or may not be there yet.
pub(super) fn compare(rows: &[WalkedRow], files: &[InventoryEntry]) -> Vec<Finding> {
    let (mut rows, mut files) = (rows.iter().peekable(), files.iter().peekable());
    let mut findings = Vec::new();
    loop {
        let order = match (rows.peek(), files.peek()) {
            (None, None) => return findings,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(row), Some(file)) => row.key.cmp(&file.key),
        };
        let row = if order.is_le() { rows.next() } else { None };
        let file = if order.is_ge() { files.next() } else { None };
        findings.extend(match (row, file) {
            (Some(row), _) if row.reserved => None,
            (Some(row), None) => Some(Finding::Missing(row.key)),
            (Some(row), Some(file)) => Some(match file.damage {
                None => Finding::Sound,
                Some(damage) => Finding::Damaged(row.key, damage),
            }),
            (None, Some(file)) => Some(Finding::Unclaimed(file.key)),
            (None, None) => None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_domain::algorithm::SPECS;
    use chancel_domain::{Algorithm, KeyHandle, KeyVersion, TenantId};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn key(number: u8) -> KeyIdentity {
        KeyIdentity {
            tenant: TenantId::from_bytes([number / 8; 16]),
            algorithm: if number & 4 == 0 {
                Algorithm::MlKem768
            } else {
                Algorithm::MlDsa65
            },
            version: KeyVersion::new(u32::from(number & 3) + 1).unwrap(),
            handle: KeyHandle::from_bytes([number; 16]),
        }
    }

    fn row(number: u8, reserved: bool) -> WalkedRow {
        WalkedRow {
            key: key(number),
            reserved,
        }
    }

    fn file(number: u8, damage: Option<KeyFileDamage>) -> InventoryEntry {
        InventoryEntry {
            key: key(number),
            damage,
        }
    }

    #[test]
    fn each_difference_is_found_and_reservations_are_none() {
        let rows = [
            row(1, false),
            row(2, false),
            row(3, true),
            row(4, true),
            row(6, false),
        ];
        let damage = KeyFileDamage::NotAuthentic;
        let files = [
            file(0, None),
            file(1, None),
            file(3, None),
            file(5, Some(damage)),
            file(6, Some(damage)),
        ];
        assert_eq!(
            compare(&rows, &files),
            [
                Finding::Unclaimed(key(0)),
                Finding::Sound,
                Finding::Missing(key(2)),
                Finding::Unclaimed(key(5)),
                Finding::Damaged(key(6), damage),
            ]
        );
    }

    #[test]
    fn another_handle_is_another_key() {
        let stranger = KeyIdentity {
            handle: KeyHandle::from_bytes([0xff; 16]),
            ..key(1)
        };
        let files = [InventoryEntry {
            key: stranger,
            damage: None,
        }];
        assert_eq!(
            compare(&[row(1, false)], &files),
            [Finding::Missing(key(1)), Finding::Unclaimed(stranger)]
        );
    }

    /// The walk sorts by code, keyd by the order of the variants: the registry must keep the two the same.
    #[test]
    fn algorithms_are_ordered_like_their_codes() {
        let codes: Vec<u16> = SPECS.iter().map(|spec| spec.code).collect();
        assert!(codes.is_sorted());
        assert!(SPECS.iter().map(|spec| spec.algorithm).is_sorted());
    }

    proptest! {
        #[test]
        fn the_merge_is_the_difference_of_sets(
            rows: BTreeMap<u8, bool>, files: BTreeSet<u8>,
        ) {
            let row_list: Vec<_> = rows.iter().map(|(number, reserved)| row(*number, *reserved)).collect();
            let file_list: Vec<_> = files.iter().map(|number| file(*number, None)).collect();
            let findings = compare(&row_list, &file_list);
            let count = |wanted: fn(&Finding) -> bool| findings.iter().filter(|found| wanted(found)).count();
            let settled = |number: &u8| rows.get(number) == Some(&false);
            prop_assert_eq!(count(|f| matches!(f, Finding::Sound)),
                files.iter().filter(|number| settled(number)).count());
            prop_assert_eq!(count(|f| matches!(f, Finding::Unclaimed(_))),
                files.iter().filter(|number| !rows.contains_key(number)).count());
            prop_assert_eq!(count(|f| matches!(f, Finding::Missing(_))),
                rows.iter().filter(|(number, reserved)| !**reserved && !files.contains(number)).count());
        }
    }
}
