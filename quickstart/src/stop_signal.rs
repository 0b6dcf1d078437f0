//! SIGINT, SIGTERM and SIGHUP as something to wait for, so that the daemons are always stopped in order. They are caught
//! with handlers, not blocked: a child inherits a blocked signal, and would then not hear it, but never a handler.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Tells when the quickstart was asked to stop.
#[derive(Debug)]
pub struct StopSignal(Receiver<i32>);

impl StopSignal {
    /// Takes the signals over.
    ///
    /// # Errors
    /// What the system answered.
    pub fn listen() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for signal in signals.forever() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Waits at most so long; whether a signal came.
    pub fn within(&self, time: Duration) -> bool {
        // A closed channel means that signals can no longer be received: stopping is the safe answer.
        !matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }
}
