//! Chance: the only place that draws random numbers.
#![expect(clippy::disallowed_methods, reason = "this is the door to chance")]

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
pub struct SeededChance(Mutex<Seeded>);

struct Seeded {
    rng: StdRng,
    /// What is drawn before anything else.
    ahead: VecDeque<u64>,
}

impl SeededChance {
    pub fn new(seed: u64) -> SeededChance {
        SeededChance(Mutex::new(Seeded {
            rng: StdRng::seed_from_u64(seed),
            ahead: VecDeque::new(),
        }))
    }

    /// Puts 128 bits before whatever else would be drawn.
    pub fn draw_next(&self, bits: u128) {
        self.lock().ahead.extend([(bits >> 64) as u64, bits as u64]);
    }

    /// Begins the sequence of another seed.
    pub fn begin_again(&self, seed: u64) {
        self.lock().rng = StdRng::seed_from_u64(seed);
    }

    fn lock(&self) -> MutexGuard<'_, Seeded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chance for SeededChance {
    fn bits(&self) -> u64 {
        let mut seeded = self.lock();
        match seeded.ahead.pop_front() {
            Some(bits) => bits,
            None => seeded.rng.next_u64(),
        }
    }
}
