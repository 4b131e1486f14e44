//! Threads with large stacks, used again by one run after the other.
//!
//! To start a thread with a stack of hundreds of megabytes, and its memory allocator's own caches, takes longer than a
//! small run does. So threads stay for a while when their work is over, the last one in front. There are as many as
//! work was handed over at once: whoever hands it over waits for it, or bounds it himself. What one job does to its
//! thread is no other's concern: a panic ends the job alone, and memory is counted from where a script began.
//!
//! *Invariant:* a script has a stack to itself. A job of the pool may run one on its own stack, once at a time; a
//! script that runs another hands it to another thread.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::gate::panic::words_of;
use crate::io::clock::thread_worked;

/// Threads that wait for work, at most.
const IDLE_MAX: usize = 64;

/// How long a thread waits for work before it ends.
const IDLE_FOR: Duration = Duration::from_secs(10);

/// A thread that worked longer than this at one job, waits left out, ends with it. Beside that, starting another costs
/// nothing; and what a deep script touched of its stack goes back to the system.
const WORN_AFTER: Duration = Duration::from_millis(20);

/// Why there is no answer from a job.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("no thread could be started for the run: {0}")]
    NoThread(std::io::Error),
    #[error("the run's thread ended without an answer: {0}")]
    Panic(String),
}

impl Lost {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Lost::NoThread(_) => "NO_THREAD",
            Lost::Panic(_) => "PANIC",
        }
    }
}

/// A job and the telling of its answer, with a word to its thread in between.
type Work = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// The threads that wait, the one that worked last at the end.
static IDLE: Mutex<Vec<Arc<Seat>>> = Mutex::new(Vec::new());

thread_local! {
    /// The stack that a job of the pool may give to a script. 0 while a script has it, and on all other threads.
    static FREE_STACK_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Does `work` on a stack of its own, of at least `stack_bytes`, and returns what came of it. A job of the pool that has
/// such a stack lends it.
pub fn run<T: Send + 'static>(stack_bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
    let free_bytes = FREE_STACK_BYTES.get();
    if free_bytes >= stack_bytes && free_bytes > 0 {
        FREE_STACK_BYTES.set(0);
        let result = caught(work);
        FREE_STACK_BYTES.set(free_bytes);
        return result;
    }
    start(stack_bytes, move || run(stack_bytes, work))?.wait()?
}

/// Starts `job` on a thread with a stack of at least `stack_bytes`. What it then [runs](run) needs no other thread.
pub fn start<T: Send + 'static>(
    stack_bytes: usize,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<Started<T>, Lost> {
    let slot = Arc::new(Slot::default());
    let answer = slot.clone();
    start_telling(stack_bytes, job, move |result| answer.put(result))?;
    Ok(Started(slot))
}

/// The same, for whoever waits in another way: `tell` is given the answer.
pub fn start_telling<T>(
    stack_bytes: usize,
    job: impl FnOnce() -> T + Send + 'static,
    tell: impl FnOnce(Result<T, Lost>) + Send + 'static,
) -> Result<(), Lost> {
    let work = move |is_over: &dyn Fn()| {
        let result = caught(job);
        // Whoever has the answer may ask again at once, and should find this thread.
        is_over();
        tell(result);
    };
    hand_over(stack_bytes, Box::new(work))
}

/// A job under way.
pub struct Started<T>(Arc<Slot<Result<T, Lost>>>);

impl<T> Started<T> {
    /// Waits for the job's end.
    pub fn wait(self) -> Result<T, Lost> {
        self.0.take()
    }
}

fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Lost> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Lost::Panic(words_of(&*panic).to_owned()))
}

/// A place for one thing that another thread brings.
struct Slot<T> {
    held: Mutex<Option<T>>,
    brought: Condvar,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot {
            held: Mutex::new(None),
            brought: Condvar::new(),
        }
    }
}

impl<T> Slot<T> {
    fn put(&self, thing: T) {
        *self.lock() = Some(thing);
        self.brought.notify_one();
    }

    fn take(&self) -> T {
        let mut held = self.lock();
        loop {
            match held.take() {
                Some(thing) => return thing,
                None => held = self.brought.wait(held).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// What was brought within `patience`.
    fn take_within(&self, patience: Duration) -> Option<T> {
        let held = self.lock();
        let waited = self.brought.wait_timeout_while(held, patience, |held| held.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a thread of the pool waits for work.
struct Seat {
    stack_bytes: usize,
    work: Slot<Work>,
}

fn idle() -> MutexGuard<'static, Vec<Arc<Seat>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives `work` to a thread that waits, or to a new one.
fn hand_over(stack_bytes: usize, work: Work) -> Result<(), Lost> {
    let seat = {
        let mut idle = idle();
        // Not a larger one: whoever asks for little would hold what others wait for.
        let found = idle.iter().rposition(|seat| seat.stack_bytes == stack_bytes);
        found.map(|at| idle.remove(at))
    };
    match seat {
        Some(seat) => {
            seat.work.put(work);
            Ok(())
        }
        None => std::thread::Builder::new()
            .name("run".to_owned())
            .stack_size(stack_bytes)
            .spawn(move || serve(stack_bytes, work))
            .map(drop)
            .map_err(Lost::NoThread),
    }
}

/// The life of a thread: its first work, and whatever else is brought to it.
fn serve(stack_bytes: usize, first: Work) {
    let seat = Arc::new(Seat {
        stack_bytes,
        work: Slot::default(),
    });
    let mut work = first;
    loop {
        let begun = thread_worked();
        FREE_STACK_BYTES.set(stack_bytes);
        let is_staying = Cell::new(false);
        work(&|| {
            let is_worn = thread_worked().saturating_sub(begun) > WORN_AFTER;
            let mut idle = idle();
            if !is_worn && idle.len() < IDLE_MAX {
                idle.push(seat.clone());
                is_staying.set(true);
            }
        });
        if !is_staying.get() {
            return;
        }
        match seat.work.take_within(IDLE_FOR).or_else(|| leave(&seat)) {
            Some(next) => work = next,
            None => return,
        }
    }
}

/// Gives up a seat; returns the work that was brought to it at this very moment.
fn leave(seat: &Arc<Seat>) -> Option<Work> {
    let mut idle = idle();
    match idle.iter().position(|other| Arc::ptr_eq(other, seat)) {
        Some(at) => {
            idle.remove(at);
            None
        }
        None => {
            drop(idle);
            Some(seat.work.take())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::thread::{ThreadId, current};

    use super::*;
    use crate::io::clock::{Clock, SystemClock};

    /// Sizes that no other test asks for, so that their threads do not meet.
    const STACK: usize = 1 << 20;

    fn id() -> ThreadId {
        current().id()
    }

    #[test]
    fn a_thread_is_used_again_and_outlives_a_panic() {
        let stack = STACK + (4 << 10);
        let first = run(stack, id).unwrap();
        assert_ne!(first, id());
        let error = run(stack, || -> () { resume_unwind(Box::new("no such luck")) }).unwrap_err();
        assert_eq!(error.code(), "PANIC");
        assert!(error.to_string().ends_with("no such luck"), "{error}");
        assert_eq!(run(stack, id).unwrap(), first);
    }

    #[test]
    fn a_job_lends_its_stack_to_one_script_at_a_time() {
        let stack = STACK + (8 << 10);
        let (job, script, inner, next) = start(stack, move || {
            let (script, inner) = run(stack, move || (id(), run(stack, id).unwrap())).unwrap();
            (id(), script, inner, run(stack, id).unwrap())
        })
        .unwrap()
        .wait()
        .unwrap();
        assert_eq!((job, job), (script, next));
        assert_ne!(inner, job, "a script that runs another keeps its stack");
    }

    #[test]
    fn a_job_does_not_lend_a_stack_that_is_too_small() {
        let stack = STACK + (12 << 10);
        let larger = 2 * STACK;
        let apart = start(stack, move || run(larger, id).unwrap() != id());
        assert!(apart.unwrap().wait().unwrap());
    }

    #[test]
    fn a_worn_thread_is_not_used_again() {
        let stack = STACK + (16 << 10);
        let works = move |long: Duration| {
            let begun = thread_worked();
            while thread_worked() - begun < long {
                std::hint::spin_loop();
            }
            id()
        };
        let worn = run(stack, move || works(2 * WORN_AFTER)).unwrap();
        let waited = run(stack, || {
            SystemClock::new().sleep(2 * WORN_AFTER);
            id()
        });
        assert_ne!(waited.as_ref().unwrap(), &worn);
        assert_eq!(run(stack, id).unwrap(), waited.unwrap(), "to wait wears nothing");
    }

    #[test]
    fn everybody_gets_an_answer_however_many_ask_at_once() {
        let stack = STACK + (20 << 10);
        std::thread::scope(|scope| {
            for asker in 0..32_usize {
                scope.spawn(move || {
                    for round in 0..50 {
                        assert_eq!(run(stack, move || asker + round).unwrap(), asker + round);
                    }
                });
            }
        });
    }
}
