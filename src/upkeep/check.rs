//! Is every row what it should be, and is there what it names?
//!
//! One look over all rows in key order, of one moment, with one run's journal in memory at a time; then the files, each read
//! and compared with its name. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use serde::{Deserialize, Serialize};

use super::reach::{contents_of_entry, contents_of_row};
use crate::id::{ContentHash, RunId};
use crate::journal::audit::AuditError;
use crate::journal::audit::verify::verify;
use crate::journal::row::{DecodeError, decode};
use crate::journal::{Entry, Recorded, RunRecord};
use crate::store::keys::{self, Place};
use crate::store::tx::Ground;
use crate::store::{StoreError, VisitRow};

/// Problems that are told; others are counted.
pub const TOLD_MAX: usize = 100;

/// The place of what is wrong in the chain of acts.
const AUDIT_LOG: &str = "the audit log";

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub rows: u64,
    pub row_bytes: u64,
    /// Rows and bytes of each space, by name.
    pub spaces: BTreeMap<String, (u64, u64)>,
    pub journals: u64,
    pub files: u64,
    pub file_bytes: u64,
    /// What is wrong, and where.
    pub problems: Vec<Problem>,
    /// How many there are in all.
    pub wrong: u64,
    /// How many of these are in the audit log: they keep nobody from the rest.
    #[serde(default)]
    pub wrong_acts: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub place: String,
    pub what: String,
}

impl Problem {
    /// Whether it is in the chain of acts.
    pub fn is_of_acts(&self) -> bool {
        self.place == AUDIT_LOG
    }
}

impl Checked {
    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.wrong += 1;
        if self.problems.len() < TOLD_MAX {
            let (place, what) = (place.into(), what.into());
            self.problems.push(Problem { place, what });
        }
    }
}

/// Told of rows, and later of files.
pub type Seen<'a> = dyn FnMut(&Checked) -> ControlFlow<()> + 'a;

/// Checks all of `ground`. `None` when it was broken off.
pub fn check(ground: &Ground, seen: &mut Seen<'_>) -> Result<Option<Checked>, StoreError> {
    let mut walk = Walk::default();
    let mut is_broken_off = false;
    let visit: &mut VisitRow<'_> = &mut |key, value, _| {
        walk.row(key, value);
        is_broken_off = walk.found.rows.is_multiple_of(1024) && seen(&walk.found).is_break();
        match is_broken_off {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    match ground.store.visit((Bound::Unbounded, Bound::Unbounded), visit) {
        Err(error @ StoreError::Corrupt { .. }) => walk.found.problem("the store's file", error.to_string()),
        visited => visited?,
    }
    if is_broken_off {
        return Ok(None);
    }
    walk.end();
    let Walk { mut found, named, .. } = walk;
    match verify(&*ground.store, None) {
        Ok(verdict) => {
            for fault in verdict.faults {
                found.wrong_acts += 1;
                found.problem(AUDIT_LOG, format!("act {}: {}", fault.number, fault.reason));
            }
        }
        Err(AuditError::Store(error)) => return Err(error),
        Err(error) => {
            found.wrong_acts += 1;
            found.problem(AUDIT_LOG, error.to_string());
        }
    }
    let there: BTreeSet<ContentHash> = ground.content.list()?.into_iter().collect();
    for (hash, place) in named.iter().filter(|(hash, _)| !there.contains(hash)) {
        found.problem(
            place.clone(),
            format!("the file {} that it names is missing", hash.short()),
        );
    }
    for hash in &there {
        if seen(&found).is_break() {
            return Ok(None);
        }
        match ground.content.is_intact(hash)? {
            Some((true, bytes)) => {
                found.files += 1;
                found.file_bytes += bytes;
            }
            Some((false, _)) => found.problem(format!("file {}", hash.short()), "it does not hold what its name says"),
            None => {}
        }
    }
    Ok(Some(found))
}

/// What was seen so far.
#[derive(Default)]
struct Walk {
    found: Checked,
    /// Runs with a record, in order, and which of them have a journal.
    runs: Vec<RunId>,
    with_journal: u64,
    /// The run whose journal is being read.
    reading: Option<(RunId, Vec<Entry>, bool)>,
    /// Texts that runs are pinned to, with a run of each.
    pinned: BTreeMap<ContentHash, RunId>,
    texts: BTreeSet<ContentHash>,
    /// Files that rows name, with one place of each.
    named: BTreeMap<ContentHash, String>,
}

impl Walk {
    fn row(&mut self, key: &[u8], value: &[u8]) {
        let space = key.first().copied().unwrap_or_default();
        let bytes = (key.len() + value.len()) as u64;
        self.found.rows += 1;
        self.found.row_bytes += bytes;
        let counted = self.found.spaces.entry(keys::space_name(space)).or_default();
        counted.0 += 1;
        counted.1 += bytes;
        let Some(place) = keys::parse(key) else {
            // A space of a newer host is not looked into.
            if keys::is_known(space) {
                self.found.problem(keys::describe(key), "its key cannot be read");
            }
            return;
        };
        if !matches!(place, Place::Journal { .. }) {
            self.end_journal();
        }
        match &place {
            Place::Run(run) => {
                self.runs.push(*run);
                if let Err(error) = RunRecord::decode(*run, value) {
                    self.found.problem(place.to_string(), error.to_string());
                }
            }
            Place::Journal { run, first } => self.journal(*run, *first, value),
            Place::Version(hash) => {
                self.texts.insert(*hash);
                if ContentHash::of(value) != *hash {
                    self.found
                        .problem(place.to_string(), "it does not hold what its name says");
                }
            }
            _ => match contents_of_row(&place, value) {
                Ok(hashes) => self.name(hashes, &place.to_string()),
                Err(reason) => self.found.problem(place.to_string(), reason),
            },
        }
    }

    fn name(&mut self, hashes: impl IntoIterator<Item = ContentHash>, place: &str) {
        for hash in hashes {
            self.named.entry(hash).or_insert_with(|| place.to_owned());
        }
    }

    fn journal(&mut self, run: RunId, first: u64, row: &[u8]) {
        if self.reading.as_ref().is_none_or(|(reading, ..)| *reading != run) {
            self.end_journal();
            self.reading = Some((run, Vec::new(), true));
        }
        let Some((_, entries, is_whole)) = &mut self.reading else {
            return;
        };
        if !*is_whole {
            return;
        }
        let problem = match decode(row) {
            _ if first != entries.len() as u64 => format!("entries are missing before number {first}"),
            Ok(more) => return entries.extend(more),
            Err(DecodeError::Newer(format)) => format!("its entry {first} has the format {format} of a newer host"),
            Err(DecodeError::Corrupt(reason)) => format!("its entry {first} cannot be read: {reason}"),
        };
        *is_whole = false;
        self.found.problem(format!("journal of {run}"), problem);
    }

    fn end_journal(&mut self) {
        let Some((run, entries, is_whole)) = self.reading.take() else {
            return;
        };
        let place = format!("journal of {run}");
        self.with_journal += 1;
        if self.runs.binary_search(&run).is_err() {
            self.found.problem(place.clone(), "there is no record of its run");
        }
        if !is_whole {
            return;
        }
        let hashes: Vec<ContentHash> = entries.iter().flat_map(contents_of_entry).collect();
        self.name(hashes, &place);
        for entry in &entries {
            if let Entry::Begun(begun) = entry {
                self.pinned.entry(begun.version).or_insert(run);
                for module in begun.modules.values() {
                    self.pinned.entry(*module).or_insert(run);
                }
            }
        }
        match Recorded::from_entries(run, entries) {
            Ok(_) => self.found.journals += 1,
            Err(error) => self.found.problem(place, error.to_string()),
        }
    }

    fn end(&mut self) {
        self.end_journal();
        let missing = (self.runs.len() as u64).saturating_sub(self.with_journal);
        if missing > 0 {
            let what = format!("{missing} runs have a record and no journal");
            self.found.problem("runs", what);
        }
        for (hash, run) in &self.pinned {
            if !self.texts.contains(hash) {
                let what = format!("the text {} that it is pinned to is missing", hash.short());
                self.found.problem(format!("run {run}"), what);
            }
        }
    }
}
