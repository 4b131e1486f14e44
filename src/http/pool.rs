//! The threads on which requests are answered: a bounded number, and a bounded number that waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::answer::Refusal;

pub struct Pool {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Pool {
    pub fn new(threads: usize, waiting_max: usize) -> Pool {
        Pool {
            threads: Arc::new(Semaphore::new(threads)),
            waiting: AtomicUsize::new(0),
            waiting_max,
        }
    }

    /// Does `work` on a thread that may block. Who asked may stop waiting; the thread is taken until the work is done.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let waits = Waits::begin(self)?;
        let thread = self.threads.clone().acquire_owned().await;
        drop(waits);
        let thread = thread.expect("the threads are never closed");
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(thread);
            done
        });
        // A panic has been told by its hook.
        done.await.map_err(|_| Refusal::internal())
    }

    /// Requests that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One that waits; also one that gives up is counted off.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(pool: &'a Pool) -> Result<Waits<'a>, Refusal> {
        let before = pool.waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Waits(&pool.waiting);
        if before >= pool.waiting_max {
            let message = format!("{before} requests wait already, which is the most; try again in a moment");
            return Err(Refusal::new(503, "SERVER_BUSY", message).header("retry-after", "1"));
        }
        Ok(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
