//! `--fix`: safe fixes are made, and a file is never left worse than it was.

use super::super::error::CliError;
use crate::app::App;
use crate::script::check::{Project, check_text};
use crate::script::findings::{Finding, Level, edits};

/// Fixes may open the way to others; more rounds than this are a circle.
const ROUNDS_MAX: usize = 10;

/// What was changed in one file.
pub struct Repaired {
    pub file: String,
    pub done: Vec<Done>,
}

/// One fix that was made.
pub struct Done {
    /// Where it was found, in the text as it was then.
    pub line: u32,
    pub code: String,
    pub what: String,
}

/// Makes the safe fixes of `file`. Returns `None` when there are none.
pub fn repair(app: &App, project: &Project, file: &str, text: &str) -> Result<Option<Repaired>, CliError> {
    let Some((fixed, done)) = fixed(project, file, text) else {
        return Ok(None);
    };
    app.library.files.rewrite(file, text, &fixed).map_err(|reason| {
        CliError::usage("FIX_UNWRITABLE", format!("{file} cannot be written: {reason}"))
            .help("nothing was changed in it; what was fixed in other files stays")
    })?;
    Ok(Some(Repaired {
        file: file.to_owned(),
        done,
    }))
}

/// The text with its safe fixes made, and what was done.
fn fixed(project: &Project, file: &str, text: &str) -> Option<(String, Vec<Done>)> {
    let mut now = text.to_owned();
    let mut findings = check_text(project, file, &now);
    let mut done = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let chosen = edits::choose(&findings, file);
        let changes: Vec<_> = chosen.iter().flat_map(|(_, fix)| &fix.edits).collect();
        if changes.is_empty() {
            break;
        }
        let next = edits::apply(&now, &changes)?;
        let found = check_text(project, file, &next);
        if is_worse(&found, &findings) {
            break;
        }
        done.extend(chosen.iter().map(|(finding, fix)| Done {
            line: finding.region.map_or(0, |region| region.line),
            code: finding.code.clone(),
            what: fix.title.clone(),
        }));
        now = next;
        findings = found;
    }
    (!done.is_empty()).then_some((now, done))
}

/// Whether a text that could be read cannot be read any more.
fn is_worse(after: &[Finding], before: &[Finding]) -> bool {
    let is_unreadable = |findings: &[Finding]| {
        let mut errors = findings.iter().filter(|finding| finding.level == Level::Error);
        errors.any(|finding| finding.code == "SYNTAX")
    };
    is_unreadable(after) && !is_unreadable(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_that_breaks_the_text_is_not_made() {
        let finding = |code: &str| Finding::new(code, "a.rhai", "");
        assert!(is_worse(&[finding("SYNTAX")], &[finding("UNUSED_IMPORT")]));
        assert!(!is_worse(&[finding("SYNTAX")], &[finding("SYNTAX")]));
        assert!(!is_worse(&[], &[finding("SYNTAX")]));
    }
}
