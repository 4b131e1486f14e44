//! The difference between two texts, line by line, as `diff -u` and git show it.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::out::{BAD, FAINT, GOOD, Out, plain};

/// Lines that are shown around what changes.
const CONTEXT_LINES: usize = 3;

/// How long the comparison of two texts may take; a difference found later is coarse.
const DIFF_TIME_MAX: Duration = Duration::from_secs(2);

/// Shows what makes `before` into `after`, under the names that are given.
pub fn show([from, to]: [&str; 2], before: &str, after: &str, out: &mut Out) {
    out.line(format!("--- {}", plain(from)));
    out.line(format!("+++ {}", plain(to)));
    for hunk in compared(before, after)
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .iter_hunks()
    {
        let head = out.paint(FAINT, &hunk.header().to_string());
        out.line(head);
        for change in hunk.iter_changes() {
            let line = plain(change.value().trim_end_matches(['\r', '\n']));
            let line = match change.tag() {
                ChangeTag::Delete => out.paint(BAD, &format!("-{line}")),
                ChangeTag::Insert => out.paint(GOOD, &format!("+{line}")),
                ChangeTag::Equal => format!(" {line}"),
            };
            out.line(line);
        }
    }
}

/// The same as one text, for programs.
pub fn text(before: &str, after: &str) -> String {
    compared(before, after)
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .to_string()
}

fn compared<'a>(before: &'a str, after: &'a str) -> TextDiff<'a, 'a, 'a, str> {
    TextDiff::configure().timeout(DIFF_TIME_MAX).diff_lines(before, after)
}
