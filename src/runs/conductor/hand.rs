//! How a run that is at rest is taken up on this thread, and what its cancellation means for those it started.

use std::sync::Arc;

use crate::gate::Observer;
use crate::id::RunId;
use crate::runs::creation::Created;
use crate::runs::library::Library;
use crate::runs::recovery;
use crate::runs::resume::{Resume, ResumeError};
use crate::runs::runner::Runner;
use crate::script::{RunHandle, Script};

/// What a run goes on with.
pub(super) struct Hand<'a> {
    pub runner: &'a Runner,
    pub library: &'a Library,
    /// Said of every run that is taken up.
    pub by: &'a str,
    pub observer: Arc<dyn Observer>,
}

impl Hand<'_> {
    pub fn how(&self) -> Resume {
        Resume {
            by: self.by.to_owned(),
            observer: self.observer.clone(),
        }
    }

    /// Takes `run` over. One that is over is reopened only for a caller who named it: a child of it may end, or an
    /// event come, long after it failed or was cancelled.
    pub fn take_up(
        &self,
        run: RunId,
        created: Option<Created>,
        is_named: bool,
    ) -> Result<(RunHandle, Arc<Script>), ResumeError> {
        let how = self.how();
        match created.map(|created| self.runner.take_created(self.library, created, &how)) {
            // It is not as it was created any more.
            None | Some(Err(ResumeError::Busy(_))) => self.runner.take_up(self.library, run, &how, is_named),
            Some(taken) => taken,
        }
    }

    /// Hands a cancellation down: what is at work is stopped, the rest ended where it stands.
    pub fn cancel_children(&self, run: RunId, stop: impl Fn(RunId)) {
        let children = recovery::children(&*self.runner.gate.ground.store, run).unwrap_or_default();
        children.into_iter().for_each(stop);
        if let Err(error) = self.runner.cancel_children(self.library, run, &self.how()) {
            tracing::warn!(%run, %error, "not all runs that it started are cancelled");
        }
    }
}
