//! Guarded reload: a save is asked what it would have made of recent runs before it goes live.
//!
//! Asked are the last runs of each playbook that the save touches, also through a module or a prompt, and the runs of
//! these that incidents hold. What counts is what the save changes of what the live version comes to, not of the record:
//! an edit that was accepted once is not held against every later one.
//!
//! A guard lets pass only what it has judged. What it could not finish in time, or what the live version can answer and
//! the save cannot, holds the save too. What neither can answer says nothing about the save. Settings are not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::draft::{STACK_BYTES, prompt_name};
use super::edition::Edition;
use crate::gate::Gate;
use crate::id::RunId;
use crate::io::clock::Clock;
use crate::io::pinned::{PROMPTS, is_prompt};
use crate::io::scripts::file_of;
use crate::journal::edition::Effect;
use crate::journal::{JournalError, Outcome, Recorded, RunRecord, incident};
use crate::runs::backtest::{Difference, Fate, Tested, backtest};
use crate::runs::whatif::{Options, WhatIfError, same_end};
use crate::script::Script;
use crate::store::Store;

/// How long a save may be judged.
const TIME_MAX: Duration = Duration::from_secs(60);
/// How long one run's what-if may compute.
const ACTIVE_MAX: Duration = Duration::from_secs(10);
/// Runs that are asked.
const RUNS_MAX: usize = 2_000;
/// Runs that are looked through for those of the playbooks concerned.
const LOOKED_THROUGH_MAX: usize = 50_000;
/// Records read from the store at a time.
const AT_ONCE: usize = 256;
/// Effects that are kept.
const EFFECTS_MAX: usize = 50;
/// How much is told of a result.
const WORDS_MAX: usize = 200;

/// A save that is being judged, on a thread of its own.
pub(super) struct Guard {
    stop: Arc<AtomicBool>,
    answer: Receiver<Verdict>,
    clock: Arc<dyn Clock>,
    give_up_at: Duration,
}

/// What the guard found out.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub effects: Vec<Effect>,
    more: usize,
    asked: usize,
    not_asked: usize,
    /// Why nothing could be asked at all.
    fault: Option<String>,
}

impl Verdict {
    /// Why the save is held, if it is.
    pub fn why(&self) -> Option<String> {
        if let Some(fault) = &self.fault {
            return Some(format!("recent runs could not be asked: {fault}"));
        }
        let of = |fate: &str| self.effects.iter().filter(|effect| effect.fate == fate).count();
        let told = [
            (of(OUTCOME) + self.more, "would have ended otherwise"),
            (of(EFFECTS), "held by incidents would have done something else"),
            (of(UNANSWERED), "could not be answered for"),
            (self.not_asked, "could not be asked in time"),
        ];
        let told = told.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        let asked = self.asked + self.not_asked;
        (!told.is_empty()).then(|| format!("of {asked} recent runs {}", told.join(", ")))
    }
}

const OUTCOME: &str = "outcome_changed";
const EFFECTS: &str = "effects_changed";
const UNANSWERED: &str = "not_answered";

impl Guard {
    pub fn begin(live: Arc<Edition>, save: Arc<Edition>, clock: Arc<dyn Clock>) -> Guard {
        let stop: Arc<AtomicBool> = Arc::default();
        let (sender, answer) = channel();
        let for_thread = stop.clone();
        let thread = std::thread::Builder::new()
            .name("guard".to_owned())
            .stack_size(STACK_BYTES);
        let begun = thread.spawn(move || {
            let verdict = judge(&live, &save, &for_thread).unwrap_or_else(|error| Verdict {
                fault: Some(error.to_string()),
                ..Verdict::default()
            });
            // Nobody waits for it any more: a later save took its place.
            sender.send(verdict).unwrap_or_default();
        });
        if let Err(error) = begun {
            tracing::warn!(%error, "a save cannot be judged");
        }
        Guard {
            stop,
            answer,
            give_up_at: clock.monotonic() + TIME_MAX,
            clock,
        }
    }

    /// Ends it soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// What was found out, once it was.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.clock.monotonic() > self.give_up_at {
            self.stop();
        }
        match self.answer.try_recv() {
            Ok(verdict) => Some(verdict),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Verdict {
                fault: Some("the host failed at it".to_owned()),
                ..Verdict::default()
            }),
        }
    }
}

fn judge(live: &Edition, save: &Edition, stop: &AtomicBool) -> Result<Verdict, JournalError> {
    let prompts = changed_prompts(live, save);
    let concerned = concerned(live, save, &prompts);
    let store = &*save.runner.gate.ground.store;
    let records = recent(store, &concerned, live.app.config.file.serve.guarded_runs as usize)?;
    let side = |edition: &Edition| Side {
        gate: edition.runner.gate.shut(),
        prompts: texts(edition, &prompts),
    };
    let (before, after) = (side(live), side(save));
    let tested = after.ask(save, &records, stop);
    let mut verdict = Verdict {
        asked: tested.len(),
        not_asked: records.len() - tested.len(),
        ..Verdict::default()
    };
    for tested in tested.iter().filter(|tested| !matches!(tested.fate, Fate::Same)) {
        let is_pinned = incident::is_pinned(store, tested.record.run)?;
        if matches!(tested.fate, Fate::Effects(_)) && !is_pinned {
            continue;
        }
        let record = std::slice::from_ref(&tested.record);
        let as_live = before.ask(live, record, stop).pop();
        match as_live {
            None => verdict.not_asked += 1,
            Some(as_live) if is_same(&as_live, tested) => {}
            Some(_) if verdict.effects.len() >= EFFECTS_MAX => verdict.more += 1,
            Some(as_live) => verdict.effects.push(effect(&as_live, tested, is_pinned)),
        }
    }
    Ok(verdict)
}

/// One of the two that are compared.
struct Side {
    gate: Gate,
    /// The texts of the prompts that the save changes, as they are on this side.
    prompts: BTreeMap<String, String>,
}

impl Side {
    fn ask(&self, edition: &Edition, records: &[RunRecord], stop: &AtomicBool) -> Vec<Tested> {
        let question = |recorded: &Recorded| -> Result<(Arc<Script>, Options), WhatIfError> {
            let script = edition.app.library.playbook(&recorded.begun.playbook)?;
            let options = Options {
                prompts: self.prompts.clone(),
                files: edition.runner.gate.world.files.clone(),
                active_max: ACTIVE_MAX,
                ..Options::new()
            };
            Ok((script, options))
        };
        backtest(&edition.app.library, &self.gate, records, &question, stop, &|_| {})
    }
}

fn texts(edition: &Edition, prompts: &BTreeSet<String>) -> BTreeMap<String, String> {
    let text = |path: &String| Some((prompt_name(path).to_owned(), edition.parts.files.text(path)?.ok()?));
    prompts.iter().filter_map(text).collect()
}

/// The paths of the prompts that are not the same.
fn changed_prompts(live: &Edition, save: &Edition) -> BTreeSet<String> {
    let (before, now) = (&live.parts.files, &save.parts.files);
    let all = before.below(PROMPTS).chain(now.below(PROMPTS)).map(|(path, _)| path);
    let hash = |files: &crate::io::pinned::PinnedFiles, path: &str| files.get(path).map(|file| file.hash);
    let changed = all.filter(|path| is_prompt(path) && hash(before, path) != hash(now, path));
    changed.map(str::to_owned).collect()
}

/// The playbooks that do not do the same any more, as far as their texts say.
fn concerned(live: &Edition, save: &Edition, prompts: &BTreeSet<String>) -> BTreeSet<String> {
    let files = &save.parts.files;
    let text = |path: &str| files.text(path).and_then(Result::ok).unwrap_or_default();
    // A prompt that includes one that is changed is another one too.
    let mut names: BTreeSet<String> = prompts.iter().map(|path| prompt_name(path).to_owned()).collect();
    loop {
        let includes = |path: &str| names.iter().any(|name| text(path).contains(name.as_str()));
        let more = files.below(PROMPTS).map(|(path, _)| path);
        let more = more.filter(|path| !names.contains(prompt_name(path)) && !names.is_empty() && includes(path));
        let more: Vec<String> = more.map(|path| prompt_name(path).to_owned()).collect();
        if more.is_empty() {
            break;
        }
        names.extend(more);
    }
    let renders = |path: &str| {
        let text = text(path);
        text.contains("prompt::") && names.iter().any(|name| text.contains(name.as_str()))
    };
    let mut concerned = BTreeSet::new();
    for (name, now) in &save.playbooks {
        let Some(before) = live.playbooks.get(name) else {
            continue;
        };
        let is_other = before.pinned.version != now.pinned.version || before.pinned.modules != now.pinned.modules;
        let renders_other = || {
            let own = std::iter::once(now.pinned.file.clone());
            let mut paths = own.chain(now.pinned.modules.keys().map(|module| file_of(module)));
            !names.is_empty() && paths.any(|path| renders(&path))
        };
        if is_other || renders_other() {
            concerned.insert(name.clone());
        }
    }
    concerned
}

/// The last `each` runs of every one of `playbooks` that are over, and those that incidents hold, the newest first.
fn recent(store: &dyn Store, playbooks: &BTreeSet<String>, each: usize) -> Result<Vec<RunRecord>, JournalError> {
    let mut left: BTreeMap<&str, usize> = playbooks.iter().map(|name| (name.as_str(), each)).collect();
    let mut found: BTreeMap<RunId, RunRecord> = BTreeMap::new();
    let mut before = RunId::from_bytes([0xff; 16]);
    for _ in 0..LOOKED_THROUGH_MAX / AT_ONCE {
        let records = RunRecord::latest(store, before, AT_ONCE)?;
        let Some(last) = records.last() else { break };
        let is_last = records.len() < AT_ONCE;
        before = RunId::from_bytes((u128::from_be_bytes(last.run.to_bytes()).saturating_sub(1)).to_be_bytes());
        for record in records.into_iter().filter(|record| record.status.is_over()) {
            let left = left.get_mut(record.playbook.as_str()).filter(|left| **left > 0);
            if let Some(left) = left.filter(|_| found.len() < RUNS_MAX) {
                *left -= 1;
                found.insert(record.run, record);
            }
        }
        if is_last || found.len() >= RUNS_MAX || left.values().all(|left| *left == 0) {
            break;
        }
    }
    let incidents = incident::list(store).unwrap_or_else(|error| {
        tracing::warn!(%error, "the runs that incidents hold are not asked");
        Vec::new()
    });
    let pinned: BTreeSet<RunId> = incidents.into_iter().flat_map(|incident| incident.runs).collect();
    for run in pinned.into_iter().rev().take(RUNS_MAX) {
        let Ok(record) = RunRecord::get(store, run) else {
            continue;
        };
        if playbooks.contains(&record.playbook) && record.status.is_over() {
            found.insert(run, record);
        }
    }
    Ok(found.into_values().rev().collect())
}

/// Whether the live version comes to the same as the save does.
fn is_same(live: &Tested, save: &Tested) -> bool {
    let about = |difference: &Difference| {
        let first = difference.first.as_ref().map(|first| first.asked());
        first.map(|asked| (asked.name.clone(), asked.args.clone()))
    };
    match (&live.fate, &save.fate) {
        (Fate::Error { code, .. }, Fate::Error { code: other, .. }) => code == other,
        (Fate::Outcome(a), Fate::Outcome(b))
        | (Fate::Stuck(a), Fate::Stuck(b))
        | (Fate::Effects(a), Fate::Effects(b)) => {
            same_end(&a.now, &b.now) && live.counts == save.counts && about(a) == about(b)
        }
        _ => false,
    }
}

fn effect(live: &Tested, save: &Tested, is_pinned: bool) -> Effect {
    let words = |tested: &Tested, recorded: Option<&Outcome>| match &tested.fate {
        Fate::Same => recorded.map_or_else(|| "as it was".to_owned(), in_words),
        Fate::Effects(difference) | Fate::Outcome(difference) | Fate::Stuck(difference) => in_words(&difference.now),
        Fate::Error { code, message } => cut(&format!("{code}: {message}")),
    };
    let difference = match &save.fate {
        Fate::Effects(difference) | Fate::Outcome(difference) | Fate::Stuck(difference) => Some(difference),
        Fate::Same | Fate::Error { .. } => None,
    };
    let fate = match &save.fate {
        Fate::Outcome(_) => OUTCOME,
        Fate::Effects(_) => EFFECTS,
        _ => UNANSWERED,
    };
    let recorded = difference.and_then(|difference| difference.before.as_ref());
    let first = difference.and_then(|difference| difference.first.as_ref());
    Effect {
        run: save.record.run,
        playbook: save.record.playbook.clone(),
        is_pinned,
        fate: fate.to_owned(),
        before: words(live, recorded),
        now: words(save, recorded),
        first: first.map(|first| cut(&format!("{} {}", first.asked().name, first.verdict.as_str()))),
    }
}

fn in_words(outcome: &Outcome) -> String {
    match &outcome.error {
        Some(error) => cut(&format!("{}: {}", outcome.status, error.failure)),
        None => cut(&format!("{} {}", outcome.status, outcome.value)),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
