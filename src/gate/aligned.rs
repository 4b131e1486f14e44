//! A what-if's answers: an edited script over a recorded world, every door shut.
//!
//! What is asked the same as on record is answered the same ([`super::matching`]); calls of the store are computed anew
//! ([`super::recompute`]), and time passes where a script waits ([`super::passing`]).
//!
//! Where the record has nothing, clock and chance go on from what is known, a provider that was simulated in the run
//! is simulated again, and for the rest [`Missing`] decides.

use std::sync::Arc;

use super::errand::Act;
use super::matching::{Match, Matching, Sites};
use super::perform::{refuse_here, simulate};
use super::recompute::{Past, Rendering, rendered};
use super::stop::{Halt, Stop};
use super::tape::{Tape, describe};
use super::{Gate, How, Local, governance, local, mode};
use crate::effect::{Class, Effect, Failure};
use crate::id::StepNo;
use crate::io::clock::{Clock, RecordedClock};
use crate::journal::{Answer, Asked, Recorded, Step};
use crate::store::{Durability, StoreError, Tx};
use crate::value::Value;

/// What happens when the record cannot answer.
#[derive(Clone)]
pub enum Missing {
    /// The what-if ends there, with `NOT_RECORDED`.
    Stop,
    /// The provider's own simulation answers.
    Simulate,
    /// Somebody is asked; `None` ends the what-if.
    Ask(Arc<Asking>),
}

/// Asks somebody for an answer.
pub type Asking = dyn Fn(&Asked) -> Option<Value> + Send + Sync;

/// Where an answer came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the record, asked as it was then.
    Record,
    /// From the record, from the read at this step, which asked the same.
    Again(StepNo),
    /// Computed over the store as the what-if has left it, or out of the texts of prompts.
    Computed,
    /// Computed, but partly over what the record does not show.
    Guessed,
    /// The clock went on from the recorded times, or chance was drawn from a fixed seed.
    Derived,
    /// Simulated for this reason, as the run would have had it.
    Simulated(String),
    /// Not on record, and without a simulation: the answer to this step, which asked with other arguments.
    StandIn(StepNo),
    /// Not on record: simulated.
    Unrecorded,
    /// Not on record: somebody gave it.
    Told,
    /// Not on record, and the what-if ended here.
    Nowhere,
}

impl Origin {
    /// Whether the record had no answer.
    pub fn is_unrecorded(&self) -> bool {
        matches!(
            self,
            Origin::Guessed | Origin::StandIn(_) | Origin::Unrecorded | Origin::Told | Origin::Nowhere
        )
    }
}

/// One question of the edited script, and what it was given.
#[derive(Clone, Debug)]
pub struct Given {
    pub answer: Answer,
    /// The recorded step that asked the same.
    pub recorded: Option<StepNo>,
    pub origin: Origin,
    /// What is said beside the answer.
    pub note: Option<String>,
}

/// The record of a run, and how far an edited script has come in it.
pub struct Aligned {
    pub(super) recorded: Recorded,
    pub(super) matching: Matching,
    pub(super) missing: Missing,
    pub(super) past: Past,
    /// The latest step that was asked for: what was written before it is in the store of then.
    pub(super) reached: StepNo,
    pub(super) clock: Arc<RecordedClock>,
    rendering: Box<dyn Fn(&Asked) -> Rendering + Send>,
    pub(super) given: Vec<Given>,
}

impl Aligned {
    pub fn new(
        recorded: Recorded,
        sites: Sites,
        missing: Missing,
        past: Past,
        clock: Arc<RecordedClock>,
        rendering: Box<dyn Fn(&Asked) -> Rendering + Send>,
    ) -> Aligned {
        Aligned {
            matching: Matching::new(&recorded, sites),
            recorded,
            missing,
            past,
            reached: 0,
            clock,
            rendering,
            given: Vec::new(),
        }
    }

    /// What was asked and given, in the order of asking.
    pub(super) fn into_given(mut self) -> Vec<Given> {
        self.given.sort_by_key(|given| given.answer.asked.step);
        self.given
    }

    /// A child that only the what-if starts must have another id than any on record, or it would be taken for that.
    pub(super) fn generation(&self) -> u32 {
        !self.recorded.generation
    }
}

/// An answer on its way to the script.
pub(super) struct Found {
    pub(super) answer: Answer,
    pub(super) origin: Origin,
    pub(super) note: Option<String>,
}

impl Found {
    pub(super) fn new(answer: Answer, origin: Origin) -> Found {
        Found {
            answer,
            origin,
            note: None,
        }
    }
}

/// Answers `effect` in a what-if.
pub(super) fn perform(
    gate: &Gate,
    tape: &mut Tape,
    effect: &Effect<'_>,
    asked: Asked,
    how: How<'_>,
) -> Result<Value, Stop> {
    within(tape, |aligned, tape| aligned.answer(gate, tape, effect, asked, how))
}

/// Works with the tape and what it holds for a what-if.
pub(super) fn within<T>(tape: &mut Tape, work: impl FnOnce(&mut Aligned, &mut Tape) -> T) -> T {
    let mut aligned = tape.aligned.take().expect("only a what-if comes here");
    let done = work(&mut aligned, tape);
    tape.aligned = Some(aligned);
    done
}

impl Aligned {
    fn answer(
        &mut self,
        gate: &Gate,
        tape: &mut Tape,
        effect: &Effect<'_>,
        asked: Asked,
        how: How<'_>,
    ) -> Result<Value, Stop> {
        let matched = self.take(&asked);
        let recorded = matched.step();
        if let Some(refusal) = refuse_here(tape, effect, &how).filter(|_| recorded.is_none()) {
            let answer = tape.answer_to(gate, asked).failed(refusal);
            return self.give(tape, recorded, Found::new(answer, Origin::Computed));
        }
        let found = match how {
            How::Local(closure) if effect.declaration.recomputed => {
                self.stored(gate, tape, asked, recorded, closure).map(Ok)
            }
            How::Local(closure) => self.local(gate, tape, asked, recorded, closure).map(Ok),
            How::Outside(act) => self.outside(gate, tape, effect, asked, matched, act).map(Ok),
            How::Wait(waiting) => self.wait(gate, tape, asked, recorded, waiting),
        };
        match tape.persist(found)? {
            Ok(found) => self.give(tape, recorded, found),
            Err(halt) => Err(tape.stop(halt)),
        }
    }

    /// Finds what answers `asked`, and brings the record as far.
    pub(super) fn take(&mut self, asked: &Asked) -> Match {
        let matched = self.matching.take(asked);
        if let Some(step) = matched.step() {
            self.reach(step);
        }
        matched
    }

    /// Notes what was found, and gives it to the script.
    pub(super) fn give(&mut self, tape: &mut Tape, recorded: Option<StepNo>, found: Found) -> Result<Value, Stop> {
        let Found { answer, origin, note } = found;
        let stopped = origin == Origin::Nowhere;
        self.given.push(Given {
            answer: answer.clone(),
            recorded,
            origin,
            note,
        });
        if stopped {
            return Err(tape.stop(Halt::NotRecorded {
                step: answer.asked.step,
                asked: describe(&answer.asked),
            }));
        }
        tape.give(answer)
    }

    /// Time and store of the record come as far as `step`.
    fn reach(&mut self, step: StepNo) {
        let begun = &self.recorded.begun;
        if let Some(answer) = self.recorded.steps.get(&step).and_then(|step| step.answer.as_ref()) {
            self.clock.reach(begun.unix_ms(answer.at_ms));
        }
        while let Some(next) = self.past.writes.first_entry().filter(|next| *next.key() < step) {
            let (written_at, write) = next.remove_entry();
            let at_ms = self
                .recorded
                .steps
                .get(&written_at)
                .and_then(|step| step.answer.as_ref());
            let now_ms = begun.unix_ms(at_ms.map_or(0, |answer| answer.at_ms));
            let mut tx = Tx::new(&self.past.then, self.recorded.begun.mode.realm(), now_ms);
            // What the record shows only in part may not be there to be changed.
            if write(&mut tx).is_ok() && self.past.then.store.commit(tx.batch, Durability::Soon).is_err() {
                tracing::debug!(
                    step = written_at,
                    "a recorded change does not fit what the record shows"
                );
            }
        }
        self.reached = self.reached.max(step);
    }

    /// The answer on record to the step, as the answer to `asked`.
    pub(super) fn on_record(&self, step: Option<StepNo>, asked: &Asked) -> Option<Answer> {
        let answer = self.recorded.steps.get(&step?)?.answer.clone()?;
        Some(Answer {
            asked: asked.clone(),
            ..answer
        })
    }

    fn local(
        &mut self,
        gate: &Gate,
        tape: &mut Tape,
        asked: Asked,
        recorded: Option<StepNo>,
        closure: &dyn Fn(&mut Local<'_>) -> Result<Value, StoreError>,
    ) -> Result<Found, StoreError> {
        if let Some(answer) = self.on_record(recorded, &asked) {
            match clock_reading(&answer) {
                // Something that was asked later then has been told a later time already.
                Some(reading) if reading < self.clock.unix_ms() - ROUNDING_MS => {}
                reading => {
                    self.clock.reach(reading.unwrap_or(i64::MIN));
                    return Ok(Found::new(answer, Origin::Record));
                }
            }
        }
        let now_ms = tape.now_ms(gate);
        let (outcome, _) = local::compute(gate, &gate.ground, tape.mode.realm(), now_ms, closure)?;
        let answer = gate.settle(tape.answer_to(gate, asked), outcome);
        Ok(Found::new(answer, Origin::Derived))
    }

    fn outside(
        &mut self,
        gate: &Gate,
        tape: &mut Tape,
        effect: &Effect<'_>,
        asked: Asked,
        matched: Match,
        act: &dyn Act,
    ) -> Result<Found, StoreError> {
        let recorded = matched.step();
        let on_record = self.on_record(recorded, &asked);
        if effect.declaration.recomputed {
            let rendering = (self.rendering)(&asked);
            match on_record {
                Some(answer) if rendering != Rendering::Edited => return Ok(Found::new(answer, Origin::Record)),
                on_record => return Ok(rendered(gate, tape, effect, asked, act, on_record, rendering)),
            }
        }
        if let Some(answer) = on_record {
            return Ok(Found::new(answer, Origin::Record));
        }
        if let Match::Again(step) = matched
            && let Some(answer) = self.on_record(Some(step), &asked)
        {
            return Ok(Found::new(answer, Origin::Again(step)));
        }
        Ok(self.missing(gate, tape, effect, asked, recorded, act))
    }

    /// What nobody has asked before, in the order of the gate.
    fn missing(
        &mut self,
        gate: &Gate,
        tape: &Tape,
        effect: &Effect<'_>,
        asked: Asked,
        recorded: Option<StepNo>,
        act: &dyn Act,
    ) -> Found {
        let verdict = governance::decide(gate, &tape.mode, effect);
        let answer = tape.answer_to(gate, asked);
        if let Some(why) = mode::why_simulated(&tape.mode, effect) {
            let decision = verdict.map(|verdict| verdict.would());
            let answer = simulate(gate, answer, act, why, decision);
            return Found::new(answer, Origin::Simulated(why.to_owned()));
        }
        if let Err(refusal) = mode::check_uses(&tape.mode, effect) {
            return Found::new(answer.failed(refusal), Origin::Computed);
        }
        let decision = verdict.as_ref().map(|verdict| verdict.would());
        if let Some(refusal) = verdict.as_ref().and_then(|verdict| verdict.refusal()) {
            let strict = effect
                .publication
                .as_ref()
                .is_some_and(|publication| publication.strict);
            if strict {
                let answer = Answer { decision, ..answer };
                return Found::new(answer.failed(refusal), Origin::Computed);
            }
            let why = refusal.message.clone();
            let answer = simulate(gate, answer, act, &why, decision);
            return Found::new(answer, Origin::Simulated(why));
        }
        let unanswered = recorded.and_then(|step| self.recorded.steps.get(&step));
        let note = unanswered.map(|step| unanswered_note(step).to_owned());
        let answer = Answer {
            decision: decision.clone(),
            ..answer
        };
        let found = match &self.missing {
            Missing::Stop => nowhere(answer),
            Missing::Ask(_) => self.ask(gate, answer),
            Missing::Simulate => {
                let simulated = simulate(gate, answer.clone(), act, NOT_RECORDED, decision);
                match self.stand_in(&simulated) {
                    Some((step, answer)) => Found::new(answer, Origin::StandIn(step)),
                    None => Found::new(simulated, Origin::Unrecorded),
                }
            }
        };
        Found { note, ..found }
    }

    /// Work on real files has no simulation. What came of the same work, asked for a little otherwise, comes nearest.
    fn stand_in(&mut self, simulated: &Answer) -> Option<(StepNo, Answer)> {
        let failure = simulated.error.as_ref()?;
        if failure.code != "NOT_SIMULATED" {
            return None;
        }
        let step = self.matching.stand_in(&simulated.asked)?;
        let answer = self.on_record(Some(step), &simulated.asked)?;
        answer.error.is_none().then_some((step, answer))
    }

    pub(super) fn ask(&self, gate: &Gate, answer: Answer) -> Found {
        let Missing::Ask(ask) = &self.missing else {
            return nowhere(answer);
        };
        match ask(&answer.asked) {
            Some(value) => Found::new(gate.settle(answer, Ok(value)), Origin::Told),
            None => nowhere(answer),
        }
    }
}

/// Why an answer is a simulation that no record has.
const NOT_RECORDED: &str = "it is not on record";

/// By how much a step's time may lie before the time that it told.
const ROUNDING_MS: i64 = 2;

pub(super) fn nowhere(answer: Answer) -> Found {
    let message = "the record holds no answer, and the what-if ends here; --missing simulate goes on";
    Found::new(answer.failed(Failure::new("NOT_RECORDED", message)), Origin::Nowhere)
}

fn unanswered_note(step: &Step) -> &'static str {
    match step.intents.is_empty() {
        true => "it was asked for, and its answer is not on record",
        false => "it was sent, and nobody knows whether it landed",
    }
}

/// The time that a script was told by its clock.
pub(super) fn clock_reading(answer: &Answer) -> Option<i64> {
    if answer.asked.class != Class::Local {
        return None;
    }
    match (answer.asked.name.as_str(), &answer.value) {
        ("time.now_ms", Value::Int(ms)) => Some(*ms),
        ("time.now", Value::Text(text)) => Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()),
        _ => None,
    }
}
