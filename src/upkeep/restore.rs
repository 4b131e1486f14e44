//! A backup becomes the store, and everything that was not over is held.
//!
//! The backup is unpacked aside and read to its end before anything of the project is touched. In the unpacked store the next
//! epoch is begun, in one commit; so whoever opens the restored store finds it frozen from the first moment.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::check::{self, Checked};
use super::chore::Tell;
use super::room::Room;
use super::rota;
use crate::identity::restored::{self, Access};
use crate::io::aside::Aside;
use crate::journal::audit::noted::RESTORED;
use crate::journal::audit::{self, Act, Actor};
use crate::journal::epoch::{Epoch, Held, HeldWrite, Origin};
use crate::journal::{JournalError, Recorded, RunRecord, Status};
use crate::store::backup::install::holds_something;
use crate::store::backup::{BackupError, Header, Key, Reader, Trailer, Unpacked, install, unpack};
use crate::store::content::FileContent;
use crate::store::documents::Indexes;
use crate::store::engine::{Engine, EngineOptions};
use crate::store::keys::{self, Place};
use crate::store::ticks::Pauses;
use crate::store::ticks::pause::{self, ALL, Pause};
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, StoreError};

/// The folder in which a backup is unpacked, in one that is this process's own.
const UNPACKED: &str = "unpacked";

/// Commits have numbers that grow by no more than so many a second. A life that begins with those of its moment therefore
/// uses none that the one before it may have used after the backup: whoever remembers such a number, a browser that had
/// its news or an answer to compare with, does not take something else for it.
const COMMITS_A_SECOND_BITS: u32 = 20;

/// After which number the commits begin of a life that begins at `now_ms` with a backup whose last one is `last`.
fn beyond(now_ms: i64, last: CommitNo) -> CommitNo {
    // Far from the numbers of overlays, whatever a clock says; and where it was set back, at least far from the last.
    let seconds = (now_ms.max(0) as u64 / 1000).min(1 << 40);
    let far = last.0.saturating_add(1 << COMMITS_A_SECOND_BITS);
    CommitNo(far.max(seconds << COMMITS_A_SECOND_BITS))
}

/// Why nothing is restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{} holds something already, and was left as it is", .0.display())]
    NotEmpty(PathBuf),
    #[error(
        "the backup was made of a store in which {wrong} things were not as they should be, and nothing was restored; the first: {first}"
    )]
    Unsound { wrong: u64, first: String },
}

impl RestoreError {
    pub fn code(&self) -> &'static str {
        match self {
            RestoreError::Backup(error) => error.code(),
            RestoreError::Store(error) => error.code(),
            RestoreError::Journal(error) => error.code(),
            RestoreError::NotEmpty(_) => "RESTORE_NOT_EMPTY",
            RestoreError::Unsound { .. } => "RESTORE_UNSOUND",
        }
    }
}

/// A backup to be restored.
pub struct Restore<'a> {
    pub file: &'a Path,
    pub key: Option<&'a Key>,
    /// The data folder.
    pub data: &'a Path,
    pub options: EngineOptions,
    /// Whether a store that is there is moved aside.
    pub replace: bool,
    /// Whether it is restored also where something in it is not as it should be.
    pub as_it_is: bool,
    pub now_ms: i64,
    /// Who has it restored.
    pub by: Actor,
}

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    pub epoch: u64,
    pub backup_ms: i64,
    pub needs: Vec<String>,
    pub trailer: Trailer,
    /// The store that was there before.
    pub aside: Option<PathBuf>,
    pub held: Vec<Held>,
    /// Passwords and tokens that let nobody in until somebody says so.
    pub access: Access,
    /// Where the audit log of the store ended that was there before.
    pub replaced_head: Option<String>,
    /// What is wrong with the audit log of the backup.
    pub wrong_acts: u64,
    /// What else was wrong in the store already when it was backed up.
    pub wrong: u64,
}

/// What a backup holds, and what of it is wrong.
#[derive(Clone, Debug)]
pub struct Verified {
    pub header: Header,
    pub trailer: Trailer,
    pub checked: Checked,
}

/// Unpacks the backup `file` below `folder` and checks all of it. Nothing of it is left there.
pub fn verify(
    file: &Path,
    key: Option<&Key>,
    folder: &Path,
    options: EngineOptions,
    tell: &mut Tell<'_>,
) -> Result<Verified, BackupError> {
    let aside = aside(folder, file, key)?;
    let mut room = Room::of(folder);
    let tell: &mut Tell<'_> = &mut |what, progress| room.look(tell(what, progress));
    let verified = verify_in(&aside.path().join(UNPACKED), file, key, options, tell);
    verified.map_err(|error| room.explain(error))
}

/// A folder of this process's own below `folder`; only for what can be opened at all.
fn aside(folder: &Path, file: &Path, key: Option<&Key>) -> Result<Aside, BackupError> {
    drop(Reader::open(file, key)?);
    Aside::make(folder).map_err(|error| StoreError::io(folder, &error).into())
}

fn verify_in(
    folder: &Path,
    file: &Path,
    key: Option<&Key>,
    options: EngineOptions,
    tell: &mut Tell<'_>,
) -> Result<Verified, BackupError> {
    let unpacked = unpack(file, key, folder, options, &|last| last, &mut |progress| {
        tell("unpacking", progress)
    })?;
    let ground = ground_of(&unpacked, options)?;
    let checked = checked(&ground, tell)?;
    Ok(Verified {
        header: unpacked.header,
        trailer: unpacked.trailer,
        checked,
    })
}

fn checked(ground: &Ground, tell: &mut Tell<'_>) -> Result<Checked, BackupError> {
    let mut seen = |found: &Checked| {
        let progress = crate::store::backup::Progress {
            rows: found.rows,
            files: found.files,
            ..Default::default()
        };
        tell("checking", progress)
    };
    check::check(ground, &mut seen)?.ok_or(BackupError::Cancelled)
}

fn ground_of(unpacked: &Unpacked, options: EngineOptions) -> Result<Ground, StoreError> {
    Ok(Ground {
        store: std::sync::Arc::new(Engine::open(&unpacked.store, options)?),
        content: std::sync::Arc::new(FileContent::new(&unpacked.content)),
        indexes: std::sync::Arc::new(Indexes::none()),
    })
}

impl Restore<'_> {
    pub fn perform(&self, tell: &mut Tell<'_>) -> Result<Restored, RestoreError> {
        let place = self.data.join("store.redb");
        if !self.replace && holds_something(&place, self.options)? {
            return Err(RestoreError::NotEmpty(place));
        }
        let aside = aside(self.data, self.file, self.key)?;
        let mut room = Room::of(self.data);
        let tell: &mut Tell<'_> = &mut |what, progress| room.look(tell(what, progress));
        let restored = self.perform_in(&aside.path().join(UNPACKED), tell);
        restored.map_err(|error| match error {
            RestoreError::Backup(error) => room.explain(error).into(),
            error => error,
        })
    }

    fn perform_in(&self, folder: &Path, tell: &mut Tell<'_>) -> Result<Restored, RestoreError> {
        let beyond = |last| beyond(self.now_ms, last);
        let unpacked = unpack(self.file, self.key, folder, self.options, &beyond, &mut |progress| {
            tell("unpacking", progress)
        })?;
        let ground = ground_of(&unpacked, self.options)?;
        let checked = checked(&ground, tell)?;
        // An audit log that somebody was at is told, and keeps nobody from the rest: else whoever can alter one act could make
        // every backup useless.
        let wrong = checked.wrong - checked.wrong_acts;
        if wrong > 0 && !self.as_it_is {
            let first = checked.problems.iter().find(|problem| !problem.is_of_acts());
            let first = first.map(|problem| format!("{}: {}", problem.place, problem.what));
            return Err(RestoreError::Unsound {
                wrong,
                first: first.unwrap_or_default(),
            });
        }
        let replaced_head = self.replaced_head();
        let frozen = self.freeze(&ground, &unpacked, replaced_head.as_deref(), checked.wrong_acts)?;
        drop(ground);
        // Somebody may have begun to use it in the meantime.
        let place = self.data.join("store.redb");
        if !self.replace && holds_something(&place, self.options)? {
            return Err(RestoreError::NotEmpty(place));
        }
        let installed = install(&unpacked, self.data, &stamp(self.now_ms))?;
        Ok(Restored {
            epoch: frozen.epoch,
            backup_ms: unpacked.header.at_ms,
            needs: unpacked.header.needs,
            trailer: unpacked.trailer,
            aside: installed.aside,
            held: frozen.held,
            access: frozen.access,
            replaced_head,
            wrong_acts: checked.wrong_acts,
            wrong,
        })
    }

    /// Where the audit log ends of the store that is moved aside, as far as that can be read.
    fn replaced_head(&self) -> Option<String> {
        let place = self.data.join("store.redb");
        let head = match Engine::open_read_only(&place, self.options) {
            Ok(store) => audit::head(&store),
            Err(StoreError::Missing { .. }) => return None,
            Err(error) => Err(error),
        };
        match head {
            Ok(head) => head.map(|head| head.to_string()),
            Err(error) => Some(format!("(unreadable: {})", error.code())),
        }
    }

    /// Begins the next epoch: nothing starts, nothing is published, nobody is let in by what the backup knows, and what was
    /// not over is held. The act says where the audit log of the backup ended, and where that of the store did which it
    /// replaces.
    fn freeze(
        &self,
        ground: &Ground,
        unpacked: &Unpacked,
        replaced_head: Option<&str>,
        wrong_acts: u64,
    ) -> Result<Frozen, RestoreError> {
        let (store, header) = (&*ground.store, &unpacked.header);
        let next_commit = store.stats().last_commit.0 + 1;
        let (before, version) = Epoch::read_at(store)?;
        let pauses = Pauses::load(store)?;
        let number = before.number.max(header.epoch).saturating_add(1);
        let mut batch = Batch::new();
        let epoch = Epoch {
            number,
            // A clock that is set back makes no run younger than this.
            began_ms: self.now_ms.max(header.at_ms),
            lost: before.all_lost(),
            origin: Some(Origin {
                at_ms: header.at_ms,
                epoch: header.epoch,
                last_commit: unpacked.last.0,
                next_commit,
                file: self.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            }),
            frozen: true,
            released: None,
            was_paused: match before.frozen {
                true => before.was_paused,
                false => pauses.on.contains_key(ALL),
            },
        };
        epoch.put(&mut batch, version);
        if !pauses.on.contains_key(ALL) {
            let why = "the store was restored: `host restore` tells what is held".to_owned();
            let paused = Pause {
                since_ms: self.now_ms,
                by: None,
                why,
            };
            pause::pause(&mut batch, ALL, &paused);
        }
        let mut held = unfinished(ground, self.as_it_is)?;
        held.sort_by_key(|held| held.run);
        for held in &held {
            held.put(&mut batch);
        }
        let access = restored::hold(store, self.now_ms, &mut batch)?;
        // What was backed up before belongs to another life: this one begins with a backup of its own.
        batch.delete(rota::key());
        let file = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let end = audit::head(store)?;
        let act = Act::new(RESTORED, file)
            .with("epoch", number)
            .with("backup_ms", header.at_ms)
            .with("kept_to", end.as_ref().map_or(0, |end| end.number))
            .with("kept_hash", end.map(|end| end.hash))
            .with("replaced_head", replaced_head)
            .with("wrong_acts", wrong_acts)
            .with("held_users", access.users.len())
            .with("held_tokens", access.tokens.len());
        audit::commit(store, batch, Durability::Now, &self.by, &act, self.now_ms)?;
        Ok(Frozen {
            epoch: number,
            held,
            access,
        })
    }
}

/// What the next epoch begins with.
struct Frozen {
    epoch: u64,
    held: Vec<Held>,
    access: Access,
}

/// Every run that was not over, with the writes that were under way. What cannot be read of it is nothing, if `as_it_is`.
fn unfinished(ground: &Ground, as_it_is: bool) -> Result<Vec<Held>, RestoreError> {
    let mut runs = Vec::new();
    let mut wrong = None;
    let range = keys::runs(
        crate::id::RunId::from_bytes([0; 16]),
        crate::id::RunId::from_bytes([0xFF; 16]),
    );
    ground.store.visit(range, &mut |key, value, _| {
        let Some(Place::Run(run)) = keys::parse(key) else {
            return std::ops::ControlFlow::Continue(());
        };
        match RunRecord::decode(run, value) {
            Ok(record) if !record.status.is_over() => runs.push(record),
            Ok(_) => {}
            Err(_) if as_it_is => {}
            Err(error) => wrong = Some(error),
        }
        match wrong {
            None => std::ops::ControlFlow::Continue(()),
            Some(_) => std::ops::ControlFlow::Break(()),
        }
    })?;
    if let Some(wrong) = wrong {
        return Err(wrong.into());
    }
    let mut held = Vec::new();
    for record in runs {
        let entries = Recorded::entries_of(ground, record.run);
        let recorded = entries.and_then(|entries| Recorded::from_entries(record.run, entries));
        let steps = match recorded {
            Ok(recorded) => recorded.steps,
            Err(_) if as_it_is => Default::default(),
            Err(error) => return Err(error.into()),
        };
        let doubtful = steps.iter().filter(|(_, step)| step.is_in_doubt());
        let writes = doubtful.filter_map(|(number, step)| {
            let intent = step.intents.last()?;
            Some(HeldWrite {
                step: *number,
                name: intent.asked.name.clone(),
                attempt: intent.attempt,
            })
        });
        held.push(Held {
            run: record.run,
            playbook: record.playbook,
            live: record.live,
            status: match record.status {
                // Nobody has it at work any more.
                Status::Queued => Status::Queued,
                Status::Suspended => Status::Suspended,
                _ => Status::Running,
            },
            since_ms: record.begun_ms,
            last_step: steps.keys().next_back().copied().unwrap_or(0),
            writes: writes.collect(),
        });
    }
    Ok(held)
}

/// A moment as names of files have it.
pub fn stamp(unix_ms: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(unix_ms);
    moment.map_or_else(
        || unix_ms.to_string(),
        |moment| moment.format("%Y%m%dT%H%M%SZ").to_string(),
    )
}
