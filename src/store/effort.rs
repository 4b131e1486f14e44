//! How much work an engine has had: how long commits took to reach the disk, and how many were refused.
//!
//! Counted since the store was opened; nothing is decided by it.
#![expect(
    clippy::disallowed_methods,
    reason = "how long the disk took is a figure, and nothing that scripts see follows from it"
)]

use std::time::Instant;

/// The upper bounds of [`Effort::within`], in microseconds.
pub const BOUNDS_MICROS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
];

/// What an engine has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Batches that were refused because somebody else was quicker.
    pub conflicts: u64,
    /// Generations of commits that were taken to the disk,
    pub syncs: u64,
    /// how long all of them took, in microseconds,
    pub micros: u64,
    /// and how many took no longer than each of [`BOUNDS_MICROS`].
    pub within: [u64; BOUNDS_MICROS.len()],
}

impl Effort {
    pub(super) fn synced(&mut self, micros: u64) {
        self.syncs += 1;
        self.micros = self.micros.saturating_add(micros);
        for (bound, count) in BOUNDS_MICROS.iter().zip(&mut self.within) {
            *count += u64::from(micros <= *bound);
        }
    }
}

/// Measures how long something takes.
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
