//! Runs that a trigger starts, or somebody who does not wait for them: on disk as queued, in the batch that says why.

use std::collections::BTreeMap;

use crate::effect::{Failure, RunMode};
use crate::gate::Gate;
use crate::id::{ContentHash, RunId};
use crate::journal::{Begun, Cause, RunRecord};
use crate::script::{API_VERSION, Header, Script, inputs};
use crate::store::Batch;
use crate::value::{Map, Value};

/// A playbook as new runs get it. The texts it names are in the store.
#[derive(Clone, Debug)]
pub struct Pinned {
    pub playbook: String,
    pub file: String,
    pub version: ContentHash,
    pub modules: BTreeMap<String, ContentHash>,
    pub header: Header,
}

impl Pinned {
    pub fn of(script: &Script) -> Pinned {
        Pinned {
            playbook: script.name.clone(),
            file: script.source.file.clone(),
            version: script.source.hash,
            modules: script.module_hashes(),
            header: script.header.clone(),
        }
    }
}

/// A run as it was created, so that whoever begins it need not read it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Created(pub Box<Begun>);

/// A run to be created.
pub struct Creation<'a> {
    pub run: RunId,
    pub pinned: &'a Pinned,
    /// As given: checked and completed here.
    pub input: Map,
    pub mode: RunMode,
    /// In words: `by schedule, planned for 07:00 EST`.
    pub trigger: String,
    /// The request's that it answers to, where there is one.
    pub corr: Option<String>,
    pub cause: Option<Cause>,
    /// The person, where one asked for it.
    pub by: Option<String>,
    /// The run that this one does once more: its input is taken as it was.
    pub retry_of: Option<RunId>,
    pub at_ms: i64,
}

impl Creation<'_> {
    /// What makes the run, on the condition that there is none of its id. It has no thread yet: once this is committed,
    /// whoever keeps runs moving takes it up like one that was cut off.
    pub fn batch(self, gate: &Gate) -> Result<Batch, Failure> {
        self.made(gate).map(|(batch, _)| batch)
    }

    /// The same, with the run for whoever begins it.
    pub fn made(self, gate: &Gate) -> Result<(Batch, Created), Failure> {
        let begun = self.begun(gate)?;
        let mut batch = Batch::new();
        RunRecord::create(&mut batch, &begun);
        Ok((batch, Created(Box::new(begun))))
    }

    /// The run's first entry, its input checked and completed.
    pub fn begun(self, gate: &Gate) -> Result<Begun, Failure> {
        let Pinned { header, .. } = self.pinned;
        let input = match self.retry_of {
            Some(_) => Value::Map(self.input),
            None => gate.masks.mask(inputs::complete(header, self.input)?),
        };
        Ok(Begun {
            run: self.run,
            playbook: self.pinned.playbook.clone(),
            file: self.pinned.file.clone(),
            version: self.pinned.version,
            modules: self.pinned.modules.clone(),
            api: API_VERSION,
            mode: RunMode {
                uses: header.uses.clone(),
                ..self.mode
            },
            input,
            at_ms: self.at_ms,
            trigger: self.trigger,
            epoch: 1,
            parent: None,
            retry_of: self.retry_of,
            corr: self.corr,
            by: self.by,
            cause: self.cause,
            edition: gate.edition,
        })
    }
}
