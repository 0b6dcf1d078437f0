//! Tests of the database: what its schema refuses whoever writes, what a scope of one tenant cannot reach, and
//! what a failure looks like. They use real files, as policyd does.

mod deletion;
pub(crate) mod fixture;
mod isolation;
mod schema;
mod usage;

use super::*;
use crate::admin::Operator;
use crate::api_keys::ReceivedApiKey;
use chancel_domain::TenantStatus;
use fixture::{Fixture, run};
use rusqlite::{Connection, ffi};
use std::path::Path;

#[test]
fn acknowledged_changes_are_on_the_disk_and_found_after_a_reopening() {
    let fixture = Fixture::new();
    let (tenant, _) = fixture.tenant("one");
    let operator = Operator::for_tests();
    fixture.change(move |view| {
        view.operators(&operator)
            .set_tenant_status(tenant.id, TenantStatus::Suspended, 2)
    });
    let directory = fixture.close();
    let beside: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "after a clean end the database is one file");
    let again = Fixture::open(directory);
    let found = again
        .store
        .reader
        .look(|view| view.operators(&operator).tenant(tenant.id))
        .unwrap();
    assert_eq!(found.unwrap().status, TenantStatus::Suspended);
}

#[test]
fn a_change_that_fails_leaves_nothing() {
    let fixture = Fixture::new();
    let (tenant, _) = fixture.tenant("one");
    let operator = Operator::for_tests();
    let outcome: Result<(), StoreError> = run(fixture.store.writer.change(move |view| {
        view.operators(&operator)
            .set_tenant_status(tenant.id, TenantStatus::Suspended, 2)?;
        Err(StoreError::Overloaded)
    }));
    assert!(matches!(outcome, Err(StoreError::Overloaded)));
    let found = fixture
        .store
        .reader
        .look(|view| view.operators(&operator).tenant(tenant.id))
        .unwrap();
    assert_eq!(found.unwrap().status, TenantStatus::Active);
}

#[test]
fn a_change_that_panics_is_rolled_back_and_the_writer_goes_on() {
    let fixture = Fixture::new();
    let operator = Operator::for_tests();
    let (tenant, _) = fixture.tenant("one");
    let outcome: Result<(), StoreError> = run(fixture.store.writer.change(move |view| {
        view.operators(&operator)
            .set_tenant_status(tenant.id, TenantStatus::Suspended, 2)?;
        panic!("as a bug would");
    }));
    assert!(matches!(outcome, Err(StoreError::Closed)));
    let found = fixture
        .store
        .reader
        .look(|view| view.operators(&operator).tenant(tenant.id))
        .unwrap();
    assert_eq!(found.unwrap().status, TenantStatus::Active);
    fixture.tenant("two");
}

#[test]
fn a_closed_database_takes_no_changes() {
    let fixture = Fixture::new();
    let writer = fixture.store.writer.clone();
    drop(fixture.close());
    let outcome: Result<(), StoreError> = run(writer.change(|_| Ok(())));
    assert!(matches!(outcome, Err(StoreError::Closed)));
}

#[test]
fn a_database_that_another_process_holds_is_locked_for_changes_and_open_for_looks() {
    let fixture = Fixture::new();
    let other = fixture.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome: Result<(), StoreError> = run(fixture.store.writer.change(|_| Ok(())));
    assert!(matches!(outcome, Err(StoreError::Locked(_))), "{outcome:?}");
    fixture.store.reader.look(|view| view.probe()).unwrap();
}

#[test]
fn the_reader_cannot_write() {
    let fixture = Fixture::new();
    let reading = connection::open_for_reading(&fixture.path()).unwrap();
    assert!(reading.execute_batch("DELETE FROM tenants").is_err());
}

#[test]
fn every_commit_waits_for_the_disk_and_foreign_keys_hold() {
    let fixture = Fixture::new();
    let writing = connection::open_for_writing(&fixture.path()).unwrap();
    for (name, wanted) in [("synchronous", 2), ("foreign_keys", 1)] {
        let value: i64 = writing.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        assert_eq!(value, wanted, "{name}");
    }
    let mode: String = writing
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn the_database_is_readable_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fixture.tenant("one");
    for entry in std::fs::read_dir(fixture.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_damaged_database_is_an_error_and_never_an_answer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chancel.db");
    std::fs::write(&path, vec![0x5a; 8192]).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Damaged(_))));
    assert!(matches!(
        Store::open(Path::new("/nonexistent/chancel.db")),
        Err(StoreError::NotMade(_))
    ));

    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("one");
    let raw = fixture.raw();
    raw.pragma_update(None, "ignore_check_constraints", true).unwrap();
    raw.execute("UPDATE tenants SET plan = 'platinum'", []).unwrap();
    let received = ReceivedApiKey::parse(secret.expose_text()).unwrap();
    let found = fixture.store.reader.look(|view| {
        view.authentication()
            .find(&fixture.hasher.lookup(&received))
            .map(|found| found.is_some())
    });
    assert!(
        matches!(found, Err(StoreError::RowDamaged(Damage::Plan))),
        "{found:?}"
    );
}

#[test]
fn errors_say_what_happened() {
    let of = |code| StoreError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    assert!(matches!(of(ffi::SQLITE_FULL), StoreError::DiskFull(_)));
    assert!(matches!(of(ffi::SQLITE_BUSY), StoreError::Locked(_)));
    assert!(matches!(of(ffi::SQLITE_CORRUPT), StoreError::Damaged(_)));
    assert!(matches!(of(ffi::SQLITE_NOTADB), StoreError::Damaged(_)));
    assert!(matches!(of(ffi::SQLITE_IOERR), StoreError::FileFailed(_)));
    assert!(matches!(
        of(ffi::SQLITE_CONSTRAINT),
        StoreError::ConstraintBroken(_)
    ));
}

/// The look-ups in the path of a request must not slow down as tenants come.
#[test]
fn the_queries_of_the_hot_path_use_indexes() {
    let fixture = Fixture::new();
    let raw: Connection = fixture.raw();
    for sql in [api_keys::FIND, keys::ACTIVE_KEY, keys::ONE_KEY] {
        let mut statement = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for number in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(number, 0).unwrap();
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            // A heading over the steps of a subquery, which are judged themselves.
            let is_heading = step.starts_with("CORRELATED SCALAR SUBQUERY");
            assert!(step.starts_with("SEARCH") || is_heading, "{step}\nin {sql}");
        }
    }
}
