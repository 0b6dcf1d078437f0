//! Whether a view of the database may change it, as a type: a function that only reads cannot be handed the
//! means to write, and one that writes runs in a write transaction.

use rusqlite::{CachedStatement, Connection};
use std::marker::PhantomData;

use super::StoreError;

/// The view only reads.
pub enum Read {}

/// The view lives in a write transaction and may change rows.
pub enum Write {}

/// A connection that belongs to a view. Only this module's siblings can make one or use it.
pub struct Session<'a, Access> {
    connection: &'a Connection,
    access: PhantomData<Access>,
}

impl<Access> Clone for Session<'_, Access> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Access> Copy for Session<'_, Access> {}

impl<'a, Access> Session<'a, Access> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            access: PhantomData,
        }
    }

    /// A prepared statement, kept for the next call with the same text. The text is the program's own: it
    /// cannot hold anything a caller sent.
    pub(super) fn statement(&self, sql: &'static str) -> Result<CachedStatement<'a>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    pub(super) fn is_outside_transaction(&self) -> bool {
        self.connection.is_autocommit()
    }
}
