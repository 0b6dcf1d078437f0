//! The schema, one file a version. A database is brought forward a version at a time, each in a transaction of
//! its own, so that one interrupted at any instant has one version or the next. Files that were released are
//! never edited: a change is a new file.

use super::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// Version 1 is the first entry.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_tenants_api_keys_keys.sql")];

/// Marks the file as ours ("CHNC"), so that a path in the wrong place cannot put tables into another database.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"CHNC");

/// Brings the database to the newest version; does nothing when it is there.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    loop {
        // Read inside the transaction: another process may be doing the same.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = recognised_version(&transaction)?;
        let Some(sql) = MIGRATIONS.get(version as usize) else {
            return Ok(());
        };
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
        // Out of the log and into the file itself, where packages look for the version before they replace this program by
        // an older one. Where somebody reads meanwhile it gets there later.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        tracing::info!(version = version + 1, "database schema brought forward");
    }
}

/// The version of the schema: 0 for an empty file.
fn recognised_version(connection: &Connection) -> Result<u32, StoreError> {
    let application: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let known = MIGRATIONS.len() as u32;
    match (application, version, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, 1.., _) if version <= known => Ok(version),
        (APPLICATION_ID, 1.., _) => Err(StoreError::TooNew {
            found: version,
            known,
        }),
        _ => Err(StoreError::NotOurs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_empty_database_becomes_the_newest_and_a_second_time_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let first = schema(&connection);
        assert!(!first.is_empty());
        migrate(&mut connection).unwrap();
        assert_eq!(schema(&connection), first);
        let newest = MIGRATIONS.len() as u32;
        assert_eq!(recognised_version(&connection).unwrap(), newest);
    }

    /// Packages count the files, and refuse to be installed over a database of more.
    #[test]
    fn each_file_is_a_version_and_the_newest_stands_in_the_first_bytes_of_the_database() {
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations");
        assert_eq!(std::fs::read_dir(files).unwrap().count(), MIGRATIONS.len());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chancel.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        migrate(&mut connection).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[60..64], (MIGRATIONS.len() as u32).to_be_bytes());
        assert_eq!(&bytes[68..72], b"CHNC");
    }

    #[test]
    fn a_newer_database_is_refused_and_left_as_it_is() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let newer = MIGRATIONS.len() as u32 + 1;
        connection.pragma_update(None, "user_version", newer).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(matches!(error, StoreError::TooNew { found, .. } if found == newer));
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE cookies (host TEXT)")
            .unwrap();
        let before = schema(&connection);
        assert!(matches!(migrate(&mut connection), Err(StoreError::NotOurs)));
        assert_eq!(schema(&connection), before);
    }

    #[test]
    fn an_interrupted_migration_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        {
            let transaction = connection.transaction().unwrap();
            transaction.execute_batch(MIGRATIONS[0]).unwrap();
        }
        assert_eq!(recognised_version(&connection).unwrap(), 0);
        migrate(&mut connection).unwrap();
    }
}
