//! Mistakes that show without running.
//!
//! [`check_text`] is the whole of it: a text and what is known of its project in, findings out. It reads nothing but
//! modules (through [`Project`]) and keeps nothing but their summaries, so editors call it at every keystroke:
//!
//! ```text
//! pub fn check_text(project: &Project, file: &str, text: &str) -> Vec<Finding>
//! ```
//!
//! `file` is the path as a person writes it, `playbooks/daily/clip.rhai`. The findings are in the order of the text, have
//! the levels that the project's settings and the text's comments give them, and none is [`Level::Off`].
//!
//! Invariants: what Rhai refuses is an error here, and one fault is one finding: a text that cannot be read has that
//! finding and no other. What is not known is not held against anybody.
//!
//! | module | what it looks at |
//! | --- | --- |
//! | [`project`], [`summary`] | what is known of everything around a text |
//! | [`view`] | what is known of the text: names, and kinds of values |
//! | [`names`], [`calls`], [`fields`], [`arguments`] | what is named, called, and given |
//! | [`header`], [`routes`], [`uses`], [`imports`], [`prompts`], [`playbooks`] | what the text says of itself and wants of others |
//! | [`flow`] | what never runs, does nothing, or hides errors |
//! | [`secrets`], [`provenance`] | what leaves the house |

pub mod arguments;
pub mod calls;
mod elsewhere;
pub mod fields;
pub mod flow;
pub mod header;
pub mod imports;
pub mod metrics;
pub mod names;
pub mod playbooks;
pub mod project;
pub mod prompts;
pub mod provenance;
pub mod routes;
pub mod secrets;
pub mod sheet;
pub mod summary;
pub mod uses;
pub mod view;

#[cfg(test)]
mod tests;

use super::error::Diagnosis;
use super::findings::{Finding, Level, allow, edits};
use super::mistake;
use super::source::{self, Text};
use super::syntax::{self, Expr, Lines, Node, Scopes, Span};

pub use project::{Project, Prompt};
use sheet::Sheet;
use summary::Summary;
use view::View;

/// Findings of one text that are told; more than this nobody reads.
const SHOWN_MAX: usize = 200;

/// Everything that can be said against `text` without running it.
pub fn check_text(project: &Project, file: &str, text: &str) -> Vec<Finding> {
    let project = project.around(file);
    let whole = Text::new(file, text);
    let verdict = match source::read(&project.language, &whole) {
        Ok(_) => None,
        // About names or the header: the text can be read, and what else is wrong with it told, too.
        Err(diagnosis) if is_about_names(&diagnosis) => match source::read_leniently(&project.language, &whole) {
            Ok(()) => Some(diagnosis),
            Err(syntax) => return vec![unreadable(project, &syntax)],
        },
        Err(diagnosis) => return vec![unreadable(project, &diagnosis)],
    };
    let tree = syntax::parse(text);
    let scopes = Scopes::of(&tree);
    let summary = Summary::of_tree(project, &tree);
    let view = View::new(project, text, &tree, &scopes, &summary);
    let mut sheet = Sheet::new(file, text);
    if verdict
        .as_ref()
        .is_some_and(|verdict| verdict.code == "UNKNOWN_VARIABLE")
    {
        names::undefined(&view, &mut sheet);
    }
    header::check(&view, &mut sheet);
    names::imports(&view, file, &mut sheet);
    calls::check(&view, &mut sheet);
    names::inputs(&view, &mut sheet);
    prompts::check(&view, &mut sheet);
    playbooks::check(&view, &mut sheet);
    uses::check(&view, &mut sheet);
    secrets::check(&view, &mut sheet);
    provenance::check(&view, &mut sheet);
    flow::check(&view, &mut sheet);
    names::shadowed(&view, &mut sheet);
    // A name that is misspelt where it is used is one fault: its declaration is not unused then.
    if !sheet.findings.iter().any(|finding| finding.code == "UNKNOWN_VARIABLE") {
        names::unused(&view, &mut sheet);
    }
    if let Some(verdict) = verdict {
        add_verdict(&verdict, &mut sheet);
    }
    settle(project, &tree, sheet)
}

fn is_about_names(diagnosis: &Diagnosis) -> bool {
    const ABOUT: [&str; 7] = [
        "UNKNOWN_VARIABLE",
        "UNKNOWN_NAMESPACE",
        "HEADER",
        "INPUT_SHADOWED",
        // In the header as well.
        "SCHEDULE_INVALID",
        "TIME_ZONE",
        "DURATION_INVALID",
    ];
    ABOUT.contains(&diagnosis.code.as_str())
}

/// What keeps the text from running must be told, whatever the checks themselves have found.
fn add_verdict(verdict: &Diagnosis, sheet: &mut Sheet<'_>) {
    let finding = Finding::of(verdict);
    let is_there = sheet.findings.iter().any(|other| {
        let same_line = other.region.map(|region| region.line) == finding.region.map(|region| region.line);
        other.level == Level::Error && (other.code == finding.code || same_line)
    });
    if !is_there {
        sheet.add(finding);
    }
}

/// Why a text cannot be read, with the fix where trying it shows that it helps.
fn unreadable(project: &Project, diagnosis: &Diagnosis) -> Finding {
    let text = &*diagnosis.text.text;
    let mut finding = Finding::of(diagnosis);
    if diagnosis.code != "SYNTAX" {
        return finding;
    }
    let lines = Lines::of(text);
    let Some(explained) = diagnosis.stopped_at.and_then(|at| mistake::explain(text, at)) else {
        return finding;
    };
    finding = finding.at(super::findings::Region::of(text, &lines, explained.span));
    let mut sheet = Sheet::new(&diagnosis.text.file, text);
    let related = explained.related.map(|(span, message)| (sheet.region(span), message));
    let mut said = sheet.add(finding);
    if let Some((region, message)) = related {
        said = said.related(region, message);
    }
    if let Some((title, span, new)) = explained.fix {
        said = said.fix(title, span, new);
    }
    let finding = said.finding.clone();
    let helps = |finding: &Finding| {
        let edits: Vec<_> = finding.fixes.iter().flat_map(|fix| &fix.edits).collect();
        let fixed = edits::apply(text, &edits)?;
        let fixed_text = Text::new(diagnosis.text.file.as_str(), fixed);
        match source::read_leniently(&project.language, &fixed_text) {
            Ok(()) => Some(()),
            // There is more than one mistake: the next must lie behind this one.
            Err(next) => (next.stopped_at > diagnosis.stopped_at).then_some(()),
        }
    };
    let fixes = match helps(&finding) {
        Some(()) => finding.fixes.clone(),
        None => Vec::new(),
    };
    let fixes = fixes
        .into_iter()
        .map(|fix| super::findings::Fix { is_safe: true, ..fix });
    Finding {
        fixes: fixes.collect(),
        ..finding
    }
}

/// Levels and comments have their say; what is left is put in order.
fn settle(project: &Project, tree: &syntax::Tree, sheet: Sheet<'_>) -> Vec<Finding> {
    let left_out = sheet.left_out();
    let Sheet {
        file,
        text,
        lines,
        findings,
        ..
    } = sheet;
    let mut statements: Vec<Span> = Vec::new();
    if text.contains("check:") {
        tree.walk(&mut |node| {
            if let Node::Stmt(stmt) = node {
                statements.push(stmt.span);
            }
            true
        });
    }
    let mut findings = allow::apply(findings, file, text, &lines, &tree.tokens, &statements);
    for finding in &mut findings {
        finding.level = project.settings.level(finding);
    }
    findings.retain(|finding| finding.level != Level::Off);
    findings.sort_by(Finding::order);
    findings.dedup_by(|later, earlier| (later.region, &later.message) == (earlier.region, &earlier.message));
    let left_out = left_out + findings.len().saturating_sub(SHOWN_MAX);
    if findings.len() > SHOWN_MAX {
        // The worst are those that must be seen.
        findings.sort_by_key(|finding| finding.level);
        findings.truncate(SHOWN_MAX);
        findings.sort_by(Finding::order);
    }
    if left_out > 0
        && let Some(last) = findings.last_mut()
    {
        let more = format!("{left_out} more are not shown");
        last.help = Some(last.help.take().map_or(more.clone(), |help| format!("{help}; {more}")));
    }
    findings
}

/// Every expression in `expr`, itself included.
fn walk<'t>(expr: &'t Expr, visit: &mut dyn FnMut(&'t Expr)) {
    syntax::walk::walk(Node::Expr(expr), &mut |node| {
        if let Node::Expr(expr) = node {
            visit(expr);
        }
        true
    });
}
