//! The gateway's threads: this one accepts, and some serve, each with a runtime of its own. All of them run
//! before the sandbox is sealed, because starting one needs system calls that the seccomp filter does not list;
//! nothing in the gateway starts another.

use std::io;
use std::sync::mpsc;
use std::thread;
use tokio::runtime::{Builder, Handle, Runtime};

/// Serving threads at most. Each has a connection to keyd, which takes eight from one account; two remain for
/// connections whose end keyd has not seen yet.
pub const MOST_WORKERS: usize = 6;

/// One serving thread a core.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A runtime of one thread.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

/// Starts serving threads and waits until each has reported that it runs. They end with the process.
pub fn start(workers: usize) -> io::Result<Vec<Handle>> {
    let (report, reports) = mpsc::channel();
    for number in 0..workers {
        let report = report.clone();
        let work = move || match runtime() {
            Ok(runtime) => {
                // Should nobody listen, the process is about to end.
                let _ = report.send(Ok(runtime.handle().clone()));
                runtime.block_on(std::future::pending::<()>());
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        };
        thread::Builder::new()
            .name(format!("gateway-{number}"))
            .spawn(work)?;
    }
    drop(report);
    reports.iter().take(workers).collect()
}
