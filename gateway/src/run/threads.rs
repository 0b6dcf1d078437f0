//! The runtime's threads. All of them run before the sandbox is sealed, because starting one needs system
//! calls that the seccomp filter does not list; nothing in the gateway starts another.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// One thread a core.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts a runtime and waits until each of its threads has reported that it runs.
pub fn start(workers: usize) -> io::Result<Runtime> {
    let running = Arc::new((Mutex::new(0), Condvar::new()));
    let reported = running.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("gateway-worker")
        .enable_io()
        .enable_time()
        .on_thread_start(move || {
            let (count, changed) = &*reported;
            *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            changed.notify_one();
        })
        .build()?;
    let (count, changed) = &*running;
    let counted = count.lock().unwrap_or_else(PoisonError::into_inner);
    drop(
        changed
            .wait_while(counted, |count| *count < workers)
            .unwrap_or_else(PoisonError::into_inner),
    );
    Ok(runtime)
}
