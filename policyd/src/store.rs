//! The database: the only part of policyd that knows SQL.
//!
//! One SQLite file, one connection that reads and one that writes. Nothing outside takes or sees SQL, and what
//! belongs to a tenant is reached through a [`TenantScope`], which adds the tenant's id to each query itself.
//! The exceptions are types of their own: [`Authentication`] finds an API key by its hash, before anybody knows
//! whose it is; [`Operators`] lists and makes tenants; [`Walk`] compares keys with keyd's files.

mod access;
mod api_keys;
mod columns;
mod connection;
mod destruction;
mod error;
mod idempotency;
mod keys;
mod migrations;
mod reader;
mod rules;
mod scope;
mod tenants;
mod usage;
mod walk;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use access::{Read, Write};
pub use api_keys::{Authentication, NewApiKeyRow, StoredApiKey};
pub use destruction::Destruction;
pub use error::{Damage, StoreError};
pub use idempotency::StoredAnswer;
pub use keys::StateDates;
pub use reader::{ReadView, Reader};
pub use scope::TenantScope;
pub use tenants::{Operators, TenantRow};
pub use usage::{UsageFigure, UsageTables};
pub use walk::{Walk, WalkedRow};
pub use writer::{WriteView, Writer, WriterThread};

use std::path::Path;

/// The open database.
pub struct Store {
    /// For everything that only looks.
    pub reader: Reader,
    /// For everything that changes rows.
    pub writer: Writer,
    /// The thread that owns the writing connection; wait for it last.
    pub writer_thread: WriterThread,
}

/// A database that is open and migrated, before its writer thread runs.
pub struct Opened {
    reader: Reader,
    writing: rusqlite::Connection,
}

impl Store {
    /// Opens the database, makes it when there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used, is damaged, is no database of this program or was made by a
    /// newer version of it.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        let mut writing = connection::open_for_writing(path)?;
        migrations::migrate(&mut writing)?;
        let reader = Reader::new(connection::open_for_reading(path)?);
        Ok(Opened { reader, writing })
    }
}

impl Opened {
    /// Starts the writer thread.
    ///
    /// # Errors
    /// [`StoreError::NoThread`] when the system has no room for one.
    pub fn start(self) -> Result<Store, StoreError> {
        let (writer, writer_thread) = Writer::start(self.writing)?;
        Ok(Store {
            reader: self.reader,
            writer,
            writer_thread,
        })
    }
}
