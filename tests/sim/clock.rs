//! The simulated clock: sleeping lets the other threads move.

use std::time::Duration;

use host::io::clock::Clock;

use crate::world::{Handle, START_MS};

pub struct SimClock(pub Handle);

impl Clock for SimClock {
    fn unix_ms(&self) -> i64 {
        let state = self.0.world.lock();
        START_MS + (state.now_us / 1000) as i64 + state.wall_off_ms
    }

    fn monotonic(&self) -> Duration {
        let state = self.0.world.lock();
        Duration::from_micros(state.now_us - state.life_began_us)
    }

    fn sleep(&self, duration: Duration) {
        let sleep_us = duration.as_micros() as u64;
        drop(
            self.0
                .cross_after(sleep_us.max(1), || format!("slept {} ms", duration.as_millis())),
        );
    }
}
