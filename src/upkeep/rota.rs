//! Backups that are made by themselves, and which of them stay.
//!
//! Each life of a store has a mark of its own, which stands in the names of its backups: those of others may lie in the same
//! folder, and are nobody's business here.
//!
//! What was made last stands in a row, so that a server that starts anew goes on with the same rota. Nothing here reads a
//! clock: whoever calls [`turn`] says what time it is, and is told when to call again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::chore::{Backed, Place, Tell};
use super::restore::stamp;
use super::settings::{BackupSettings, When};
use crate::io::keeping;
use crate::store::backup::write::sweep;
use crate::store::backup::{BackupError, Part, Reader};
use crate::store::keys::{self, Space};
use crate::store::{Batch, Durability, Row, Store, StoreError};

/// How soon a backup that failed is tried again.
const AGAIN_MS: i64 = 10 * 60_000;

/// How the names of backups begin and end that are made by themselves; others are left alone.
const BEGIN: &str = "host-";
const END: &str = ".backup";

/// What was made last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What stands in the names of this store's backups.
    pub mark: String,
    /// When one was begun last, and when one was made last.
    pub tried_ms: i64,
    pub made_ms: Option<i64>,
    pub file: Option<PathBuf>,
    pub bytes: u64,
    pub took_ms: i64,
    /// Why the last attempt came to nothing, if it did.
    pub failed: Option<Failed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub code: String,
    pub message: String,
    /// Since when none was made.
    pub since_ms: i64,
}

pub(super) fn key() -> Vec<u8> {
    keys::named(Space::Meta, &["backup"])
}

impl State {
    pub fn read(store: &dyn Store) -> Result<Option<State>, StoreError> {
        let read = |row: Row| {
            rmp_serde::from_slice(&row.value)
                .map_err(|error| StoreError::corrupt(Path::new("the state of backups"), error.to_string()))
        };
        store.get(&key())?.map(read).transpose()
    }

    fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(key(), rmp_serde::to_vec_named(self).expect("it is plain data"));
        store.commit(batch, Durability::Now).map(drop)
    }

    /// When the next one is due.
    pub fn due_ms(state: Option<&State>, when: &When) -> Option<i64> {
        let Some(state) = state else {
            // One at once shows that it works.
            return Some(i64::MIN);
        };
        let next_ms = when.next_ms(state.tried_ms);
        match state.failed {
            Some(_) => next_ms.into_iter().chain([state.tried_ms + AGAIN_MS]).min(),
            None => next_ms,
        }
    }
}

/// What a turn came to.
#[derive(Debug)]
pub struct Turn {
    pub made: Option<Result<Backed, BackupError>>,
    /// When to ask again at the latest.
    pub next_ms: Option<i64>,
}

/// Makes the backup that is due at `now_ms`, if one is, reads it back, and removes those that need not stay.
pub fn turn(
    place: &Place,
    folder: &Path,
    when: &When,
    settings: &BackupSettings,
    now_ms: i64,
    tell: &mut Tell<'_>,
) -> Result<Turn, StoreError> {
    let store = &*place.ground.store;
    let before = State::read(store)?;
    let due_ms = State::due_ms(before.as_ref(), when);
    // A clock that was set back does not keep it waiting for long.
    let is_ahead = before.as_ref().is_some_and(|state| state.tried_ms > now_ms);
    if !is_ahead && due_ms.is_none_or(|due_ms| due_ms > now_ms) {
        return Ok(Turn {
            made: None,
            next_ms: due_ms,
        });
    }
    let begun = place.clock.monotonic();
    let mark = match before
        .as_ref()
        .map(|state| state.mark.clone())
        .filter(|mark| !mark.is_empty())
    {
        Some(mark) => mark,
        None => format!("{:08x}", place.chance.bits() as u32),
    };
    let made = make(place, folder, &mark, settings, now_ms, tell);
    // The host ends: nothing went wrong, and the next one makes it.
    if matches!(made, Err(BackupError::Cancelled)) {
        return Ok(Turn {
            made: None,
            next_ms: Some(now_ms),
        });
    }
    let took_ms = i64::try_from(place.clock.monotonic().saturating_sub(begun).as_millis()).unwrap_or(i64::MAX);
    let before = before.unwrap_or_default();
    let state = match &made {
        Ok(made) => State {
            mark,
            tried_ms: now_ms,
            made_ms: Some(now_ms),
            file: Some(made.path.clone()),
            bytes: made.bytes,
            took_ms,
            failed: None,
        },
        Err(error) => State {
            mark,
            tried_ms: now_ms,
            failed: Some(Failed {
                code: error.code().to_owned(),
                message: error.to_string(),
                since_ms: before.failed.as_ref().map_or(now_ms, |failed| failed.since_ms),
            }),
            ..before
        },
    };
    state.write(store)?;
    Ok(Turn {
        made: Some(made),
        next_ms: State::due_ms(Some(&state), when),
    })
}

fn make(
    place: &Place,
    folder: &Path,
    mark: &str,
    settings: &BackupSettings,
    now_ms: i64,
    tell: &mut Tell<'_>,
) -> Result<Backed, BackupError> {
    let failed = |error: std::io::Error| StoreError::io(folder, &error);
    keeping::make_folder(folder).map_err(failed)?;
    // What a host left that was killed in the middle of one.
    sweep(folder, &|name| moment_of(name, mark).is_some()).map_err(failed)?;
    let key = (!settings.key.is_empty()).then_some(settings.key.as_str());
    let path = folder.join(name_of(mark, now_ms));
    let made = place.backup(&path, key, tell)?;
    let secret = key.map(|key| place.key(key)).transpose()?;
    if let Err(error) = read_back(&path, secret.as_ref(), tell) {
        // It takes the place of none, and is none.
        keeping::remove(&path).map_err(|error| StoreError::io(&path, &error))?;
        return Err(error);
    }
    let names = keeping::names(folder).map_err(failed)?;
    for name in superfluous(&names, mark, settings, now_ms) {
        let path = folder.join(&name);
        // One too many is no reason to make another in ten minutes.
        if let Err(error) = keeping::remove(&path) {
            tracing::warn!(file = %path.display(), %error, "a backup that need not stay could not be removed");
        }
    }
    Ok(made)
}

/// The name of a backup that was made by itself.
pub fn name_of(mark: &str, unix_ms: i64) -> String {
    format!("{BEGIN}{mark}-{}{END}", stamp(unix_ms))
}

/// Reads a backup to its end.
fn read_back(path: &Path, key: Option<&crate::store::backup::Key>, tell: &mut Tell<'_>) -> Result<(), BackupError> {
    let mut reader = Reader::open(path, key)?;
    while !matches!(reader.next_part()?, Part::End(_)) {
        if tell("reading it back", Default::default()).is_break() {
            return Err(BackupError::Cancelled);
        }
    }
    Ok(())
}

/// The files among `names` that need not stay: backups with this mark that were made by themselves and are neither of the
/// latest nor the last of a day, week or month that counts. One of the future was made while the clock was wrong: it takes
/// the place of none.
pub fn superfluous(names: &[String], mark: &str, settings: &BackupSettings, now_ms: i64) -> Vec<String> {
    let made = names.iter().filter_map(|name| Some((moment_of(name, mark)?, name)));
    let mut made: Vec<(DateTime<Utc>, &String)> = made.filter(|(at, _)| at.timestamp_millis() <= now_ms).collect();
    made.sort();
    made.reverse();
    let mut stay: BTreeSet<&String> = BTreeSet::new();
    stay.extend(made.iter().take(settings.latest.max(1) as usize).map(|(_, name)| *name));
    let mut keep = |count: u32, period: &dyn Fn(&DateTime<Utc>) -> (i32, u32)| {
        let mut seen = BTreeSet::new();
        for (at, name) in &made {
            if seen.len() < count as usize && seen.insert(period(at)) {
                stay.insert(name);
            }
        }
    };
    keep(settings.daily, &|at| (at.year(), at.ordinal()));
    keep(settings.weekly, &|at| (at.iso_week().year(), at.iso_week().week()));
    keep(settings.monthly, &|at| (at.year(), at.month()));
    let go = made.iter().filter(|(_, name)| !stay.contains(name));
    go.map(|(_, name)| (*name).clone()).collect()
}

/// When the backup of that name was made, if it was made by itself by whoever has this mark.
fn moment_of(name: &str, mark: &str) -> Option<DateTime<Utc>> {
    let rest = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let stamp = rest.strip_prefix(mark)?.strip_prefix('-')?;
    NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%SZ")
        .ok()
        .map(|at| at.and_utc())
}
