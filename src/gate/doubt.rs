//! Did a write land whose answer was lost?
//!
//! The provider is asked. A positive answer counts at once. A negative one counts only when the provider has had
//! time to show what it did: after the send deadline, the request's timeout and the settle time. Where nobody can
//! tell, the declaration's `on_unknown` decides.

use std::time::Duration;

use super::attempts::{self, SEND_WITHIN};
use super::errand::{Act, Sighting};
use super::stop::{Halt, Stop};
use super::tape::Tape;
use super::{Gate, panic};
use crate::effect::{Effect, Failure, OnUnknown};
use crate::journal::Intent;
use crate::value::Value;

/// The pause between two questions to the provider.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Questions that may fail before the answer counts as "cannot tell".
const FAILED_QUESTIONS_MAX: u32 = 4;

/// What became of a write in doubt.
pub(super) enum Settled {
    Landed(Value),
    NotLanded,
    /// Nobody can tell; send it once more, and record the possible double cost.
    Repeat,
    /// Nobody can tell; a person must decide.
    Open,
}

/// Settles the write of `intent`, whose last attempt ended with `failure`.
pub(super) fn settle(
    gate: &Gate,
    tape: &mut Tape,
    effect: &Effect<'_>,
    act: &dyn Act,
    intent: &Intent,
    failure: &Failure,
) -> Result<Settled, Stop> {
    let declaration = effect.declaration;
    let certain_after = SEND_WITHIN + declaration.timeout + declaration.settle;
    // An earlier owner's request may have left as late as when this one took over: the clock on the wall, which alone
    // knows how long nobody owned the run, may have been set.
    let sent_ms = if intent.epoch < tape.epoch {
        tape.owned_since_ms.max(intent.at_ms)
    } else {
        intent.at_ms
    };
    let certain_at_ms = sent_ms + certain_after.as_millis() as u64;
    let mut failed_questions = 0;
    loop {
        let asked_at_ms = tape.elapsed_ms(gate);
        let mut kept = attempts::Kept::default();
        let sighting = attempts::with_errand(
            gate,
            tape,
            effect,
            &intent.key,
            intent.asked.step,
            &mut kept,
            |errand| panic::caught(|| act.look_up(errand, intent)),
        );
        match sighting {
            Ok(Sighting::Landed(value)) => return Ok(Settled::Landed(value)),
            // The question was put late enough, so "not there" means that it never will be.
            Ok(Sighting::NotThere) if asked_at_ms >= certain_at_ms => return Ok(Settled::NotLanded),
            Ok(Sighting::NotThere) => failed_questions = 0,
            Ok(Sighting::CannotTell) => break,
            Err(_) if failed_questions + 1 >= FAILED_QUESTIONS_MAX => break,
            Err(_) => failed_questions += 1,
        }
        let left = Duration::from_millis(certain_at_ms.saturating_sub(tape.elapsed_ms(gate)));
        let pause = if failed_questions > 0 {
            ASK_EVERY
        } else {
            left.clamp(Duration::from_millis(1), ASK_EVERY)
        };
        let why = format!("whether {} landed ({failure})", effect.name());
        match attempts::wait(gate, tape, intent.asked.step, pause, why) {
            None => {}
            // Whoever goes on with it asks again.
            Some(Halt::Parked) => return Err(tape.stop(Halt::Parked)),
            // The run is to stop; nobody knows, and nothing is given up.
            Some(_) => return Ok(Settled::Open),
        }
    }
    Ok(match declaration.on_unknown {
        OnUnknown::Ask => Settled::Open,
        OnUnknown::Repeat(most) if intent.attempt <= most => Settled::Repeat,
        OnUnknown::Repeat(_) => Settled::Open,
        OnUnknown::AssumeLanded => Settled::Landed(Value::from([
            ("assumed", Value::Bool(true)),
            ("reason", Value::from(failure.to_string())),
        ])),
    })
}
