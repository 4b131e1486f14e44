//! What is old and nobody needs goes: runs that are over, with their journals, texts and files, ticks with a fate, pairs that
//! have expired.
//!
//! Never what an unfinished run, an incident, a job, a question or any other row of the host names. A run goes only together
//! with all that it started and that started it, and never within 72 hours of its end. Files and texts go when no row that is
//! left names them, whoever wrote it. Each step is one small commit, on the condition that its rows are as they were looked
//! at; so it can be broken off anywhere, and goes on the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::chore::{Place, Tell};
use super::reach::Named;
use super::settings::{Limits, YOUNG_MS};
use crate::id::{ContentHash, RunId};
use crate::io::workspace;
use crate::journal::RunRecord;
use crate::journal::question::Question;
use crate::store::backup::{BackupError, Progress, install};
use crate::store::keys::{self, Place as Key, Space};
use crate::store::ticks::tick::Tick;
use crate::store::{Batch, CommitNo, Durability, Precondition, Row, Store, StoreError, kv};

/// Rows that one commit removes, about.
const ROWS_AT_ONCE: usize = 512;

/// Ticks of a schedule that stay, however old: a schedule looks back at its last ones.
const TICKS_KEPT: usize = 64;

/// Files and texts that are younger stay: somebody may be about to name them.
const SETTLED_MS: i64 = 24 * 3_600_000;

/// How long others are let go on between two commits.
const PAUSE: Duration = Duration::from_millis(2);

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    pub preview: bool,
    pub runs: u64,
    pub ticks: u64,
    pub pairs: u64,
    pub texts: u64,
    pub files: u64,
    /// Of rows, and of files.
    pub row_bytes: u64,
    pub file_bytes: u64,
    /// When the oldest of the runs ended that go, and the latest.
    pub oldest_ms: Option<i64>,
    pub latest_ms: Option<i64>,
    /// Runs that are old enough and stay, because something names them.
    pub kept: u64,
    /// Files stay while a store lies aside that may name them.
    pub has_aside: bool,
    /// What rows and files have together after it.
    pub bytes_left: u64,
}

/// A run that is over.
struct Over {
    ended_ms: i64,
    version: CommitNo,
    bytes: u64,
    parent: Option<RunId>,
}

/// What a look over all rows found.
#[derive(Default)]
struct Look {
    over: BTreeMap<RunId, Over>,
    unfinished: BTreeSet<RunId>,
    /// Runs that rows of the host name.
    named: BTreeSet<RunId>,
    ticks: Vec<(Vec<u8>, CommitNo, u64)>,
    pairs: Vec<(Vec<u8>, CommitNo, u64)>,
    row_bytes: u64,
}

/// Removes what `place.limits` let go; tells only what would be, when it is a preview.
pub fn retain(place: &Place, preview: bool, tell: &mut Tell<'_>) -> Result<Swept, BackupError> {
    let now_ms = place.clock.unix_ms();
    let store = &*place.ground.store;
    let mut swept = Swept {
        preview,
        has_aside: install::has_aside(&place.data)?,
        ..Swept::default()
    };
    let look = look(store, &place.limits, now_ms, tell)?;
    let file_bytes = file_bytes(place)?;
    let going = choose(&look, &place.limits, look.row_bytes + file_bytes, now_ms, &mut swept);
    let mut sweeping = Sweeping { place, preview, tell };
    for (run, over) in &going {
        if sweeping.run(*run, over)? {
            swept.runs += 1;
            swept.row_bytes += over.bytes;
        }
    }
    swept.ticks = sweeping.rows(&look.ticks, &mut swept.row_bytes)?;
    swept.pairs = sweeping.rows(&look.pairs, &mut swept.row_bytes)?;
    sweeping.unnamed(&going.keys().copied().collect(), now_ms, &mut swept)?;
    swept.bytes_left = (look.row_bytes + file_bytes).saturating_sub(swept.row_bytes + swept.file_bytes);
    Ok(swept)
}

fn file_bytes(place: &Place) -> Result<u64, StoreError> {
    let paths = place.ground.content.list()?;
    let paths = paths.iter().filter_map(|hash| place.ground.content.path(hash));
    Ok(paths.filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum())
}

/// One look over all rows, of one moment.
fn look(store: &dyn Store, limits: &Limits, now_ms: i64, tell: &mut Tell<'_>) -> Result<Look, BackupError> {
    let mut found = Look::default();
    let mut names = Named::among([]);
    let mut failed: Option<BackupError> = None;
    // The ticks of one schedule that are old enough, in order.
    let mut ticks: (Vec<u8>, Vec<(Vec<u8>, CommitNo, u64)>, usize) = Default::default();
    let mut rows = 0_u64;
    store.visit((Bound::Unbounded, Bound::Unbounded), &mut |key, value, version| {
        let bytes = (key.len() + value.len()) as u64;
        found.row_bytes += bytes;
        rows += 1;
        let place = keys::parse(key);
        match &place {
            Some(Key::Run(run)) => match RunRecord::decode(*run, value) {
                Ok(record) if record.status.is_over() => {
                    let over = Over {
                        ended_ms: record.ended_ms.unwrap_or(record.begun_ms),
                        version,
                        bytes,
                        parent: record.parent.map(|parent| parent.run),
                    };
                    found.over.insert(*run, over);
                }
                // What cannot be read stays, like what is not over.
                _ => drop(found.unfinished.insert(*run)),
            },
            Some(Key::Journal { run, .. }) => {
                if let Some(over) = found.over.get_mut(run) {
                    over.bytes += bytes;
                }
            }
            Some(Key::Open(run) | Key::Wake { run, .. } | Key::Pin { run, .. }) => drop(found.named.insert(*run)),
            Some(Key::Question { run, .. }) => {
                let row = Row {
                    value: value.to_vec(),
                    version,
                };
                if Question::decode(&row).map_or(true, |question| question.given.is_none()) {
                    found.named.insert(*run);
                }
            }
            Some(Key::Tick {
                playbook, schedule, ..
            }) => {
                let schedule = keys::schedule(playbook, schedule);
                if ticks.0 != schedule {
                    settle_ticks(&mut ticks, &mut found.ticks);
                    ticks.0 = schedule;
                }
                ticks.2 += 1;
                let is_old = |tick: &Tick| limits.runs_or_ticks(tick.at_ms, now_ms);
                if Tick::decode(value).is_some_and(|tick| is_old(&tick)) {
                    ticks.1.push((key.to_vec(), version, bytes));
                }
            }
            Some(Key::Kv { .. }) if kv::has_expired(value, now_ms) => found.pairs.push((key.to_vec(), version, bytes)),
            // What playbooks keep for themselves may name whatever it likes.
            Some(
                Key::Version(_)
                | Key::Child { .. }
                | Key::Document { .. }
                | Key::Index { .. }
                | Key::Kv { .. }
                | Key::Metric { .. },
            ) => {}
            Some(Key::Named {
                space: Space::Event, ..
            }) => {}
            _ => {
                names.look(place.as_ref(), key, true);
                names.look(place.as_ref(), value, true);
            }
        }
        if rows % 4096 == 0 && tell("looking", Progress { rows, ..Progress::default() }).is_break() {
            failed = Some(BackupError::Cancelled);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    settle_ticks(&mut ticks, &mut found.ticks);
    found.named.append(&mut names.runs);
    Ok(found)
}

/// Of a schedule's ticks, the last ones stay.
fn settle_ticks(
    ticks: &mut (Vec<u8>, Vec<(Vec<u8>, CommitNo, u64)>, usize),
    going: &mut Vec<(Vec<u8>, CommitNo, u64)>,
) {
    let (_, old, count) = std::mem::take(ticks);
    let free = count.saturating_sub(TICKS_KEPT);
    going.extend(old.into_iter().take(free));
}

impl Limits {
    /// Whether a tick whose fate was decided then is old enough to go.
    fn runs_or_ticks(&self, at_ms: i64, now_ms: i64) -> bool {
        self.ticks_ms.is_some_and(|age_ms| at_ms < now_ms - age_ms.max(YOUNG_MS))
    }
}

/// The runs that go: whole families, by age, and then the oldest until the rest is within its budget.
fn choose<'a>(
    look: &'a Look,
    limits: &Limits,
    bytes: u64,
    now_ms: i64,
    swept: &mut Swept,
) -> BTreeMap<RunId, &'a Over> {
    let mut families: BTreeMap<RunId, Vec<RunId>> = BTreeMap::new();
    for run in look.over.keys() {
        families.entry(root_of(look, *run)).or_default().push(*run);
    }
    // One that is at work keeps all of its family.
    let kept: BTreeSet<RunId> = look
        .unfinished
        .iter()
        .chain(&look.named)
        .map(|run| root_of(look, *run))
        .collect();
    let ended = |family: &[RunId]| family.iter().map(|run| look.over[run].ended_ms).max().unwrap_or(now_ms);
    let mut by_age: Vec<(i64, RunId, &Vec<RunId>)> = families
        .iter()
        .map(|(root, family)| (ended(family), *root, family))
        .filter(|(ended_ms, ..)| *ended_ms < now_ms - YOUNG_MS)
        .collect();
    by_age.sort();
    let mut left = bytes;
    let mut going = BTreeMap::new();
    for (ended_ms, root, family) in by_age {
        let is_old = limits.runs_ms.is_some_and(|age_ms| ended_ms < now_ms - age_ms);
        let is_too_much = limits.bytes.is_some_and(|bytes| left > bytes);
        if !is_old && !is_too_much {
            break;
        }
        if kept.contains(&root) {
            swept.kept += family.len() as u64;
            continue;
        }
        swept.oldest_ms = swept.oldest_ms.or(Some(ended_ms));
        swept.latest_ms = Some(ended_ms);
        for run in family {
            left = left.saturating_sub(look.over[run].bytes);
            going.insert(*run, &look.over[run]);
        }
    }
    going
}

/// The run that started all of them.
fn root_of(look: &Look, run: RunId) -> RunId {
    let mut root = run;
    // As many as can be: each was born after its parent.
    for _ in 0..1024 {
        let parent = match look.over.get(&root) {
            Some(over) => over.parent,
            None => None,
        };
        match parent.filter(|parent| look.over.contains_key(parent) || look.unfinished.contains(parent)) {
            Some(parent) => root = parent,
            None => return root,
        }
    }
    root
}

/// A retention at work.
struct Sweeping<'a, 'b> {
    place: &'a Place,
    preview: bool,
    tell: &'a mut Tell<'b>,
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
    fn run(&mut self, run: RunId, over: &Over) -> Result<bool, BackupError> {
        if self.preview {
            return Ok(true);
        }
        self.go_on("removing runs")?;
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
        gone.extend(over.parent.map(|parent| keys::child(parent, run)));
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
    fn rows(&mut self, rows: &[(Vec<u8>, CommitNo, u64)], freed: &mut u64) -> Result<u64, BackupError> {
        let mut count = 0;
        for part in rows.chunks(ROWS_AT_ONCE) {
            let bytes: u64 = part.iter().map(|(_, _, bytes)| bytes).sum();
            let mut batch = Batch::new();
            batch.preconditions = part.iter().map(|(key, version, _)| (key.clone(), Precondition::At(*version))).collect();
            batch.deletes = part.iter().map(|(key, ..)| key.clone()).collect();
            if self.preview || self.commit(batch)? {
                count += part.len() as u64;
                *freed += bytes;
            }
            self.go_on("removing rows")?;
        }
        Ok(count)
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

    /// Removes texts and files that no row names. Rows of the runs in `going` count no more.
    fn unnamed(&mut self, going: &BTreeSet<RunId>, now_ms: i64, swept: &mut Swept) -> Result<(), BackupError> {
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
        let named = self.names(files.iter().chain(texts.keys()).copied(), going)?;
        let texts: Vec<(Vec<u8>, CommitNo, u64)> = texts
            .iter()
            .filter(|(hash, _)| !named.has(hash))
            .map(|(hash, (version, bytes))| (keys::version(hash), *version, *bytes))
            .collect();
        swept.texts = self.texts(&texts, now_ms, swept)?;
        if swept.has_aside {
            return Ok(());
        }
        let before = SystemTime::UNIX_EPOCH + Duration::from_millis((now_ms - SETTLED_MS).max(0) as u64);
        for hash in files.iter().filter(|hash| !named.has(hash)) {
            self.go_on("removing files")?;
            let gone = match self.preview {
                true => content.path(hash).and_then(|path| {
                    let data = path.metadata().ok()?;
                    data.modified().is_ok_and(|modified| modified < before).then_some(data.len())
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

    /// Which of `known` rows name, and what the files hold that they name.
    fn names(
        &mut self,
        known: impl Iterator<Item = ContentHash>,
        going: &BTreeSet<RunId>,
    ) -> Result<Named, BackupError> {
        let mut named = Named::among(known);
        let mut rows = 0_u64;
        let mut is_broken_off = false;
        let tell = &mut *self.tell;
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.place.ground.store.visit(all, &mut |key, value, _| {
            let place = keys::parse(key);
            rows += 1;
            let is_going = match &place {
                Some(Key::Run(run) | Key::Journal { run, .. }) => going.contains(run),
                // A text names nothing, and its key is its own name.
                Some(Key::Version(_)) => true,
                _ => false,
            };
            if !is_going {
                named.look(place.as_ref(), key, false);
                named.look(place.as_ref(), value, false);
            }
            is_broken_off = rows % 1024 == 0 && tell("looking for names", Progress { rows, ..Progress::default() }).is_break();
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
    fn texts(&mut self, texts: &[(Vec<u8>, CommitNo, u64)], now_ms: i64, swept: &mut Swept) -> Result<u64, BackupError> {
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
        self.store().visit((Bound::Included(first), all.1), &mut |key, value, _| {
            named.look(keys::parse(key).as_ref(), value, false);
            ControlFlow::Continue(())
        })?;
        Ok(named.has(&hash))
    }
}
