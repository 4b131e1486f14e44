//! Chance: the only place that draws random numbers.
#![expect(clippy::disallowed_methods, reason = "this is the door to chance")]

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use std::sync::{Mutex, PoisonError};

/// Random bits as the gate and the runner see them.
pub trait Chance: Send + Sync {
    fn bits(&self) -> u64;

    /// 128 random bits, for ids.
    fn wide_bits(&self) -> u128 {
        (u128::from(self.bits()) << 64) | u128::from(self.bits())
    }

    /// A number in `0.0..1.0`.
    fn fraction(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The operating system's entropy.
pub struct SystemChance;

impl Chance for SystemChance {
    fn bits(&self) -> u64 {
        SysRng
            .try_next_u64()
            .expect("the operating system gives random bits to every process")
    }
}

/// The same sequence for the same seed: for simulations, plans and tests.
pub struct SeededChance(Mutex<StdRng>);

impl SeededChance {
    pub fn new(seed: u64) -> SeededChance {
        SeededChance(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Begins the sequence of another seed.
    pub fn begin_again(&self, seed: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = StdRng::seed_from_u64(seed);
    }
}

impl Chance for SeededChance {
    fn bits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}
