//! Threads that run by the time they have been made: a thread begins with system calls that the sandbox will not allow,
//! and must be past them before it closes.

use std::io;
use std::sync::{Arc, Barrier};
use std::thread::{Builder, JoinHandle};

/// Starts a thread and waits until it runs.
///
/// # Errors
/// When the system has no room for one.
pub fn running<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let running = Arc::new(Barrier::new(2));
    let here = running.clone();
    let thread = Builder::new().name(name.to_owned()).spawn(move || {
        here.wait();
        work()
    })?;
    running.wait();
    Ok(thread)
}
