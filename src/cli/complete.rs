//! `host completions SHELL`, and the answers that shells ask for while somebody types.
//!
//! The script that a shell loads asks this program at every tab, so it knows the runs, playbooks, prompts and incidents
//! of the project at hand. An answer is quick or empty: the store is only read, nobody waits for its lock, and whatever
//! goes wrong is no candidate.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter};
use clap_complete::env::Shells;

use super::error::CliError;
use super::out::{Out, ago, excerpt};
use crate::app::App;
use crate::id::RunId;
use crate::journal::RunRecord;
use crate::journal::incident;
use crate::script::reference::functions;
use crate::store::Store;

/// The variable by which the script asks.
const VARIABLE: &str = "COMPLETE";

/// Runs that are offered, newest first.
const RUNS_MAX: usize = 50;

/// Incidents that are offered.
const INCIDENTS_MAX: usize = 50;

#[derive(clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    Power,
    Elvish,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::Power => "powershell",
            Shell::Elvish => "elvish",
        }
    }
}

pub fn perform(args: Args, out: &mut Out) -> Result<u8, CliError> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(args.shell.name())
        .expect("every shell has a completer");
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "host", "host", &program(), &mut script)
        .expect("a script is written to memory");
    let script = String::from_utf8_lossy(&script);
    out.line(script.trim_end());
    Ok(0)
}

/// This program as the script calls it: by its name where a shell found it so, else by its whole path.
fn program() -> String {
    let words = crate::io::env::arguments();
    let called = words.first().map(Path::new).unwrap_or_else(|| Path::new("host"));
    match crate::io::env::current_dir() {
        Ok(folder) if called.components().count() > 1 => folder.join(called).to_string_lossy().into_owned(),
        _ => called.to_string_lossy().into_owned(),
    }
}

/// Answers a shell, when one asks; `None` when this is a command like any other.
pub fn answer(arguments: &[OsString]) -> Option<ExitCode> {
    let folder = crate::io::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin("host")
        .try_complete(arguments.iter().cloned(), folder.as_deref());
    match asked {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(error) => {
            error.print().unwrap_or_default();
            Some(ExitCode::from(super::error::USAGE))
        }
    }
}

/// The command line, with what completes each of its words.
fn command() -> clap::Command {
    let by_argument: [(&str, &[&str], Candidates); 9] = [
        (
            "run",
            &[
                "show", "why", "replay", "resume", "resolve", "retry", "cancel", "answer",
            ],
            runs,
        ),
        (
            "playbook",
            &["run", "plan", "dev", "backtest", "runs", "next", "ticks", "pause"],
            playbooks,
        ),
        ("playbooks", &["check"], playbooks),
        ("rest", &["run", "plan", "dev"], inputs),
        ("words", &["functions"], function_names),
        ("code", &["explain"], error_codes),
        ("prompt", &["replay", "backtest"], prompts),
        ("status", &["runs"], statuses),
        ("template", &["new"], super::new::template_names),
    ];
    let mut command = super::Cli::command();
    for (argument, commands, candidates) in by_argument {
        for name in commands {
            command = with(command, name, argument, candidates);
        }
    }
    command.mut_subcommand("incident", |incident| {
        let names: Vec<String> = incident
            .get_subcommands()
            .map(|below| below.get_name().to_owned())
            .collect();
        names.iter().fold(incident, |incident, name| {
            let incident = with(incident, name, "incident", incidents);
            with(incident, name, "runs", runs)
        })
    })
}

type Candidates = fn(&App) -> Vec<CompletionCandidate>;

/// `command`, whose subcommand `name` completes `argument` by `candidates`, if it has such an argument.
fn with(command: clap::Command, name: &str, argument: &str, candidates: Candidates) -> clap::Command {
    let has = |below: &clap::Command| below.get_arguments().any(|known| known.get_id() == argument);
    if !command.find_subcommand(name).is_some_and(has) {
        return command;
    }
    command.mut_subcommand(name, |below| {
        // All of them, each left in its place: to change one alone would put it behind the others.
        below.mut_args(|known| match known.get_id() == argument {
            true => known.add(ArgValueCompleter::new(Completer(candidates))),
            false => known,
        })
    })
}

struct Completer(Candidates);

impl ValueCompleter for Completer {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(current) = current.to_str() else {
            return Vec::new();
        };
        let Some(app) = project() else { return Vec::new() };
        let mut found = (self.0)(&app);
        found.retain(|candidate| begins_with(candidate.get_value(), current));
        found
    }
}

/// Ids are written in capitals, and typed as it comes.
fn begins_with(candidate: &OsStr, current: &str) -> bool {
    let candidate = candidate.to_string_lossy();
    candidate
        .get(..current.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(current))
}

/// The project in which somebody types: where the shell stands, or where `-C` points.
fn project() -> Option<App> {
    let folder = crate::io::env::current_dir().ok()?;
    let words: Vec<String> = words();
    let given = words
        .iter()
        .position(|word| word == "-C" || word == "--directory")
        .and_then(|at| words.get(at + 1));
    let folder = given.map_or_else(|| folder.clone(), |given| folder.join(given));
    App::new(&folder).ok()
}

/// The words typed so far.
fn words() -> Vec<String> {
    let words = crate::io::env::arguments();
    let typed = words.iter().skip_while(|word| *word != "--").skip(1);
    typed.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn candidate(value: impl Into<OsString>, help: impl AsRef<str>) -> CompletionCandidate {
    let help = excerpt(help.as_ref(), 80);
    CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into()))
}

fn runs(app: &App) -> Vec<CompletionCandidate> {
    let Some(ground) = app.glance() else { return Vec::new() };
    let newest = RunId::from_bytes([0xff; 16]);
    let records = RunRecord::latest(&*ground.store, newest, RUNS_MAX).unwrap_or_default();
    let now_ms = app.clock.unix_ms();
    let shown = records.iter().enumerate().map(|(at, record)| {
        let began = ago(record.begun_ms, now_ms);
        let help = format!("{} {}, {began}", record.playbook, record.status);
        // The newest first, whatever the order of their ids.
        candidate(record.run.short(), help).display_order(Some(at))
    });
    shown.collect()
}

fn incidents(app: &App) -> Vec<CompletionCandidate> {
    let Some(ground) = app.glance() else { return Vec::new() };
    let store: &dyn Store = &*ground.store;
    let found = incident::list(store).unwrap_or_default();
    let newest = found.iter().rev().take(INCIDENTS_MAX);
    newest
        .map(|incident| candidate(incident.id.to_string(), &incident.title))
        .collect()
}

fn playbooks(app: &App) -> Vec<CompletionCandidate> {
    let names = app.library.files.list();
    let tests = |name: &String| !name.ends_with("_test");
    names
        .into_iter()
        .filter(tests)
        .map(|name| candidate(name, ""))
        .collect()
}

/// The inputs of the playbook that was typed, as flags.
fn inputs(app: &App) -> Vec<CompletionCandidate> {
    let words = words();
    let names = app.library.files.list();
    let Some(playbook) = words.iter().skip(1).find(|word| names.contains(word)) else {
        return Vec::new();
    };
    let Ok(script) = app.library.load(playbook) else {
        return Vec::new();
    };
    let flag = |name: &String| format!("--{}", name.replace('_', "-"));
    let inputs = script.header.inputs.iter();
    inputs
        .map(|(name, spec)| candidate(flag(name), spec.help.clone().unwrap_or_default()))
        .collect()
}

fn prompts(app: &App) -> Vec<CompletionCandidate> {
    let texts = crate::namespaces::prompt::texts(&app.files());
    // `--prompt NAME=FILE`: the file is completed by nobody, but the name is.
    texts
        .into_keys()
        .map(|name| candidate(format!("{name}="), ""))
        .collect()
}

fn function_names(app: &App) -> Vec<CompletionCandidate> {
    let mut known: Vec<CompletionCandidate> = Vec::new();
    for function in functions(&app.library.language) {
        if known
            .last()
            .is_none_or(|last| last.get_value() != function.name.as_str())
        {
            known.push(candidate(function.name, ""));
        }
    }
    known
}

fn error_codes(_: &App) -> Vec<CompletionCandidate> {
    let line = |code: &str| candidate(code, super::explain::in_short(code).unwrap_or_default());
    super::explain::codes().into_iter().map(line).collect()
}

fn statuses(_: &App) -> Vec<CompletionCandidate> {
    let codes = crate::report::runs::STATUSES.map(crate::journal::Status::code);
    codes.into_iter().map(|code| candidate(code, "")).collect()
}
