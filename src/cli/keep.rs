//! How commands have chores done: by the server that holds the store, or here.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{CONFIG, CliError, FAILED, OTHER, STORE, USAGE};
use super::out::{Out, bytes_for_people};
use super::progress::Busy;
use super::signed;
use crate::app::App;
use crate::journal::audit::Act;
use crate::serve::desk::keep;
use crate::serve::keeper::Refused;
use crate::store::backup::{BackupError, Progress};
use crate::store::tx::Ground;
use crate::upkeep::restore::RestoreError;
use crate::upkeep::{Chore, Kept};

/// Has `chore` done; Ctrl-C breaks it off. `None` when there is no store yet.
pub fn keep(app: &App, chore: &Chore, out: &Out) -> Result<Option<Kept>, CliError> {
    let act = act(chore);
    if let Some(server) = app.call()? {
        let ask = || {
            watched(out, |tell| {
                let answered = keep::ask(&server, chore, tell).map_err(CliError::from)?;
                answered.map_err(CliError::from)
            })
        };
        let kept = match act {
            Some(act) => signed::attempt(app, &*server, act, ask),
            None => ask(),
        };
        return kept.map(Some);
    }
    let Some(reader) = app.reader()? else { return Ok(None) };
    let Some(act) = act else {
        return here(app, reader, chore, out).map(Some);
    };
    // Whoever reads keeps others from writing.
    drop(reader);
    if matches!(chore, Chore::Compact) {
        // Whoever is alone needs no copy.
        return signed::alone(app, act, || alone(app, out)).map(Some);
    }
    let ground = match app.writer() {
        // What cannot be written can be backed up all the same.
        Err(error) if matches!(chore, Chore::Backup { .. }) => {
            let error = CliError::from(error);
            tracing::warn!(
                code = error.code(),
                "the store cannot be written, so this backup is on no record"
            );
            let Some(reader) = app.reader()? else { return Ok(None) };
            return here(app, reader, chore, out).map(Some);
        }
        ground => ground?,
    };
    let store = ground.store.clone();
    signed::attempt(app, &*store, act, || here(app, ground, chore, out)).map(Some)
}

fn here(app: &App, ground: Ground, chore: &Chore, out: &Out) -> Result<Kept, CliError> {
    let place = app.place(ground)?;
    watched(out, |tell| Ok(place.perform(chore, tell)?))
}

/// The act of having `chore` done; looking is none. A backup changes nothing, and takes everything away.
fn act(chore: &Chore) -> Option<Act> {
    match chore {
        Chore::Backup { path, key } => {
            let act = Act::new("backup.make", path.display().to_string());
            Some(act.with("key", key.clone()))
        }
        Chore::Compact => Some(Act::new("store.compact", "store")),
        Chore::Retain { preview: false } => Some(Act::new("retention.run", "store")),
        Chore::Check | Chore::Retain { preview: true } => None,
    }
}

fn alone(app: &App, out: &Out) -> Result<Kept, CliError> {
    let busy = Busy::new(out, "compacting");
    let compacted = app.compact()?;
    busy.done();
    Ok(Kept::Compacted {
        before: compacted.before,
        after: compacted.after,
    })
}

/// Shows how `work` goes, and breaks it off on Ctrl-C.
pub fn watched<T>(
    out: &Out,
    work: impl FnOnce(&mut dyn FnMut(&str, Progress) -> ControlFlow<()>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let stop: Arc<AtomicBool> = Arc::default();
    if let Err(error) = crate::io::signals::note_interrupts(&stop) {
        tracing::warn!(%error, "Ctrl-C will end this command at once");
    }
    let busy = Busy::new(out, "");
    let done = work(&mut |what, progress| {
        busy.say(&said(what, &progress));
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    busy.done();
    done
}

fn said(what: &str, progress: &Progress) -> String {
    let mut parts = vec![what.to_owned()];
    if progress.rows > 0 {
        parts.push(format!("{} rows", progress.rows));
    }
    if progress.files > 0 {
        parts.push(format!("{} files", progress.files));
    }
    match progress.of {
        Some(of) => parts.push(format!(
            "{} of {}",
            bytes_for_people(progress.bytes),
            bytes_for_people(of)
        )),
        None if progress.bytes > 0 => parts.push(bytes_for_people(progress.bytes)),
        None => {}
    }
    parts.join("  ")
}

fn exit_code(code: &str) -> u8 {
    match code {
        "BACKUP_EXISTS" | "BACKUP_KEY_MISSING" | "BACKUP_KEY_SHORT" | "RESTORE_NOT_EMPTY" => USAGE,
        "BACKUP_CANCELLED" | "CHORE_BUSY" => OTHER,
        "CONFIG" => CONFIG,
        code if code.starts_with("STORE_") => STORE,
        _ => FAILED,
    }
}

impl From<Refused> for CliError {
    fn from(refused: Refused) -> CliError {
        let exit_code = exit_code(&refused.code);
        CliError::new(refused.code, refused.message, exit_code)
    }
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> CliError {
        match error {
            BackupError::Store(error) => error.into(),
            error => CliError::new(error.code(), error.to_string(), exit_code(error.code())),
        }
    }
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> CliError {
        match error {
            RestoreError::Backup(error) => error.into(),
            RestoreError::Store(error) => error.into(),
            RestoreError::Journal(error) => error.into(),
            error @ RestoreError::NotEmpty(_) => CliError::new(error.code(), error.to_string(), USAGE)
                .help("`--replace` moves it aside, deletes nothing, and puts the backup in its place"),
            error @ RestoreError::Unsound { .. } => CliError::new(error.code(), error.to_string(), FAILED).help(
                "`host backup verify FILE` lists them; try an earlier backup, or `--as-it-is`, by which they stay wrong",
            ),
        }
    }
}
