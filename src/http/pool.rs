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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime")
    }

    #[test]
    fn one_too_many_that_waits_is_turned_away_and_nobody_else() {
        let (runtime, pool) = (runtime(), Arc::new(Pool::new(1, 1)));
        let (go, may_go) = channel::<()>();
        let (begun, has_begun) = channel();
        let work = pool.clone();
        let first = runtime.spawn(async move {
            let work = work.run(move || {
                begun.send(()).expect("somebody waits");
                may_go.recv().expect("it is said");
                1
            });
            work.await
        });
        has_begun.recv().expect("it begins");
        let waits = pool.clone();
        let second = runtime.spawn(async move { waits.run(|| 2).await });
        while pool.waiting() == 0 {
            std::thread::yield_now();
        }
        let third = runtime.block_on(pool.run(|| 3));
        assert_eq!(third.expect_err("it is full").code, "SERVER_BUSY");
        go.send(()).expect("it waits");
        assert_eq!(runtime.block_on(first).expect("no panic"), Ok(1));
        assert_eq!(runtime.block_on(second).expect("no panic"), Ok(2));
        assert_eq!(runtime.block_on(pool.run(|| 4)), Ok(4));
    }
}
