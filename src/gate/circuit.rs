//! Is the provider healthy? A circuit breaker per provider, with its state in the store.
//!
//! Closed, it counts failures in a row. At the threshold it opens: calls fail at once until the cool-down has passed.
//! Then one call is let through as a probe; if it succeeds the circuit closes, otherwise it opens again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Gate, state};
use crate::effect::Failure;
use crate::store::{StoreError, keys};

/// When a circuit opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Failures in a row that open it. `CIRCUIT_FAILURE_THRESHOLD`.
    pub threshold: u32,
    pub cooldown: Duration,
}

impl Default for CircuitSettings {
    fn default() -> CircuitSettings {
        CircuitSettings {
            threshold: 5,
            cooldown: Duration::from_secs(60),
        }
    }
}

/// One provider's circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    pub failures: u32,
    /// Unix milliseconds; 0 while closed.
    pub open_until_ms: i64,
    /// While a probe is under way, nobody else is let through before this.
    pub probe_until_ms: i64,
}

impl Circuit {
    /// As people and `host providers` name it.
    pub fn state(&self, now_ms: i64) -> &'static str {
        match self.open_until_ms {
            0 => "closed",
            until if now_ms < until => "open",
            _ => "half-open",
        }
    }

    /// Lets a call through, or says for how many milliseconds not.
    fn admit(&mut self, now_ms: i64, probe_ms: i64) -> Result<(), i64> {
        if self.open_until_ms == 0 {
            return Ok(());
        }
        let shut_until = self.open_until_ms.max(self.probe_until_ms);
        if now_ms < shut_until {
            return Err(shut_until - now_ms);
        }
        self.probe_until_ms = now_ms + probe_ms;
        Ok(())
    }

    fn tell(&mut self, healthy: bool, now_ms: i64, settings: &CircuitSettings) {
        if healthy {
            *self = Circuit::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= settings.threshold {
            self.open_until_ms = now_ms + settings.cooldown.as_millis() as i64;
            self.probe_until_ms = 0;
        }
    }
}

/// The row of a provider's circuit.
pub fn key(provider: &str) -> Vec<u8> {
    keys::named(keys::Space::Circuit, &[provider])
}

/// Lets a call to `provider` through, or fails with `CIRCUIT_OPEN`.
pub(super) fn admit(gate: &Gate, provider: &str, timeout: Duration) -> Result<Result<(), Failure>, StoreError> {
    let now_ms = gate.world.clock.unix_ms();
    let probe_ms = timeout.as_millis() as i64;
    let admitted = state::update(&gate.ground, &key(provider), |circuit: &mut Circuit| {
        circuit.admit(now_ms, probe_ms)
    })?;
    Ok(admitted.map_err(|wait_ms| {
        let message = format!(
            "{provider} has failed {} times in a row and is left alone for another {:.0} s",
            gate.policies.circuit.threshold,
            (wait_ms as f64 / 1000.0).ceil()
        );
        let failure = Failure::new("CIRCUIT_OPEN", message)
            .provider(provider)
            .landed(Some(false));
        Failure {
            retry_after_ms: Some(wait_ms as u64),
            ..failure
        }
    }))
}

/// Tells the circuit what came of a call.
pub(super) fn tell(gate: &Gate, provider: &str, healthy: bool) -> Result<(), StoreError> {
    let now_ms = gate.world.clock.unix_ms();
    let settings = gate.policies.circuit;
    let opened = state::update(&gate.ground, &key(provider), |circuit: &mut Circuit| {
        let was_open = circuit.open_until_ms != 0;
        circuit.tell(healthy, now_ms, &settings);
        circuit.open_until_ms != 0 && !was_open
    })?;
    if opened {
        tracing::warn!(provider, cooldown_s = settings.cooldown.as_secs(), "circuit opened");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: CircuitSettings = CircuitSettings {
        threshold: 3,
        cooldown: Duration::from_secs(10),
    };

    #[test]
    fn it_opens_at_the_threshold_and_lets_one_probe_through_after_the_cooldown() {
        let mut circuit = Circuit::default();
        for _ in 0..2 {
            circuit.tell(false, 0, &SETTINGS);
            assert_eq!(circuit.admit(0, 1000), Ok(()));
        }
        circuit.tell(false, 0, &SETTINGS);
        assert_eq!(circuit.admit(4_000, 1000), Err(6_000));
        assert_eq!(circuit.admit(10_000, 1000), Ok(()), "the probe");
        assert_eq!(
            circuit.admit(10_400, 1000),
            Err(600),
            "nobody else while it is under way"
        );
        circuit.tell(true, 10_500, &SETTINGS);
        assert_eq!(circuit, Circuit::default());
    }

    proptest! {
        /// Against a model that keeps the whole history instead of a state.
        #[test]
        fn failures_in_a_row_decide_and_nothing_else(history in proptest::collection::vec(any::<bool>(), 0..40)) {
            let mut circuit = Circuit::default();
            for &healthy in &history {
                circuit.tell(healthy, 0, &SETTINGS);
            }
            let in_a_row = history.iter().rev().take_while(|healthy| !**healthy).count();
            prop_assert_eq!(circuit.admit(1, 1000).is_err(), in_a_row >= 3);
        }
    }
}
