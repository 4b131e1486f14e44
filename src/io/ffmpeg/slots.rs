//! How many processes run at once; whoever comes when all slots are taken waits.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a waiting caller asks whether it should stop.
const TICK: Duration = Duration::from_millis(50);

/// A fixed number of slots.
#[derive(Debug)]
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One slot, given back when dropped.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    pub fn new(count: usize) -> Slots {
        Slots {
            free: Mutex::new(count.max(1)),
            freed: Condvar::new(),
        }
    }

    /// A slot as soon as there is one, or `None` when `stop` says so first.
    pub fn take(&self, stop: &dyn Fn() -> bool) -> Option<Slot<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            if stop() {
                return None;
            }
            free = self
                .freed
                .wait_timeout(free, TICK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *free -= 1;
        Some(Slot(self))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_slot_is_waited_for_until_the_caller_stops_or_it_is_free() {
        let slots = Slots::new(1);
        let slot = slots.take(&|| false).unwrap();
        assert!(slots.take(&|| true).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take(&|| false).is_some());
            drop(slot);
            assert!(waiting.join().unwrap());
        });
    }
}
