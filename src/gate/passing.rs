//! What becomes of a wait in a what-if?
//!
//! A wait on record is over at once, as it was then; one that was never over ends the what-if as it stopped the run.
//! For one that nobody has waited for, time passes: to the end of a sleep, or to the limit of a question or an event
//! that does not come. Without a limit the script would wait, and that is its outcome.

use super::aligned::{Aligned, Found, Given, Missing, Origin, nowhere};
use super::poll::{Pace, Poll, Try};
use super::stop::{Halt, Stop};
use super::tape::Tape;
use super::waiting::{Look, Waiting, Watch};
use super::{Gate, aligned};
use crate::effect::Failure;
use crate::id::StepNo;
use crate::io::clock::Clock;
use crate::journal::{Answer, Asked, Awaited, Suspended, Wake};
use crate::store::{Durability, StoreError, Tx};
use crate::value::Value;

/// How often one wait may look again after something has passed.
const LOOKS_MAX: usize = 3;

impl Aligned {
    /// What a wait gives, or that the script would wait here.
    pub(super) fn wait(
        &mut self,
        gate: &Gate,
        tape: &mut Tape,
        asked: Asked,
        recorded: Option<StepNo>,
        waiting: &dyn Waiting,
    ) -> Result<Result<Found, Halt>, StoreError> {
        if let Some(answer) = self.on_record(recorded, &asked) {
            return Ok(Ok(Found::new(answer, Origin::Record)));
        }
        if let Some(halt) = self.still_waiting(tape, recorded, &asked) {
            return Ok(Err(halt));
        }
        let mut wake = None;
        for _ in 0..LOOKS_MAX {
            let answer = tape.answer_to(gate, asked.clone());
            let unix_ms = tape.now_ms(gate);
            let run_ms = u64::try_from(unix_ms - tape.begun.at_ms).unwrap_or(0);
            let mut watch = Watch {
                tx: Tx::new(&gate.ground, tape.mode.realm(), unix_ms),
                begun: &tape.begun,
                mode: &tape.mode,
                step: asked.step,
                generation: tape.generation,
                now_ms: run_ms,
                is_over: false,
                playbooks: &*gate.playbooks,
                edition: gate.edition,
                created: Vec::new(),
            };
            let began = wake.take().map_or_else(|| waiting.begin(&mut watch), Ok);
            let looked = began.and_then(|began: Wake| {
                watch.is_over = began.at_ms.is_some_and(|at_ms| at_ms <= run_ms);
                waiting.look(&began, &mut watch)
            });
            let batch = watch.tx.batch;
            let next = match looked {
                Ok(Look::Come(outcome)) => {
                    gate.ground.store.commit(batch, Durability::Soon)?;
                    return Ok(Ok(Found::new(gate.settle(answer, outcome), Origin::Derived)));
                }
                Ok(Look::NotYet(next)) => next,
                Err(Stop::Failed(failure)) => {
                    return Ok(Ok(Found::new(answer.failed(gate.clean(failure)), Origin::Derived)));
                }
                Err(Stop::Halted(halt)) => return Ok(Err(halt)),
            };
            let is_time = matches!(next.awaited, Awaited::Time);
            match (&self.missing, next.at_ms) {
                (Missing::Ask(_), _) if !is_time => return Ok(Ok(self.ask(gate, answer))),
                (Missing::Stop, _) if !is_time => return Ok(Ok(nowhere(answer))),
                (_, Some(at_ms)) => {
                    let passed = tape
                        .begun
                        .at_ms
                        .saturating_add(i64::try_from(at_ms).unwrap_or(i64::MAX));
                    self.clock.reach(passed);
                    wake = Some(next);
                }
                (_, None) => {
                    let halt = self.waits_here(tape, None, answer, next);
                    return Ok(Err(halt));
                }
            }
        }
        let answer = tape.answer_to(gate, asked);
        Ok(Ok(nowhere(answer)))
    }

    /// The halt of a wait that was not over when the record ended.
    fn still_waiting(&mut self, tape: &Tape, recorded: Option<StepNo>, asked: &Asked) -> Option<Halt> {
        let step = self.recorded.steps.get(&recorded?)?;
        let wake = step.suspended.as_ref()?.wake.clone();
        let answer = Answer {
            asked: asked.clone(),
            ..Answer::default()
        };
        Some(self.waits_here(tape, recorded, answer, wake))
    }

    fn waits_here(&mut self, tape: &Tape, recorded: Option<StepNo>, answer: Answer, wake: Wake) -> Halt {
        let suspended = Suspended {
            asked: answer.asked.clone(),
            wake,
            at_ms: 0,
            active_ms: 0,
        };
        let origin = match recorded {
            Some(_) => Origin::Record,
            None => Origin::Derived,
        };
        let note = format!("the run waits here for {}", suspended.wake.awaited.in_words());
        self.given.push(Given {
            answer,
            recorded,
            origin,
            note: Some(note),
        });
        tape.suspension(&suspended)
    }
}

/// Begins a poll in a what-if: as it ended on record, or to be tried once.
pub(super) fn begin_poll(tape: &mut Tape, asked: Asked) -> Result<Poll, Stop> {
    aligned::within(tape, |aligned, tape| {
        let recorded = aligned.take(&asked).step();
        if let Some(answer) = aligned.on_record(recorded, &asked) {
            return match aligned.give(tape, recorded, Found::new(answer, Origin::Record)) {
                Ok(_) => Ok(Poll::Over(Ok(()))),
                Err(Stop::Failed(failure)) => Ok(Poll::Over(Err(failure))),
                Err(halted) => Err(halted),
            };
        }
        if let Some(halt) = aligned.still_waiting(tape, recorded, &asked) {
            return Err(tape.stop(halt));
        }
        tape.polling = Some(asked.step);
        Ok(Poll::Try(Try::only(asked)))
    })
}

/// Ends the only try: what has no value yet would have none when the time is up.
pub(super) fn end_poll(gate: &Gate, tape: &mut Tape, turn: Try, has_value: bool, pace: Pace) -> Result<(), Stop> {
    aligned::within(tape, |aligned, tape| {
        let answer = tape.answer_to(gate, turn.asked);
        if has_value {
            let found = Found::new(answer, Origin::Derived);
            return aligned.give(tape, None, found).map(|_: Value| ());
        }
        if matches!(aligned.missing, Missing::Stop) {
            return aligned.give(tape, None, nowhere(answer)).map(|_: Value| ());
        }
        let now_ms = aligned.clock.unix_ms();
        let timeout_ms = i64::try_from(pace.timeout_ms).unwrap_or(i64::MAX);
        aligned.clock.reach(now_ms.saturating_add(timeout_ms));
        let within = crate::duration::for_people(pace.timeout_ms);
        let failure = Failure::new("POLL_TIMEOUT", format!("nothing came of it in {within}"));
        let found = Found::new(answer.failed(failure), Origin::Unrecorded);
        aligned.give(tape, None, found).map(|_: Value| ())
    })
}
