//! `host test --from-run RUN`: a test out of a recorded run, which passes as it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::app::App;
use crate::cli::error::{CliError, OTHER};
use crate::cli::out::{FAINT, GOOD, Out, plain};
use crate::io::fresh::write_new;
use crate::journal::{JournalError, Recorded, RunRecord};
use crate::runs::trial::record::{Difference, Source};
use crate::runs::trial::snapshot::Book;
use crate::runs::trial::{Options, Session, TestFile, Verdict};

/// How often calls of the store are answered from the record instead, until nothing differs.
const ROUNDS_MAX: usize = 6;

/// The most differences that are named.
const NAMED_MAX: usize = 8;

pub fn perform(run: &str, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = app.reader()?.ok_or_else(|| JournalError::NoSuchRun(run.to_owned()))?;
    let record = RunRecord::find(&*ground.store, run)?;
    let recorded = Recorded::load(&ground, record.run)?;
    // Others may want the store while the test is played.
    drop(ground);
    let source = Source::new(recorded)?;
    let name = source.name();
    let path = app.library.files.path(&name).ok_or_else(|| {
        CliError::usage(
            "NO_PROJECT",
            "this is no project, so there is no playbooks/ for the test",
        )
        .help("go to the project of the run's playbook")
    })?;
    let (text, book) = settle(&source, &name, app)?;
    let snap = path.with_extension("snap");
    for (path, text) in [(&path, &text), (&snap, &book.write())] {
        let shown = path.display();
        let written = write_new(path, text.as_bytes()).map_err(|error| {
            CliError::new(
                "REPORT_UNWRITABLE",
                format!("{shown} cannot be written: {error}"),
                OTHER,
            )
        })?;
        if !written {
            let message = format!("{shown} is there already, and is not written over");
            return Err(CliError::usage("TEST_EXISTS", message).help("remove it to have it written anew"));
        }
    }
    let file = format!("playbooks/{name}.rhai");
    if out.json {
        out.json(&json!({ "file": file, "case": source.case(), "run": source.recorded.begun.run.to_string() }));
        return Ok(0);
    }
    out.line(format!("{} {}", out.paint(GOOD, "+"), plain(&file)));
    out.line(format!("{} playbooks/{}.snap", out.paint(GOOD, "+"), plain(&name)));
    out.line("");
    out.line(format!(
        "it passes; to undo, remove both. {}",
        out.paint(
            FAINT,
            "What secrets were known is masked; look through it before you share it."
        )
    ));
    out.line(format!("host test {}", plain(&name)));
    Ok(0)
}

/// The test that does what the run did, and its snapshots.
fn settle(source: &Source, name: &str, app: &App) -> Result<(String, Book), CliError> {
    let mut answered = source.answered();
    for _ in 0..ROUNDS_MAX {
        let text = source.write(&answered)?;
        let (book, differences) = play(source, name, &text, app)?;
        let before = answered.len();
        let more = differences.iter().filter(|difference| difference.can_be_answered());
        answered.extend(more.map(|difference| difference.name.clone()));
        if differences.is_empty() {
            return Ok((text, book));
        }
        if answered.len() == before {
            return Err(not_reproduced(&differences, source, app));
        }
    }
    Err(CliError::usage(
        "TEST_NOT_REPRODUCED",
        "the test would not do what the run did",
    ))
}

/// Plays the test as it would be written, with every snapshot accepted.
fn play(source: &Source, name: &str, text: &str, app: &App) -> Result<(Book, Vec<Difference>), CliError> {
    let library = app.library.with_files(app.library.files.with_text(name, text));
    let file = TestFile::load(&library, name);
    let setting = Arc::new(app.trial(library)?);
    let session = Session {
        setting,
        files: vec![file],
        books: BTreeMap::new(),
        options: Options {
            threads: 1,
            accept: true,
            ..Options::default()
        },
    };
    let results = session.run(&mut |_| ());
    let Some(result) = results.into_iter().next() else {
        return Err(CliError::usage(
            "TEST_NOT_REPRODUCED",
            "the test that was written has no case",
        ));
    };
    let mut book = Book::default();
    for taken in &result.taken {
        book.put(&taken.key, &taken.text);
    }
    let mut differences = match result.played.first() {
        Some(played) => source.differences(played),
        None => Vec::new(),
    };
    if let (Verdict::Failed(complaint), true) = (&result.verdict, differences.is_empty()) {
        differences.push(Difference {
            name: String::new(),
            message: format!("{}: {}", complaint.diagnosis.code, complaint.diagnosis.message),
        });
    }
    Ok((book, differences))
}

fn not_reproduced(differences: &[Difference], source: &Source, app: &App) -> CliError {
    let begun = &source.recorded.begun;
    let mut error = CliError::usage(
        "TEST_NOT_REPRODUCED",
        "a test of this run would not do what the run did, so none is written",
    );
    for difference in differences.iter().take(NAMED_MAX) {
        error = error.note(difference.message.clone());
    }
    let now = app.library.playbook(&begun.playbook);
    match now {
        Ok(script) if script.source.hash != begun.version || script.module_hashes() != begun.modules => {
            error.help("the playbook has changed since; `host replay --with` tells what that changes")
        }
        Ok(_) => error.help("what the record does not show cannot be given: write the test by hand"),
        Err(missing) => error.help(format!("the playbook cannot be played: {missing}")),
    }
}
