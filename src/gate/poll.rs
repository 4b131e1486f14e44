//! Something that is tried again and again until it gives a value: one step that keeps only its last try.
//!
//! Each try is made by the whole script anew, from its journal: so a closure sees its variables as they were when the
//! poll began, whether or not the host was stopped in between. The effects of a try have the numbers after the poll's;
//! those of an earlier one are forgotten, so a try may read but not write.

use super::stop::Stop;
use super::tape::Tape;
use super::{Gate, How, carried, passing};
use crate::effect::{Effect, Failure};
use crate::id::StepNo;
use crate::journal::{Asked, Awaited, Entry, Suspended, Wake};
use crate::value::Value;

/// A poll whose closure is to be called.
pub enum Poll {
    /// The record knows how it ended.
    Over(Result<(), Failure>),
    /// It is tried now.
    Try(Try),
}

/// One try under way.
pub struct Try {
    pub(super) asked: Asked,
    tries: u32,
    since_ms: u64,
}

impl Try {
    /// The only try of a what-if.
    pub(super) fn only(asked: Asked) -> Try {
        Try {
            asked,
            tries: 0,
            since_ms: 0,
        }
    }
}

/// How often, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub every_ms: u64,
    pub timeout_ms: u64,
}

/// Begins the next try, or unwinds the script when it is too early for it.
pub fn begin(gate: &Gate, tape: &mut Tape, effect: &Effect<'_>) -> Result<Poll, Stop> {
    let asked = tape.ask(gate, effect)?;
    if tape.aligned.is_some() {
        return passing::begin_poll(tape, asked);
    }
    if let Some(answer) = tape.recorded_answer(&asked)? {
        return match answer {
            Ok(_) => Ok(Poll::Over(Ok(()))),
            Err(Stop::Failed(failure)) => Ok(Poll::Over(Err(failure))),
            Err(halted) => Err(halted),
        };
    }
    tape.refuse_beyond(&asked)?;
    let marker = How::Local(&|_| Ok(Value::Unit));
    match carried::answer(gate, tape, effect, &asked, &marker)? {
        Some(Ok(_)) => return Ok(Poll::Over(Ok(()))),
        Some(Err(Stop::Failed(failure))) => return Ok(Poll::Over(Err(failure))),
        Some(Err(halted)) => return Err(halted),
        None => {}
    }
    tape.goes_outside(gate)?;
    if let Some(refusal) = tape.refuse_wait(&asked.name) {
        let answer = tape.answer_to(gate, asked).failed(refusal);
        return tape.conclude(gate, answer).map(|_: Value| Poll::Over(Ok(())));
    }
    let before = tape
        .recorded_step(asked.step)
        .and_then(|step| step.suspended.clone())
        .map(|Suspended { wake, .. }| wake);
    let (tries, since_ms) = match before {
        Some(wake) if wake.at_ms.is_some_and(|at_ms| !tape.is_due(gate, at_ms)) => {
            return Err(tape.suspend_for(gate, asked, wake));
        }
        Some(Wake {
            awaited: Awaited::Poll { tries, since_ms },
            ..
        }) => (tries, since_ms),
        _ => {
            // On record before the first try, so that its effects have a step to follow.
            let since_ms = tape.elapsed_ms(gate);
            let awaited = Awaited::Poll { tries: 0, since_ms };
            let at_ms = Some(since_ms);
            let begun = tape.suspended(gate, asked.clone(), Wake { at_ms, awaited });
            tape.append(Entry::Suspended(Box::new(begun)));
            (0, since_ms)
        }
    };
    tape.begin(gate, &asked);
    tape.polling = Some(asked.step);
    Ok(Poll::Try(Try { asked, tries, since_ms }))
}

/// Ends a try, and with a value, or when its time is up, the poll; else unwinds the script until the next.
pub fn end(gate: &Gate, tape: &mut Tape, turn: Try, has_value: bool, pace: Pace) -> Result<(), Stop> {
    tape.polling = None;
    if let Some(halt) = tape.halted() {
        return Err(Stop::Halted(halt.clone()));
    }
    if tape.aligned.is_some() {
        return passing::end_poll(gate, tape, turn, has_value, pace);
    }
    let now_ms = tape.elapsed_ms(gate);
    let tries = turn.tries + 1;
    let is_over = now_ms.saturating_sub(turn.since_ms) >= pace.timeout_ms;
    let step: StepNo = turn.asked.step;
    if has_value || is_over {
        let mut answer = tape.answer_to(gate, turn.asked);
        answer.attempts = tries;
        if !has_value {
            let message = format!(
                "nothing came of {tries} tries in {}",
                crate::duration::for_people(pace.timeout_ms)
            );
            answer = answer.failed(Failure::new("POLL_TIMEOUT", message));
        }
        return tape.conclude(gate, answer).map(|_: Value| ());
    }
    tape.writer.forget_after(step);
    let last_ms = turn.since_ms.saturating_add(pace.timeout_ms);
    let wake = Wake {
        at_ms: Some(now_ms.saturating_add(pace.every_ms).min(last_ms)),
        awaited: Awaited::Poll {
            tries,
            since_ms: turn.since_ms,
        },
    };
    Err(tape.suspend_for(gate, turn.asked, wake))
}

impl Tape {
    /// Why nothing may be waited for here.
    pub(super) fn refuse_wait(&self, name: &str) -> Option<Failure> {
        let place = match (self.polling, self.is_cleaning_up) {
            (Some(_), _) => "in the closure of a poll",
            (None, true) => "in the clean-up, which must end soon",
            (None, false) => return None,
        };
        Some(Failure::new("WAIT_REFUSED", format!("{name} cannot wait {place}")))
    }
}
