//! A what-if over the history of a playbook: which runs would have ended otherwise?
//!
//! Each run is read, asked and let go before the next, so that no journal waits in memory for another, and nothing of
//! the store is held on to.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::diff::Diff;
use super::library::Library;
use super::whatif::{Counts, Options, WhatIf, WhatIfError, whatif};
use crate::gate::Gate;
use crate::id::RunId;
use crate::journal::{JournalError, Outcome, Recorded, RunRecord, Status};
use crate::script::Script;
use crate::store::Store;

/// The most runs that one backtest asks.
pub const RUNS_MAX: usize = 10_000;

/// Runs that are looked through for those that match.
const LOOKED_THROUGH_MAX: usize = 1_000_000;

/// Records read from the store at a time.
const AT_ONCE: usize = 256;

/// Threads at work at once, at most. Each has the stack and the memory of a run.
const THREADS_MAX: usize = 8;

/// The stack of each: a question may compile, and the parser needs this much for the deepest script that is allowed.
const STACK_BYTES: usize = 16 << 20;

/// Which runs are asked.
#[derive(Clone, Debug)]
pub struct Selection {
    pub playbook: String,
    /// Begun at or after this, in Unix milliseconds.
    pub since_ms: i64,
    /// Only runs that ended so.
    pub status: Option<Status>,
    pub limit: usize,
}

/// What is asked of each run: its script in place of the run's own, or that, and what is changed beside it.
pub type Question<'q> = dyn Fn(&Recorded) -> Result<(std::sync::Arc<Script>, Options), WhatIfError> + Sync + 'q;

/// What became of one run.
#[derive(Clone, Debug)]
pub enum Fate {
    Same,
    /// It ends as it did, on another way.
    Effects(Box<Difference>),
    /// It ends otherwise.
    Outcome(Box<Difference>),
    /// The record had no answer, and the what-if was to stop there.
    Stuck(Box<Difference>),
    /// Nothing could be asked of it.
    Error {
        code: String,
        message: String,
    },
}

/// What differs in one run.
#[derive(Clone, Debug)]
pub struct Difference {
    pub before: Option<Outcome>,
    pub now: Outcome,
    pub first: Option<Diff>,
}

/// One run, and what became of it.
#[derive(Clone, Debug)]
pub struct Tested {
    pub record: RunRecord,
    pub counts: Counts,
    pub fate: Fate,
}

/// The newest runs that `selection` wants, newest first; and whether there are more than its limit.
pub fn select(store: &dyn Store, selection: &Selection) -> Result<(Vec<RunRecord>, bool), JournalError> {
    let mut found = Vec::new();
    let mut before = RunId::from_bytes([0xff; 16]);
    let limit = selection.limit.min(RUNS_MAX);
    for _ in 0..LOOKED_THROUGH_MAX / AT_ONCE {
        let records = RunRecord::latest(store, before, AT_ONCE)?;
        let Some(last) = records.last() else { break };
        let is_last = records.len() < AT_ONCE || last.begun_ms < selection.since_ms;
        before = RunId::from_bytes((u128::from_be_bytes(last.run.to_bytes()).saturating_sub(1)).to_be_bytes());
        found.extend(records.into_iter().filter(|record| {
            record.playbook == selection.playbook
                && record.begun_ms >= selection.since_ms
                && selection.status.is_none_or(|status| status == record.status)
        }));
        if is_last || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}

/// Asks `question` of each of `records`, several at once, until `stop` is set; the answers in the order of `records`.
/// `gate` must be one whose world is shut. `progress` is told how many are done.
pub fn backtest(
    library: &Library,
    gate: &Gate,
    records: &[RunRecord],
    question: &Question<'_>,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<Tested> {
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, Tested)>> = Mutex::default();
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(record) = records.get(at) else { return };
            let tested = test(library, gate, record, question);
            answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((at, tested));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let cores = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(THREADS_MAX).min(records.len()) {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // The others do its share.
            if let Err(error) = thread.spawn_scoped(scope, work) {
                tracing::debug!(%error, "one thread fewer asks");
            }
        }
        work();
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, tested)| tested).collect()
}

fn test(library: &Library, gate: &Gate, record: &RunRecord, question: &Question<'_>) -> Tested {
    let asked = Recorded::load(&gate.ground, record.run)
        .map_err(WhatIfError::from)
        .and_then(|recorded| {
            let (script, options) = question(&recorded)?;
            whatif(library, gate, recorded, &script, &options)
        });
    let (counts, fate) = match asked {
        Ok(whatif) => (whatif.counts(), fate(&whatif)),
        Err(error) => {
            let (code, message) = (error.code().to_owned(), error.to_string());
            (Counts::default(), Fate::Error { code, message })
        }
    };
    Tested {
        record: record.clone(),
        counts,
        fate,
    }
}

fn fate(whatif: &WhatIf) -> Fate {
    let difference = || {
        Box::new(Difference {
            before: whatif.before.clone(),
            now: whatif.now.clone(),
            first: whatif.first_difference().cloned(),
        })
    };
    match (whatif.same_outcome(), whatif.same_effects()) {
        (true, true) => Fate::Same,
        (true, false) => Fate::Effects(difference()),
        (false, _) if whatif.is_stuck() => Fate::Stuck(difference()),
        (false, _) => Fate::Outcome(difference()),
    }
}
