//! Local effects: clock, chance and store, whose result and store change are one batch.

use super::stop::Stop;
use super::tape::Tape;
use super::{Gate, panic};
use crate::effect::Failure;
use crate::io::chance::Chance;
use crate::journal::Asked;
use crate::store::{StoreError, Tx};
use crate::value::Value;

/// How often a store change is computed again because another run was quicker.
const CONFLICTS_MAX: u32 = 10_000;

/// What a local effect's closure is handed.
pub struct Local<'a> {
    pub tx: Tx<'a>,
    pub chance: &'a dyn Chance,
}

/// Carries `closure` out and puts its outcome on the tape, in one batch with the store change it made.
pub(super) fn perform(
    gate: &Gate,
    tape: &mut Tape,
    mut asked: Asked,
    closure: &dyn Fn(&mut Local<'_>) -> Result<Value, StoreError>,
) -> Result<Value, Stop> {
    let mut conflicts = 0;
    loop {
        let now_ms = tape.now_ms(gate);
        let mut local = Local {
            tx: Tx::new(&gate.ground, tape.mode.realm(), now_ms),
            chance: &*gate.world.chance,
        };
        let outcome = match panic::caught(|| Ok::<_, Failure>(closure(&mut local))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_callers() => Err(Failure::new(error.code(), error.to_string())),
            Ok(Err(error)) => return tape.persist(Err(error)),
            Err(panic) => Err(panic),
        };
        let Local { tx, .. } = local;
        tape.writer.saw(tx.seen);
        let answer = gate.settle(tape.answer_to(gate, asked), outcome);
        if answer.error.is_some() || tx.batch.is_empty() {
            return tape.conclude(gate, answer);
        }
        match tape.conclude_with(gate, &answer, tx.batch) {
            Ok(()) => return tape.give(answer),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                asked = answer.asked;
            }
            Err(error) => return tape.persist(Err(error)),
        }
    }
}
