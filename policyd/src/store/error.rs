//! Why the database could not answer. Whatever it is, the caller hears a failure and never an allow.

use rusqlite::ErrorCode;

/// Why the database could not answer. The sources go to the log; none of them carries a bound value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the database.
    #[error("the database is locked: {0}")]
    Locked(#[source] rusqlite::Error),
    /// Nothing more can be written.
    #[error("the disk is full: {0}")]
    DiskFull(#[source] rusqlite::Error),
    /// The file could not be opened, read or written.
    #[error("the database file cannot be read or written: {0}")]
    FileFailed(#[source] rusqlite::Error),
    /// The file's contents are no sound database.
    #[error("the database is damaged: {0}")]
    Damaged(#[source] rusqlite::Error),
    /// A sound row with a value that this program did not write.
    #[error("the database is damaged: {0}")]
    RowDamaged(Damage),
    /// A constraint of the schema stopped a change.
    #[error("the database refused a change that would break a constraint: {0}")]
    ConstraintBroken(#[source] rusqlite::Error),
    /// Everything else the library reports.
    #[error("the database failed: {0}")]
    Failed(#[source] rusqlite::Error),
    /// The file could not be made.
    #[error("the database file cannot be made: {0}")]
    NotMade(#[source] std::io::Error),
    /// The file is a database of another program.
    #[error("the database belongs to another program")]
    NotOurs,
    /// A newer version of this program made or migrated it.
    #[error("the database has schema version {found}, this program knows {known}")]
    TooNew {
        /// The version in the file.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The file system cannot hold a write-ahead log.
    #[error("the database cannot be put into write-ahead mode")]
    NoWriteAheadLog,
    /// More changes are waiting than the queue holds.
    #[error("too many changes are waiting for the database")]
    Overloaded,
    /// The writer has stopped: policyd is ending.
    #[error("the database is closed")]
    Closed,
    /// The system has no room for the writer thread.
    #[error("the writer thread cannot be started: {0}")]
    NoThread(#[source] std::io::Error),
}

/// What does not decode in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// An unknown plan.
    #[error("a tenant has an unknown plan")]
    Plan,
    /// An unknown standing.
    #[error("a tenant has an unknown status")]
    TenantStatus,
    /// A name that could not have been given.
    #[error("a name breaks the rules of names")]
    Name,
    /// A version below 1.
    #[error("a version is out of range")]
    Version,
    /// An algorithm that is in no registry.
    #[error("a key has an unknown algorithm")]
    Algorithm,
    /// An unknown state.
    #[error("a key has an unknown state")]
    KeyState,
    /// Scopes that could not have been given.
    #[error("a deny rule does not decode")]
    DenyRule,
    /// An API key has networks that are none.
    #[error("the networks of an API key do not parse")]
    Networks,
    /// An API key has scopes that are none.
    #[error("the scopes of an API key do not parse")]
    Scopes,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(error),
            Some(ErrorCode::DiskFull) => Self::DiskFull(error),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied,
            ) => Self::FileFailed(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            Some(ErrorCode::ConstraintViolation) => Self::ConstraintBroken(error),
            _ => Self::Failed(error),
        }
    }
}

impl From<Damage> for StoreError {
    fn from(damage: Damage) -> Self {
        Self::RowDamaged(damage)
    }
}
