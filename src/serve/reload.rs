//! What is saved goes live: the disk is watched, and what lies on it is judged as one set.
//!
//! Whatever the system tells of is a hint to look; what is judged is what lies there once it is quiet. A set is live,
//! broken or held; each is written down first ([`super::versions`]), and only then so in memory. What a run has begun
//! with it keeps, since an edition is never changed.
//!
//! An editor may take a file away, or empty it, for a moment while it saves. So what has gone or is empty is believed
//! only when it stays so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::banner::tell_live;
use super::draft::{Draft, STACK_BYTES, keep_texts};
use super::edition::{Edition, Live, hashes};
use super::figures::{self, Figures};
use super::guard::{Guard, Verdict};
use super::judged::{Judged, is_same};
use super::refusal::{Refusal, may_be_kept, playbooks_gone, refusal, settings, store_error, tell};
use super::settings::Reload;
use super::versions::{self, News};
use crate::app::{App, AppError};
use crate::id::ContentHash;
use crate::io::clock::Clock;
use crate::io::pinned::{Files, PinnedFile, PinnedFiles};
use crate::io::survey::{Survey, matters, survey};
use crate::io::watch::Watcher;
use crate::journal::edition::{FAULTS_MAX, Hashes, LiveSet, State, Version, VersionError};
use crate::script::Diagnosis;
use crate::store::Store;
use crate::store::tx::Ground;

/// How long nothing may have changed before what changed counts as one set.
const QUIET: Duration = Duration::from_millis(100);
/// What was changed within this time before the disk is looked at may be half of a set. A little less than it was quiet for:
/// files bear the time of a coarser clock.
const YOUNG: Duration = Duration::from_millis(85);
/// The longest that is waited for quiet.
const UNQUIET_MAX: Duration = Duration::from_secs(2);
/// How long a file must have been gone or empty to be believed.
const GRACE: Duration = Duration::from_secs(1);
/// How soon it is looked again at what is not believed yet.
const AGAIN: Duration = Duration::from_millis(100);
/// How long it may go on to change whenever it is looked at; what never rests is judged all the same.
const RESTLESS_MAX: Duration = Duration::from_secs(10);
/// How soon the thread sees that it is to stop.
const TICK: Duration = Duration::from_millis(250);
/// How often somebody's word on a held version is looked for.
const DECISION: Duration = Duration::from_millis(500);
/// How often the disk is looked at though nobody told of a change: on some file systems nobody does.
const RESCAN: Duration = Duration::from_secs(30);
/// The same where watching does not work at all.
const RESCAN_UNWATCHED: Duration = Duration::from_secs(2);

type OnLive = Box<dyn Fn(&Edition) + Send>;

/// Keeps what is live at what is saved.
pub struct Reloader {
    live: Arc<Live>,
    ground: Ground,
    root: PathBuf,
    clock: Arc<dyn Clock>,
    seen: Survey,
    judged: Judged,
    /// The version that is broken or held.
    pending: Option<u64>,
    held: Option<Arc<Edition>>,
    guarding: Option<(Guard, Arc<Edition>)>,
    /// Files that have gone or are empty, and since when.
    unsettled: BTreeMap<String, Duration>,
    /// Since when it has changed whenever it was looked at.
    restless: Option<Duration>,
    /// Why the disk could not be looked at, when it was last told.
    blind: Option<String>,
    figures: Arc<Figures>,
    on_live: OnLive,
}

/// A reloader at work; it ends when this is dropped.
pub struct Reloading {
    pub figures: Arc<Figures>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Reloading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that reloads playbooks has panicked");
        }
    }
}

impl Reloader {
    /// Decides what is live as the host begins to serve: what lies on the disk, or what was live last, where the disk
    /// does not compile or has to be guarded.
    pub fn open(app: Arc<App>, ground: Ground) -> Result<Reloader, AppError> {
        let root = app.config.root.clone();
        let store = ground.store.clone();
        let found = survey(&root, &Survey::default(), app.clock.unix_ms());
        let found = found.map_err(|reason| crate::config::ConfigError::File {
            file: "the project".to_owned(),
            reason,
        })?;
        keep_texts(&*store, &found.texts)?;
        let last = LiveSet::get(&*store).unwrap_or_else(|error| {
            tracing::error!(%error, "what was live last cannot be read");
            None
        });
        let files = match &last {
            Some(last) => {
                let stored = last.files.iter();
                stored
                    .map(|(path, hash)| (path.clone(), PinnedFile::stored(*hash)))
                    .collect()
            }
            None => found.files(),
        };
        let draft = Draft {
            before: None,
            app: app.clone(),
            ground: &ground,
            files: PinnedFiles::new(store.clone(), files),
            secrets: found.secrets,
        };
        let (edition, faults) = draft.build()?;
        for fault in &faults {
            tell(fault, "it is left out, since it does not compile");
        }
        let number = if let Some(last) = last {
            last.number
        } else {
            let news = News {
                at_ms: app.clock.unix_ms(),
                by: "first start",
                files: &edition.hashes(),
                pending: None,
            };
            versions::went_live(&*store, &news, None, &faults).map_err(store_error)?
        };
        let edition = edition.numbered(number);
        tell_live(None, &edition);
        let judged = Judged {
            files: edition.parts.files.clone(),
            secrets: found.secrets,
        };
        let mut reloader = Reloader {
            live: Arc::new(Live::new(edition)),
            clock: app.clock.clone(),
            ground,
            root,
            seen: found,
            judged,
            pending: open_version(&*store),
            held: None,
            guarding: None,
            unsettled: BTreeMap::new(),
            restless: None,
            blind: None,
            figures: Arc::default(),
            on_live: Box::new(|_| {}),
        };
        let files = reloader.seen.files();
        let secrets = reloader.seen.secrets;
        if !reloader.judged.is(&files, secrets) {
            reloader.judge(files, secrets, "start");
        } else {
            reloader.take_back();
        }
        Ok(reloader)
    }

    /// What is live, now and later.
    pub fn live(&self) -> Arc<Live> {
        self.live.clone()
    }

    /// Goes on on a thread of its own; `on_live` is told of each set that goes live.
    pub fn start(mut self, on_live: impl Fn(&Edition) + Send + 'static) -> std::io::Result<Reloading> {
        self.on_live = Box::new(on_live);
        let stop: Arc<AtomicBool> = Arc::default();
        let figures = self.figures.clone();
        let for_thread = stop.clone();
        let thread = std::thread::Builder::new()
            .name("reload".to_owned())
            .stack_size(STACK_BYTES);
        let thread = thread.spawn(move || self.run(&for_thread))?;
        Ok(Reloading {
            figures,
            stop,
            thread: Some(thread),
        })
    }

    fn run(&mut self, stop: &AtomicBool) {
        let mut watched = self.seen.folders;
        let mut watcher = self.watch();
        // What was saved while nobody watched.
        let mut rescan_at = Duration::ZERO;
        let mut decide_at = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            let is_unsettled = !self.unsettled.is_empty() || self.restless.is_some();
            let is_busy = self.guarding.is_some() || is_unsettled;
            let patience = if is_busy { AGAIN } else { TICK };
            let told = match &watcher {
                Some(watcher) => watcher.wait(patience),
                None => {
                    self.clock.sleep(patience);
                    false
                }
            };
            let since = self.clock.monotonic();
            if let Some(watcher) = watcher.as_ref().filter(|_| told) {
                watcher.settle(QUIET, UNQUIET_MAX, &*self.clock);
            }
            let now = self.clock.monotonic();
            if told || now >= rescan_at || is_unsettled {
                let lived = self.figures.went_live.load(Ordering::Relaxed);
                self.look();
                if told && self.figures.went_live.load(Ordering::Relaxed) > lived {
                    let took = self.clock.monotonic().saturating_sub(since);
                    self.figures.last_ms.store(took.as_millis() as u64, Ordering::Relaxed);
                }
                if self.seen.folders != watched {
                    watched = self.seen.folders;
                    watcher = self.watch();
                    // Something may have been saved between the look and the watch.
                    self.look();
                }
                rescan_at = now + if watcher.is_some() { RESCAN } else { RESCAN_UNWATCHED };
            }
            self.take_verdict();
            if self.held.is_some() && now >= decide_at {
                self.take_decision();
                decide_at = now + DECISION;
            }
        }
    }

    fn watch(&self) -> Option<Watcher> {
        let root = self.root.clone();
        let folders = [
            (root.join("playbooks"), true),
            (root.join("prompts"), true),
            (root.clone(), false),
        ];
        match Watcher::of(&folders, move |path| matters(&root, path)) {
            Ok(watcher) => Some(watcher),
            Err(reason) => {
                let every = RESCAN_UNWATCHED.as_secs();
                tracing::warn!(%reason, "nobody tells of saves here; the disk is looked at every {every} s instead");
                None
            }
        }
    }

    /// Looks at the disk, and judges what is new there.
    fn look(&mut self) {
        let since_ms = self.clock.unix_ms();
        let found = survey(&self.root, &self.seen, since_ms);
        if let Ok(found) = &found
            && self.is_restless(found, since_ms)
        {
            return;
        }
        let kept = found.and_then(|found| {
            may_be_kept(&found)?;
            let kept = keep_texts(&*self.ground.store, &found.texts);
            kept.map(|()| found).map_err(|error| error.to_string())
        });
        self.seen = match kept {
            Ok(found) => found,
            Err(reason) => {
                if self.blind.as_ref() != Some(&reason) {
                    tracing::error!(%reason, "what lies on the disk cannot be read; what is live stays so");
                    self.blind = Some(reason);
                }
                return;
            }
        };
        self.blind = None;
        // It is in the store now.
        self.seen.texts = BTreeMap::new();
        let (files, secrets) = (self.seen.files(), self.seen.secrets);
        if self.is_unsettled(&files) || self.judged.is(&files, secrets) {
            return;
        }
        self.judge(files, secrets, "save");
    }

    /// Whether something was saved shortly before or while it was looked at, from `since_ms` on: then it may be half of a set.
    fn is_restless(&mut self, found: &Survey, since_ms: i64) -> bool {
        let now = self.clock.monotonic();
        let since = self.restless.take().unwrap_or(now);
        if now.saturating_sub(since) >= RESTLESS_MAX || self.judged.is(&found.files(), found.secrets) {
            return false;
        }
        // However long looking took, or this thread was kept from going on: what counts is when it began.
        let young_ms = since_ms.saturating_sub(YOUNG.as_millis() as i64);
        let is_restless = found.changed_in(young_ms..=self.clock.unix_ms());
        self.restless = is_restless.then_some(since);
        is_restless
    }

    /// Whether some file has gone, or is empty, and has not been so for long.
    fn is_unsettled(&mut self, files: &Files) -> bool {
        let now = self.clock.monotonic();
        let is_odd = |(path, before): &(&String, &PinnedFile)| match files.get(*path) {
            Some(file) => file.bytes == 0 && before.bytes > 0,
            None => true,
        };
        let odd = self.judged.files.files.iter().filter(is_odd);
        let since = |path: &String| self.unsettled.get(path).copied().unwrap_or(now);
        self.unsettled = odd.map(|(path, _)| (path.clone(), since(path))).collect();
        let is_young = self.unsettled.values().any(|since| now.saturating_sub(*since) < GRACE);
        if !is_young {
            self.unsettled.clear();
        }
        is_young
    }

    /// Judges what lies on the disk as one set. What cannot be written down is judged again later.
    fn judge(&mut self, files: Files, secrets: Option<ContentHash>, by: &str) {
        if let Some((guard, _)) = self.guarding.take() {
            guard.stop();
        }
        self.held = None;
        let files = PinnedFiles::new(self.ground.store.clone(), files);
        let judged = match self.verdict(&files, secrets, by) {
            Ok(()) => Ok(()),
            Err(Refusal::Faults(faults)) => self.refuse(&files, &faults, by),
            Err(Refusal::Store(error)) => Err(error),
        };
        match judged {
            Ok(()) => self.judged = Judged { files, secrets },
            Err(error) => tracing::error!(%error, "a save could not be written down; it is tried again"),
        }
    }

    fn verdict(&mut self, files: &PinnedFiles, secrets: Option<ContentHash>, by: &str) -> Result<(), Refusal> {
        let live = self.live.current();
        if is_same(&live.parts.files.files, &files.files) && live.parts.secrets == secrets {
            self.take_back();
            return Ok(());
        }
        let app = match self.seen.has_playbooks() || live.playbooks.is_empty() {
            true => settings(&self.root, &live, files, secrets),
            false => Err(playbooks_gone()),
        };
        let app = app.map_err(|fault| Refusal::Faults(vec![*fault]))?;
        let draft = Draft {
            before: Some(&live),
            app,
            ground: &self.ground,
            files: files.clone(),
            secrets,
        };
        let (edition, faults) = draft.build().map_err(refusal)?;
        if !faults.is_empty() {
            return Err(Refusal::Faults(faults));
        }
        let edition = Arc::new(edition);
        let is_guarded = live.app.config.file.serve.reload == Reload::Guarded;
        let judged = versions::judged_before(&*self.ground.store, &hashes(files))?;
        match judged {
            Some(version) if version.state == State::Held && is_guarded => {
                self.pending = Some(version.number);
                self.held = Some(edition);
            }
            Some(version) if version.state == State::Accepted => {
                self.go_live(&edition, by, Some(version.number))?;
            }
            Some(version) if version.state == State::Discarded && is_guarded => self.pending = None,
            _ if is_guarded => {
                let guard = Guard::begin(live, edition.clone(), self.clock.clone());
                self.guarding = Some((guard, edition));
            }
            _ => self.go_live(&edition, by, None)?,
        }
        Ok(())
    }

    fn news<'n>(&self, by: &'n str, files: &'n Hashes) -> News<'n> {
        News {
            at_ms: self.clock.unix_ms(),
            by,
            files,
            pending: self.pending,
        }
    }

    fn go_live(&mut self, edition: &Arc<Edition>, by: &str, held: Option<u64>) -> Result<(), VersionError> {
        let files = edition.hashes();
        let number = versions::went_live(&*self.ground.store, &self.news(by, &files), held, &[])?;
        let edition = (**edition).clone().numbered(number);
        tracing::info!(
            version = number,
            playbooks = edition.playbooks.len(),
            "version {number} is live"
        );
        self.pending = None;
        self.held = None;
        figures::count(&self.ground, &self.live.current(), &self.figures.went_live, "live");
        tell_live(Some(&self.live.current()), &edition);
        self.live.replace(edition);
        (self.on_live)(&self.live.current());
        Ok(())
    }

    fn refuse(&mut self, files: &PinnedFiles, faults: &[Diagnosis], by: &str) -> Result<(), VersionError> {
        let hashes = hashes(files);
        let number = versions::is_broken(&*self.ground.store, &self.news(by, &hashes), faults)?;
        let live = self.live.current().number;
        for fault in faults.iter().take(FAULTS_MAX) {
            tell(fault, &format!("the save is not taken, version {live} stays live"));
        }
        self.pending = Some(number);
        figures::count(&self.ground, &self.live.current(), &self.figures.broken, "broken");
        Ok(())
    }

    /// The disk is what is live: whatever was broken or held is over.
    fn take_back(&mut self) {
        let store = &*self.ground.store;
        let pending = self.pending.take();
        if let Some(number) = pending {
            match versions::is_over(store, number) {
                Ok(()) => tracing::info!("the disk is as version {} again", self.live.current().number),
                Err(error) => tracing::error!(%error, "version {number} cannot be written down as over"),
            }
        }
    }

    /// Takes what the guard found out, once it has.
    fn take_verdict(&mut self) {
        let Some((guard, _)) = &self.guarding else { return };
        let Some(verdict) = guard.verdict() else { return };
        let Some((_, edition)) = self.guarding.take() else {
            return;
        };
        let taken = match verdict.why() {
            None => self.go_live(&edition, "save", None),
            Some(why) => self.hold(edition.clone(), &why, verdict),
        };
        if let Err(error) = taken {
            tracing::error!(%error, "a guarded save could not be written down; it is judged again");
            self.judged = Judged {
                files: self.live.current().parts.files.clone(),
                secrets: self.live.current().parts.secrets,
            };
        }
    }

    fn hold(&mut self, edition: Arc<Edition>, why: &str, verdict: Verdict) -> Result<(), VersionError> {
        let files = edition.hashes();
        let number = versions::is_held(&*self.ground.store, &self.news("save", &files), why, verdict.effects)?;
        tracing::warn!(
            version = number,
            "version {number} is held: {why}; `host versions show {number}` tells more"
        );
        self.pending = Some(number);
        self.held = Some(edition);
        figures::count(&self.ground, &self.live.current(), &self.figures.held, "held");
        Ok(())
    }

    /// Takes somebody's word on what is held.
    fn take_decision(&mut self) {
        let (Some(number), Some(edition)) = (self.pending, self.held.clone()) else {
            return;
        };
        let decided = Version::get(&*self.ground.store, number);
        let taken = match decided.map(|version| version.state) {
            Ok(State::Accepted) => self.go_live(&edition, "save", Some(number)),
            Ok(State::Discarded) => {
                tracing::info!(version = number, "version {number} is discarded");
                self.pending = None;
                self.held = None;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            tracing::error!(%error, "version {number} is looked at again");
        }
    }
}

/// The version that was broken or held when another host ended.
fn open_version(store: &dyn Store) -> Option<u64> {
    let latest = Version::latest(store, 1).ok()?.pop()?;
    let is_open = matches!(latest.state, State::Held | State::Broken | State::Accepted);
    is_open.then_some(latest.number)
}
