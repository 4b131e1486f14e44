//! `host answer [RUN TEXT]`: what runs ask people, and the answers.

use serde_json::json;

use super::drive::hint_lines;
use super::error::CliError;
use super::out::{Out, ago, excerpt, plain};
use super::signed;
use crate::app::App;
use crate::journal::audit::Act;
use crate::journal::question::{self, Given, Question};
use crate::journal::{RunRecord, Status};
use crate::report::questions::{open, question_json};

/// Questions that are listed.
const LISTED_MAX: usize = 1000;

#[derive(clap::Args)]
pub struct Args {
    /// The run that asks: the beginning of its id. Without one, all open questions are listed.
    run: Option<String>,
    /// The answer: one of the choices, where there are any.
    #[arg(requires = "run")]
    text: Option<String>,
    /// Who answers, if not who sits here.
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let (Some(run), Some(text)) = (&args.run, &args.text) else {
        return list(&args, app, out);
    };
    let ground = app.writer()?;
    let record = RunRecord::find(&*ground.store, run)?;
    let Some(waits) = record.waits.as_ref().filter(|_| record.status == Status::Suspended) else {
        let message = format!("run {} is {} and asks nothing", record.run.short(), record.status);
        return Err(CliError::usage("NO_SUCH_QUESTION", message).help("`host answer` lists what is asked"));
    };
    let by = args.by.clone().or_else(|| app.person());
    let by =
        by.ok_or_else(|| CliError::usage("USAGE", "nobody knows who you are: give --as NAME, or set HOST_USER"))?;
    let roles = app.config.file.people.get(&by).cloned().unwrap_or_default();
    let given = Given {
        answer: text.clone(),
        by,
        at_ms: app.clock.unix_ms(),
    };
    let act = Act::new("question.answer", record.run.to_string())
        .with("step", waits.step)
        .with("as", given.by.clone());
    let ground = signed::on(app, &ground, act);
    question::answer(&ground, record.run, waits.step, given, &roles)??;
    let id = record.run.short();
    if out.json {
        out.json(&json!({ "run_id": record.run.to_string(), "step": waits.step, "answer": text }));
        return Ok(0);
    }
    out.line(format!(
        "answered run {id} at step {}: {}",
        waits.step,
        excerpt(text, 80)
    ));
    let next = match app.server() {
        Some(_) => (format!("host show {id}"), "how it goes: the server goes on with it"),
        None => (format!("host resume {id}"), "goes on with it"),
    };
    hint_lines(&[next], out);
    Ok(0)
}

fn list(args: &Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let questions = match app.reader()? {
        Some(ground) => {
            let store = &*ground.store;
            let only = args
                .run
                .as_ref()
                .map(|prefix| RunRecord::find(store, prefix))
                .transpose()?;
            open(store, only.map(|record| record.run), LISTED_MAX)?
        }
        None => Vec::new(),
    };
    if out.json {
        let shown = questions.iter().map(question_json);
        out.json(&shown.collect::<Vec<_>>());
        return Ok(0);
    }
    if questions.is_empty() {
        out.line("nobody is asked anything");
        return Ok(0);
    }
    let now_ms = app.clock.unix_ms();
    let rows = questions.iter().map(|(record, _, question)| {
        vec![
            record.run.short(),
            plain(&question.playbook),
            ago(question.asked_ms, now_ms),
            excerpt(&question.text, 60),
            excerpt(&question.choices.join(" | "), 40),
            who(question),
        ]
    });
    let rows: Vec<_> = rows.collect();
    out.table(&["run", "playbook", "asked", "question", "choices", "who"], &rows);
    Ok(0)
}

/// Who may answer.
pub fn who(question: &Question) -> String {
    match (&question.role, &question.not_by) {
        (Some(role), Some(other)) => format!("role {}, not {}", plain(role), plain(other)),
        (Some(role), None) => format!("role {}", plain(role)),
        (None, Some(other)) => format!("not {}", plain(other)),
        (None, None) => "anybody".to_owned(),
    }
}
