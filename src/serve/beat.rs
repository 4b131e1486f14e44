//! Whether the host's loop still turns, for those who look on from threads of their own.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// When the loop turned last, on the clock that does not jump.
#[derive(Default)]
pub struct Beat {
    last_ms: AtomicU64,
    /// When the heartbeat was heard last, in Unix milliseconds; 0: never.
    heard_ms: AtomicI64,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Beat {
    pub fn at(&self, now: Duration) {
        self.last_ms.store(as_ms(now), Ordering::Relaxed);
    }

    /// How long ago the loop turned last.
    pub fn age(&self, now: Duration) -> Duration {
        Duration::from_millis(as_ms(now).saturating_sub(self.last_ms.load(Ordering::Relaxed)))
    }

    /// The heartbeat was heard.
    pub fn heard(&self, unix_ms: i64) {
        self.heard_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// When the heartbeat was heard last, in Unix milliseconds.
    pub fn heard_ms(&self) -> Option<i64> {
        Some(self.heard_ms.load(Ordering::Relaxed)).filter(|heard_ms| *heard_ms > 0)
    }

    /// The host ends: nobody need look on.
    pub fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.notify_all();
    }

    pub fn is_over(&self) -> bool {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long; `false` when the host ends meanwhile.
    pub fn pause(&self, pause: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.over.wait_timeout_while(is_over, pause, |is_over| !*is_over);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn as_ms(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
