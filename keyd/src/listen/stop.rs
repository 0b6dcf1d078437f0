//! The word that keyd stops, for threads that wait in the kernel: a pipe whose other end is closed.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};

/// Becomes readable when keyd stops.
#[derive(Debug)]
pub struct Stop(PipeReader);

/// Whoever drops it stops keyd's listening.
#[derive(Debug)]
pub struct Stopper(#[expect(dead_code, reason = "it is there to be dropped")] PipeWriter);

/// Both ends.
///
/// # Errors
/// When the system has no descriptors left.
pub fn stop() -> io::Result<(Stopper, Stop)> {
    let (reader, writer) = io::pipe()?;
    Ok((Stopper(writer), Stop(reader)))
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
