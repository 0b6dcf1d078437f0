//! The reading side: indexed look-ups with prepared statements, no transaction, no fsync. It runs on the thread
//! that serves, because an answer takes less time than handing the question to another thread.

use super::access::{Read, Session};
use super::{Authentication, Destruction, Operators, StoreError, TenantScope, Walk};
use crate::admin::Operator;
use crate::api_keys::ServiceContext;
use rusqlite::Connection;
use std::sync::{Mutex, PoisonError};

/// The reading connection.
pub struct Reader {
    connection: Mutex<Connection>,
}

impl Reader {
    pub(super) const fn new(connection: Connection) -> Self {
        Self {
            connection: Mutex::new(connection),
        }
    }

    /// Looks at the database. All statements in `look` see it as it was at one instant, which lies after every
    /// change that was acknowledged before.
    ///
    /// # Errors
    /// What `look` returns, or a [`StoreError`] when the database does not let anybody look.
    pub fn look<T, E: From<StoreError>>(
        &self,
        look: impl FnOnce(ReadView<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic in an earlier look left nothing behind: its snapshot and its statements ended with it.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = Snapshot::begin(Session::new(&connection))?;
        look(ReadView {
            session: snapshot.session,
        })
    }
}

/// A read transaction: one look at the lock of the write-ahead log for all statements in it.
struct Snapshot<'a> {
    session: Session<'a, Read>,
}

impl<'a> Snapshot<'a> {
    fn begin(session: Session<'a, Read>) -> Result<Self, StoreError> {
        session.statement("BEGIN")?.execute([])?;
        Ok(Self { session })
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // SQLite ends a transaction itself after some failures.
        if self.session.is_outside_transaction() {
            return;
        }
        let end = |sql| {
            self.session
                .statement(sql)
                .and_then(|mut end| Ok(end.execute([])?))
        };
        if let Err(error) = end("COMMIT").or_else(|_| end("ROLLBACK")) {
            // The next BEGIN fails, and with it every answer.
            tracing::error!(%error, "a look at the database could not be ended");
        }
    }
}

/// What can be looked at, and with which proof.
#[derive(Clone, Copy)]
pub struct ReadView<'a> {
    session: Session<'a, Read>,
}

impl<'a> ReadView<'a> {
    /// To find out who an API key stands for.
    pub const fn authentication(self) -> Authentication<'a> {
        Authentication::new(self.session)
    }

    /// The rows of the tenant that an authenticated API key stands for.
    pub const fn tenant(self, context: &ServiceContext) -> TenantScope<'a, Read> {
        TenantScope::new(self.session, context.tenant())
    }

    /// The tenants of the installation, for an operator.
    pub const fn operators(self, _operator: &Operator) -> Operators<'a, Read> {
        Operators::new(self.session)
    }

    /// Keys whose date has come.
    pub const fn destruction(self) -> Destruction<'a, Read> {
        Destruction::new(self.session)
    }

    /// All keys in order, for the comparison with keyd's files.
    pub const fn walk(self) -> Walk<'a, Read> {
        Walk::new(self.session)
    }

    /// Asks the database for anything at all.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer.
    pub fn probe(self) -> Result<(), StoreError> {
        let mut statement = self.session.statement("SELECT EXISTS (SELECT 1 FROM tenants)")?;
        statement.query_row([], |_| Ok(()))?;
        Ok(())
    }
}
