//! What runs ask people, as JSON: what `host answer --json` and the API give.

use serde_json::{Value as Json, json};

use crate::id::{RunId, StepNo};
use crate::journal::question::{self, Question};
use crate::journal::{JournalError, RunRecord, Status};
use crate::store::Store;

/// A question with the run that waits for its answer.
pub type Open = (RunRecord, StepNo, Question);

/// The questions of runs that still wait for them, `limit` looked at, oldest run first; those of `only` alone, if there
/// is one.
pub fn open(store: &dyn Store, only: Option<RunId>, limit: usize) -> Result<Vec<Open>, JournalError> {
    let mut found = Vec::new();
    for (run, step, question) in question::open(store, limit)? {
        if only.is_some_and(|only| only != run) {
            continue;
        }
        let record = RunRecord::get(store, run)?;
        let waits = record.waits.as_ref().is_some_and(|waits| waits.step == step);
        if waits && record.status == Status::Suspended {
            found.push((record, step, question));
        }
    }
    Ok(found)
}

/// One question.
pub fn question_json((record, step, question): &Open) -> Json {
    json!({
        "run_id": record.run.to_string(),
        "step": step,
        "playbook": question.playbook,
        "question": question.text,
        "choices": question.choices,
        "role": question.role,
        "not_by": question.not_by,
        "asked_ms": question.asked_ms,
        "until_ms": question.until_ms,
    })
}
