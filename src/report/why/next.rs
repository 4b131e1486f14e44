//! The commands that help from here.

use super::deeds::Deeds;
use crate::id::RunId;
use crate::journal::{Awaited, Recorded, RunRecord, Status};

/// Runs that a waiting one is said to wait for.
const CHILDREN_NAMED_MAX: usize = 3;

/// A command to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What it is for, in a word: `then`, `rehearse`.
    pub word: &'static str,
    pub command: String,
    /// When, or what it does; may be empty.
    pub note: String,
}

fn next(word: &'static str, command: String, note: &str) -> Next {
    let note = note.to_owned();
    Next { word, command, note }
}

/// Why a run failed, as far as it matters for what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// An effect has failed, and the script let its error through.
    Effect,
    /// The script itself.
    Script,
    Limit,
    /// The store could not be written; nothing of the run itself is wrong.
    Store,
    Host,
}

pub(super) fn cause(record: &RunRecord, recorded: &Recorded) -> Cause {
    const HOST: [&str; 5] = ["NONDETERMINISM", "NOT_RECORDED", "PANIC", "NO_THREAD", "STOPPED"];
    let Some(error) = &record.error else {
        return Cause::Script;
    };
    let code = error.failure.code.as_str();
    match error.step {
        None if code.starts_with("STORE_") => Cause::Store,
        _ if HOST.contains(&code) => Cause::Host,
        Some(step) if recorded.steps.contains_key(&step) => Cause::Effect,
        _ if code.starts_with("LIMIT_") => Cause::Limit,
        _ => Cause::Script,
    }
}

/// What to type next, most important first.
pub(super) fn commands(record: &RunRecord, recorded: &Recorded, deeds: &Deeds) -> Vec<Next> {
    let run = record.run.short();
    let file = &record.file;
    let show = next("look", format!("host show {run}"), "");
    let rehearse = next(
        "rehearse",
        format!("host replay {run} --with {file}"),
        "the edited script over what was recorded; nothing is sent",
    );
    match record.status {
        Status::Succeeded => vec![show],
        Status::Running => vec![
            next("then", format!("host resume {run}"), "if its host was stopped"),
            show,
        ],
        Status::Queued => vec![
            next("then", format!("host resume {run}"), "if its host was stopped"),
            show,
        ],
        Status::Suspended => {
            let waits = record.waits.as_ref().and_then(|waits| recorded.steps.get(&waits.step));
            let awaited = waits.and_then(|step| Some(&step.suspended.as_ref()?.wake.awaited));
            let wakes = awaited.map(|awaited| wakes(&run, awaited)).unwrap_or_default();
            let stop = next("stop", format!("host cancel {run}"), "if it is not to go on");
            wakes.into_iter().chain([show, stop]).collect()
        }
        Status::NeedsAttention if deeds.in_doubt.is_empty() => vec![
            next(
                "then",
                format!("host resume {run}"),
                "everything that was in doubt is decided",
            ),
            show,
        ],
        Status::NeedsAttention => {
            let decide = deeds.in_doubt.iter().filter_map(|deed| deed.step).flat_map(|step| {
                let resolve = |answer| format!("host resolve {run} {step} {answer} --reason \"…\"");
                [
                    next("decide", resolve("--landed"), "if you see it there"),
                    next(
                        "or",
                        resolve("--not-landed"),
                        "if it is certainly not there: it will be sent again",
                    ),
                ]
            });
            decide.chain([show, rehearse]).collect()
        }
        Status::Cancelled => vec![anew(&run, deeds), show],
        Status::Failed => match cause(record, recorded) {
            Cause::Effect
                if record
                    .error
                    .as_ref()
                    .is_some_and(|error| recorded.begun.keeps_cause_of(&error.failure)) =>
            {
                vec![
                    next(
                        "then",
                        format!("host resume {run} --with {file}"),
                        "when the prompt is mended: it goes on with the prompts of now",
                    ),
                    rehearse,
                    show,
                ]
            }
            Cause::Effect => vec![
                next(
                    "then",
                    format!("host resume {run}"),
                    "when the cause is gone: it goes on at the step that failed",
                ),
                rehearse,
                show,
            ],
            Cause::Script => vec![
                next("mend", file.clone(), ""),
                rehearse,
                next(
                    "then",
                    format!("host resume {run} --with {file}"),
                    "to go on with the mended script",
                ),
                show,
            ],
            Cause::Limit => vec![
                rehearse,
                next(
                    "then",
                    format!("host resume {run} --with {file}"),
                    "to go on with a script that needs less",
                ),
                anew(&run, deeds),
                show,
            ],
            Cause::Store => vec![
                next(
                    "then",
                    format!("host resume {run}"),
                    "when the store can be written again",
                ),
                show,
            ],
            Cause::Host => vec![show],
        },
    }
}

/// What brings a suspended run what it waits for, when a person can.
fn wakes(run: &str, awaited: &Awaited) -> Vec<Next> {
    match awaited {
        Awaited::Question { .. } => vec![next("answer", format!("host answer {run} \"…\""), "")],
        Awaited::Event { name } => vec![next("then", format!("host emit {name}"), "when it has happened")],
        Awaited::Children { runs, .. } => {
            let children = runs.iter().take(CHILDREN_NAMED_MAX);
            let why = |child: &RunId| {
                next(
                    "ask",
                    format!("host why {}", child.short()),
                    "what it does, or waits for",
                )
            };
            children.map(why).collect()
        }
        Awaited::Time | Awaited::Attempt { .. } | Awaited::Poll { .. } => Vec::new(),
    }
}

/// The same once more; what landed is done a second time only where that is said.
fn anew(run: &str, deeds: &Deeds) -> Next {
    let done = deeds.landed.iter().chain(&deeds.in_doubt).filter_map(|deed| deed.step);
    let again: String = done.map(|step| format!(" --again {step}")).collect();
    let note = if again.is_empty() {
        "from the start: nothing has landed"
    } else {
        "from the start: what landed is done a second time"
    };
    next("anew", format!("host retry {run}{again}"), note)
}
