//! Versions as the host writes them down: what went live, what was refused, and what somebody decided.
//!
//! Everything is a row before it is so in memory: a server that dies in between comes up with what the rows say.

use crate::id::ContentHash;
use crate::io::pinned;
use crate::journal::edition::{
    Change, Effect, FAULTS_MAX, Fault, Hashes, Intent, LiveSet, State, Version, VersionError, changes, next_number,
};
use crate::script::Diagnosis;
use crate::store::{Batch, Durability, Store, StoreError, keys};

/// How often a number is drawn again that somebody else took.
const TRIES: usize = 5;

/// The longest message that is kept.
const MESSAGE_CHARS_MAX: usize = 600;

/// What is to be written down.
pub struct News<'a> {
    pub at_ms: i64,
    pub by: &'a str,
    pub files: &'a Hashes,
    /// The version that was broken or held until now.
    pub pending: Option<u64>,
}

/// Writes down that these files are live; as the version `held`, if that is what they were. Returns its number.
pub fn went_live(
    store: &dyn Store,
    news: &News<'_>,
    held: Option<u64>,
    faults: &[Diagnosis],
) -> Result<u64, VersionError> {
    let intent = Intent::get(store)?.filter(|intent| is_what_was_meant(&intent.files, news.files));
    write(store, |batch| {
        let live = LiveSet::get(store)?;
        let mut version = match held {
            Some(number) => {
                let version = Version::get(store, number)?;
                version.update(batch);
                version
            }
            None => {
                let version = fresh(store, news, live.as_ref())?;
                version.create(batch);
                version
            }
        };
        version.state = State::Live;
        keep_faults(&mut version, faults, batch);
        if let Some(intent) = &intent {
            version.by = format!("rollback to {} by {}", intent.to, intent.by);
            Intent::forget(batch);
        }
        version.update(batch);
        if let Some(live) = &live {
            let state = if intent.is_some() {
                State::RolledBack
            } else {
                State::Past
            };
            let decided_by = intent.as_ref().map(|intent| intent.by.clone());
            change(store, batch, live.number, |before| {
                before.state = state;
                before.decided_by = decided_by;
            })?;
        }
        supersede(store, batch, news.pending.filter(|pending| held != Some(*pending)))?;
        let now_live = LiveSet {
            number: version.number,
            since_ms: news.at_ms,
            files: news.files.clone(),
        };
        now_live.put(batch);
        Ok(version.number)
    })
}

/// Writes down that these files are no version that could run, in place of another such one before it.
pub fn is_broken(store: &dyn Store, news: &News<'_>, faults: &[Diagnosis]) -> Result<u64, VersionError> {
    write(store, |batch| {
        let before = news.pending.map(|pending| Version::get(store, pending)).transpose()?;
        let again = before.filter(|version| version.state == State::Broken);
        let live = LiveSet::get(store)?;
        let mut version = fresh(store, news, live.as_ref())?;
        version.state = State::Broken;
        match again {
            // A save that is as broken as the one before is no other version.
            Some(again) => version.number = again.number,
            None => {
                version.create(batch);
                supersede(store, batch, news.pending)?;
            }
        }
        keep_faults(&mut version, faults, batch);
        version.update(batch);
        Ok(version.number)
    })
}

/// Writes down that these files wait for somebody's word.
pub fn is_held(store: &dyn Store, news: &News<'_>, why: &str, effects: Vec<Effect>) -> Result<u64, VersionError> {
    write(store, |batch| {
        let live = LiveSet::get(store)?;
        let mut version = fresh(store, news, live.as_ref())?;
        version.create(batch);
        version.state = State::Held;
        version.why = Some(why.to_owned());
        version.effects = effects.clone();
        version.update(batch);
        supersede(store, batch, news.pending)?;
        Ok(version.number)
    })
}

/// Writes down that these files, which no version has, were on the disk when somebody rolled back.
pub fn is_kept(store: &dyn Store, news: &News<'_>) -> Result<u64, VersionError> {
    write(store, |batch| {
        let live = LiveSet::get(store)?;
        let mut version = fresh(store, news, live.as_ref())?;
        version.create(batch);
        version.state = State::Kept;
        version.update(batch);
        supersede(store, batch, news.pending)?;
        Ok(version.number)
    })
}

/// Writes down that what was broken or held is not on the disk any more.
pub fn is_over(store: &dyn Store, number: u64) -> Result<(), VersionError> {
    write(store, |batch| supersede(store, batch, Some(number)))
}

/// Says of a held version that it may go live, or that it never will.
pub fn decide(store: &dyn Store, number: u64, state: State, by: &str) -> Result<Version, VersionError> {
    write(store, |batch| {
        let row = store.get(&Version::key(number))?;
        let mut version = Version::get(store, number)?;
        if version.state != State::Held {
            let state = version.state;
            return Err(VersionError::NotHeld { number, state });
        }
        if let Some(row) = row {
            batch.require(Version::key(number), crate::store::Precondition::At(row.version));
        }
        version.state = state;
        version.decided_by = Some(by.to_owned());
        version.update(batch);
        Ok(version)
    })
}

/// The latest version, where it is one of these files as a change of what is live: nobody need judge it again.
pub fn judged_before(store: &dyn Store, files: &Hashes) -> Result<Option<Version>, VersionError> {
    let Some(live) = LiveSet::get(store)? else {
        return Ok(None);
    };
    let latest = Version::latest(store, 1)?.pop();
    let is_it = |version: &Version| version.base == Some(live.number) && version.changes == changes(&live.files, files);
    Ok(latest.filter(is_it))
}

/// Scripts and prompts as they were meant; the settings are not gone back to.
fn is_what_was_meant(meant: &Hashes, files: &Hashes) -> bool {
    let own = |files: &Hashes| -> Vec<(String, ContentHash)> {
        let files = files.iter().filter(|(path, _)| path.contains('/'));
        files.map(|(path, hash)| (path.clone(), *hash)).collect()
    };
    own(meant) == own(files)
}

fn fresh(store: &dyn Store, news: &News<'_>, live: Option<&LiveSet>) -> Result<Version, VersionError> {
    let before = live.map(|live| live.files.clone()).unwrap_or_default();
    Ok(Version {
        number: next_number(store)?,
        at_ms: news.at_ms,
        state: State::Live,
        by: news.by.to_owned(),
        base: live.map(|live| live.number),
        changes: changes(&before, news.files),
        faults: Vec::new(),
        more_faults: 0,
        effects: Vec::new(),
        why: None,
        decided_by: None,
    })
}

/// What is wrong, and the texts that it is shown in.
fn keep_faults(version: &mut Version, faults: &[Diagnosis], batch: &mut Batch) {
    version.faults = faults.iter().take(FAULTS_MAX).map(fault).collect();
    version.more_faults = faults.len().saturating_sub(FAULTS_MAX);
    for diagnosis in faults
        .iter()
        .take(FAULTS_MAX)
        .filter(|fault| !fault.text.text.is_empty())
    {
        let text = diagnosis.text.text.as_bytes().to_vec();
        batch.put(keys::version(&diagnosis.text.hash), text);
    }
}

pub fn fault(diagnosis: &Diagnosis) -> Fault {
    Fault {
        code: diagnosis.code.clone(),
        message: diagnosis.message.chars().take(MESSAGE_CHARS_MAX).collect(),
        file: diagnosis.text.file.clone(),
        line: diagnosis.place.line,
        column: diagnosis.place.column,
        help: diagnosis.help.clone(),
        text: (!diagnosis.text.text.is_empty()).then_some(diagnosis.text.hash),
    }
}

/// A mistake as it was found, to be shown with its code frame where its text is still there.
pub fn diagnosis(store: &dyn Store, fault: &Fault) -> Diagnosis {
    let text = fault.text.and_then(|hash| pinned::text(store, &hash).ok());
    let text = crate::script::source::Text::new(fault.file.as_str(), text.unwrap_or_default());
    let place = crate::effect::Place {
        line: fault.line,
        column: fault.column,
        module: None,
    };
    let diagnosis = Diagnosis::new(fault.code.as_str(), fault.message.as_str(), text).at(place);
    Diagnosis {
        help: fault.help.clone(),
        ..diagnosis
    }
}

fn supersede(store: &dyn Store, batch: &mut Batch, pending: Option<u64>) -> Result<(), VersionError> {
    let Some(number) = pending else { return Ok(()) };
    change(store, batch, number, |version| {
        if matches!(version.state, State::Held | State::Broken | State::Accepted) {
            version.state = State::Superseded;
        }
    })
}

/// Changes the version `number`, if it is still kept.
fn change(
    store: &dyn Store,
    batch: &mut Batch,
    number: u64,
    change: impl FnOnce(&mut Version),
) -> Result<(), VersionError> {
    match Version::get(store, number) {
        Ok(mut version) => {
            change(&mut version);
            version.update(batch);
            Ok(())
        }
        Err(VersionError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Commits what `fill` says, and asks it again when somebody else was quicker.
fn write<T>(store: &dyn Store, mut fill: impl FnMut(&mut Batch) -> Result<T, VersionError>) -> Result<T, VersionError> {
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let answer = fill(&mut batch)?;
        match store.commit(batch, Durability::Now) {
            Ok(_) => return Ok(answer),
            Err(StoreError::Conflict { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The changes in a few words: `playbooks/daily.rhai, prompts/voice.md and 3 more`.
pub fn in_words(changes: &[Change]) -> String {
    let named: Vec<&str> = changes.iter().take(2).map(|change| change.path.as_str()).collect();
    match changes.len() {
        0 => "nothing".to_owned(),
        1 => named[0].to_owned(),
        2 => format!("{} and {}", named[0], named[1]),
        more => format!("{} and {} more", named.join(", "), more - 2),
    }
}
