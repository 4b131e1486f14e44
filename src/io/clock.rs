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

/// How long this thread has been at work on a processor. What it waits for does not count.
pub fn thread_worked() -> Duration {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(worked).unwrap_or_default()
}

/// A clock on which sleeping takes no time: it goes ahead of another by what was slept. For plans.
pub struct VirtualClock {
    clock: std::sync::Arc<dyn Clock>,
    ahead_us: std::sync::atomic::AtomicU64,
}

impl VirtualClock {
    pub fn new(clock: std::sync::Arc<dyn Clock>) -> VirtualClock {
        VirtualClock {
            clock,
            ahead_us: std::sync::atomic::AtomicU64::new(0),
        }
    }

    fn ahead(&self) -> Duration {
        Duration::from_micros(self.ahead_us.load(std::sync::atomic::Ordering::SeqCst))
    }
}

impl Clock for VirtualClock {
    fn unix_ms(&self) -> i64 {
        self.clock.unix_ms() + self.ahead().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + self.ahead()
    }

    fn sleep(&self, duration: Duration) {
        self.ahead_us
            .fetch_add(duration.as_micros() as u64, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A clock whose time of day is what it was told last, and never goes back: for what-ifs, which live in the time of
/// their record. How long something takes is still measured on the other clock; sleeping takes no time.
pub struct RecordedClock {
    clock: std::sync::Arc<dyn Clock>,
    unix_ms: std::sync::atomic::AtomicI64,
}

impl RecordedClock {
    pub fn new(clock: std::sync::Arc<dyn Clock>, unix_ms: i64) -> RecordedClock {
        RecordedClock {
            clock,
            unix_ms: std::sync::atomic::AtomicI64::new(unix_ms),
        }
    }

    /// It is `unix_ms` now, unless it was later already.
    pub fn reach(&self, unix_ms: i64) {
        self.unix_ms.fetch_max(unix_ms, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for RecordedClock {
    fn unix_ms(&self) -> i64 {
        self.unix_ms.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.unix_ms
            .fetch_add(duration.as_millis() as i64, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A clock that stands still until somebody moves it, or sleeps on it: for tests.
pub struct HandClock {
    /// What it says of the time of day when nothing has moved it.
    start_ms: std::sync::atomic::AtomicI64,
    moved_us: std::sync::atomic::AtomicU64,
}

/// 2026-11-21 12:00:00 UTC.
const HAND_START_MS: i64 = 1_795_262_400_000;

impl Default for HandClock {
    fn default() -> HandClock {
        HandClock {
            start_ms: std::sync::atomic::AtomicI64::new(HAND_START_MS),
            moved_us: std::sync::atomic::AtomicU64::new(0),
        }
    }
}

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.moved_us
            .fetch_add(by.as_micros() as u64, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the time of day; how much time has passed is not touched.
    pub fn set(&self, unix_ms: i64) {
        let start_ms = unix_ms.saturating_sub(self.elapsed().as_millis() as i64);
        self.start_ms.store(start_ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// How far it has been moved, by hand and by sleepers.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.moved_us.load(std::sync::atomic::Ordering::SeqCst))
    }
}

impl Clock for HandClock {
    fn unix_ms(&self) -> i64 {
        let start_ms = self.start_ms.load(std::sync::atomic::Ordering::SeqCst);
        start_ms.saturating_add(self.elapsed().as_millis() as i64)
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

/// A clock that begins at a given moment and moves in steps: what takes less than one takes no time, so that two plans
/// of one script tell the same times. What takes long still meets its limits.
pub struct SteppingClock {
    clock: std::sync::Arc<dyn Clock>,
    begun: Duration,
    unix_ms: i64,
    step: Duration,
}

impl SteppingClock {
    pub fn new(clock: std::sync::Arc<dyn Clock>, unix_ms: i64, step: Duration) -> SteppingClock {
        let begun = clock.monotonic();
        SteppingClock {
            clock,
            begun,
            unix_ms,
            step,
        }
    }
}

impl Clock for SteppingClock {
    fn unix_ms(&self) -> i64 {
        self.unix_ms + self.monotonic().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        let passed = self.clock.monotonic().saturating_sub(self.begun);
        let steps = passed.as_nanos() / self.step.as_nanos().max(1);
        self.step * u32::try_from(steps).unwrap_or(u32::MAX)
    }

    fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration);
    }
}
