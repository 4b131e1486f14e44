//! Whether an earlier run of a playbook stands in the way of another.
//!
//! A row holds the last runs, by playbook and by the value of an input. Whether they are over is read from their own
//! records, never from the row: so nothing has to be taken back when a run ends, and no guard outlives its run, however the
//! host ends. All triggers but queues start runs past this: a queue says by its `concurrency` how many are done at once.

use serde::{Deserialize, Serialize};

use crate::id::{ContentHash, RunId};
use crate::journal::{JournalError, RunRecord};
use crate::script::Header;
use crate::script::triggers::{Overlap, Policy};
use crate::store::keys::{self, Space};
use crate::store::{Batch, Precondition, Row, Store, StoreError};
use crate::value::{Map, Value};

/// Longer values of the input are told apart by their hash.
const VALUE_BYTES_MAX: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    runs: Vec<RunId>,
}

/// The place that a run takes among those that must not overlap.
pub struct Guard {
    key: Vec<u8>,
    row: Option<Row>,
    /// A run that is not over.
    pub busy: Option<RunId>,
}

impl Guard {
    /// The guard before a run of `playbook` with `input`; `None` when its runs may overlap.
    pub fn of(
        store: &dyn Store,
        playbook: &str,
        header: &Header,
        overlap: &Overlap,
        input: &Map,
    ) -> Result<Option<Guard>, StoreError> {
        if overlap.policy == Policy::Allow {
            return Ok(None);
        }
        let key = key(playbook, header, overlap, input);
        let row = store.get(&key)?;
        let last: Last = row
            .as_ref()
            .and_then(|row| rmp_serde::from_slice(&row.value).ok())
            .unwrap_or_default();
        let mut busy = None;
        for run in last.runs {
            match RunRecord::get(store, run) {
                Ok(record) if record.status.is_over() => {}
                Ok(_) => busy = Some(run),
                Err(JournalError::Store(error)) => return Err(error),
                // A run that cannot be read or was removed is no run under way.
                Err(_) => {}
            }
        }
        Ok(Some(Guard { key, row, busy }))
    }

    /// The row it stands for: two runs with the same one stand in each other's way.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Notes in the batch that creates `run` that it is the last one, on the condition that nobody was quicker.
    pub fn pass(self, batch: &mut Batch, run: RunId) {
        let precondition = self
            .row
            .map_or(Precondition::Absent, |row| Precondition::At(row.version));
        let last = Last { runs: vec![run] };
        batch.require(self.key.clone(), precondition);
        batch.put(self.key, rmp_serde::to_vec_named(&last).expect("ids are plain data"));
    }
}

fn key(playbook: &str, header: &Header, overlap: &Overlap, input: &Map) -> Vec<u8> {
    let Some(by) = &overlap.by else {
        return keys::named(Space::Overlap, &[playbook]);
    };
    let preset = || header.inputs.get(by).and_then(|spec| spec.preset.clone());
    let value = input
        .get(by)
        .cloned()
        .or_else(preset)
        .unwrap_or(Value::Unit)
        .to_string();
    let value = match value.len() {
        0..=VALUE_BYTES_MAX => value,
        _ => ContentHash::of(value.as_bytes()).to_string(),
    };
    keys::named(Space::Overlap, &[playbook, by, &value])
}
