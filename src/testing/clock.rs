//! A clock that stands still until a test moves it, or somebody sleeps on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::io::clock::Clock;

/// 2026-11-21 12:00:00 UTC.
const START_MS: u64 = 1_795_262_400_000;

#[derive(Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    /// How far it has been moved, by tests and by sleepers.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn unix_ms(&self) -> i64 {
        (START_MS + self.elapsed().as_millis() as u64) as i64
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}
