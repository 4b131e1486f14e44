//! Local effects: clock, chance and store, whose result and store change are one batch.

use super::stop::Stop;
use super::tape::Tape;
use super::{Gate, panic};
use crate::effect::Failure;
use crate::io::chance::Chance;
use crate::journal::Asked;
use crate::store::tx::Ground;
use crate::store::{Realm, StoreError, Tx, keys};
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
        let (outcome, tx) = match compute(gate, &gate.ground, tape.mode.realm(), now_ms, closure) {
            Ok(computed) => computed,
            Err(error) => return tape.persist(Err(error)),
        };
        tape.writer.saw(tx.seen);
        let answer = gate.settle(tape.answer_to(gate, asked), outcome);
        if answer.error.is_some() || tx.batch.is_empty() {
            return tape.conclude(gate, answer);
        }
        let starts_runs = tx.batch.puts.iter().any(|(key, _)| keys::starts_runs(key));
        match tape.conclude_with(gate, &answer, tx.batch) {
            Ok(()) => {
                if starts_runs {
                    gate.ready.stir();
                }
                return tape.give(answer);
            }
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                asked = answer.asked;
            }
            Err(error) => return tape.persist(Err(error)),
        }
    }
}

/// What `closure` answers over `ground`, and the change it would make. The outer error is the store's own.
pub(super) fn compute<'g>(
    gate: &'g Gate,
    ground: &'g Ground,
    realm: Realm,
    now_ms: i64,
    closure: &dyn Fn(&mut Local<'_>) -> Result<Value, StoreError>,
) -> Result<(Result<Value, Failure>, Tx<'g>), StoreError> {
    let mut local = Local {
        tx: Tx::new(ground, realm, now_ms),
        chance: &*gate.world.chance,
    };
    let outcome = match panic::caught(|| Ok::<_, Failure>(closure(&mut local))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.is_callers() => Err(Failure::new(error.code(), error.to_string())),
        Ok(Err(error)) => return Err(error),
        Err(panic) => Err(panic),
    };
    Ok((outcome, local.tx))
}
