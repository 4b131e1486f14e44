//! What-ifs on the command line: their flags, and a difference of effects as text.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use super::data::json_or_text;
use super::error::CliError;
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, moment, plain};
use crate::app::App;
use crate::gate::Missing;
use crate::journal::{Asked, Begun, Outcome, Status};
use crate::report::changes::FieldChange;
use crate::report::whatif::{about, came_of_it, differences, mark, remarks, result_changes, verdict};
use crate::runs::diff::{Diff, Verdict};
use crate::runs::whatif::{Options, WhatIf};
use crate::script::Script;
use crate::store::Store;
use crate::value::{Map, Value};

/// Longer runs of effects that stayed the same are told in one line.
const KEPT_SHOWN_MAX: usize = 8;

/// Fields that are told of one effect or result.
const FIELDS_SHOWN_MAX: usize = 8;

/// The longest text given for a prompt.
const PROMPT_BYTES_MAX: u64 = 256 << 10;

/// The longest answer typed to a question.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

#[derive(clap::Args)]
pub struct WhatIfArgs {
    /// The edited script, by path or by name, in place of the recorded one.
    #[arg(long, value_name = "FILE")]
    pub with: Option<String>,
    /// An edited prompt in place of the recorded one; may be given several times.
    #[arg(long, value_name = "NAME=FILE")]
    prompt: Vec<String>,
    /// Another input; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    input: Vec<String>,
    /// What to do where the record has no answer: end there, simulate one, or ask you for it.
    #[arg(long, value_name = "HOW")]
    missing: Option<MissingChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MissingChoice {
    Stop,
    Simulate,
    Ask,
}

impl WhatIfArgs {
    /// Whether anything was asked that a plain replay does not answer.
    pub fn is_given(&self) -> bool {
        self.with.is_some() || self.missing.is_some() || !self.prompt.is_empty() || !self.input.is_empty()
    }

    /// The script to be asked: the edited one, or that of the run.
    pub fn script(&self, app: &App, store: &dyn Store, begun: &Begun) -> Result<Arc<Script>, CliError> {
        Ok(match &self.with {
            Some(path) => app.library.edited(store, path, begun)?,
            None => app.library.pinned(store, begun)?,
        })
    }

    /// What the script is called in the report.
    pub fn file(&self, begun: &Begun) -> String {
        self.with.clone().unwrap_or_else(|| begun.file.clone())
    }

    /// Reads the prompts, and the inputs as `script` declares them.
    pub fn options(&self, app: &App, script: &Script, can_ask: bool) -> Result<Options, CliError> {
        Ok(Options {
            missing: self.missing(can_ask)?,
            input: self.inputs(script)?,
            prompts: self.prompts()?,
            files: app.files(),
            ..Options::new()
        })
    }

    fn missing(&self, can_ask: bool) -> Result<Missing, CliError> {
        Ok(match self.missing.unwrap_or(MissingChoice::Simulate) {
            MissingChoice::Stop => Missing::Stop,
            MissingChoice::Simulate => Missing::Simulate,
            MissingChoice::Ask if can_ask && std::io::stdin().is_terminal() => {
                // One question at a time.
                let asking = Mutex::new(());
                Missing::Ask(Arc::new(move |asked| {
                    let _one = asking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    ask(asked)
                }))
            }
            MissingChoice::Ask => {
                let message = "--missing ask needs a terminal to ask on";
                return Err(CliError::usage("USAGE", message).help("take --missing simulate, or stop"));
            }
        })
    }

    fn inputs(&self, script: &Script) -> Result<Map, CliError> {
        let mut inputs = Map::new();
        for word in &self.input {
            let (name, text) = pair("--input", "NAME=VALUE", word)?;
            let value = match script.header.inputs.get(name) {
                Some(spec) => spec.parse(name, text)?,
                None => json_or_text("the input", text)?,
            };
            if inputs.insert(name.to_owned(), value).is_some() {
                return Err(CliError::usage("USAGE", format!("input `{name}` is given twice")));
            }
        }
        Ok(inputs)
    }

    fn prompts(&self) -> Result<BTreeMap<String, String>, CliError> {
        let mut prompts = BTreeMap::new();
        for word in &self.prompt {
            let (name, path) = pair("--prompt", "NAME=FILE", word)?;
            let text = crate::io::scripts::read_text(path, PROMPT_BYTES_MAX)
                .map_err(|reason| CliError::usage("PROMPT_UNREADABLE", format!("{path} cannot be read: {reason}")))?;
            if prompts.insert(name.to_owned(), text).is_some() {
                return Err(CliError::usage("USAGE", format!("prompt {name:?} is given twice")));
            }
        }
        Ok(prompts)
    }
}

fn pair<'w>(flag: &str, form: &str, word: &'w str) -> Result<(&'w str, &'w str), CliError> {
    match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => Err(CliError::usage(
            "USAGE",
            format!("{flag} {word:?} is not of the form {form}"),
        )),
    }
}

/// Asks the terminal for the answer to `asked`, until it is one. Nothing at all ends the what-if.
fn ask(asked: &Asked) -> Option<Value> {
    let mut terminal = std::io::stderr();
    let args = excerpt(&asked.args.to_string(), 400);
    let name = plain(&asked.name);
    writeln!(terminal, "not recorded: step {} {name} {args}", asked.step).ok()?;
    loop {
        write!(terminal, "its answer, as JSON (empty to end here): ").ok()?;
        terminal.flush().ok()?;
        let mut line = String::new();
        let mut input = std::io::Read::take(std::io::stdin().lock(), ANSWER_BYTES_MAX);
        input.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            return None;
        }
        match super::data::json("the answer", line.trim()) {
            Ok(value) => return Some(value),
            Err(error) => writeln!(terminal, "{}", error.render(false, true)).ok()?,
        }
    }
}

/// A what-if as text.
pub fn show(whatif: &WhatIf, file: &str, full: bool, out: &mut Out) {
    let begun = &whatif.recorded.begun;
    let recorded_with = format!("{}@{}", plain(&begun.playbook), begun.version.short());
    let replayed_with = if whatif.script == begun.version {
        "the same script".to_owned()
    } else {
        format!("{}@{}", plain(file), whatif.script.short())
    };
    out.line(format!(
        "run {} of {}, recorded with {recorded_with}, replayed with {} {} doors shut",
        out.paint(STRONG, &begun.run.short()),
        moment(begun.at_ms),
        out.paint(STRONG, &replayed_with),
        out.symbol("—"),
    ));
    out.line("");
    steps(&whatif.steps, full, out);
    out.line("");
    outcome(whatif, out);
    let sum = sum(whatif, out);
    out.line(sum);
}

/// The effects, one a line.
pub fn steps(diffs: &[Diff], full: bool, out: &mut Out) {
    if diffs.is_empty() {
        out.line("  no effects, then or now");
        return;
    }
    let name_width = diffs
        .iter()
        .map(|diff| diff.asked().name.len())
        .max()
        .unwrap_or(0)
        .clamp(12, 28);
    let head = out.paint(FAINT, "  then  now");
    out.line(head);
    let mut at = 0;
    while at < diffs.len() {
        let kept = diffs[at..].iter().take_while(|diff| is_quiet(diff)).count();
        if !full && kept > KEPT_SHOWN_MAX {
            let (first, last) = (&diffs[at], &diffs[at + kept - 1]);
            let text = format!(
                "  {:>4} {:>4}  {} {} effects up to step {}, kept",
                first.old_step().unwrap_or_default(),
                first.new_step().unwrap_or_default(),
                out.symbol("…"),
                kept,
                last.new_step().unwrap_or_default()
            );
            let text = out.paint(FAINT, &text);
            out.line(text);
            at += kept;
            continue;
        }
        step(&diffs[at], name_width, out);
        at += 1;
    }
}

/// Nothing to be said of it but that it was kept.
fn is_quiet(diff: &Diff) -> bool {
    !diff.is_difference() && !diff.is_unrecorded()
}

fn step(diff: &Diff, name_width: usize, out: &mut Out) {
    let number = |step: Option<u32>| step.map_or_else(String::new, |step| step.to_string());
    let mark = mark(diff);
    let style = match mark {
        "+" => Some(GOOD),
        "−" => Some(BAD),
        "~" | "?" => Some(CAREFUL),
        _ => None,
    };
    let painted = |text: &str, out: &Out| style.map_or_else(|| text.to_owned(), |style| out.paint(style, text));
    let lead = format!("  {:>4} {:>4}  ", number(diff.old_step()), number(diff.new_step()));
    let taken = lead.len() + 2 + name_width + 2 + 10;
    let room = out.rest_of_line(taken).min(110);
    let fields = differences(diff);
    let detail = match (diff.verdict, fields.as_slice()) {
        (Verdict::Changed, [only]) => field_line(only, room, out),
        (Verdict::Changed, _) => excerpt(&about(diff), room),
        (Verdict::New, _) => match (about(diff), came_of_it(diff)) {
            (about, gist) if about.is_empty() || gist.is_empty() => excerpt(&format!("{about}{gist}"), room),
            (about, gist) => format!(
                "{} {} {}",
                excerpt(&about, room / 2),
                out.symbol("→"),
                excerpt(&gist, room / 2)
            ),
        },
        _ => excerpt(&about(diff), room),
    };
    let line = format!(
        "{lead}{} {:<name_width$}  {} {detail}",
        painted(out.symbol(mark), out),
        plain(&diff.asked().name),
        painted(&format!("{:<9}", verdict(diff)), out),
    );
    out.line(line.trim_end());
    let indent = " ".repeat(lead.len() + 2);
    if fields.len() > 1 {
        for field in fields.iter().take(KEPT_SHOWN_MAX) {
            let text = field_line(field, out.rest_of_line(indent.len() + 2).min(160), out);
            out.line(format!("{indent}  {text}"));
        }
        let left = fields.len().saturating_sub(KEPT_SHOWN_MAX);
        if left > 0 {
            let text = out.paint(
                FAINT,
                &format!("and {left} more fields: --json or --html show them all"),
            );
            out.line(format!("{indent}  {text}"));
        }
    }
    for remark in remarks(diff) {
        let style = if diff.touches_what_is_out() || diff.is_unrecorded() {
            CAREFUL
        } else {
            FAINT
        };
        let text = out.paint(style, &excerpt(&remark, 200));
        out.line(format!("{indent}  {text}"));
    }
}

/// The first of the fields that differ, one a line, after so many columns.
pub fn field_lines(fields: &[FieldChange], taken: usize, out: &Out) -> Vec<String> {
    let room = out.rest_of_line(taken).min(160);
    let shown = fields.iter().take(FIELDS_SHOWN_MAX);
    let mut lines: Vec<String> = shown.map(|field| field_line(field, room, out)).collect();
    let left = fields.len().saturating_sub(FIELDS_SHOWN_MAX);
    if left > 0 {
        lines.push(out.paint(FAINT, &format!("and {left} more fields: --json shows them all")));
    }
    lines
}

fn field_line(change: &FieldChange, room: usize, out: &Out) -> String {
    let (before, after) = change.sides();
    let path = excerpt(&change.path, 40);
    let each = room.saturating_sub(path.len() + 6).max(20) / 2;
    format!(
        "{}{}{} {} {}",
        out.paint(FAINT, &path),
        if path.is_empty() { "" } else { "  " },
        excerpt(&before, each),
        out.symbol("→"),
        excerpt(&after, each)
    )
}

fn outcome(whatif: &WhatIf, out: &mut Out) {
    let before = match &whatif.before {
        Some(outcome) => in_words(outcome, out),
        None => "no end on record".to_owned(),
    };
    if whatif.same_outcome() {
        let same = out.paint(GOOD, "the same");
        out.line(format!("outcome   {same}: {before}"));
        return;
    }
    if let Some(ended) = &whatif.before
        && let fields = result_changes(ended, &whatif.now)
        && !fields.is_empty()
    {
        let status = out.paint(GOOD, &ended.status.to_string());
        out.line(format!("outcome   {status}, then and now, with another result"));
        for field in field_lines(&fields, 10, out) {
            out.line(format!("          {field}"));
        }
        return;
    }
    out.line(format!("outcome   before   {before}"));
    let now = in_words(&whatif.now, out);
    out.line(format!("          now      {now}"));
    if let Some(error) = &whatif.now.error
        && error.place.line > 0
    {
        let module = error
            .place
            .module
            .as_deref()
            .map(|module| format!("{}.rhai ", plain(module)));
        let place = format!("at {}line {}", module.unwrap_or_default(), error.place.line);
        let place = out.paint(FAINT, &place);
        out.line(format!("                   {place}"));
    }
}

/// How a run ended, on one line.
pub fn in_words(outcome: &Outcome, out: &Out) -> String {
    match &outcome.error {
        Some(error) => format!(
            "{}: {} {} {}{}",
            out.paint(BAD, &outcome.status.to_string()),
            error.failure.code,
            out.symbol("—"),
            excerpt(&error.failure.message, 100),
            error.step.map(|step| format!(" (step {step})")).unwrap_or_default(),
        ),
        None if outcome.value.is_unit() => status(outcome, out),
        None => format!("{} {}", status(outcome, out), excerpt(&outcome.value.to_string(), 100)),
    }
}

fn status(outcome: &Outcome, out: &Out) -> String {
    let style = if outcome.status == Status::Succeeded {
        GOOD
    } else {
        CAREFUL
    };
    out.paint(style, &outcome.status.to_string())
}

fn sum(whatif: &WhatIf, out: &Out) -> String {
    let counts = whatif.counts();
    let kinds = [
        (counts.kept, "kept"),
        (counts.changed, "changed"),
        (counts.new, "new"),
        (counts.gone, "gone"),
        (counts.reordered, "moved"),
    ];
    let mut parts: Vec<String> = kinds
        .into_iter()
        .filter(|(count, what)| *count > 0 || *what == "kept")
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    parts.push(match counts.unrecorded {
        0 => "every answer from the record".to_owned(),
        1 => out.paint(CAREFUL, "1 answer not from the record"),
        several => out.paint(CAREFUL, &format!("{several} answers not from the record")),
    });
    parts.join(&format!(" {} ", out.symbol("·")))
}
