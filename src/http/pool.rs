//! The threads on which requests are answered: a bounded number, and a bounded number that waits for them.
//!
//! They are those on which runs are carried out, so a request that is a run needs no other: to hand it over, and its answer
//! back, costs more than a small run does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answer::Refusal;
use crate::runs::pool;

pub struct Pool {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A place among those that are worked on, until the work is done or it is given up.
#[derive(Clone)]
pub struct Place(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Place {
    /// Lets another request have it. Whoever is worked on in it is bounded in another way from here on.
    pub fn leave(&self) {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(place);
    }

    /// Does `work` in this place, on a thread that may block and has a stack of so many bytes. Who asked may stop waiting; the
    /// place is taken until the work is done.
    pub async fn work<T: Send + 'static>(
        &self,
        stack_bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Leaves(self.clone());
        let (sender, done) = oneshot::channel();
        let begun = pool::start_telling(stack_bytes, work, move |done| {
            drop(place);
            // Without a result it has broken down, which its hook has told.
            if let Ok(done) = done {
                // Nobody may be waiting any more.
                sender.send(done).unwrap_or_default();
            }
        });
        if let Err(lost) = begun {
            tracing::error!(error = %lost, code = lost.code(), "no thread for a request");
            return Err(Refusal::internal());
        }
        done.await.map_err(|_| Refusal::internal())
    }
}

/// Gives a place up when it is dropped.
struct Leaves(Place);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Pool {
    pub fn new(threads: usize, waiting_max: usize) -> Pool {
        Pool {
            threads: Arc::new(Semaphore::new(threads)),
            waiting: AtomicUsize::new(0),
            waiting_max,
        }
    }

    /// A place, once there is one.
    pub async fn place(&self) -> Result<Place, Refusal> {
        let waits = Waits::begin(self)?;
        let place = self.threads.clone().acquire_owned().await;
        drop(waits);
        let place = place.expect("the places are never closed");
        Ok(Place(Arc::new(Mutex::new(Some(place)))))
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

    async fn run<T: Send + 'static>(pool: &Pool, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        pool.place().await?.work(1 << 20, work).await
    }

    #[test]
    fn one_too_many_that_waits_is_turned_away_and_nobody_else() {
        let (runtime, pool) = (runtime(), Arc::new(Pool::new(1, 1)));
        let (go, may_go) = channel::<()>();
        let (begun, has_begun) = channel();
        let work = pool.clone();
        let first = runtime.spawn(async move {
            let work = run(&work, move || {
                begun.send(()).expect("somebody waits");
                may_go.recv().expect("it is said");
                1
            });
            work.await
        });
        has_begun.recv().expect("it begins");
        let waits = pool.clone();
        let second = runtime.spawn(async move { run(&waits, || 2).await });
        while pool.waiting() == 0 {
            std::thread::yield_now();
        }
        let third = runtime.block_on(run(&pool, || 3));
        assert_eq!(third.expect_err("it is full").code, "SERVER_BUSY");
        go.send(()).expect("it waits");
        assert_eq!(runtime.block_on(first).expect("no panic"), Ok(1));
        assert_eq!(runtime.block_on(second).expect("no panic"), Ok(2));
        assert_eq!(runtime.block_on(run(&pool, || 4)), Ok(4));
    }
    #[test]
    fn a_place_that_was_left_is_another_ones_and_is_not_given_back_twice() {
        let (runtime, pool) = (runtime(), Arc::new(Pool::new(1, 2)));
        let place = runtime.block_on(pool.place()).expect("it is free");
        let (go, may_go) = channel::<()>();
        let (left, inner) = (place.clone(), pool.clone());
        let first = runtime.spawn(async move {
            let work = move || may_go.recv().expect("it is said");
            left.work(1 << 20, work).await
        });
        place.leave();
        assert_eq!(runtime.block_on(run(&pool, || 2)), Ok(2), "the first is still at work");
        go.send(()).expect("it waits");
        runtime.block_on(first).expect("no panic").expect("an answer");
        assert_eq!(inner.threads.available_permits(), 1);
    }

    #[test]
    fn work_that_breaks_down_gives_its_place_back() {
        let (runtime, pool) = (runtime(), Pool::new(1, 1));
        let broken = runtime.block_on(run(&pool, || panic!("broken")));
        assert_eq!(broken.map(|(): ()| ()).expect_err("it broke").code, "INTERNAL");
        assert_eq!(runtime.block_on(run(&pool, || 1)), Ok(1));
    }
}
