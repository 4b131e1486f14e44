//! Files that come, each of which starts a run of the playbook that awaits it.
//!
//! A file has come when it has not changed for some time: its size and its time are looked at twice. What it was like when
//! it started a run is a row, written in the batch of the run; a file that lies there unlike its row has come anew, also
//! when it came while no host was there. The system tells of changes soon; in case it does not, the folder is looked
//! through now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::modes::Modes;
use super::start::{Reason, Start, Startable, startable};
use super::{Trigger, Turn};
use crate::io::files::{FileFault, FileInfo};
use crate::io::watch::Watcher;
use crate::journal::Cause;
use crate::script::triggers::arrival::{is_finished, split};
use crate::serve::Edition;
use crate::store::keys::{self, Place, Space};
use crate::store::{Durability, Row, StoreError, Tx};
use crate::value::Value;

/// How often a folder is looked through when the system tells of no change.
const RESCAN_MS: i64 = 60_000;

/// How often it is asked whether the system has told of one.
const ASK_MS: i64 = 1_000;

/// How often files that have gone are looked for, and how long they are remembered.
const PRUNE_MS: i64 = 24 * 60 * 60 * 1000;
const REMEMBERED_MS: i64 = 90 * PRUNE_MS;

/// Files forgotten at once.
const FORGOTTEN_MAX: usize = 1000;

/// Starts what files start.
#[derive(Default)]
pub struct Files {
    modes: Modes,
    folders: BTreeMap<String, Folder>,
}

/// What is known of the files that a playbook awaits, until the host ends.
struct Folder {
    pattern: String,
    watcher: Option<Watcher>,
    /// Files that may still be changing, and since when they look so.
    unsettled: BTreeMap<String, (Look, i64)>,
    /// The folder is looked through when this time has come.
    scan_ms: i64,
    scanned_ms: i64,
    prune_ms: i64,
    /// Why it could not be looked through, which is told once.
    fault: Option<String>,
}

/// What tells a file from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    bytes: u64,
    modified_ms: i64,
}

/// A file that has started a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seen {
    look: Look,
    at_ms: i64,
}

fn key(playbook: &str, path: &str) -> Vec<u8> {
    keys::named(Space::Seen, &[playbook, path])
}

impl Trigger for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let looked = self.look(edition, now_ms, room, &mut turn);
        turn.over(looked)
    }
}

impl Files {
    fn look(&mut self, edition: &Edition, now_ms: i64, room: usize, turn: &mut Turn) -> Result<(), StoreError> {
        let awaits = |playbook: &str| edition.playbooks.get(playbook)?.triggers.files.as_ref();
        self.folders
            .retain(|playbook, folder| awaits(playbook).is_some_and(|awaits| awaits.pattern == folder.pattern));
        let playbooks = startable(edition, now_ms, &mut self.modes, |listed| {
            listed.triggers.files.is_some()
        })?;
        for playbook in &playbooks {
            let Some(awaits) = &playbook.listed.triggers.files else {
                continue;
            };
            let folder = self
                .folders
                .entry(playbook.playbook.to_owned())
                .or_insert_with(|| Folder::new(edition, &awaits.pattern, now_ms));
            let settle_ms = i64::try_from(awaits.settle.as_millis()).unwrap_or(i64::MAX);
            let next_ms = playbook.receive(folder, settle_ms, room, turn)?;
            turn.next_ms = turn.next_ms.into_iter().chain([next_ms]).min();
        }
        Ok(())
    }
}

impl Folder {
    fn new(edition: &Edition, pattern: &str, now_ms: i64) -> Folder {
        let (folder, _) = split(pattern);
        let watched = edition.app.config.root.join(folder);
        let watcher = Watcher::new(&[(watched, false)]);
        if let Err(error) = &watcher {
            tracing::warn!(
                folder,
                error,
                "changes in {folder} are seen within {} s only",
                RESCAN_MS / 1000
            );
        }
        Folder {
            pattern: pattern.to_owned(),
            watcher: watcher.ok(),
            unsettled: BTreeMap::new(),
            scan_ms: now_ms,
            scanned_ms: now_ms,
            prune_ms: now_ms,
            fault: None,
        }
    }

    /// Whether it is time to look the folder through.
    fn is_due(&self, now_ms: i64) -> bool {
        let mut told = false;
        while self
            .watcher
            .as_ref()
            .is_some_and(|watcher| watcher.wait(Duration::ZERO))
        {
            told = true;
        }
        // The clock may have been set back.
        told || now_ms >= self.scan_ms || now_ms < self.scanned_ms
    }

    /// The files that have come and do not change any more.
    fn settled(&mut self, files: Vec<FileInfo>, settle_ms: i64, now_ms: i64) -> Vec<(String, Look)> {
        let mut before = std::mem::take(&mut self.unsettled);
        let mut settled = Vec::new();
        for file in files {
            let look = look(&file);
            let since_ms = match before.remove(&file.path) {
                Some((same, since_ms)) if same == look && since_ms <= now_ms => since_ms,
                _ => now_ms,
            };
            if now_ms - since_ms >= settle_ms {
                settled.push((file.path.clone(), look));
            }
            self.unsettled.insert(file.path, (look, since_ms));
        }
        settled
    }
}

impl Startable<'_> {
    /// Starts runs for files that have come; returns when to look again.
    fn receive(&self, folder: &mut Folder, settle_ms: i64, room: usize, turn: &mut Turn) -> Result<i64, StoreError> {
        let now_ms = self.now_ms;
        let ask_ms = if folder.watcher.is_some() {
            now_ms + ASK_MS
        } else {
            i64::MAX
        };
        if !folder.is_due(now_ms) {
            return Ok(folder.scan_ms.min(ask_ms));
        }
        folder.scanned_ms = now_ms;
        folder.scan_ms = now_ms + RESCAN_MS;
        let (path, name) = split(&folder.pattern);
        let files = match self.edition.runner.gate.world.files.list(path, name) {
            Ok(files) => files,
            Err(fault) => {
                self.tell(folder, &fault);
                return Ok(folder.scan_ms.min(ask_ms));
            }
        };
        folder.fault = None;
        if now_ms >= folder.prune_ms {
            folder.prune_ms = now_ms + PRUNE_MS;
            self.forget_gone(&files)?;
        }
        let mut tx = self.tx();
        let mut new = Vec::new();
        let mut rows: BTreeMap<String, Option<Row>> = BTreeMap::new();
        for file in files.into_iter().filter(|file| is_finished(&file.path)) {
            let row = tx.get(&key(self.playbook, &file.path))?;
            let is_known = match &row {
                Some(row) => read(row)?.look == look(&file),
                None => false,
            };
            if !is_known {
                rows.insert(file.path.clone(), row);
                new.push(file);
            }
        }
        // One that has come and must wait, for the run before it, is not looked at all the time.
        let mut again_ms = now_ms + ASK_MS;
        for (path, look) in folder.settled(new, settle_ms, now_ms) {
            if turn.runs.len() == room {
                turn.has_more = true;
                again_ms = now_ms + 1;
                break;
            }
            let row = rows.remove(&path).flatten();
            if self.file_came(&path, look, row.as_ref(), turn)? {
                folder.unsettled.remove(&path);
            }
        }
        let settling = folder.unsettled.values().map(|(_, since_ms)| since_ms + settle_ms);
        folder.scan_ms = settling
            .map(|at_ms| if at_ms <= now_ms { again_ms } else { at_ms })
            .chain([folder.scan_ms])
            .min()
            .unwrap_or(folder.scan_ms);
        Ok(folder.scan_ms.min(ask_ms))
    }

    /// Makes the run of a file, in one batch with the row that says so; `false` when that must wait.
    fn file_came(&self, path: &str, look: Look, before: Option<&Row>, turn: &mut Turn) -> Result<bool, StoreError> {
        let mut tx = self.tx();
        let key = key(self.playbook, path);
        tx.unchanged(&key, before);
        let seen = Seen {
            look,
            at_ms: self.now_ms,
        };
        tx.batch
            .put(key, rmp_serde::to_vec_named(&seen).expect("it is plain data"));
        let input = [("file".to_owned(), Value::from(path))].into_iter().collect();
        let reason = Reason {
            trigger: format!("by file {path}"),
            cause: Cause::File { path: path.to_owned() },
            input: self.declared(input),
            corr: None,
        };
        let at = turn.runs.len();
        let runs = match self.start(&mut tx, reason, at, turn)? {
            Start::Run(run) => vec![run],
            Start::Refused => Vec::new(),
            Start::Later => return Ok(false),
        };
        self.commit(tx, runs, turn)
    }

    fn tell(&self, folder: &mut Folder, fault: &FileFault) {
        let told = fault.to_string();
        if folder.fault.as_ref() != Some(&told) {
            let playbook = self.playbook;
            tracing::error!(playbook, "{playbook} cannot look for files: {told}");
            folder.fault = Some(told);
        }
    }

    /// Forgets files that went long ago. Not those that went lately: a disk that is not mounted holds none of its files, and
    /// they must not count as new when it comes back.
    fn forget_gone(&self, files: &[FileInfo]) -> Result<(), StoreError> {
        let mut tx: Tx<'_> = self.tx();
        let mut range = keys::prefix_range(keys::named(Space::Seen, &[self.playbook]));
        loop {
            let rows = tx.scan(range.clone(), FORGOTTEN_MAX, false)?;
            for (key, row) in &rows {
                let Some(Place::Named { names, .. }) = keys::parse(key) else {
                    continue;
                };
                let is_there = names
                    .last()
                    .is_some_and(|path| files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok());
                if !is_there && self.now_ms - read(row)?.at_ms > REMEMBERED_MS {
                    tx.batch.delete(key.clone());
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == FORGOTTEN_MAX => range.0 = std::ops::Bound::Excluded(key.clone()),
                _ => break,
            }
        }
        if !tx.batch.is_empty() {
            tx.ground.store.commit(tx.batch, Durability::Soon)?;
        }
        Ok(())
    }
}

fn look(file: &FileInfo) -> Look {
    Look {
        bytes: file.bytes,
        modified_ms: file.modified_ms,
    }
}

fn read(row: &Row) -> Result<Seen, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
        path: "a file that was seen".into(),
        reason: error.to_string(),
    })
}
