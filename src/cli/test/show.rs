//! What people see of their tests: a line for each case, and for those that failed why, where, and what differs.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::books::Settled;
use crate::cli::error::{Shown as ShownError, render};
use crate::cli::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, excerpt, plain};
use crate::runs::trial::suite::sentence;
use crate::runs::trial::verdict::Difference;
use crate::runs::trial::{CaseResult, Complaint, TestFile, Verdict};

/// Lines around a change.
const CONTEXT_LINES: usize = 2;
/// The most lines of one difference.
const LINES_MAX: usize = 60;
/// The most columns of one line of it.
const COLUMNS_MAX: usize = 160;
/// The most that is shown of what a case said.
const SAID_MAX: usize = 20;
/// A case that takes longer than this is told with its time.
const SLOW: Duration = Duration::from_millis(100);

/// How far the telling has come.
#[derive(Default)]
pub struct Shown {
    file: String,
}

impl Shown {
    /// Tells of one case, below the name of its file.
    pub fn case(&mut self, result: &CaseResult, out: &mut Out) {
        if self.file != result.file {
            self.file.clone_from(&result.file);
            out.line(out.paint(STRONG, &plain(&result.file)));
        }
        let name = match result.case.as_str() {
            "" => "compiles".to_owned(),
            case => plain(&sentence(case)),
        };
        let took = match result.took > SLOW {
            true => out.paint(FAINT, &format!("  {:.1} s", result.took.as_secs_f64())),
            false => String::new(),
        };
        match &result.verdict {
            Verdict::Passed => out.line(format!("  {} {name}{took}", out.paint(GOOD, out.symbol("✓")))),
            Verdict::Skipped => out.line(format!("  {} {}", out.paint(FAINT, "-"), out.paint(FAINT, &name))),
            Verdict::Failed(complaint) => {
                out.line(format!("  {} {name}{took}", out.paint(BAD, out.symbol("✗"))));
                out.line("");
                failure(complaint, &result.said, out);
                out.line("");
            }
        }
    }
}

fn failure(complaint: &Complaint, said: &[String], out: &mut Out) {
    let diagnosis = &complaint.diagnosis;
    let shown = ShownError {
        code: &diagnosis.code,
        message: &diagnosis.message,
        notes: &complaint.notes,
        help: diagnosis.help.as_deref(),
    };
    let text = render(&shown, Some(diagnosis), out.has_color(), out.unicode);
    out.line(text.trim_end());
    if let Some(difference) = &complaint.difference {
        out.line("");
        out.line(format!(
            "  {} {}",
            out.paint(BAD, &format!("{} expected", out.symbol("−"))),
            out.paint(GOOD, "+ actual")
        ));
        differ(difference, out);
    }
    if !said.is_empty() {
        out.line("");
        out.line(out.paint(FAINT, "  the test said"));
        for line in said.iter().take(SAID_MAX) {
            out.line(format!("    {}", excerpt(line, COLUMNS_MAX)));
        }
        if said.len() > SAID_MAX {
            out.line(format!("    and {} more lines", said.len() - SAID_MAX));
        }
    }
}

/// The lines in which two texts differ, with a few around them.
pub fn differ(difference: &Difference, out: &mut Out) {
    let diff = TextDiff::from_lines(&difference.expected, &difference.actual);
    let mut shown = 0;
    for (number, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if number > 0 {
            out.line(out.paint(FAINT, "    …"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            shown += 1;
            if shown > LINES_MAX {
                out.line(out.paint(FAINT, "    and more: --json shows all"));
                return;
            }
            let line = excerpt(change.value().trim_end_matches(['\n', '\r']), COLUMNS_MAX);
            out.line(match change.tag() {
                ChangeTag::Equal => format!("    {line}"),
                ChangeTag::Delete => format!("  {} {}", out.paint(BAD, out.symbol("−")), out.paint(BAD, &line)),
                ChangeTag::Insert => format!("  {} {}", out.paint(GOOD, "+"), out.paint(GOOD, &line)),
            });
        }
    }
}

/// What became of the snapshots, and how many cases passed.
pub fn summary(results: &[CaseResult], settled: &Settled, took: Duration, out: &mut Out) {
    let mut left = 0;
    for change in &settled.changes {
        let name = format!("{} {}", plain(&change.file), plain(&change.key));
        match (&change.before, &change.after) {
            (_, None) if !settled.accepted => left += 1,
            (before, Some(after)) => {
                let word = if before.is_some() { "changed" } else { "new" };
                out.line("");
                out.line(format!("snapshot {} {name}", out.paint(CAREFUL, word)));
                let difference = Difference {
                    expected: before.clone().unwrap_or_default(),
                    actual: after.clone(),
                };
                differ(&difference, out);
            }
            (_, None) => {
                out.line("");
                out.line(format!("snapshot {} {name}", out.paint(CAREFUL, "removed")));
            }
        }
    }
    out.line("");
    if left > 0 {
        let of = |change: &super::books::Change| format!("{} {}", plain(&change.file), plain(&change.key));
        let names: Vec<String> = settled.changes.iter().map(of).collect();
        out.line(format!("{} that no test takes: {}", snapshots(left), names.join(", ")));
        out.line(out.paint(FAINT, "`host test --accept` removes them"));
    }
    if settled.accepted {
        out.line(match settled.changes.len() {
            0 => "no snapshot has changed".to_owned(),
            count => format!("{} accepted; `git diff` shows them, and undoes them", snapshots(count)),
        });
    }
    let count = |is: fn(&CaseResult) -> bool| results.iter().filter(|result| is(result)).count();
    let (passed, failed) = (count(CaseResult::passed), count(CaseResult::failed));
    let skipped = results.len() - passed - failed;
    let mut files: Vec<&str> = results.iter().map(|result| result.file.as_str()).collect();
    files.dedup();
    let mut parts = vec![out.paint(if failed == 0 { GOOD } else { FAINT }, &format!("{passed} passed"))];
    if failed > 0 {
        parts.push(out.paint(BAD, &format!("{failed} failed")));
    }
    if skipped > 0 {
        parts.push(format!("{skipped} not run"));
    }
    let dot = out.symbol("·");
    let files = match files.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let ms = took.as_secs_f64() * 1000.0;
    let took = if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    };
    out.line(format!(
        "{} {dot} {files} {dot} {took}",
        parts.join(&format!(" {dot} "))
    ));
}

fn snapshots(count: usize) -> String {
    match count {
        1 => "1 snapshot".to_owned(),
        count => format!("{count} snapshots"),
    }
}

/// The cases, below the names of their files.
pub fn list(meant: &[(&TestFile, &str)], out: &mut Out) {
    let mut before = "";
    for (file, case) in meant {
        if file.file != before {
            out.line(out.paint(STRONG, &plain(&file.file)));
        }
        before = &file.file;
        out.line(match *case {
            "" => format!("  {}", out.paint(BAD, "does not compile: `host check` says why")),
            case => format!("  {}", plain(case)),
        });
    }
}
