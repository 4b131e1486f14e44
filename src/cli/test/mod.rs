//! `host test`: the cases of the project's test files, run and told.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`books`] | snapshots: read beforehand, compared, taken with `--accept` |
//! | [`show`] | what people see |
//! | [`coverage`] | which lines of playbooks the cases have run |
//! | [`from_run`] | a test out of a recorded run |
//! | [`junit`] | the results for build servers |

mod books;
mod coverage;
mod from_run;
mod junit;
mod show;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use self::books::Shelf;
use super::error::{CliError, FAILED, OTHER};
use super::out::Out;
use crate::app::App;
use crate::duration;
use crate::io::scripts::write_text;
use crate::runs::trial::{CaseResult, Options, Session, TestFile, Verdict};
use crate::script::coverage::Coverage;

/// The most cases that are run at the same time.
const THREADS_MAX: u16 = 64;

#[derive(clap::Args)]
pub struct Args {
    /// Only cases whose file or name has every one of these words in it.
    words: Vec<String>,
    /// Write a test out of a recorded run: what the world gave it, and what it did.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["words", "accept", "list", "coverage", "lcov", "junit"])]
    from_run: Option<String>,
    /// List the cases without running them.
    #[arg(long)]
    list: bool,
    /// Take snapshots as they are now, and show what that changes.
    #[arg(long)]
    accept: bool,
    /// Run nothing more after the first case that fails.
    #[arg(long)]
    fail_fast: bool,
    /// How long one case may take.
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = duration::parse)]
    timeout: Duration,
    /// Cases at the same time; as many as there are processors when not given.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=i64::from(THREADS_MAX)))]
    threads: Option<u16>,
    /// Write the results as JUnit XML, for build servers.
    #[arg(long, value_name = "FILE")]
    junit: Option<String>,
    /// Tell which lines of playbooks the cases run, and which they do not.
    #[arg(long)]
    coverage: bool,
    /// Write that as LCOV, for editors and build servers.
    #[arg(long, value_name = "FILE")]
    lcov: Option<String>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if let Some(run) = &args.from_run {
        return from_run::perform(run, app, out);
    }
    let files = files(app)?;
    let shelf = Shelf::open(&files);
    let preset = Options::default();
    let watched = (args.coverage || args.lcov.is_some()).then(|| Arc::new(Coverage::default()));
    let library = match &watched {
        Some(coverage) => app.library.watched(coverage.clone()),
        None => app.library.clone(),
    };
    let session = Session {
        setting: Arc::new(app.trial(library)?),
        books: shelf.books(),
        files,
        options: Options {
            threads: args.threads.map_or(preset.threads, usize::from),
            timeout: args.timeout,
            words: args.words.clone(),
            fail_fast: args.fail_fast,
            accept: args.accept,
        },
    };
    let meant = session.meant();
    if meant.is_empty() {
        return Err(nothing_meant(&session.files, &args.words));
    }
    if args.list {
        list(&meant, out);
        return Ok(0);
    }
    // Before anything is run: what cannot be read cannot be compared either.
    shelf.check()?;
    let began = app.clock.monotonic();
    let is_json = out.json;
    let mut shown = show::Shown::default();
    let results = session.run(&mut |result| {
        if !is_json {
            shown.case(result, out);
        }
    });
    let took = app.clock.monotonic().saturating_sub(began);
    let settled = shelf.settle(&session.files, &results, args.accept)?;
    let covered = watched.map(|coverage| coverage::of_project(&coverage, &app.library.files));
    if let Some(file) = &args.junit {
        write(file, &junit::report(&results, took))?;
    }
    if let (Some(file), Some(covered)) = (&args.lcov, &covered) {
        write(file, &coverage::lcov(covered))?;
    }
    let failed = results.iter().filter(|result| result.failed()).count();
    if is_json {
        out.json(&json!({
            "ok": failed == 0,
            "tests": results.iter().map(to_json).collect::<Vec<_>>(),
            "snapshots": settled.to_json(),
            "coverage": covered.as_deref().map(coverage::to_json),
        }));
    } else {
        if let Some(covered) = covered.filter(|_| args.coverage) {
            coverage::show(&covered, out);
        }
        show::summary(&results, &settled, took, out);
    }
    Ok(if failed > 0 { FAILED } else { 0 })
}

fn write(file: &str, text: &str) -> Result<(), CliError> {
    write_text(file, text).map_err(|reason| {
        CliError::new(
            "REPORT_UNWRITABLE",
            format!("{file} cannot be written: {reason}"),
            OTHER,
        )
    })
}

fn files(app: &App) -> Result<Vec<TestFile>, CliError> {
    let files = TestFile::all(&app.library);
    if !files.is_empty() {
        return Ok(files);
    }
    Err(match app.config.project {
        Some(_) => CliError::usage("NO_TESTS", "playbooks/ holds no file of tests").help(
            "write playbooks/NAME_test.rhai with functions `fn test_…()`, or let `host test --from-run RUN` write one",
        ),
        None => CliError::usage("NO_PROJECT", "this is no project, so there is no playbooks/ with tests")
            .help("go to a project, or make one with `host init`"),
    })
}

fn nothing_meant(files: &[TestFile], words: &[String]) -> CliError {
    let cases: usize = files.iter().map(|file| file.cases.len()).sum();
    match words {
        [] => CliError::usage("NO_TESTS", "the files of tests hold no case")
            .help("a case is a function without parameters whose name begins with `test_`"),
        words => CliError::usage(
            "NO_TESTS",
            format!("none of {cases} tests is meant by {:?}", words.join(" ")),
        )
        .help("`host test --list` lists them"),
    }
}

fn list(meant: &[(&TestFile, &str)], out: &mut Out) {
    if out.json {
        let listed: Vec<Json> = meant
            .iter()
            .map(|(file, case)| json!({ "file": file.file, "case": case }))
            .collect();
        out.json(&listed);
        return;
    }
    show::list(meant, out);
}

fn to_json(result: &CaseResult) -> Json {
    let (verdict, complaint) = match &result.verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Skipped => ("skipped", None),
        Verdict::Failed(complaint) => ("failed", Some(complaint)),
    };
    let error = complaint.map(|complaint| {
        let diagnosis = &complaint.diagnosis;
        json!({
            "code": diagnosis.code,
            "message": diagnosis.message,
            "file": diagnosis.text.file,
            "line": Some(diagnosis.place.line).filter(|line| *line > 0),
            "column": Some(diagnosis.place.column).filter(|column| *column > 0),
            "notes": complaint.notes,
            "expected": complaint.difference.as_ref().map(|difference| &difference.expected),
            "actual": complaint.difference.as_ref().map(|difference| &difference.actual),
        })
    });
    json!({
        "file": result.file,
        "case": result.case,
        "verdict": verdict,
        "took_ms": result.took.as_secs_f64() * 1000.0,
        "error": error,
        "said": result.said,
    })
}
