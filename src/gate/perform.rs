//! The order in which every effect passes the gate.

use super::errand::{Act, Simulation};
use super::local::Local;
use super::stage::Staged;
use super::stop::{Halt, Stop};
use super::tape::Tape;
use super::waiting::{self, Waiting};
use super::{Gate, aligned, attempts, carried, flight, governance, local, mode, panic};
use crate::effect::{Class, Effect, Failure};
use crate::journal::Answer;
use crate::store::StoreError;
use crate::value::Value;

/// The most that one answer holds. Every answer is in memory at least twice, and is read back whole.
const VALUE_BYTES_MAX: usize = 32 << 20;

/// How an effect is carried out, once the gate lets it.
pub enum How<'a> {
    /// Reads the store and fills the batch that the gate commits with the journal entry. Called again on a conflict.
    Local(&'a dyn Fn(&mut Local<'_>) -> Result<Value, StoreError>),
    /// Goes through a door to the outside.
    Outside(&'a dyn Act),
    /// Waits, without a thread, until something has come.
    Wait(&'a dyn Waiting),
}

/// Passes `effect` through the gate: from the tape if it is there, else simulated, refused or carried out; and puts
/// what came of it on the tape.
pub fn perform(gate: &Gate, tape: &mut Tape, effect: &Effect<'_>, how: How<'_>) -> Result<Value, Stop> {
    // 1. The journal: what has been answered is answered the same.
    let asked = tape.ask(gate, effect)?;
    if tape.aligned.is_some() {
        return aligned::perform(gate, tape, effect, asked, how);
    }
    if let Some(answer) = tape.recorded_answer(&asked)? {
        return answer;
    }
    tape.refuse_beyond(&asked)?;
    if let Some(kept) = carried::answer(gate, tape, effect, &asked, &how)? {
        return kept;
    }
    if !matches!(how, How::Local(_)) {
        tape.goes_outside(gate)?;
    }
    tape.begin(gate, &asked);

    if let Some(refusal) = refuse_here(tape, effect, &how) {
        let answer = tape.answer_to(gate, asked).failed(refusal);
        return tape.conclude(gate, answer);
    }
    if let Some(stage) = gate.stage.as_deref().filter(|_| !matches!(how, How::Outside(_)))
        && let Some(reply) = stage.own(&asked)
    {
        let answer = gate.settle(tape.answer_to(gate, asked), reply);
        return tape.conclude(gate, answer);
    }
    let staged;
    let act: &dyn Act = match how {
        How::Local(closure) => return local::perform(gate, tape, asked, closure),
        How::Wait(waiting) => return waiting::perform(gate, tape, asked, waiting),
        How::Outside(act) => match &gate.stage {
            Some(stage) => {
                staged = Staged::new(stage, effect, &asked, act);
                &staged
            }
            None => act,
        },
    };

    // 2. The run's mode, fixed when it was created.
    let verdict = governance::decide(gate, &tape.mode, effect);
    if let Some(why) = mode::why_simulated(&tape.mode, effect) {
        let answer = simulate(
            gate,
            tape.answer_to(gate, asked),
            act,
            why,
            verdict.map(|verdict| verdict.would()),
        );
        return tape.conclude(gate, answer);
    }
    let allowed = mode::check_uses(&tape.mode, effect).and_then(|()| mode::check_switch(&gate.policies, effect));
    if let Err(refusal) = allowed {
        let answer = tape.answer_to(gate, asked).failed(refusal);
        return tape.conclude(gate, answer);
    }

    // 3. Governance, for what publishes. Refused means simulated with the reason, or an error where that was asked for.
    if let Some(refusal) = verdict.as_ref().and_then(|verdict| verdict.refusal()) {
        let strict = effect
            .publication
            .as_ref()
            .is_some_and(|publication| publication.strict);
        let mut answer = tape.answer_to(gate, asked);
        if strict {
            answer.decision = Some(refusal.message.clone());
            answer = answer.failed(refusal);
        } else {
            answer = simulate(gate, answer, act, &refusal.message, Some(refusal.message.clone()));
        }
        return tape.conclude(gate, answer);
    }

    // 4. Single flight: one at a time on the effect's key.
    let claim = match flight::claim(gate, tape, effect)? {
        Ok(claim) => claim,
        Err(busy) => {
            let answer = tape.answer_to(gate, asked).failed(busy);
            return tape.conclude(gate, answer);
        }
    };

    // 5. Attempts, each with its own intent; 6. the outcome.
    let answer = attempts::run(gate, tape, effect, asked, act, verdict);
    let given = answer.and_then(|answer| tape.conclude(gate, answer));
    if let Err(Stop::Halted(Halt::Suspended(_) | Halt::Parked)) = given {
        // It goes on with its claim.
        return given;
    }
    let released = flight::release(gate, claim);
    tape.persist(released)?;
    given
}

/// Why `effect` may not be asked for at this point of the script.
pub(super) fn refuse_here(tape: &Tape, effect: &Effect<'_>, how: &How<'_>) -> Option<Failure> {
    let writes = effect.declaration.class == Class::Write;
    match how {
        How::Wait(_) => tape.refuse_wait(effect.name()),
        _ if writes && tape.polling.is_some() => {
            let message = format!(
                "{} writes, and the closure of a poll may only read: it is called again and again",
                effect.name()
            );
            Some(Failure::new("POLL_WRITES", message).landed(Some(false)))
        }
        _ => None,
    }
}

pub(super) fn simulate(gate: &Gate, mut answer: Answer, act: &dyn Act, why: &str, decision: Option<String>) -> Answer {
    answer.simulated = Some(why.to_owned());
    answer.decision = decision;
    let outcome = panic::caught(|| act.simulate(&Simulation::of(&answer.asked.name, &answer.asked.args)));
    gate.settle(answer, outcome)
}

impl Gate {
    /// Fills `answer` with what came of it, masked: from here on script, journal, log and replay see the same.
    pub(super) fn settle(&self, answer: Answer, outcome: Result<Value, Failure>) -> Answer {
        match outcome {
            Ok(value) if value.size() > VALUE_BYTES_MAX => {
                let bytes = value.size();
                let message = format!("the answer has {bytes} bytes; at most {VALUE_BYTES_MAX} are allowed");
                answer.failed(Failure::new("VALUE_TOO_LARGE", message))
            }
            Ok(value) => match crate::value::check_depth(&value) {
                Ok(()) => Answer {
                    value: self.masks.mask(value),
                    ..answer
                },
                Err(deep) => answer.failed(Failure::new("VALUE_TOO_DEEP", deep.to_string())),
            },
            Err(failure) => answer.failed(self.clean(failure)),
        }
    }

    /// `failure` as it may be seen and stored. Masked first: half a secret would not be found.
    pub fn clean(&self, failure: Failure) -> Failure {
        self.masks.mask_failure(failure).bounded()
    }
}
