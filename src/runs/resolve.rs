//! What people decide: what became of a write in doubt, that a run is to end, that it is to be done once more.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::library::Library;
use super::resume::{Resume, ResumeError, free};
use super::runner::{Finished, Order, Runner};
use crate::effect::Failure;
use crate::gate::{Gate, Observer};
use crate::id::{RunId, StepNo};
use crate::journal::life::Resolved;
use crate::journal::{Entry, JournalError, Recorded, RunRecord, Step, entry, incident};
use crate::runs::recovery;
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Precondition, StoreError, keys};
use crate::value::Value;

/// The longest reason.
pub const REASON_BYTES_MAX: usize = 4096;

/// What a person says of a step.
pub struct Decision {
    pub step: StepNo,
    pub landed: bool,
    /// What the script is given, if it landed.
    pub value: Value,
    pub reason: String,
    pub by: String,
}

/// Writes a decision onto the journal of `run`, durably. The run goes on when it is resumed.
pub fn resolve(gate: &Gate, run: RunId, decision: Decision) -> Result<(), ResumeError> {
    let store = &*gate.ground.store;
    let now_ms = gate.world.clock.unix_ms();
    free(gate, run)?;
    let recorded = Recorded::load(&gate.ground, run)?;
    let refused = |code: &str, message: String| Err(ResumeError::Refused(Failure::new(code, message)));
    let step = decision.step;
    if !recorded.steps.get(&step).is_some_and(Step::is_in_doubt) {
        let in_doubt = recorded.steps.iter().filter(|(_, step)| step.is_in_doubt());
        let in_doubt: Vec<String> = in_doubt.map(|(number, _)| number.to_string()).collect();
        let hint = match in_doubt.as_slice() {
            [] => "no step of this run is".to_owned(),
            steps => format!("in doubt is step {}", steps.join(", ")),
        };
        return refused(
            "NOT_IN_DOUBT",
            format!("step {step} of run {} is not in doubt; {hint}", run.short()),
        );
    }
    if decision.reason.trim().is_empty() || decision.reason.len() > REASON_BYTES_MAX {
        let bytes = decision.reason.len();
        return refused(
            "REASON_INVALID",
            format!("the reason has {bytes} bytes; 1 to {REASON_BYTES_MAX} are allowed"),
        );
    }
    let reason = gate.masks.mask_text(decision.reason);
    let word = if decision.landed { "landed" } else { "did not land" };
    let note = format!("step {step} {word}: {reason}");
    let elapsed_ms = u64::try_from(now_ms - recorded.begun.at_ms).unwrap_or(0);
    let entry = Entry::Resolved(Box::new(Resolved {
        step,
        landed: decision.landed,
        value: gate.masks.mask(decision.value),
        reason,
        by: decision.by.clone(),
        at_ms: elapsed_ms.max(recorded.last_ms),
    }));
    let mut batch = Batch::new();
    let key = keys::journal(run, recorded.entries);
    batch.require(key.clone(), Precondition::Absent);
    batch.put(key, entry::encode(&[entry]));
    incident::note_in(&mut batch, store, run, (&note, &decision.by, now_ms))?;
    match gate.ground.store.commit(batch, Durability::Now) {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict { .. }) => Err(ResumeError::Busy(run)),
        Err(error) => Err(error.into()),
    }
}

impl Runner {
    /// Cancels a run that nobody has at work, and the runs it started: each is stopped where its journal ends, and its
    /// clean-up follows.
    pub fn cancel(&self, library: &Library, run: RunId, how: &Resume) -> Result<Finished, ResumeError> {
        let recorded = Recorded::load(&self.gate.ground, run)?;
        let in_doubt = recorded.steps.iter().find(|(_, step)| step.is_in_doubt());
        if let Some((&step, _)) = in_doubt {
            return Err(ResumeError::InDoubt { run, step });
        }
        let record = RunRecord::get(&*self.gate.ground.store, run)?;
        if record.status.is_over() {
            return Err(ResumeError::Over {
                run,
                status: record.status,
            });
        }
        // First those below: a host that is stopped in between leaves a run that can be cancelled again.
        let below = self.cancel_children(library, run, how);
        let (handle, script) = self.take_over(library, run, how)?;
        handle.tape().cancel_beyond_record();
        let finished = self.finish(&handle, &script)?;
        below.map(|()| finished)
    }

    /// Cancels whatever of the runs that `parent` started is not over.
    pub fn cancel_children(&self, library: &Library, parent: RunId, how: &Resume) -> Result<(), ResumeError> {
        let mut refused = Ok(());
        for child in recovery::children(&*self.gate.ground.store, parent)? {
            match self.cancel(library, child, how) {
                Ok(_) | Err(ResumeError::Over { .. } | ResumeError::Busy(_)) => {}
                // One that cannot be ended leaves none of the others at work.
                Err(error) => refused = refused.and(Err(error)),
            }
        }
        refused
    }
}

/// The steps of `run`, as they were numbered then, that started runs which have written something, or may have, or may
/// yet; so have those which these started.
pub fn wrote_through_children(ground: &Ground, run: RunId) -> Result<BTreeSet<StepNo>, JournalError> {
    let mut steps = BTreeSet::new();
    for child in recovery::children(&*ground.store, run)? {
        let record = RunRecord::get(&*ground.store, child)?;
        let Some(parent) = record.parent.filter(|parent| !steps.contains(&parent.step)) else {
            continue;
        };
        let recorded = Recorded::load(ground, child)?;
        let past = recorded.past.iter().map(|(_, step)| step);
        let mut done = recorded.steps.values().chain(past);
        let wrote = done.any(|step| step.has_landed() || step.is_in_doubt());
        if !record.status.is_over() || wrote || !wrote_through_children(ground, child)?.is_empty() {
            steps.insert(parent.step);
        }
    }
    Ok(steps)
}

/// A run to be done once more from its beginning: the same script, inputs and mode. Writes that landed, or may have,
/// would be done twice; each must be named in `again`, and so must the step that started a run which has written.
pub fn retry(
    library: &Library,
    gate: &Gate,
    run: RunId,
    again: &[StepNo],
    by: Option<String>,
    observer: Arc<dyn Observer>,
) -> Result<Order, ResumeError> {
    let record = RunRecord::get(&*gate.ground.store, run)?;
    if !record.status.is_over() {
        let message = format!(
            "run {} is {}: `host resume` goes on with it",
            run.short(),
            record.status
        );
        return Err(ResumeError::Refused(Failure::new("RUN_UNFINISHED", message)));
    }
    let recorded = Recorded::load(&gate.ground, run)?;
    let past = recorded.past.iter().map(|(number, step)| (number, step));
    let done = recorded.steps.iter().chain(past);
    let below = wrote_through_children(&gate.ground, run)?;
    let mut unnamed: Vec<String> = done
        .filter(|(number, step)| step.has_landed() || step.is_in_doubt() || below.contains(number))
        .filter(|(number, _)| !again.contains(number))
        .map(|(number, step)| format!("{number} ({})", step.asked().map_or("?", |asked| asked.name.as_str())))
        .collect();
    unnamed.sort();
    unnamed.dedup();
    if !unnamed.is_empty() {
        let message = format!(
            "run {} has written already, or may have: step {}; `--again STEP` names what may be done twice, \
             `host resume` goes on instead",
            run.short(),
            unnamed.join(", step ")
        );
        return Err(ResumeError::Refused(Failure::new("WOULD_WRITE_TWICE", message)));
    }
    let script = library.pinned(&*gate.ground.store, &recorded.begun)?;
    Ok(Order {
        script,
        input: recorded.begun.input,
        mode: recorded.begun.mode,
        trigger: format!("once more after {}", run.short()),
        by,
        retry_of: Some(run),
        corr: None,
        observer,
    })
}
