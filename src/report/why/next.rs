//! The commands that help from here.

use super::deeds::Deeds;
use crate::journal::{Awaited, Recorded, RunRecord, Status};

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
    /// The host or its store.
    Host,
}

pub(super) fn cause(record: &RunRecord, recorded: &Recorded) -> Cause {
    const HOST: [&str; 5] = ["NONDETERMINISM", "NOT_RECORDED", "PANIC", "NO_THREAD", "STOPPED"];
    let Some(error) = &record.error else {
        return Cause::Script;
    };
    let code = error.failure.code.as_str();
    match error.step {
        _ if HOST.contains(&code) || code.starts_with("STORE_") => Cause::Host,
        Some(step) if recorded.steps.contains_key(&step) => Cause::Effect,
        _ if code.starts_with("LIMIT_") => Cause::Limit,
        _ => Cause::Script,
    }
}

/// What to type for a run that waits.
fn waiting(record: &RunRecord, recorded: &Recorded, show: Next) -> Vec<Next> {
    let run = record.run.short();
    let awaited = recorded
        .steps
        .values()
        .next_back()
        .and_then(|step| step.suspended.as_ref());
    let mut commands = Vec::new();
    match awaited.map(|suspended| &suspended.wake.awaited) {
        Some(Awaited::Question { .. }) => {
            commands.push(next("answer", format!("host answer {run} TEXT"), ""));
        }
        Some(Awaited::Event { name }) => {
            commands.push(next("tell", format!("host emit {name}"), "when it has happened"))
        }
        Some(Awaited::Children { runs }) => {
            let children = runs.iter().take(CHILDREN_MAX);
            commands.extend(children.map(|child| next("why", format!("host why {}", child.short()), "")));
        }
        _ => {}
    }
    commands.push(next("then", format!("host resume {run}"), "when it has come"));
    commands.push(next("or", format!("host cancel {run}"), "to end it"));
    commands.push(show);
    commands
}

/// Runs that are named when one waits for them.
const CHILDREN_MAX: usize = 3;

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
    let nothing_left = deeds.landed.is_empty() && deeds.in_doubt.is_empty();
    match record.status {
        Status::Succeeded => vec![show],
        Status::Suspended => waiting(record, recorded, show),
        Status::Queued => vec![next("then", format!("host resume {run}"), "to begin it"), show],
        Status::Running => vec![
            next("then", format!("host resume {run}"), "if its host was stopped"),
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
        Status::Cancelled if nothing_left => vec![
            next(
                "then",
                format!("host retry {run}"),
                "from the start: nothing has landed",
            ),
            show,
        ],
        Status::Cancelled => vec![
            next("then", format!("host resume {run}"), "to go on where it stopped"),
            show,
        ],
        Status::Failed => match cause(record, recorded) {
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
                next("then", format!("host resume {run}"), "with a raised limit"),
                rehearse,
                show,
            ],
            Cause::Host => vec![show],
        },
    }
}
