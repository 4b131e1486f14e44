//! A run goes on where its journal ends: after its host was stopped, after a wait, or after what ended it was mended.
//!
//! The script is the one the run is pinned to, and runs again from its start; the journal answers as far as it
//! reaches. Its mode, too, is that of its beginning, and so are its prompts and the playbooks it starts
//! ([`super::editions`]).

use std::sync::Arc;

use super::creation::Created;
use super::library::{Library, LibraryError};
use super::runner::{Finished, Runner};
use super::whatif::sites;
use crate::effect::Failure;
use crate::gate::{Edit, Gate, Observer, Resumption, Tape};
use crate::id::{RunId, StepNo};
use crate::journal::{Entry, JournalError, Recorded, RunRecord, Status, epoch};
use crate::script::{API_VERSION, RunHandle, Script};
use crate::store::StoreError;

/// Why a run does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("run {} is at work in another process", .0.short())]
    Busy(RunId),
    #[error("run {} is over ({status}): there is nothing to go on with", .run.short())]
    Over { run: RunId, status: Status },
    #[error(
        "nobody knows whether step {step} of run {} landed: decide it with `host resolve {} {step} --landed` or \
         `--not-landed`",
        .run.short(), .run.short()
    )]
    InDoubt { run: RunId, step: StepNo },
    #[error(
        "run {} was ended by its script, a prompt or a limit ({code}), and would be again; give a mended one: \
         `host resume {} --with FILE`",
        .run.short(), .run.short()
    )]
    NeedsEdit { run: RunId, code: String },
    #[error("run {} began with version {api} of the script functions, and this host has {API_VERSION}", .run.short())]
    HostChanged { run: RunId, api: u32 },
    #[error(
        "run {} is held since the store was restored, because it may have done more than its record tells: \
         `host restore --release {}` lets it go on",
        .0.short(), .0.short()
    )]
    Held(RunId),
    #[error("{}", .0.message)]
    Refused(Failure),
}

impl ResumeError {
    pub fn code(&self) -> &str {
        match self {
            ResumeError::Journal(error) => error.code(),
            ResumeError::Library(error) => error.code(),
            ResumeError::Store(error) => error.code(),
            ResumeError::Busy(_) => "RUN_BUSY",
            ResumeError::Over { .. } => "RUN_OVER",
            ResumeError::InDoubt { .. } => "STEP_IN_DOUBT",
            ResumeError::NeedsEdit { .. } => "RESUME_NEEDS_EDIT",
            ResumeError::HostChanged { .. } => "HOST_CHANGED",
            ResumeError::Held(_) => "RUN_HELD",
            ResumeError::Refused(failure) => &failure.code,
        }
    }
}

/// Who resumes a run, and who watches it.
pub struct Resume {
    pub by: String,
    pub observer: Arc<dyn Observer>,
}

impl Runner {
    /// Takes `run` over and runs it until it is at rest.
    pub fn resume(&self, library: &Library, run: RunId, how: &Resume) -> Result<Finished, ResumeError> {
        let (handle, script) = self.take_over(library, run, how)?;
        Ok(self.finish(&handle, &script)?)
    }

    /// Takes `run` over: from here on nobody else can write on its journal.
    pub fn take_over(
        &self,
        library: &Library,
        run: RunId,
        how: &Resume,
    ) -> Result<(RunHandle, Arc<Script>), ResumeError> {
        self.take_up(library, run, how, true)
    }

    /// The same, of a run that is over only where `is_named`: somebody wants this one to go on.
    pub(super) fn take_up(
        &self,
        library: &Library,
        run: RunId,
        how: &Resume,
        is_named: bool,
    ) -> Result<(RunHandle, Arc<Script>), ResumeError> {
        let record = free(&self.gate, run)?;
        if !is_named && record.status.is_over() {
            let status = record.status;
            return Err(ResumeError::Over { run, status });
        }
        let recorded = Recorded::load(&self.gate.ground, run)?;
        let script = library.pinned(&*self.gate.ground.store, &recorded.begun)?;
        let handle = self.go_on_from(library, (record, recorded), how, None, &script)?;
        Ok((handle, script))
    }

    /// Begins a run as it was created. When somebody has written to its journal since, it is busy, for whoever reads it again.
    pub(super) fn take_created(
        &self,
        library: &Library,
        created: Created,
        how: &Resume,
    ) -> Result<(RunHandle, Arc<Script>), ResumeError> {
        let Created(begun) = created;
        let run = begun.run;
        let script = library.pinned(&*self.gate.ground.store, &begun)?;
        let gate = self.gate_of(library, &begun);
        let record = RunRecord::queued(&begun);
        let recorded = Recorded::from_entries(run, vec![Entry::Begun(begun)])?;
        let how_on = Resumption {
            by: how.by.clone(),
            ..Resumption::default()
        };
        let tape = Tape::resume(&gate, recorded, &record, &how_on, how.observer.clone());
        Ok((RunHandle::new(gate, tape.map_err(|error| busy(run, error))?), script))
    }

    /// The same, to go on with `script`, which is an edited one where there is an `edit`.
    pub(super) fn take_over_with(
        &self,
        library: &Library,
        run: RunId,
        how: &Resume,
        edit: Option<Edit>,
        script: &Script,
    ) -> Result<RunHandle, ResumeError> {
        let record = free(&self.gate, run)?;
        let recorded = Recorded::load(&self.gate.ground, run)?;
        self.go_on_from(library, (record, recorded), how, edit, script)
    }

    /// Takes a run over as it was just read.
    fn go_on_from(
        &self,
        library: &Library,
        (record, recorded): (RunRecord, Recorded),
        how: &Resume,
        edit: Option<Edit>,
        script: &Script,
    ) -> Result<RunHandle, ResumeError> {
        let gate = &self.gate;
        let store = &*gate.ground.store;
        let run = record.run;
        if epoch::is_held(store, run)? {
            return Err(ResumeError::Held(run));
        }
        let how_on = Resumption {
            by: how.by.clone(),
            reopens: match edit {
                Some(_) => None,
                None => reopens(&record, &recorded)?,
            },
            edit,
        };
        if how_on.edit.is_none() && recorded.begun.api != API_VERSION {
            let api = recorded.begun.api;
            return Err(ResumeError::HostChanged { run, api });
        }
        let gate = match &how_on.edit {
            Some(_) => gate.clone(),
            None => self.gate_of(library, &recorded.begun),
        };
        let tape = Tape::resume(&gate, recorded, &record, &how_on, how.observer.clone());
        let mut tape = tape.map_err(|error| busy(run, error))?;
        if let Some(before) = tape.before_edit() {
            let sites = library.pinned(store, before).map(|before| sites(&before, script));
            tape.carry_over(sites.unwrap_or_default());
        }
        Ok(RunHandle::new(gate, tape))
    }
}

/// What a failure to take `run` over means.
fn busy(run: RunId, error: StoreError) -> ResumeError {
    match error {
        StoreError::Conflict { .. } => ResumeError::Busy(run),
        error => error.into(),
    }
}

/// The record of a run that nobody has at work.
pub(super) fn free(gate: &Gate, run: RunId) -> Result<RunRecord, ResumeError> {
    let record = RunRecord::get(&*gate.ground.store, run)?;
    let now_ms = gate.world.clock.unix_ms();
    let is_held = |lease| gate.owner.is_held(lease, now_ms);
    match record.status {
        Status::Running if record.lease.as_ref().is_some_and(is_held) => Err(ResumeError::Busy(run)),
        _ => Ok(record),
    }
}

/// What of the run's end is taken back, if it has one; or why it cannot go on.
pub(super) fn reopens(record: &RunRecord, recorded: &Recorded) -> Result<Option<Option<StepNo>>, ResumeError> {
    let run = record.run;
    let Some(end) = &recorded.ended else {
        return Ok(None);
    };
    let in_doubt = recorded.steps.iter().find(|(_, step)| step.is_in_doubt());
    if let Some((&step, _)) = in_doubt {
        return Err(ResumeError::InDoubt { run, step });
    }
    let status = end.status;
    match (&end.error, status) {
        (_, Status::NeedsAttention | Status::Cancelled) => Ok(Some(None)),
        (Some(error), Status::Failed) => match error.step {
            step if error.is_mended_by_time() && !recorded.begun.keeps_cause_of(&error.failure) => Ok(Some(step)),
            // It ends the same unless the limit was raised.
            None if error.failure.code.starts_with("LIMIT_") && error.failure.code != "LIMIT_DEADLINE" => {
                Ok(Some(None))
            }
            _ => {
                let code = error.failure.code.clone();
                Err(ResumeError::NeedsEdit { run, code })
            }
        },
        _ => Err(ResumeError::Over { run, status }),
    }
}
