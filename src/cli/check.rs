//! `host check`: mistakes in playbooks and prompts, found without running them.

use std::collections::BTreeSet;

use serde_json::json;

use super::error::{CliError, Shown, USAGE, render};
use super::out::{BAD, GOOD, Out, plain};
use super::progress::Busy;
use crate::app::App;
use crate::namespaces::prompt;
use crate::runs::library::LibraryError;
use crate::script::check::check;
use crate::script::error::nearest;
use crate::script::source::Text;
use crate::script::{Diagnosis, Script};

#[derive(clap::Args)]
pub struct Args {
    /// Names below playbooks/, or paths of .rhai files; all of playbooks/ and prompts/ when none is given.
    playbooks: Vec<String>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let is_whole = args.playbooks.is_empty();
    let names = match is_whole {
        true => all(app)?,
        false => args.playbooks,
    };
    let busy = Busy::new(out, "checking");
    let mut problems = Problems::default();
    for (done, name) in names.iter().enumerate() {
        busy.at(done as u64, names.len() as u64);
        problems.add(check_one(app, name)?);
    }
    // Prompts belong to the project, not to one playbook.
    if is_whole {
        problems.add(prompt::check_all(&app.files()));
    }
    busy.done();
    let problems = problems.in_order;
    if out.json {
        let shown: Vec<_> = problems.iter().map(to_json).collect();
        out.json(&json!({ "ok": problems.is_empty(), "checked": names, "problems": shown }));
    } else {
        show(&names, is_whole, &problems, out);
    }
    Ok(if problems.is_empty() { 0 } else { USAGE })
}

fn all(app: &App) -> Result<Vec<String>, CliError> {
    let mut names = app.library.files.list();
    names.extend(app.library.files.tests());
    if !names.is_empty() {
        return Ok(names);
    }
    Err(match app.config.project {
        Some(_) => CliError::usage("NOTHING_TO_CHECK", "playbooks/ holds no playbook")
            .help("add playbooks/NAME.rhai, or name the path of a script"),
        None => CliError::usage("NO_PROJECT", "this is no project, so there is no playbooks/ to check")
            .help("name the path of a script, or make a project with `host init`"),
    })
}

/// Every mistake in one playbook; an error when there is no such playbook.
fn check_one(app: &App, name: &str) -> Result<Vec<Diagnosis>, CliError> {
    let script = match app.library.load(name) {
        Ok(script) => script,
        Err(LibraryError::Script(diagnosis)) => return Ok(vec![*diagnosis]),
        Err(LibraryError::File(crate::io::scripts::ScriptFault::Unreadable { file, reason })) => {
            return Ok(vec![Diagnosis::new("PLAYBOOK_UNREADABLE", reason, Text::new(file, ""))]);
        }
        Err(error) => return Err(error.into()),
    };
    let mut found = check(&app.library.language_of(&script.name), &script, &app.writers);
    found.extend(unknown_providers(app, &script));
    Ok(found)
}

/// What `uses` names and nobody knows: its writes would never be live.
fn unknown_providers(app: &App, script: &Script) -> Vec<Diagnosis> {
    let known = || app.providers.iter().map(|provider| provider.name.as_str());
    let names = script
        .header
        .uses
        .iter()
        .map(|used| used.split(':').next().unwrap_or(used));
    let unknown = names.filter(|name| known().all(|known| known != *name));
    let diagnose = |name: &str| {
        let diagnosis = Diagnosis::new(
            "UNKNOWN_PROVIDER",
            format!("`uses` names {name:?}, and no provider has that name"),
            script.source.clone(),
        );
        match nearest(name, known()) {
            Some(near) => diagnosis.help(format!("did you mean {near:?}?")),
            None => diagnosis.help("`host providers` lists all of them; others are declared in host.toml"),
        }
    };
    unknown.map(diagnose).collect()
}

/// Mistakes as they are found, each once: a module's are found again in every playbook that imports it.
#[derive(Default)]
struct Problems {
    in_order: Vec<Diagnosis>,
    seen: BTreeSet<(String, u32, u32, String)>,
}

impl Problems {
    fn add(&mut self, found: Vec<Diagnosis>) {
        for problem in found {
            // In its own file a module has no name; in a playbook it is found under one.
            let file = match &problem.place.module {
                Some(module) => format!("playbooks/{module}.rhai"),
                None => problem.text.file.clone(),
            };
            let (line, column) = (problem.place.line, problem.place.column);
            if self.seen.insert((file, line, column, problem.message.clone())) {
                self.in_order.push(problem);
            }
        }
    }
}

fn to_json(problem: &Diagnosis) -> serde_json::Value {
    let place = &problem.place;
    json!({
        "code": problem.code,
        "message": problem.message,
        "file": problem.text.file,
        "line": Some(place.line).filter(|line| *line > 0),
        "column": Some(place.column).filter(|column| *column > 0),
        "help": problem.help,
    })
}

fn show(names: &[String], is_whole: bool, problems: &[Diagnosis], out: &mut Out) {
    for problem in problems {
        let shown = Shown {
            code: &problem.code,
            message: &problem.message,
            notes: &[],
            help: problem.help.as_deref(),
        };
        let text = render(&shown, Some(problem), out.has_color(), out.unicode);
        out.line(text);
        out.line("");
    }
    let playbooks = match names {
        [only] => plain(only),
        names => format!("{} playbooks", names.len()),
    };
    let playbooks = if is_whole {
        format!("{playbooks} and the prompts")
    } else {
        playbooks
    };
    let line = match problems.len() {
        0 => format!(
            "{} {playbooks} checked, nothing wrong",
            out.paint(GOOD, out.symbol("✓"))
        ),
        1 => format!("{} {playbooks} checked, 1 mistake", out.paint(BAD, out.symbol("✗"))),
        mistakes => format!(
            "{} {playbooks} checked, {mistakes} mistakes",
            out.paint(BAD, out.symbol("✗"))
        ),
    };
    out.line(line);
}
