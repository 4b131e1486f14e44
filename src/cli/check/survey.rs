//! Checking many texts at once: all cores, each text once, modules read once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::error::CliError;
use super::super::progress::Busy;
use crate::app::App;
use crate::io::scripts::{Found, ScriptFault};
use crate::namespaces::prompt;
use crate::runs::library::LibraryError;
use crate::script::check::metrics::{self, Placed};
use crate::script::check::routes::{self, Route};
use crate::script::check::{Project, check_text};
use crate::script::findings::{Finding, Level};
use crate::script::syntax;

/// What a thread that reads scripts needs of the stack.
const STACK_BYTES: usize = 32 << 20;
const THREADS_MAX: usize = 16;

/// What was found, and in which texts.
#[derive(Default)]
pub struct Survey {
    /// By file, in the order of the text.
    pub findings: Vec<Finding>,
    pub texts: BTreeMap<String, String>,
}

impl Survey {
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    pub fn of_file<'s>(&'s self, file: &'s str) -> impl Iterator<Item = &'s Finding> {
        self.findings.iter().filter(move |finding| finding.file == file)
    }
}

/// Checks the playbooks called `names`, and with them what they import. Where the names are `listed` and not a person's,
/// one that has gone meanwhile is told beside what is wrong with the others.
pub fn survey(app: &App, project: &Project, names: &[String], listed: bool, busy: &Busy) -> Result<Survey, CliError> {
    let mut survey = Survey::default();
    let mut open: Vec<Found> = Vec::new();
    for name in names {
        let found = match listed {
            true => app.library.files.listed(name),
            false => app.library.files.playbook(name),
        };
        match found {
            Ok(found) => open.push(found),
            Err(ScriptFault::Unreadable { file, reason }) => {
                survey.findings.push(Finding::new("PLAYBOOK_UNREADABLE", file, reason));
            }
            Err(error) => return Err(LibraryError::File(error).into()),
        }
    }
    add_imported(app, &mut open, &mut survey);
    let (mut routes, mut declared) = (Vec::new(), Vec::new());
    for (found, checked) in in_parallel(project, &open, busy) {
        survey.findings.extend(checked.findings);
        routes.extend(checked.routes);
        declared.extend(checked.metrics);
        if found.text.contains("webhook:")
            && let Some((hook, region)) = routes::hook(&found.text, &syntax::parse(&found.text))
            && let Some(reason) = crate::http::hooks::why_never(&hook, &app.config)
        {
            let finding = Finding::new("WEBHOOK_INVALID", found.file.as_str(), reason).at(region);
            let help = "`host explain WEBHOOK_INVALID` shows how one is written";
            survey.findings.push(finding.help(help));
        }
        survey.texts.insert(found.file.clone(), found.text.clone());
    }
    for finding in routes::conflicts(&routes)
        .into_iter()
        .chain(metrics::conflicts(&declared))
    {
        let level = project.settings.level(&finding);
        if level != Level::Off {
            survey.findings.push(Finding { level, ..finding });
        }
    }
    survey.findings.sort_by(Finding::order);
    Ok(survey)
}

/// The mistakes of the project's prompts, which belong to no one playbook.
pub fn add_prompts(app: &App, survey: &mut Survey) {
    for diagnosis in prompt::check_all(&app.files()) {
        survey.findings.push(Finding::of(&diagnosis));
        let text = &diagnosis.text;
        survey.texts.insert(text.file.clone(), text.text.to_string());
    }
}

/// A playbook is as good as its modules: they are checked with it.
fn add_imported(app: &App, open: &mut Vec<Found>, survey: &mut Survey) {
    let mut seen: BTreeSet<String> = open.iter().map(|found| found.file.clone()).collect();
    let mut at = 0;
    while at < open.len() {
        let imports = imports_of(&open[at].text);
        at += 1;
        for module in imports {
            // One that is not there is told where it is imported.
            if seen.contains(&format!("playbooks/{module}.rhai")) {
                continue;
            }
            match app.library.files.module(&module) {
                Ok(found) => {
                    seen.insert(found.file.clone());
                    open.push(found);
                }
                Err(ScriptFault::Unreadable { file, reason }) => {
                    if seen.insert(file.clone()) {
                        survey.findings.push(Finding::new("PLAYBOOK_UNREADABLE", file, reason));
                    }
                }
                Err(_) => {}
            }
        }
    }
}

fn imports_of(text: &str) -> Vec<String> {
    if !text.contains("import") {
        return Vec::new();
    }
    let tree = syntax::parse(text);
    let stmts = tree.root.stmts.iter().filter_map(|stmt| match &stmt.kind {
        syntax::StmtKind::Import { source, .. } => source.as_str().map(str::to_owned),
        _ => None,
    });
    stmts.collect()
}

struct Checked {
    findings: Vec<Finding>,
    routes: Vec<Route>,
    metrics: Vec<Placed>,
}

fn in_parallel<'f>(project: &Project, texts: &'f [Found], busy: &Busy) -> Vec<(&'f Found, Checked)> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Checked>> = Mutex::default();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(found) = texts.get(at) else { return };
            let checked = Checked {
                findings: check_text(project, &found.file, &found.text),
                routes: match found.text.contains("http:") || found.text.contains("webhook:") {
                    true => routes::of(&found.file, &found.text, &syntax::parse(&found.text)),
                    false => Vec::new(),
                },
                metrics: match found.text.contains("metrics:") {
                    true => metrics::of(&found.file, &found.text, &syntax::parse(&found.text)),
                    false => Vec::new(),
                },
            };
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            done.insert(at, checked);
            busy.at(done.len() as u64, texts.len() as u64);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(texts.len()).clamp(1, THREADS_MAX) {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // Where no thread can be had, this one does it all.
            if thread.spawn_scoped(scope, work).is_err() {
                work();
            }
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    texts.iter().zip(done.into_values()).collect()
}
