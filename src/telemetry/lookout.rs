//! Sees every run of this process: tells the log that it is at work, counts what it does, and hands it to the traces.

use std::sync::Arc;

use super::figures::Figures;
use super::otlp::Traces;
use crate::gate::{Lookout, Observer};
use crate::journal::Begun;

pub struct Eyes {
    pub figures: Arc<Figures>,
    /// Where somebody wants them.
    pub traces: Option<Arc<Traces>>,
}

impl Lookout for Eyes {
    fn watch(&self, begun: &Begun, again: u32, beside: Arc<dyn Observer>) -> Arc<dyn Observer> {
        let (run, playbook, corr) = (begun.run.short(), &begun.playbook, begun.corr());
        tracing::info!(%run, %playbook, %corr, trigger = begun.trigger, "at work");
        let beside = self.figures.watch(beside);
        match &self.traces {
            Some(traces) => traces.watch(begun, again, beside),
            None => beside,
        }
    }
}
