//! A run goes on with another script: first as a what-if, then for good.
//!
//! What the edited script asks as before keeps its answer and is not done again. A write that has landed and would be
//! changed, left out or moved needs a decision of its own: keep what came of it, or do it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diff::Diff;
use super::library::{Library, unknown_versions};
use super::resolve::wrote_through_children;
use super::resume::{Resume, ResumeError};
use super::runner::Runner;
use super::whatif::{self, Options, WhatIf, WhatIfError};
use crate::effect::Failure;
use crate::gate::Edit;
use crate::id::{RunId, StepNo};
use crate::journal::life::Edited;
use crate::journal::{Awaited, Recorded, Status, Step};
use crate::script::{API_VERSION, RunHandle, Script};
use crate::value::Map;

/// How a run is to go on.
pub struct Amendment {
    pub script: Arc<Script>,
    /// Inputs in place of the recorded ones.
    pub input: Map,
    /// Steps that have written, whose outcome is kept although the script asks for something else, or for nothing.
    pub keep: BTreeSet<StepNo>,
    /// Steps that have written and are done once more.
    pub again: BTreeSet<StepNo>,
}

/// What an amendment would make of a run.
pub struct Preview {
    pub whatif: WhatIf,
    /// Steps that have written through the runs which they started.
    wrote_below: BTreeSet<StepNo>,
}

/// What `amendment` would make of the run, every door shut.
pub fn preview(
    runner: &Runner,
    library: &Library,
    recorded: &Recorded,
    amendment: &Amendment,
    options: &Options,
) -> Result<Preview, WhatIfError> {
    let whole = Recorded {
        steps: recorded.keepable(),
        ..recorded.clone()
    };
    let started = wrote_through_children(&runner.gate.ground, recorded.begun.run)?;
    let numbers = whole.steps.iter();
    let wrote_below = numbers
        .filter(|(number, step)| match recorded.steps.contains_key(number) {
            true => started.contains(&started_at(**number, step)),
            // Left over from an earlier script: under which number it started runs is not known any more.
            false => !started.is_empty() && step.asked().is_some_and(|asked| asked.name.starts_with("playbook.")),
        })
        .map(|(number, _)| *number)
        .collect();
    let options = Options {
        input: amendment.input.clone(),
        ..options.clone()
    };
    let whatif = whatif::whatif(library, &runner.gate.shut(), whole, &amendment.script, &options)?;
    Ok(Preview { whatif, wrote_below })
}

/// The number under which a step started runs: an edit may have given it another since.
fn started_at(number: StepNo, step: &Step) -> StepNo {
    let awaited = step.suspended.as_ref().map(|suspended| &suspended.wake.awaited);
    match awaited {
        Some(Awaited::Children {
            born: Some((born, _)), ..
        }) => *born,
        _ => step.answer.as_ref().and_then(|answer| answer.from).unwrap_or(number),
    }
}

impl Preview {
    /// The writes that are out and would be touched, and of which nobody has said what is to become.
    pub fn undecided(&self, amendment: &Amendment) -> Vec<&Diff> {
        let decided = |step: &StepNo| amendment.keep.contains(step) || amendment.again.contains(step);
        let wrote_below = |diff: &Diff| diff.old_step().is_some_and(|step| self.wrote_below.contains(&step));
        let steps = self.whatif.steps.iter();
        steps
            .filter(|diff| diff.touches_what_is_out() || (diff.is_difference() && wrote_below(diff)))
            .filter(|diff| !diff.old_step().is_some_and(|step| decided(&step)))
            .collect()
    }
}

impl Runner {
    /// Takes `run` over to go on with another script.
    pub fn amend(
        &self,
        library: &Library,
        run: RunId,
        amendment: &Amendment,
        how: &Resume,
    ) -> Result<(RunHandle, Arc<Script>), ResumeError> {
        let recorded = Recorded::load(&self.gate.ground, run)?;
        if let Some((&step, _)) = recorded.steps.iter().find(|(_, step)| step.is_in_doubt()) {
            return Err(ResumeError::InDoubt { run, step });
        }
        if let Some(Status::Succeeded) = recorded.ended.as_ref().map(|end| end.status) {
            let status = Status::Succeeded;
            return Err(ResumeError::Over { run, status });
        }
        let known = recorded.keepable();
        let both = amendment.keep.intersection(&amendment.again).next();
        let unknown = amendment
            .keep
            .iter()
            .chain(&amendment.again)
            .find(|step| !known.contains_key(step));
        if let Some(step) = both.or(unknown) {
            let message = format!("step {step} cannot be kept or done again: it is named twice, or there is none");
            return Err(ResumeError::Refused(Failure::new("NO_SUCH_STEP", message)));
        }
        let script = amendment.script.clone();
        let input = whatif::input(&script, &recorded.begun.input, &amendment.input).map_err(ResumeError::Refused)?;
        let entry = Edited {
            file: script.source.file.clone(),
            version: script.source.hash,
            modules: script.module_hashes(),
            api: API_VERSION,
            uses: script.header.uses.clone(),
            input: self.gate.masks.mask(input),
            keep: amendment.keep.clone(),
            again: amendment.again.clone(),
            at_ms: 0,
            by: how.by.clone(),
            edition: self.gate.edition,
        };
        let versions = unknown_versions(&*self.gate.ground.store, &script)?;
        let edit = Edit { entry, versions };
        let handle = self.take_over_with(library, run, how, Some(edit), &script)?;
        Ok((handle, script))
    }
}
