//! May the provider be called this often? A token bucket per provider, with its state in the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Gate, state};
use crate::store::{StoreError, keys};

/// Calls that may come at once after a quiet time, as a share of a minute's: one sixth, and at least one.
const BURST_SHARE: u32 = 6;

/// One provider's bucket, as the moment at which it would be full again: the generic cell rate algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    full_at_us: i64,
}

impl Bucket {
    /// Takes one call, or says how long to wait for it.
    fn take(&mut self, now_us: i64, per_minute: u32) -> Result<(), Duration> {
        let interval_us = 60_000_000 / i64::from(per_minute.max(1));
        let burst = i64::from((per_minute / BURST_SHARE).max(1));
        let full_at_us = self.full_at_us.max(now_us);
        let early_us = full_at_us + interval_us - now_us - burst * interval_us;
        if early_us > 0 {
            return Err(Duration::from_micros(early_us as u64));
        }
        self.full_at_us = full_at_us + interval_us;
        Ok(())
    }
}

/// Takes one call to `provider` from its bucket, or says how long to wait for it.
pub(super) fn take(gate: &Gate, provider: &str) -> Result<Result<(), Duration>, StoreError> {
    let Some(&per_minute) = gate.policies.per_minute.get(provider) else {
        return Ok(Ok(()));
    };
    let now_us = gate.world.clock.unix_ms() * 1000;
    state::update(
        &gate.ground,
        &keys::named(keys::Space::Limiter, &[provider]),
        |bucket: &mut Bucket| bucket.take(now_us, per_minute),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_minute_sees_more_than_its_share_and_the_burst(
            per_minute in 1u32..600,
            pauses_ms in proptest::collection::vec(0i64..3_000, 1..200),
        ) {
            let (mut bucket, mut now_us, mut taken) = (Bucket::default(), 1_000_000_000, Vec::new());
            for pause_ms in pauses_ms {
                now_us += pause_ms * 1000;
                match bucket.take(now_us, per_minute) {
                    Ok(()) => taken.push(now_us),
                    Err(wait) => {
                        now_us += wait.as_micros() as i64;
                        prop_assert!(bucket.take(now_us, per_minute).is_ok(), "the wait it names is enough");
                        taken.push(now_us);
                    }
                }
            }
            let burst = (per_minute / BURST_SHARE).max(1) as usize;
            for (index, start) in taken.iter().enumerate() {
                let within = taken[index..].iter().take_while(|at| **at < start + 60_000_000).count();
                prop_assert!(within <= per_minute as usize + burst, "{within} calls in a minute");
            }
        }
    }
}
