//! `host backtest PLAYBOOK`: what an edit would have changed in the runs of the last days.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::error::{CliError, FAILED};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, moment, plain};
use super::whatif::{WhatIfArgs, field_lines, in_words};
use crate::app::App;
use crate::duration;
use crate::journal::{Recorded, Status};
use crate::report::whatif::{about, diff_json, mark, outcome_json, result_changes, verdict};
use crate::runs::backtest::{Fate, RUNS_MAX, Selection, Tested, backtest, select};
use crate::runs::whatif::{Options, WhatIfError};
use crate::script::Script;

/// Some run would have ended otherwise.
const OUTCOME_CHANGED: u8 = FAILED;
/// No outcome changed, but some run would have got there on another way.
const EFFECTS_CHANGED: u8 = 8;
/// No outcome is known to have changed, but some run could not be answered for.
const NOT_ANSWERED: u8 = 9;

/// How long one run's what-if may compute: there are many.
const ACTIVE_MAX: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing changed, 1 some outcome changed, 8 no outcome but some effects changed, \
9 some run could not be answered for and no outcome is known to have changed; others as `host --help` lists them."
)]
pub struct Args {
    /// The playbook whose runs are asked.
    playbook: String,
    #[command(flatten)]
    whatif: WhatIfArgs,
    /// How far to go back.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Only runs of which this holds: status=succeeded, failed, cancelled, needs_attention, suspended, running
    /// or queued.
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    condition: Option<String>,
    /// How many runs to ask at most, the newest first.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX as i64))]
    limit: u32,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let since = duration::parse(&args.since).map_err(|error| CliError::usage("USAGE", error.to_string()))?;
    let now_ms = app.clock.unix_ms();
    let selection = Selection {
        playbook: args.playbook.strip_suffix(".rhai").unwrap_or(&args.playbook).to_owned(),
        since_ms: now_ms.saturating_sub(since.as_millis() as i64),
        status: args.condition.as_deref().map(status).transpose()?,
        limit: args.limit as usize,
    };
    // What stands in the way of every run is told once, before any is asked.
    let current = match &args.whatif.with {
        Some(_) => None,
        None => Some(app.library.load(&selection.playbook)?),
    };
    let ground = app
        .reader()?
        .ok_or_else(|| CliError::usage("RUN_NOT_FOUND", "nothing has run here yet"))?;
    let (records, more) = select(&*ground.store, &selection)?;
    let script = match (current, records.first()) {
        (Some(script), _) => script,
        (None, Some(record)) => {
            let begun = Recorded::load(&ground, record.run)?.begun;
            args.whatif.script(app, &*ground.store, &begun)?
        }
        (None, None) => app
            .library
            .load(args.whatif.with.as_deref().unwrap_or(&selection.playbook))?,
    };
    let options = Options {
        active_max: ACTIVE_MAX,
        ..args.whatif.options(app, &script, false)?
    };
    let gate = app.shut_gate(ground)?;
    let question =
        |_: &Recorded| -> Result<(Arc<Script>, Options), WhatIfError> { Ok((script.clone(), options.clone())) };
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = crate::io::signals::stop_on_interrupt(&stop) {
        tracing::warn!(%error, "Ctrl-C will end host at once");
    }
    let bar = progress(records.len(), out);
    let tested = backtest(&app.library, &gate, &records, &question, &stop, &|done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let tally = Tally::of(&tested);
    let whole = Whole {
        args: &args,
        script: &script,
        selection: &selection,
        tested: &tested,
        tally,
        more,
        left: records.len() - tested.len(),
    };
    if out.json {
        out.json(&whole.json());
    } else {
        whole.show(out);
    }
    Ok(tally.exit_code(whole.left))
}

/// A bar on a terminal, and nothing elsewhere.
fn progress(runs: usize, out: &Out) -> indicatif::ProgressBar {
    if !out.live {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("  {bar:30} {pos} of {len} runs, {eta} left");
    let style = style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    indicatif::ProgressBar::new(runs as u64).with_style(style)
}

fn status(condition: &str) -> Result<Status, CliError> {
    const KNOWN: [Status; 7] = [
        Status::Queued,
        Status::Suspended,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
        Status::NeedsAttention,
        Status::Running,
    ];
    let wanted = condition
        .strip_prefix("status=")
        .map(|word| word.replace([' ', '-'], "_"));
    let found = wanted.and_then(|word| KNOWN.into_iter().find(|status| status.code() == word));
    found.ok_or_else(|| {
        let known = KNOWN.map(Status::code).join(", ");
        let message = format!("--where {condition:?} is not of the form status=STATUS");
        CliError::usage("USAGE", message).help(format!("STATUS is one of {known}"))
    })
}

#[derive(Clone, Copy, Default)]
struct Tally {
    same: usize,
    outcome: usize,
    effects: usize,
    stuck: usize,
    errors: usize,
    /// Runs in which some answer was not from the record.
    unrecorded: usize,
}

impl Tally {
    fn of(tested: &[Tested]) -> Tally {
        let mut tally = Tally::default();
        for run in tested {
            tally.unrecorded += usize::from(run.counts.unrecorded > 0);
            *match run.fate {
                Fate::Same => &mut tally.same,
                Fate::Outcome(_) => &mut tally.outcome,
                Fate::Effects(_) => &mut tally.effects,
                Fate::Stuck(_) => &mut tally.stuck,
                Fate::Error { .. } => &mut tally.errors,
            } += 1;
        }
        tally
    }

    fn exit_code(self, left: usize) -> u8 {
        match (self.outcome, self.stuck + self.errors + left, self.effects) {
            (0, 0, 0) => 0,
            (0, 0, _) => EFFECTS_CHANGED,
            (0, ..) => NOT_ANSWERED,
            _ => OUTCOME_CHANGED,
        }
    }
}

/// A backtest that is over.
struct Whole<'a> {
    args: &'a Args,
    script: &'a Script,
    selection: &'a Selection,
    tested: &'a [Tested],
    tally: Tally,
    more: bool,
    /// Runs that were not asked, because somebody stopped it.
    left: usize,
}

impl Whole<'_> {
    fn file(&self) -> &str {
        self.args.whatif.with.as_deref().unwrap_or(&self.script.source.file)
    }

    fn json(&self) -> Json {
        let tally = self.tally;
        json!({
            "playbook": self.selection.playbook,
            "with": { "file": self.file(), "version": self.script.source.hash.to_string() },
            "since": crate::report::entries::timestamp(self.selection.since_ms, 0),
            "runs": self.tested.len(),
            "more": self.more,
            "not_asked": self.left,
            "same": tally.same,
            "outcome_changed": tally.outcome,
            "effects_changed": tally.effects,
            "not_answered": tally.stuck,
            "errors": tally.errors,
            "with_unrecorded_answers": tally.unrecorded,
            "results": self.tested.iter().map(|run| run_json(run, self.file())).collect::<Vec<_>>(),
        })
    }

    fn show(&self, out: &mut Out) {
        let name = out.paint(STRONG, &plain(&self.selection.playbook));
        let version = self.script.source.hash.short();
        let since = moment(self.selection.since_ms);
        out.line(format!(
            "{name}  backtest with {}@{version} over runs since {since} {} doors shut",
            plain(self.file()),
            out.symbol("—")
        ));
        out.line("");
        if self.tested.is_empty() {
            let what = match self.selection.status {
                Some(status) => format!("no run of {} that is {status}", plain(&self.selection.playbook)),
                None => format!("no run of {}", plain(&self.selection.playbook)),
            };
            out.line(format!("  {what} since then; --since goes further back"));
            return;
        }
        for run in self.tested {
            self.run(run, out);
        }
        if self.tally.same < self.tested.len() {
            out.line("");
        }
        self.sum(out);
        self.closer(out);
    }

    fn run(&self, run: &Tested, out: &mut Out) {
        let id = run.record.run.short();
        let at = out.paint(FAINT, &moment(run.record.begun_ms));
        match &run.fate {
            Fate::Same => {}
            Fate::Outcome(difference) | Fate::Stuck(difference) | Fate::Effects(difference) => {
                let (symbol, style, what) = match run.fate {
                    Fate::Outcome(_) => ("✗", BAD, "outcome changed"),
                    Fate::Stuck(_) => ("?", CAREFUL, "not answered"),
                    _ => ("~", CAREFUL, "effects changed"),
                };
                let painted = out.paint(style, out.symbol(symbol));
                let before = difference.before.as_ref();
                let before = before.map_or_else(|| "no end on record".to_owned(), |outcome| in_words(outcome, out));
                out.line(format!("  {painted} {id}  {at}  {}", out.paint(style, what)));
                let fields = difference.before.as_ref();
                let fields = fields
                    .map(|before| result_changes(before, &difference.now))
                    .unwrap_or_default();
                match run.fate {
                    Fate::Effects(_) => out.line(format!("      still    {before}")),
                    _ if !fields.is_empty() => {
                        for field in field_lines(&fields, 15, out) {
                            out.line(format!("      result   {field}"));
                        }
                    }
                    _ => {
                        out.line(format!("      before   {before}"));
                        let now = in_words(&difference.now, out);
                        out.line(format!("      now      {now}"));
                    }
                }
                if let Some(first) = &difference.first {
                    let step = first.old_step().or(first.new_step()).unwrap_or_default();
                    let about = excerpt(&about(first), 60);
                    out.line(format!(
                        "      first    {} {} {}  {about}  {}",
                        out.symbol(mark(first)),
                        plain(&first.asked().name),
                        verdict(first),
                        out.paint(FAINT, &format!("step {step}"))
                    ));
                }
            }
            Fate::Error { code, message } => {
                let mark = out.paint(BAD, "?");
                out.line(format!("  {mark} {id}  {at}  {code}: {}", excerpt(message, 120)));
            }
        }
    }

    fn sum(&self, out: &mut Out) {
        let tally = self.tally;
        let runs = match self.tested.len() {
            1 => "1 run".to_owned(),
            several => format!("{several} runs"),
        };
        let mut parts = vec![
            out.paint(STRONG, &runs),
            out.paint(GOOD, &format!("{} same", tally.same)),
        ];
        let kinds = [
            (tally.outcome, "outcome changed", BAD),
            (tally.effects, "only effects changed", CAREFUL),
            (tally.stuck + tally.errors, "could not be answered", CAREFUL),
        ];
        for (count, what, style) in kinds.into_iter().filter(|(count, ..)| *count > 0) {
            parts.push(out.paint(style, &format!("{count} {what}")));
        }
        out.line(parts.join(&format!(" {} ", out.symbol("·"))));
        if tally.unrecorded > 0 {
            let text = format!("{} with answers that are not from the record", tally.unrecorded);
            let text = out.paint(FAINT, &text);
            out.line(text);
        }
        if self.more {
            let text = format!("there are more runs than these {}: --limit", self.tested.len());
            out.line(out.paint(FAINT, &text));
        }
        if self.left > 0 {
            out.line(out.paint(CAREFUL, &format!("interrupted: {} runs were not asked", self.left)));
        }
    }

    /// The command that shows the first run that differs.
    fn closer(&self, out: &mut Out) {
        let Some(run) = self.tested.iter().find(|run| !matches!(run.fate, Fate::Same)) else {
            return;
        };
        let with = super::data::shell_word(self.file());
        let command = format!("host replay {} --with {with}", run.record.run.short());
        let what = out.paint(FAINT, "what differs, effect by effect");
        out.line("");
        out.line(format!("{command}    {what}"));
    }
}

fn run_json(run: &Tested, file: &str) -> Json {
    let difference = match &run.fate {
        Fate::Outcome(difference) | Fate::Effects(difference) | Fate::Stuck(difference) => Some(difference),
        Fate::Same | Fate::Error { .. } => None,
    };
    json!({
        "run_id": run.record.run.to_string(),
        "begun": crate::report::entries::timestamp(run.record.begun_ms, 0),
        "fate": match run.fate {
            Fate::Same => "same",
            Fate::Outcome(_) => "outcome_changed",
            Fate::Effects(_) => "effects_changed",
            Fate::Stuck(_) => "not_answered",
            Fate::Error { .. } => "error",
        },
        "before": difference.and_then(|difference| difference.before.as_ref()).map(|outcome| outcome_json(outcome, &run.record.file)),
        "now": difference.map(|difference| outcome_json(&difference.now, file)),
        "first_difference": difference.and_then(|difference| difference.first.as_ref()).map(diff_json),
        "error": match &run.fate {
            Fate::Error { code, message } => Some(json!({ "code": code, "message": message })),
            _ => None,
        },
        "unrecorded": run.counts.unrecorded,
    })
}
