//! The clock: the only place that reads the time or sleeps.
#![expect(clippy::disallowed_methods, reason = "this is the door to the clock")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time as the gate and the runner see it. Tests move one by hand.
pub trait Clock: Send + Sync {
    /// Unix milliseconds. May jump when somebody sets the machine's clock.
    fn unix_ms(&self) -> i64;

    /// Time since some fixed moment of this process; never jumps.
    fn monotonic(&self) -> Duration;

    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
