//! policyd's database in the hands of somebody who has the file: to make a date come, to lock it, to look.
//!
//! As root, SQLite gives the files that it makes to the owner of the database, so that policyd goes on with them.

use crate::installation::Installation;
use rusqlite::Connection;
use std::time::Duration;

impl Installation {
    /// Opens policyd's database, as another process beside policyd or while it is stopped.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[track_caller]
    pub fn database(&self) -> Connection {
        let connection = Connection::open(self.layout().database()).expect("policyd's database");
        connection
            .busy_timeout(Duration::from_secs(10))
            .expect("a time to wait");
        connection
    }

    /// Changes rows, and returns how many.
    ///
    /// # Panics
    /// When the statement fails.
    #[track_caller]
    pub fn change_rows(&self, statement: &str) -> usize {
        self.database()
            .execute(statement, [])
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
    }
}
