//! A recorded run once more, from its journal alone: every door is shut.

use std::sync::Arc;

use super::library::{Library, LibraryError};
use super::runner::Runner;
use crate::gate::{Gate, Observer, Tape};
use crate::id::RunId;
use crate::journal::{JournalError, Outcome, Recorded};
use crate::script::RunHandle;

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub recorded: Recorded,
    pub outcome: Outcome,
    /// Effects that the journal answered.
    pub effects: u32,
    pub same: bool,
}

/// Why a run cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("run {0} has no end on record: it is still running, or its host was stopped")]
    Unfinished(RunId),
}

impl ReplayError {
    pub fn code(&self) -> &str {
        match self {
            ReplayError::Journal(error) => error.code(),
            ReplayError::Library(error) => error.code(),
            ReplayError::Unfinished(_) => "RUN_UNFINISHED",
        }
    }
}

/// Replays `run`. `gate` must be one whose world is shut; see [`crate::io::World::shut`].
pub fn replay(
    library: &Library,
    gate: Arc<Gate>,
    run: RunId,
    observer: Arc<dyn Observer>,
) -> Result<Replayed, ReplayError> {
    let recorded = Recorded::load(&gate.ground, run)?;
    let expected = recorded
        .outcome()
        .or_else(|| recorded.waiting())
        .ok_or(ReplayError::Unfinished(run))?;
    let script = library.pinned(&*gate.ground.store, &recorded.begun)?;
    let handle = RunHandle::new(gate.clone(), Tape::replay(&gate, recorded.clone(), observer));
    let runner = Runner {
        gate,
        language: library.language.clone(),
    };
    let outcome = runner.execute(&handle, &script);
    let (outcome, _) = runner.clean_up(&handle, &script, outcome);
    let effects = handle.tape().tally().effects;
    let answered = recorded.steps.values().filter(|step| step.answer.is_some()).count();
    let all_asked = effects as usize == answered;
    let same = all_asked && (outcome == expected || recorded.imposed_stop().is_some());
    Ok(Replayed {
        recorded,
        outcome,
        effects,
        same,
    })
}
