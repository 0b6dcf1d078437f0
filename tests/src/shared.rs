//! One installation for all tests of a file, where none of them breaks anything. Starting one costs about a second.

use crate::installation::Installation;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A file's installation, made by the first test that needs it. The janitor ends it when the process ends.
#[derive(Debug)]
pub struct Common {
    installation: OnceLock<Installation>,
    turn: Mutex<()>,
}

/// The use of it by one test; when that fails, the directory is kept.
#[derive(Debug)]
pub struct Shared<'a> {
    installation: &'a Installation,
    _turn: Option<MutexGuard<'a, ()>>,
}

impl Common {
    /// For a static.
    pub const fn new() -> Self {
        Self {
            installation: OnceLock::new(),
            turn: Mutex::new(()),
        }
    }

    /// Uses it together with other tests.
    pub fn join(&self) -> Shared<'_> {
        self.join_or(Installation::new)
    }

    /// Uses it alone: for tests that count exactly.
    pub fn alone(&self) -> Shared<'_> {
        self.alone_or(Installation::new)
    }

    /// [`Common::join`], with how to make the installation.
    pub fn join_or(&self, make: impl FnOnce() -> Installation) -> Shared<'_> {
        Shared {
            installation: self.installation.get_or_init(make),
            _turn: None,
        }
    }

    /// [`Common::alone`], with how to make the installation.
    pub fn alone_or(&self, make: impl FnOnce() -> Installation) -> Shared<'_> {
        // A test that failed did not leave the installation in a state of its own: those that break it have their own.
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Shared {
            installation: self.installation.get_or_init(make),
            _turn: Some(turn),
        }
    }
}

impl Default for Common {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Shared<'_> {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        self.installation
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.installation.keep();
        }
    }
}
