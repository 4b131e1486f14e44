//! `host dev PLAYBOOK`: plans it again whenever it is saved, and tells what changed.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`attempt`] | one save: checked, planned, or what is wrong with it |
//! | [`show`] | what is told of it |
//!
//! Every plan of a session begins at the same moment and with the same chance, so that what differs between two of them
//! comes from the edit. A save that is broken is told with its place, and the plan before it is kept to compare with.

mod attempt;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::CliError;
use super::out::{Out, plain};
use crate::app::App;
use crate::config::FILE_NAME;
use crate::io::signals::stop_on_interrupt;
use crate::io::watch::{Contents, Watcher, contents};
use crate::script::Script;
use attempt::{Attempt, Good, Session};

pub use super::playbook::Args;

/// How long nothing may have changed before a save counts as over: editors save by truncating, renaming or both.
const QUIET: Duration = Duration::from_millis(60);

/// The longest that is waited for quiet.
const UNQUIET_MAX: Duration = Duration::from_secs(2);

/// How soon Ctrl-C is seen.
const TICK: Duration = Duration::from_millis(100);

/// How often the files are compared though nobody told of a change: on some file systems nobody does.
const TICKS_UNTOLD: u32 = 20;

/// The same where watching does not work at all.
const TICKS_UNWATCHED: u32 = 3;

/// Files that are watched.
const FILES_MAX: usize = 5_000;

pub fn perform(args: Args, app: App, folder: &Path, out: &mut Out) -> Result<u8, CliError> {
    let Some(playbook) = args.playbook().filter(|_| !args.asks_for_help()) else {
        args.choose("dev", &app, out)?;
        return Ok(0);
    };
    out.json |= args.asks_for_json();
    // What is not there at all is a mistake at once; what is there and broken will be mended.
    app.library
        .files
        .playbook(playbook)
        .map_err(crate::runs::library::LibraryError::from)?;
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = stop_on_interrupt(&stop) {
        tracing::warn!(%error, "Ctrl-C will end host at once");
    }
    let mut watch = Watch::begin(&app, playbook, folder);
    let mut session = Session::begin(args.clone(), app, folder.to_owned(), stop.clone());
    let mut good: Option<Good> = None;
    let mut seen = contents(watch.files(&session.app, None));
    let first = session.attempt(None);
    show::first(&first, &session, &watch.unwatched, out);
    watch.follow(&first, &mut good, &mut seen, &session.app);
    while !stop.load(Ordering::Relaxed) {
        let Some(since) = watch.wait(&session.app) else {
            continue;
        };
        watch.renew();
        let files = watch.files(&session.app, good.as_ref().map(|good| &*good.script));
        // What is gone is in no list any more.
        let now = contents(files.into_iter().chain(seen.keys().cloned()));
        let changed = changed(&seen, &now);
        seen = now;
        if changed.is_empty() && !session.wants_again {
            continue;
        }
        let settings = changed.iter().any(|path| watch.is_setting(path));
        let attempt = match settings.then(|| session.read_settings()) {
            Some(Err(error)) => Attempt::Broken(error.into()),
            _ => session.attempt(Some(since)),
        };
        if stop.load(Ordering::Relaxed) {
            break;
        }
        show::again(&attempt, good.as_ref(), &watch.names(&changed), &session, out);
        watch.follow(&attempt, &mut good, &mut seen, &session.app);
    }
    if !out.json {
        out.line("");
        out.line("stopped; nothing was sent, nothing was kept");
    }
    Ok(0)
}

/// The files that differ.
fn changed(seen: &Contents, now: &Contents) -> Vec<PathBuf> {
    let held = |contents: &Contents, path: &PathBuf| contents.get(path).copied().flatten();
    let mut paths: Vec<&PathBuf> = seen.keys().chain(now.keys()).collect();
    paths.sort();
    paths.dedup();
    let differs = paths.into_iter().filter(|path| held(seen, path) != held(now, path));
    differs.cloned().collect()
}

/// What is watched.
struct Watch {
    root: PathBuf,
    /// The playbook's own file.
    file: PathBuf,
    watcher: Option<Watcher>,
    /// Why nobody tells of changes, if so.
    unwatched: Option<String>,
    ticks: u32,
    /// Whether the last attempt was broken: then any script may be what mends it.
    is_broken: bool,
}

impl Watch {
    fn begin(app: &App, playbook: &str, folder: &Path) -> Watch {
        let root = app.config.root.clone();
        let below = root
            .join("playbooks")
            .join(format!("{}.rhai", playbook.trim_end_matches(".rhai")));
        let file = if below.is_file() { below } else { folder.join(playbook) };
        let mut watch = Watch {
            root,
            file,
            watcher: None,
            unwatched: None,
            ticks: 0,
            is_broken: false,
        };
        watch.renew();
        watch
    }

    /// Watches anew: folders may have come, gone, or be others under the same name.
    fn renew(&mut self) {
        let mut folders = vec![
            (self.root.join("playbooks"), true),
            (self.root.join("prompts"), true),
            (self.root.clone(), false),
        ];
        if let Some(own) = self.file.parent().filter(|own| !own.starts_with(&folders[0].0)) {
            folders.push((own.to_owned(), false));
        }
        folders.dedup();
        match Watcher::new(&folders) {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                self.unwatched = None;
            }
            Err(reason) => {
                self.watcher = None;
                self.unwatched = Some(reason);
            }
        }
    }

    /// Waits a moment: the time at which something may have changed, once it is quiet.
    fn wait(&mut self, app: &App) -> Option<Duration> {
        self.ticks += 1;
        let told = match &self.watcher {
            Some(watcher) => watcher.wait(TICK),
            None => {
                app.clock.sleep(TICK);
                false
            }
        };
        let since = app.clock.monotonic();
        if told && let Some(watcher) = &self.watcher {
            watcher.settle(QUIET, UNQUIET_MAX, &*app.clock);
        }
        let untold = match self.watcher {
            Some(_) => TICKS_UNTOLD,
            None => TICKS_UNWATCHED,
        };
        if !told && self.ticks < untold {
            return None;
        }
        self.ticks = 0;
        Some(since)
    }

    /// The files that matter to `script`, or to one that cannot be read.
    fn files(&self, app: &App, script: Option<&Script>) -> Vec<PathBuf> {
        let playbooks = self.root.join("playbooks");
        let path_of = |name: &String| playbooks.join(format!("{name}.rhai"));
        let mut files = vec![self.file.clone(), self.root.join(FILE_NAME), self.root.join(".env")];
        match script {
            Some(script) if !self.is_broken => files.extend(script.modules.keys().map(path_of)),
            _ => files.extend(app.library.files.list().iter().map(path_of)),
        }
        let prompts = app.files().tree("prompts").unwrap_or_default();
        files.extend(prompts.iter().map(|prompt| self.root.join(&prompt.path)));
        files.truncate(FILES_MAX);
        files
    }

    fn is_setting(&self, path: &Path) -> bool {
        path == self.root.join(FILE_NAME) || path == self.root.join(".env")
    }

    /// The files as a person would write them.
    fn names(&self, paths: &[PathBuf]) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        paths.iter().map(|path| plain(&name(path))).collect()
    }

    /// Keeps a good plan to compare the next one with, and watches what it was made of.
    fn follow(&mut self, attempt: &Attempt, good: &mut Option<Good>, seen: &mut Contents, app: &App) {
        self.is_broken = !matches!(attempt, Attempt::Planned(_));
        if let Attempt::Planned(planned) = attempt {
            *good = Some(planned.clone());
        }
        // What comes into view now did not change: it was not looked at before. What goes out of it does not matter.
        let files = self.files(app, good.as_ref().map(|good| &*good.script));
        seen.retain(|path, _| files.contains(path) || !path.exists());
        let unseen: Vec<PathBuf> = files.into_iter().filter(|path| !seen.contains_key(path)).collect();
        seen.extend(contents(unseen));
    }
}
