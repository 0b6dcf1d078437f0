//! Threads for public-key work that takes long: batches, and verification by algorithms that need milliseconds. A serving
//! thread goes on with other requests meanwhile.

use crate::deadline::Deadline;
use crate::error::ApiError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Work that may wait for a thread; more is refused at once.
const QUEUE: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// Hands work to the threads. Clones share them.
#[derive(Debug, Clone)]
pub struct Helpers(SyncSender<Work>);

impl Helpers {
    /// Starts threads, which end with the last clone, and waits until they run: before the sandbox is sealed, for a thread
    /// that starts makes system calls which the seccomp filter does not list.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let running = Arc::new(Barrier::new(threads + 1));
        for number in 0..threads {
            let (receiver, running) = (Arc::clone(&receiver), Arc::clone(&running));
            thread::Builder::new()
                .name(format!("helper-{number}"))
                .spawn(move || {
                    running.wait();
                    serve(&receiver);
                })?;
        }
        running.wait();
        Ok(Self(sender))
    }

    /// Has something done, which is not begun after the deadline.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when too much is waiting or the deadline passes, [`ApiError::Internal`] when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (done, waited) = oneshot::channel();
        let work = move || {
            if !done.is_closed() {
                // Whoever has gone meanwhile needs no result.
                let _ = done.send(work());
            }
        };
        self.0
            .try_send(Box::new(work))
            .map_err(|_| ApiError::Unavailable)?;
        match timeout(deadline.remaining()?, waited).await {
            Ok(done) => done.map_err(|_| ApiError::Internal),
            Err(_) => Err(ApiError::Unavailable),
        }
    }
}

fn serve(work: &Mutex<Receiver<Work>>) {
    loop {
        // Held while waiting, too: one thread waits, the others for it.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // The log has the panic; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[tokio::test]
    async fn work_comes_back_and_a_panic_ends_it_alone() {
        let helpers = Helpers::start(1).unwrap();
        assert_eq!(helpers.run(soon(), || 7).await, Ok(7));
        let panicked = helpers.run(soon(), || -> u8 { panic!("on purpose") }).await;
        assert_eq!(panicked, Err(ApiError::Internal));
        assert_eq!(helpers.run(soon(), || 8).await, Ok(8));
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let helpers = Helpers::start(1).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (begun, first) = mpsc::channel();
        let blocked = tokio::spawn({
            let helpers = helpers.clone();
            async move {
                let block = move || {
                    begun.send(()).unwrap();
                    held.recv().unwrap();
                };
                helpers.run(soon(), block).await
            }
        });
        while first.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let mut waiting = Vec::new();
        for _ in 0..QUEUE {
            let mut work = Box::pin(helpers.run(soon(), || ()));
            assert!(futures_poll_once(work.as_mut()).await, "queued");
            waiting.push(work);
        }
        assert_eq!(helpers.run(soon(), || ()).await, Err(ApiError::Unavailable));
        release.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        for work in waiting {
            work.await.unwrap();
        }
    }

    /// Whether a future waits after it was polled once.
    async fn futures_poll_once<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }
}
