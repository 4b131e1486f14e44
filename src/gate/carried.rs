//! A run that goes on with an edited script: what is asked as before is answered as before.
//!
//! Steps are matched as in a what-if ([`super::matching`]), but what nobody has asked before is done. A write that
//! landed is never done a second time by an edit: asked with other arguments it must have been named, to keep what came
//! of it or to do it again, or the run is halted before anything leaves.
//!
//! What was kept is on the journal again, under its new number; so whoever goes on after a crash finds the rest.

use super::local::compute;
use super::matching::{Match, Matching, Sites};
use super::stop::{Halt, Stop};
use super::tape::{Tape, describe};
use super::{Gate, How};
use crate::effect::{Class, Effect, Failure};
use crate::id::StepNo;
use crate::journal::life::{Awaited, Suspended};
use crate::journal::{Answer, Asked, CarryOver, Step};
use crate::value::Value;

/// The steps of the script before the edit that nobody has asked for yet.
pub struct Carried {
    over: CarryOver,
    matching: Matching,
    /// Whether this script has changed the store: what it reads afterwards is read anew.
    pub(super) has_changed_store: bool,
}

impl Carried {
    pub fn new(over: CarryOver, sites: Sites) -> Carried {
        Carried {
            matching: Matching::of_steps(&over.steps, sites),
            over,
            has_changed_store: false,
        }
    }
}

/// The answer of before to `asked`, put on the tape again; `None` when it is to be done now.
pub(super) fn answer(
    gate: &Gate,
    tape: &mut Tape,
    effect: &Effect<'_>,
    asked: &Asked,
    how: &How<'_>,
) -> Result<Option<Result<Value, Stop>>, Stop> {
    let Some(mut carried) = tape.carried.take() else {
        return Ok(None);
    };
    let found = carried.find(gate, tape, effect, asked, how);
    tape.carried = Some(carried);
    match found {
        Found::Kept(answer) => Ok(Some(tape.conclude(gate, *answer))),
        Found::Anew => Ok(None),
        Found::Refused(failure) => Err(tape.stop(Halt::Refused(failure))),
    }
}

enum Found {
    Kept(Box<Answer>),
    Anew,
    Refused(Failure),
}

impl Carried {
    fn find(&mut self, gate: &Gate, tape: &mut Tape, effect: &Effect<'_>, asked: &Asked, how: &How<'_>) -> Found {
        if let Match::Step(number) = self.matching.take(asked) {
            let Some(step) = self.over.steps.remove(&number) else {
                return self.anew(asked);
            };
            if self.over.again.contains(&number) || !self.still_holds(gate, tape, effect, how, &step) {
                return Found::Anew;
            }
            tape.wait_on(asked, &step);
            return kept(number, step, asked);
        }
        // The same function with other arguments: a write that is out, or whatever somebody has decided on.
        let decided = |number: &StepNo| self.over.keep.contains(number) || self.over.again.contains(number);
        let is_out = |step: &Step| asked.class == Class::Write && (step.has_landed() || step.is_in_doubt());
        let mut left = self.over.steps.iter();
        let changed = left.find(|(number, step)| {
            (decided(number) || is_out(step)) && step.asked().is_some_and(|before| before.name == asked.name)
        });
        let Some((&number, step)) = changed else {
            return self.anew(asked);
        };
        if self.over.again.contains(&number) {
            self.over.steps.remove(&number);
            return Found::Anew;
        }
        if self.over.keep.contains(&number) {
            let step = self.over.keep_for(number, asked).expect("it was just found");
            return kept(number, step, asked);
        }
        let before = step.asked().map(describe).unwrap_or_default();
        let message = format!(
            "step {number}, {before}, has landed or may have, and the edited script asks for {}; \
             `--keep {number}` takes what came of it, `--again {number}` does it once more",
            describe(asked)
        );
        Found::Refused(Failure::new("LANDED_WRITE_CHANGED", message).landed(Some(false)))
    }

    /// What nobody has asked before is done; but not a write whose outcome was given to a call with other arguments.
    fn anew(&self, asked: &Asked) -> Found {
        if asked.class != Class::Write || !self.over.is_kept_otherwise(asked) {
            return Found::Anew;
        }
        let message = format!(
            "{} has landed, or may have, and what came of it was kept for an earlier call with other arguments; \
             `--again` instead of `--keep` does it once more",
            describe(asked)
        );
        Found::Refused(Failure::new("LANDED_WRITE_CHANGED", message).landed(Some(false)))
    }

    /// Whether the store, which this script may have changed, would still answer so.
    fn still_holds(&self, gate: &Gate, tape: &mut Tape, effect: &Effect<'_>, how: &How<'_>, step: &Step) -> bool {
        let How::Local(closure) = how else { return true };
        if !self.has_changed_store || !effect.declaration.recomputed || step.answer.is_none() {
            return true;
        }
        let now_ms = tape.now_ms(gate);
        // What changes the store was done; what only reads it is asked anew.
        match compute(gate, &gate.ground, tape.mode.realm(), now_ms, *closure) {
            Ok((_, tx)) => !tx.batch.is_empty(),
            Err(_) => true,
        }
    }
}

impl Tape {
    /// The runs that `before` started are at work: they are waited for under the new number, and not started anew.
    fn wait_on(&mut self, asked: &Asked, before: &Step) {
        let (Some(suspended), Some(recorded)) = (&before.suspended, &mut self.recorded) else {
            return;
        };
        let is_for_children = matches!(suspended.wake.awaited, Awaited::Children { .. });
        let step = recorded.steps.entry(asked.step).or_default();
        if is_for_children && before.answer.is_none() && step.suspended.is_none() {
            step.suspended = Some(Suspended {
                asked: asked.clone(),
                ..suspended.clone()
            });
        }
    }
}

fn kept(number: StepNo, step: Step, asked: &Asked) -> Found {
    match step.answer {
        Some(answer) if !answer.in_doubt => Found::Kept(Box::new(Answer {
            asked: asked.clone(),
            from: Some(number),
            file: None,
            ..answer
        })),
        _ => Found::Anew,
    }
}
