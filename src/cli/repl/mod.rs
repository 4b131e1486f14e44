//! `host repl`: lines of a playbook, tried out at once; nothing is sent, nothing is kept.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`entry`] | how much of what was typed belongs together |
//! | [`typing`] | lines from a person, with completion and history, or from a pipe |
//! | [`commands`] | `:help` and its like |

mod commands;
mod entry;
mod typing;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::error::{CliError, Shown, render};
use super::out::{CAREFUL, FAINT, Out, excerpt, plain};
use super::progress::Screen;
use crate::app::{App, Rehearsal};
use crate::effect::RunMode;
use crate::gate::{Notice, Observer};
use crate::journal::{Answer, Status};
use crate::runs::session::{EnterError, Entered, Session};
use crate::value::Value;
use commands::After;
use typing::{Typed, Typing};

/// Effects that `:effects` can show.
const EFFECTS_MAX: usize = 1_000;

/// Lines of a value that are shown.
const VALUE_LINES_MAX: usize = 60;

#[derive(clap::Args)]
pub struct Args {
    /// A script to begin with, as `:load` does.
    #[arg(value_name = "FILE")]
    file: Option<String>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let mut repl = Repl::begin(app, out)?;
    let mut typing = Typing::begin(app, out.live);
    if typing.is_person() {
        let dash = out.symbol("—");
        let faint = out.paint(
            FAINT,
            &format!("a scratch world {dash} nothing is sent, nothing is kept; :help tells more, :quit ends it"),
        );
        out.line(faint);
    }
    if let Some(file) = args.file {
        commands::load(&file, &mut repl, out);
    }
    loop {
        let typed = typing.next(&repl.session);
        match typed {
            Typed::Entry(text) => match commands::perform(&text, &mut repl, out) {
                After::Nothing => {}
                After::Quit => break,
                After::Script => repl.enter(&text, out),
            },
            Typed::Interrupted => {}
            Typed::End => break,
            Typed::Refused(reason) => repl.refuse(&CliError::usage("USAGE", reason), out),
        }
    }
    // Whoever pipes lines wants to know whether all of them went well.
    Ok(if repl.failed && !typing.is_person() {
        super::error::FAILED
    } else {
        0
    })
}

/// The world of a session, and the session in it.
struct Repl<'a> {
    app: &'a App,
    session: Session,
    seen: Arc<Seen>,
    failed: bool,
    // Media of the session lie in it.
    _rehearsal: Rehearsal,
}

impl<'a> Repl<'a> {
    fn begin(app: &'a App, out: &Out) -> Result<Repl<'a>, CliError> {
        let rehearsal = app.rehearsal()?;
        let uses = app.providers.iter().map(|spec| spec.name.clone()).collect();
        // No switch can make anything live here, so a missing secret is no obstacle.
        let mode = RunMode {
            live: !app.config.dry_run()?,
            providers: app.provider_modes()?,
            uses,
            unsigned: Vec::new(),
        };
        let session = Session::begin(rehearsal.runner.clone(), app.library.clone(), mode);
        let screen = (!out.json).then(|| Screen::new(Out::new(false, out.choice())));
        Ok(Repl {
            app,
            session,
            seen: Arc::new(Seen {
                screen,
                effects: Mutex::default(),
            }),
            failed: false,
            _rehearsal: rehearsal,
        })
    }

    /// Forgets everything.
    fn reset(&mut self, out: &mut Out) {
        match Repl::begin(self.app, out) {
            Ok(fresh) => *self = fresh,
            Err(error) => self.refuse(&error, out),
        }
    }

    fn enter(&mut self, text: &str, out: &mut Out) {
        let before = self.seen.count();
        let entered = self.session.enter(text, self.seen.clone());
        match entered {
            Ok(entered) if out.json => {
                self.failed |= entered.outcome.error.is_some();
                let effects = self.seen.since(before);
                out.json_line(&to_json(&entered, &effects));
            }
            Ok(entered) => {
                self.failed |= entered.outcome.error.is_some();
                show(&entered, out);
            }
            Err(EnterError::Script(diagnosis)) => self.refuse(&(*diagnosis).into(), out),
            Err(error) => self.refuse(&CliError::usage(error.code(), error.to_string()), out),
        }
    }

    fn refuse(&mut self, error: &CliError, out: &mut Out) {
        self.failed = true;
        if out.json {
            out.json_line(&error.to_json());
        } else {
            let text = error.render(out.has_color(), out.unicode);
            out.line(text);
        }
    }
}

/// Shows effects as they happen, and keeps them.
struct Seen {
    screen: Option<Screen>,
    effects: Mutex<Vec<Answer>>,
}

impl Seen {
    fn count(&self) -> usize {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn since(&self, count: usize) -> Vec<Answer> {
        let effects = self.effects.lock().unwrap_or_else(PoisonError::into_inner);
        effects.iter().skip(count).cloned().collect()
    }
}

impl Observer for Seen {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Answered { answer } = &notice {
            let mut effects = self.effects.lock().unwrap_or_else(PoisonError::into_inner);
            if effects.len() < EFFECTS_MAX {
                effects.push((*answer).clone());
            }
        }
        if let Some(screen) = &self.screen {
            screen.notice(notice);
        }
    }
}

fn show(entered: &Entered, out: &mut Out) {
    if let Some(what) = &entered.waits {
        let word = out.paint(CAREFUL, "it would wait");
        out.line(format!(
            "{word} for {}; lines here do not wait, `host plan` shows what comes after",
            plain(what)
        ));
        return;
    }
    if entered.outcome.status == Status::Cancelled {
        let word = out.paint(CAREFUL, "stopped");
        out.line(word);
        return;
    }
    match (&entered.outcome.error, &entered.diagnosis) {
        (Some(error), diagnosis) => {
            let shown = Shown {
                code: &error.failure.code,
                message: &error.failure.message,
                notes: &[],
                help: None,
            };
            let text = render(&shown, diagnosis.as_ref(), out.has_color(), out.unicode);
            out.line(text);
        }
        (None, _) => value(entered, out),
    }
}

fn value(entered: &Entered, out: &mut Out) {
    if let Some(kind) = &entered.kind {
        let kind = out.paint(FAINT, &plain(kind));
        out.line(kind);
        return;
    }
    let value = &entered.outcome.value;
    if value.is_unit() {
        return;
    }
    let text = plain(&value.to_string());
    if text.chars().count() <= out.width.unwrap_or(100) {
        out.line(text);
        return;
    }
    let spread = match value {
        // As people read it, not as JSON writes it.
        Value::Text(text) => text.clone(),
        other => serde_json::to_string_pretty(&other.to_json()).expect("values are plain data"),
    };
    for line in spread.lines().take(VALUE_LINES_MAX) {
        out.line(excerpt(line, 400));
    }
    let left = spread.lines().count().saturating_sub(VALUE_LINES_MAX);
    if left > 0 {
        let more = out.paint(FAINT, &format!("and {left} more lines"));
        out.line(more);
    }
}

/// `{ok, value, kind, waits, effects, error}`
fn to_json(entered: &Entered, effects: &[Answer]) -> serde_json::Value {
    let error = entered.outcome.error.as_ref().map(|error| {
        json!({
            "code": error.failure.code,
            "message": error.failure.message,
            "file": entered.diagnosis.as_ref().map(|diagnosis| diagnosis.text.file.clone()),
            "line": error.place.line,
            "column": error.place.column,
        })
    });
    json!({
        "ok": error.is_none() && entered.waits.is_none(),
        "value": entered.outcome.value.to_json(),
        "kind": entered.kind,
        "waits": entered.waits,
        "effects": effects.iter().map(|answer| crate::report::entry(answer, None)).collect::<Vec<_>>(),
        "error": error,
    })
}
