//! `host run PLAYBOOK`: runs it to its end.

use std::sync::Arc;

use super::error::{CliError, FAILED, NEEDS_ATTENTION, Shown, render};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, plain};
use super::progress::Screen;
use crate::app::App;
use crate::duration::for_people;
use crate::gate::{Observer, Silent};
use crate::journal::Status;
use crate::report::run_json;
use crate::runs::{Finished, Order};
use crate::script::{Diagnosis, Script, inputs};
use crate::value::{Map, Value};

#[derive(clap::Args)]
pub struct Args {
    /// Its name below playbooks/, or the path of any .rhai file.
    playbook: String,
    /// Its inputs: --NAME VALUE for each, or --input NAME=VALUE; --help lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "INPUTS")]
    rest: Vec<String>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let script = app.library.load(&args.playbook)?;
    let words = Words::read(&args.rest, &script)?;
    out.json |= words.json;
    if words.help {
        help("run", &script, out);
        return Ok(0);
    }
    let input = inputs::complete(&script.header, words.input)?;
    let mode = app.mode(&script.header.uses)?;
    let runner = app.runner()?;
    let screen = Arc::new(Screen::new(Out::new(out.json, out.choice())));
    let observer: Arc<dyn Observer> = if out.json { Arc::new(Silent) } else { screen };
    let order = Order {
        script: script.clone(),
        input,
        mode,
        trigger: "by hand".to_owned(),
        observer,
    };
    let run = runner.begin(&order)?;
    if !out.json {
        let id = run.tape().run.short();
        let mode = match order.mode.live {
            true => out.paint(CAREFUL, "LIVE"),
            false => format!(
                "{} (DRY_RUN is on: nothing leaves this machine)",
                out.paint(GOOD, "DRY")
            ),
        };
        let name = out.paint(STRONG, &plain(&script.name));
        out.line(format!("{name}@{}  run {id}  {mode}", script.source.hash.short()));
        out.line("");
    }
    let finished = runner.finish(&run, &script)?;
    if out.json {
        out.json_line(&run_json(&finished));
    } else {
        summary(&finished, &script, out);
    }
    Ok(exit_code(finished.outcome.status))
}

/// The exit code for a run that ended so.
pub fn exit_code(status: Status) -> u8 {
    match status {
        Status::Succeeded => 0,
        Status::NeedsAttention => NEEDS_ATTENTION,
        Status::Running | Status::Failed | Status::Cancelled => FAILED,
    }
}

fn summary(finished: &Finished, script: &Script, out: &mut Out) {
    let record = &finished.record;
    let style = if finished.succeeded() { GOOD } else { BAD };
    let status = out.paint(style, &record.status.to_string());
    let took = for_people((record.ended_ms.unwrap_or(record.begun_ms) - record.begun_ms).max(0) as u64);
    let simulated = if record.simulated > 0 {
        format!(", {} simulated", record.simulated)
    } else {
        String::new()
    };
    let dot = out.symbol("·");
    let effects = if record.effects == 1 {
        "1 effect".to_owned()
    } else {
        format!("{} effects", record.effects)
    };
    out.line("");
    out.line(format!(
        "{status} in {took} {dot} {effects}{simulated} {dot} cost {}",
        cost(record.cost_usd)
    ));
    let id = record.run.short();
    match &finished.outcome.error {
        None if finished.outcome.value.is_unit() => {}
        None => out.line(format!(
            "result  {}",
            excerpt(&finished.outcome.value.to_string(), 2000)
        )),
        Some(error) => {
            let diagnosis = Diagnosis::of_run_error(error, script);
            let mut notes = Vec::new();
            if let Some(step) = error.step {
                notes.push(format!("it happened at step {step}"));
            }
            if let Some(words) = error.failure.details.get("body").and_then(Value::as_str) {
                notes.push(format!("the provider's words: {}", excerpt(words, 400)));
            }
            notes.extend(match error.failure.landed {
                Some(false) => Some("the write did not happen".to_owned()),
                Some(true) => Some("the write happened".to_owned()),
                None if finished.outcome.status == Status::NeedsAttention => {
                    Some("nobody can tell whether the write happened, so nothing was sent again".to_owned())
                }
                None => None,
            });
            let help = format!("`host show {id}` tells what happened before, step by step");
            let shown = Shown {
                code: &error.failure.code,
                message: &error.failure.message,
                notes: &notes,
                help: Some(&help),
            };
            let text = render(&shown, Some(&diagnosis), out.has_color(), out.unicode);
            out.line("");
            out.line(text);
            return;
        }
    }
    out.line("");
    let hint = |command: String, what: &str, out: &Out| format!("{command:<24}{}", out.paint(FAINT, what));
    let show = hint(format!("host show {id}"), "what happened, step by step", out);
    out.line(show);
    if record.simulated > 0 {
        let providers = hint("host providers".to_owned(), "what it would take to go live", out);
        out.line(providers);
    }
}

fn cost(usd: f64) -> String {
    if usd == 0.0 {
        "0".to_owned()
    } else {
        format!("${usd:.4}")
    }
}

/// The words after the playbook's name, sorted out.
#[derive(Default)]
pub struct Words {
    pub input: Map,
    pub json: bool,
    pub help: bool,
}

impl Words {
    /// Reads `--name value`, `--name=value`, `--input name=value` and a flag for a bool, as the header declares them.
    pub fn read(words: &[String], script: &Script) -> Result<Words, CliError> {
        let mut read = Words::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--") else {
                let help = format!("inputs are given by name; `host run {} --help` lists them", script.name);
                return Err(CliError::usage("USAGE", format!("{word:?} is not expected here")).help(help));
            };
            let (flag, attached) = flag
                .split_once('=')
                .map_or((flag, None), |(flag, value)| (flag, Some(value)));
            let mut value = |wanted: &str| {
                let missing = || CliError::usage("USAGE", format!("--{flag} needs {wanted}"));
                attached.or_else(|| words.next()).ok_or_else(missing)
            };
            match flag {
                "json" if attached.is_none() => read.json = true,
                "help" if attached.is_none() => read.help = true,
                "input" => {
                    let pair = value("NAME=VALUE")?;
                    let wrong = || CliError::usage("USAGE", format!("--input {pair:?} is not of the form NAME=VALUE"));
                    let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
                    read.put(script, name, value)?;
                }
                name => {
                    let name = name.replace('-', "_");
                    let is_flag = script
                        .header
                        .inputs
                        .get(&name)
                        .is_some_and(|spec| spec.kind == inputs::InputKind::Bool);
                    let value = if is_flag && attached.is_none() {
                        "true"
                    } else {
                        value("a value")?
                    };
                    read.put(script, &name, value)?;
                }
            }
        }
        Ok(read)
    }

    fn put(&mut self, script: &Script, name: &str, word: &str) -> Result<(), CliError> {
        let value = match script.header.inputs.get(name) {
            Some(spec) => spec.parse(name, word)?,
            // A script without a header declares nothing: JSON where it is JSON, text otherwise.
            None => serde_json::from_str(word).map_or_else(|_| Value::from(word), Value::from_json),
        };
        if self.input.insert(name.to_owned(), value).is_some() {
            return Err(CliError::usage("USAGE", format!("input `{name}` is given twice")));
        }
        Ok(())
    }
}

/// What a playbook is and takes, from its header.
pub fn help(command: &str, script: &Script, out: &mut Out) {
    let header = &script.header;
    let title = header
        .title
        .as_deref()
        .map(|title| format!(" — {}", plain(title)))
        .unwrap_or_default();
    out.line(format!("{}{title}", plain(&script.name)));
    if let Some(description) = &header.description {
        out.line(plain(description));
    }
    out.line("");
    out.line(format!("usage: host {command} {} [INPUTS]", plain(&script.name)));
    out.line("");
    if header.inputs.is_empty() {
        out.line("it takes no inputs");
        return;
    }
    let rows: Vec<Vec<String>> = header
        .inputs
        .iter()
        .map(|(name, spec)| {
            let preset = match &spec.preset {
                Some(preset) => format!("preset {}", excerpt(&preset.to_string(), 30)),
                None if spec.required => "required".to_owned(),
                None => String::new(),
            };
            let help = spec.help.as_deref().map(plain).unwrap_or_default();
            vec![
                format!("  --{}", name.replace('_', "-")),
                spec.kind.as_str().to_owned(),
                preset,
                help,
            ]
        })
        .collect();
    out.table(&["  input", "type", "", ""], &rows);
}
