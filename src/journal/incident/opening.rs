//! Runs that open incidents when they end, and write on in those that they have.

use super::{
    HOST, Happened, Incident, IncidentError, OpenedBy, State, Stored, TITLE_CHARS_MAX, load, of_run, write_in,
};
use crate::id::{IncidentId, RunId};
use crate::journal::{RunRecord, Status};
use crate::store::{Batch, Store, StoreError};

/// Adds to the batch of a run's end what opens its incident, or writes on in the one that it has.
///
/// An incident that cannot be read keeps no run from ending: it is left as it is, and the log says so.
pub fn open_in(batch: &mut Batch, store: &dyn Store, ended: &RunRecord, opened_by: OpenedBy) -> Result<(), StoreError> {
    let at_ms = ended.ended_ms.unwrap_or(ended.begun_ms);
    let changed = match existing(store, ended.run) {
        Ok(Some(before)) => again(&before.incident, ended, at_ms).map(|after| (Some(before), after)),
        Ok(None) => first(ended, opened_by, at_ms).map(|after| (None, after)),
        Err(error) => Err(error),
    };
    match changed {
        Ok((before, after)) => write_in(batch, before.as_ref(), &after),
        Err(IncidentError::Store(error)) => return Err(error),
        Err(error) => tracing::warn!(run = %ended.run, %error, "the run's incident could not be written"),
    }
    Ok(())
}

/// Adds to `batch` a note in the incident of `run`, where there is one that can be read and has room.
pub fn note_in(
    batch: &mut Batch,
    store: &dyn Store,
    run: RunId,
    (text, by, at_ms): (&str, &str, i64),
) -> Result<(), StoreError> {
    let noted = existing(store, run).and_then(|before| {
        let Some(before) = before else { return Ok(None) };
        let mut after = before.incident.clone();
        after.note(text, by, at_ms)?;
        Ok(Some((before, after)))
    });
    match noted {
        Ok(Some((before, after))) => write_in(batch, Some(&before), &after),
        Ok(None) => {}
        Err(IncidentError::Store(error)) => return Err(error),
        Err(error) => tracing::warn!(%run, %error, "the run's incident could not be written"),
    }
    Ok(())
}

/// The incident of `run`: its own, or else an open one that somebody has put it into.
fn existing(store: &dyn Store, run: RunId) -> Result<Option<Stored>, IncidentError> {
    if let Some(own) = load(store, IncidentId::of_run(run))? {
        return Ok(Some(own));
    }
    for id in of_run(store, run)? {
        match load(store, id)? {
            Some(stored) if stored.incident.state == State::Open => return Ok(Some(stored)),
            _ => {}
        }
    }
    Ok(None)
}

fn first(ended: &RunRecord, opened_by: OpenedBy, at_ms: i64) -> Result<Incident, IncidentError> {
    let title: String = format!("{}: {}", ended.playbook, why(ended))
        .chars()
        .take(TITLE_CHARS_MAX)
        .collect();
    let mut incident = Incident::open(IncidentId::of_run(ended.run), &title, opened_by, HOST, at_ms)?;
    incident.pin(&[ended.run], HOST, at_ms)?;
    Ok(incident)
}

fn again(before: &Incident, ended: &RunRecord, at_ms: i64) -> Result<Incident, IncidentError> {
    let mut after = before.clone();
    after.state = State::Open;
    after.runs.insert(ended.run);
    let (run, why) = (ended.run, why(ended));
    after.happened(Happened::Again { run, why }, HOST, at_ms)?;
    Ok(after)
}

/// `HTTP_TIMEOUT at step 9`, `step 9 is in doubt (HTTP_TIMEOUT)`.
fn why(ended: &RunRecord) -> String {
    let Some(error) = &ended.error else {
        return ended.status.to_string();
    };
    let code = &error.failure.code;
    match error.step {
        Some(step) if ended.status == Status::NeedsAttention => format!("step {step} is in doubt ({code})"),
        Some(step) => format!("{code} at step {step}"),
        None => code.clone(),
    }
}
