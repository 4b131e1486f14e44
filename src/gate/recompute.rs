//! What a what-if computes anew: calls of the store, and prompts that were edited.
//!
//! A call of the store is computed twice: over the store as the what-if has left it, and over the store as the record
//! had it at that step. Where both say the same, the edit made no difference there and the recorded answer stands;
//! where not, the first counts. So the edited script reads back what it wrote, though the record tells only what its
//! own script has read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::aligned::{Aligned, Found, Missing, Origin, nowhere};
use super::errand::Act;
use super::tape::Tape;
use super::{Gate, Local, attempts, local, panic};
use crate::effect::{Effect, Failure};
use crate::id::StepNo;
use crate::journal::{Answer, Asked};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, StoreError, Tx};
use crate::value::Value;

/// Out of which text a prompt would be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// As the run had it: its recorded answer stands.
    Recorded,
    /// Out of a text that was given for this what-if.
    Edited,
    /// Out of the file as it is now, since the record has none.
    OnDisk,
}

/// A change of the store that the recorded run made.
pub type RecordedWrite = Box<dyn Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send>;

/// The store of a what-if.
pub struct Past {
    /// As the record had it, up to the step that was reached; the gate's own ground is as the what-if has left it.
    pub then: Ground,
    /// What the recorded run wrote, by step.
    pub writes: BTreeMap<StepNo, RecordedWrite>,
    /// Set when what lies below both was asked for something that the record does not show.
    pub blind: Arc<AtomicBool>,
}

impl Aligned {
    pub(super) fn stored(
        &mut self,
        gate: &Gate,
        tape: &mut Tape,
        asked: Asked,
        recorded: Option<StepNo>,
        closure: &dyn Fn(&mut Local<'_>) -> Result<Value, StoreError>,
    ) -> Result<Found, StoreError> {
        let (realm, now_ms) = (tape.mode.realm(), tape.now_ms(gate));
        self.past.blind.store(false, Ordering::Relaxed);
        let (now, tx) = local::compute(gate, &gate.ground, realm, now_ms, closure)?;
        let is_blind = self.past.blind.swap(false, Ordering::Relaxed);
        let (is_read, batch) = (tx.batch.is_empty(), tx.batch);
        let on_record = self.on_record(recorded, &asked);
        // Moved to after what came later: the store of then has gone on, and tells nothing of that step any more.
        let is_late = recorded.is_some_and(|step| step < self.reached);
        if let (Some(step), Some(answer)) = (recorded.filter(|_| !is_late), &on_record) {
            let (then, _) = local::compute(gate, &self.past.then, realm, now_ms, closure)?;
            if now == then {
                self.change_as_recorded(gate, tape, step, answer, now.is_ok().then_some(batch))?;
                return Ok(Found::new(answer.clone(), Origin::Record));
            }
            commit(gate, &now, batch)?;
            // A count over what the record shows is off by what it does not show, then as now.
            let now = match (&answer.value, &then, &now) {
                (Value::Int(on_record), Ok(Value::Int(then)), Ok(Value::Int(now))) => {
                    Ok(Value::Int(on_record.saturating_add(now.saturating_sub(*then))))
                }
                _ => now,
            };
            let answer = gate.settle(tape.answer_to(gate, asked), now);
            return Ok(Found::new(answer, Origin::Computed));
        }
        commit(gate, &now, batch)?;
        if let Some(answer) = on_record.filter(|_| is_blind) {
            return Ok(Found::new(answer, Origin::Guessed));
        }
        let answer = gate.settle(tape.answer_to(gate, asked), now);
        if !is_blind {
            return Ok(Found::new(answer, Origin::Computed));
        }
        // A change happens whatever was there before; only its answer may be off.
        Ok(match &self.missing {
            Missing::Simulate => Found::new(answer, Origin::Guessed),
            _ if !is_read => Found::new(answer, Origin::Guessed),
            Missing::Stop => nowhere(answer),
            Missing::Ask(_) => self.ask(gate, answer),
        })
    }

    /// Changes the store of now as the record says that `step` changed the store of then: what the record does not
    /// show may make `computed`, the change over what it does show, another one.
    fn change_as_recorded(
        &self,
        gate: &Gate,
        tape: &mut Tape,
        step: StepNo,
        answer: &Answer,
        computed: Option<Batch>,
    ) -> Result<(), StoreError> {
        let batch = match (&answer.error, computed, self.past.writes.get(&step)) {
            (Some(_), ..) => return Ok(()),
            (None, Some(batch), _) => batch,
            (None, None, None) => return Ok(()),
            (None, None, Some(write)) => {
                let mut tx = Tx::new(&gate.ground, tape.mode.realm(), tape.now_ms(gate));
                match write(&mut tx) {
                    Ok(()) => tx.batch,
                    Err(_) => return Ok(()),
                }
            }
        };
        gate.ground.store.commit(batch, Durability::Soon).map(drop)
    }
}

/// Makes the change of a call of the store that did not fail.
fn commit(gate: &Gate, outcome: &Result<Value, Failure>, batch: Batch) -> Result<(), StoreError> {
    if outcome.is_ok() && !batch.is_empty() {
        gate.ground.store.commit(batch, Durability::Soon)?;
    }
    Ok(())
}

/// Renders a prompt in a world that holds nothing but the texts of prompts.
pub(super) fn rendered(
    gate: &Gate,
    tape: &Tape,
    effect: &Effect<'_>,
    asked: Asked,
    act: &dyn Act,
    on_record: Option<Answer>,
    rendering: Rendering,
) -> Found {
    let mut kept = attempts::Kept::default();
    let step = asked.step;
    let outcome = attempts::with_errand(gate, tape, effect, "", step, &mut kept, |errand| {
        panic::caught(|| act.carry_out(errand))
    });
    let answer = gate.settle(tape.answer_to(gate, asked), outcome.map_err(|fault| fault.failure));
    let same = |on_record: &Answer| on_record.value == answer.value && on_record.error == answer.error;
    let origin = match on_record {
        Some(on_record) if same(&on_record) => Origin::Record,
        _ => Origin::Computed,
    };
    let note = match rendering {
        Rendering::Edited if origin == Origin::Computed => Some("with the edited prompt".to_owned()),
        Rendering::OnDisk => Some("the record has no text of it: rendered from its file as it is now".to_owned()),
        _ => None,
    };
    Found { answer, origin, note }
}
