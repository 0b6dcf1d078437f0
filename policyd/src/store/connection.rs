//! Opening the database file, and the settings every connection has.

use super::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long the writer waits for another process (a backup, an operator's shell) to let go.
const WRITER_PATIENCE: Duration = Duration::from_millis(300);
/// The reader stands in the path of every request and in write-ahead mode waits for nobody but a recovery.
const READER_PATIENCE: Duration = Duration::from_millis(50);
/// More than there are statements in this module.
const STATEMENTS: usize = 64;
/// Pages each connection keeps, in KiB (SQLite counts those as negative).
const CACHE_KIB: i64 = -16 * 1024;

/// Opens the connection that writes; makes the file when there is none.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    // SQLite would make it readable for everybody; the log and its index take their mode from the file.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(StoreError::NotMade)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection, WRITER_PATIENCE)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::NoWriteAheadLog);
    }
    // Each commit is on the disk before it is acknowledged; NORMAL would lose the last ones with the power.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Opens the connection that reads. The file must exist.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection, READER_PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    // The first look opens the write-ahead log and its index: here, before the sandbox closes.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn configure(connection: &Connection, patience: Duration) -> Result<(), StoreError> {
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A tampered file must not be able to run functions from its schema or damage itself through SQL.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // A plan depends on the statement alone. Otherwise SQLite compiles statements anew when their parameters change,
    // in case other values would fit a partial index, and does so in the path of every request.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The sandbox leaves no directory for temporary files but the database's own.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    Ok(())
}
