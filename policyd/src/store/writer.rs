//! The writing side: one connection, owned by one thread, so that changes happen one after another and the
//! serving thread never waits for an fsync. A change is a transaction; it is acknowledged when it is on the disk.

use super::access::{Session, Write};
use super::{Destruction, Operators, StoreError, TenantScope, UsageTables, Walk};
use crate::admin::Operator;
use crate::api_keys::ServiceContext;
use crate::thread;
use rusqlite::{Connection, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Changes that may wait. Lifecycle work is rare; a queue this long means the disk has stopped answering.
const QUEUE: usize = 256;

enum Job {
    Change(Box<dyn FnOnce(&mut Connection) + Send>),
    Stop,
}

/// Where changes are sent to.
#[derive(Clone)]
pub struct Writer {
    jobs: SyncSender<Job>,
}

/// The thread that owns the writing connection.
pub struct WriterThread {
    jobs: SyncSender<Job>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<(Self, WriterThread), StoreError> {
        let (jobs, waiting) = sync_channel(QUEUE);
        let thread = thread::running("writer", move || write_until_stopped(connection, &waiting))
            .map_err(StoreError::NoThread)?;
        let writer = Self { jobs: jobs.clone() };
        Ok((writer, WriterThread { jobs, thread }))
    }

    /// Makes a change: all of it when `work` returns `Ok`, none of it otherwise. Once sent it is carried out even
    /// when nobody waits for the outcome any more.
    ///
    /// # Errors
    /// What `work` returns, or a [`StoreError`] when the change could not be begun or committed.
    pub async fn change<T, E>(
        &self,
        work: impl FnOnce(WriteView<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, outcome) = oneshot::channel();
        let job = Job::Change(Box::new(move |connection| {
            // Nobody waiting is no reason not to have done it.
            let _ = sender.send(transact(connection, work));
        }));
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

impl WriterThread {
    /// Lets the changes that are queued finish, moves the write-ahead log into the database and closes it.
    ///
    /// # Errors
    /// [`StoreError`] when the log could not be moved: it is then read at the next start.
    pub fn finish(self) -> Result<(), StoreError> {
        // A writer that is gone already has nothing left to stop.
        let _ = self.jobs.send(Job::Stop);
        self.thread.join().unwrap_or(Err(StoreError::Closed))
    }
}

fn write_until_stopped(mut connection: Connection, waiting: &Receiver<Job>) -> Result<(), StoreError> {
    while let Ok(Job::Change(change)) = waiting.recv() {
        // Unwinding drops the transaction, which rolls back; the asker sees that nothing was acknowledged.
        if catch_unwind(AssertUnwindSafe(|| change(&mut connection))).is_err() {
            tracing::error!("a change of the database panicked and was rolled back");
        }
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error.into())
}

fn transact<T, E: From<StoreError>>(
    connection: &mut Connection,
    work: impl FnOnce(WriteView<'_>) -> Result<T, E>,
) -> Result<T, E> {
    // Immediate: what `work` reads cannot change before it writes. Dropped without a commit, it rolls back.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(StoreError::from)?;
    let outcome = work(WriteView {
        session: Session::new(&transaction),
    })?;
    transaction.commit().map_err(StoreError::from)?;
    Ok(outcome)
}

/// What can be changed, and with which proof.
#[derive(Clone, Copy)]
pub struct WriteView<'a> {
    session: Session<'a, Write>,
}

impl<'a> WriteView<'a> {
    /// The rows of the tenant that an authenticated API key stands for.
    pub const fn tenant(self, context: &ServiceContext) -> TenantScope<'a, Write> {
        TenantScope::new(self.session, context.tenant())
    }

    /// The tenants of the installation, for an operator.
    pub const fn operators(self, _operator: &Operator) -> Operators<'a, Write> {
        Operators::new(self.session)
    }

    /// Counts of usage.
    pub const fn usage(self) -> UsageTables<'a> {
        UsageTables::new(self.session)
    }

    /// Keys whose date has come.
    pub const fn destruction(self) -> Destruction<'a, Write> {
        Destruction::new(self.session)
    }

    /// Half-made keys, for the comparison with keyd's files.
    pub const fn walk(self) -> Walk<'a, Write> {
        Walk::new(self.session)
    }
}
