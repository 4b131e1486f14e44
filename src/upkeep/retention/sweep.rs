//! Removes what was chosen, in small commits, and then what nothing names any more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Swept;
use super::look::Going;
use super::runs::Over;
use crate::id::{ContentHash, RunId};
use crate::io::workspace;
use crate::store::backup::{BackupError, Progress};
use crate::store::keys::{self, Place as Key};
use crate::store::{Batch, CommitNo, Durability, Precondition, Store, StoreError};
use crate::upkeep::chore::{Place, Tell};
use crate::upkeep::reach::Named;
use crate::upkeep::settings::YOUNG_MS;

/// Rows that one commit removes, about.
const ROWS_AT_ONCE: usize = 512;

/// Files and texts that are younger stay: somebody may be about to name them.
const SETTLED_MS: i64 = 24 * 3_600_000;

/// How long others are let go on between two commits.
const PAUSE: Duration = Duration::from_millis(2);

/// What counts as removed.
#[derive(Default)]
pub(super) struct Gone {
    pub runs: BTreeSet<RunId>,
    pub rows: BTreeSet<Vec<u8>>,
}

/// A retention at work.
pub(super) struct Sweeping<'a, 'b> {
    pub place: &'a Place,
    pub preview: bool,
    pub tell: &'a mut Tell<'b>,
}

impl Sweeping<'_, '_> {
    fn store(&self) -> &dyn Store {
        &*self.place.ground.store
    }

    fn go_on(&mut self, what: &str) -> Result<(), BackupError> {
        match (self.tell)(what, Progress::default()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BackupError::Cancelled),
        }
    }

    /// Removes a run with all that is its own; `false` when it is not as it was looked at.
    pub fn run(&mut self, over: &Over, parent: Option<RunId>) -> Result<bool, BackupError> {
        let run = over.run;
        if self.preview {
            return Ok(true);
        }
        self.go_on("removing runs")?;
        // An incident may have been opened since it was looked at.
        if !self.store().scan(keys::pins_of(run), 1, false)?.is_empty() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        batch.require(keys::run(run), Precondition::At(over.version));
        let mut gone = vec![keys::run(run)];
        let questions = (
            Bound::Included(keys::question(run, 0)),
            Bound::Included(keys::question(run, u32::MAX)),
        );
        for range in [keys::journal_of(run), keys::children(run), questions] {
            self.store().visit(range, &mut |key, _, _| {
                gone.push(key.to_vec());
                ControlFlow::Continue(())
            })?;
        }
        gone.extend(parent.map(|parent| keys::child(parent, run)));
        batch.deletes = gone;
        if !self.commit(batch)? {
            return Ok(false);
        }
        let folder: PathBuf = self.place.data.join("runs").join(run.to_string());
        if let Err(error) = workspace::remove(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "the folder of a run that is gone could not be removed");
        }
        Ok(true)
    }

    /// Removes rows that are as they were looked at.
    pub fn rows(&mut self, rows: &[Going], freed: &mut u64) -> Result<u64, BackupError> {
        let mut count = 0;
        for part in rows.chunks(ROWS_AT_ONCE) {
            count += self.part(part, freed)?;
            self.go_on("removing rows")?;
        }
        Ok(count)
    }

    /// Removes rows at once; where one of them has changed, those in two halves that have not.
    fn part(&mut self, part: &[Going], freed: &mut u64) -> Result<u64, BackupError> {
        let mut batch = Batch::new();
        batch.preconditions = part
            .iter()
            .map(|(key, version, _)| (key.clone(), Precondition::At(*version)))
            .collect();
        batch.deletes = part.iter().map(|(key, ..)| key.clone()).collect();
        if self.preview || self.commit(batch)? {
            *freed += part.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
            return Ok(part.len() as u64);
        }
        if part.len() <= 1 {
            return Ok(0);
        }
        let (one, other) = part.split_at(part.len() / 2);
        Ok(self.part(one, freed)? + self.part(other, freed)?)
    }

    /// `false` when somebody has changed what it is about.
    fn commit(&mut self, batch: Batch) -> Result<bool, BackupError> {
        let committed = self.store().commit(batch, Durability::Soon);
        self.place.clock.sleep(PAUSE);
        match committed {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes texts and files that no row names. Those in `gone` count no more.
    pub fn unnamed(&mut self, gone: &Gone, now_ms: i64, swept: &mut Swept) -> Result<(), BackupError> {
        let content = &*self.place.ground.content;
        let files = content.list()?;
        let mut texts: BTreeMap<ContentHash, (CommitNo, u64)> = BTreeMap::new();
        let range = keys::versions_of("").expect("no digits are a beginning of every hash");
        self.store().visit(range, &mut |key, value, version| {
            if let Some(Key::Version(hash)) = keys::parse(key) {
                texts.insert(hash, (version, (key.len() + value.len()) as u64));
            }
            ControlFlow::Continue(())
        })?;
        let named = self.names(files.iter().chain(texts.keys()).copied(), gone)?;
        let texts: Vec<Going> = texts
            .iter()
            .filter(|(hash, _)| !named.has(hash))
            .map(|(hash, (version, bytes))| (keys::version(hash), *version, *bytes))
            .collect();
        swept.texts = self.texts(&texts, now_ms, swept)?;
        if swept.has_aside {
            return Ok(());
        }
        let before = SystemTime::UNIX_EPOCH + Duration::from_millis((now_ms - SETTLED_MS).max(0) as u64);
        if !self.preview {
            content.tidy(before)?;
        }
        for hash in files.iter().filter(|hash| !named.has(hash)) {
            self.go_on("removing files")?;
            let gone = match self.preview {
                true => content.path(hash).and_then(|path| {
                    let data = path.metadata().ok()?;
                    data.modified()
                        .is_ok_and(|modified| modified < before)
                        .then_some(data.len())
                }),
                false => content.remove(hash, before)?,
            };
            if let Some(bytes) = gone {
                swept.files += 1;
                swept.file_bytes += bytes;
            }
        }
        Ok(())
    }

    /// Removes the folders of runs that are gone: whoever removed them was killed before he came to that, or they began
    /// after a backup from which the store was restored.
    pub fn folders(&mut self, now_ms: i64) -> Result<u64, BackupError> {
        let below = self.place.data.join("runs");
        let mut count = 0;
        let runs = workspace::runs_below(&below).map_err(|error| StoreError::io(&below, &error))?;
        for run in runs.into_iter().filter(|run| run.born_ms() < now_ms - YOUNG_MS) {
            self.go_on("removing folders")?;
            if self.store().get(&keys::run(run))?.is_some() {
                continue;
            }
            if !self.preview {
                let folder = below.join(run.to_string());
                workspace::remove(&folder).map_err(|error| StoreError::io(&folder, &error))?;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Which of `known` rows name, and what the files hold that they name.
    fn names(&mut self, known: impl Iterator<Item = ContentHash>, gone: &Gone) -> Result<Named, BackupError> {
        let mut named = Named::among(known);
        let mut rows = 0_u64;
        let mut is_broken_off = false;
        let tell = &mut *self.tell;
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.place.ground.store.visit(all, &mut |key, value, _| {
            let place = keys::parse(key);
            rows += 1;
            let is_going = match &place {
                Some(Key::Run(run) | Key::Journal { run, .. } | Key::Question { run, .. }) => gone.runs.contains(run),
                // A text names nothing, and its key is its own name.
                Some(Key::Version(_)) => true,
                _ => gone.rows.contains(key),
            };
            if !is_going {
                named.look(place.as_ref(), key, false);
                named.look(place.as_ref(), value, false);
            }
            is_broken_off = rows.is_multiple_of(1024)
                && tell(
                    "looking for names",
                    Progress {
                        rows,
                        ..Progress::default()
                    },
                )
                .is_break();
            match is_broken_off {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        if is_broken_off {
            return Err(BackupError::Cancelled);
        }
        // A large value may name files in turn.
        let content = &*self.place.ground.content;
        let mut looked = BTreeSet::new();
        loop {
            let more: Vec<ContentHash> = content
                .list()?
                .into_iter()
                .filter(|hash| named.has(hash) && !looked.contains(hash))
                .collect();
            if more.is_empty() {
                return Ok(named);
            }
            for hash in more {
                // Media is longer than any value, and names nothing.
                if let Ok(Some(bytes)) = content.get(&hash) {
                    named.look(None, &bytes, false);
                }
                looked.insert(hash);
            }
        }
    }

    /// Removes texts. A run may have begun with one of them meanwhile, which found it still there: then it is put back.
    fn texts(&mut self, texts: &[Going], now_ms: i64, swept: &mut Swept) -> Result<u64, BackupError> {
        let mut count = 0;
        for (key, version, bytes) in texts {
            if self.preview {
                (count, swept.row_bytes) = (count + 1, swept.row_bytes + bytes);
                continue;
            }
            let Some(row) = self.store().get(key)? else { continue };
            if row.version != *version {
                continue;
            }
            let mut batch = Batch::new();
            batch.require(key.clone(), Precondition::At(*version));
            batch.deletes = vec![key.clone()];
            if !self.commit(batch)? {
                continue;
            }
            if self.is_named_since(key, now_ms)? {
                let mut batch = Batch::new();
                batch.put(key.clone(), row.value);
                self.commit(batch)?;
                continue;
            }
            (count, swept.row_bytes) = (count + 1, swept.row_bytes + bytes);
        }
        Ok(count)
    }

    /// Whether a run that was made in the last minute, or since, is pinned to the text under `key`.
    fn is_named_since(&self, key: &[u8], now_ms: i64) -> Result<bool, BackupError> {
        let Some(Key::Version(hash)) = keys::parse(key) else {
            return Ok(false);
        };
        let mut named = Named::among([hash]);
        let first = keys::journal(RunId::new(now_ms - 60_000, 0), 0);
        let all = keys::journal_of(RunId::from_bytes([0xFF; 16]));
        self.store()
            .visit((Bound::Included(first), all.1), &mut |key, value, _| {
                named.look(keys::parse(key).as_ref(), value, false);
                ControlFlow::Continue(())
            })?;
        Ok(named.has(&hash))
    }
}
