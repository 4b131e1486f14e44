//! Making fixes: edits into a text, without ever breaking it.

use std::collections::BTreeSet;

use super::{Edit, Finding, Fix};

/// `text` with `edits` made; `None` when they overlap or lie outside the text.
pub fn apply(text: &str, edits: &[&Edit]) -> Option<String> {
    let mut ordered: Vec<&Edit> = edits.to_vec();
    ordered.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let is_crlf = text.contains("\r\n");
    let mut made = String::with_capacity(text.len());
    let mut at = 0;
    for edit in ordered {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
        if start < at {
            return None;
        }
        made.push_str(text.get(at..start)?);
        // A file keeps its ends of lines.
        match is_crlf {
            true => made.push_str(&edit.text.replace("\r\n", "\n").replace('\n', "\r\n")),
            false => made.push_str(&edit.text),
        }
        text.get(start..end)?;
        at = end;
    }
    made.push_str(text.get(at..)?);
    Some(made)
}

/// The safe fixes of `findings` that can be made in `file` at once: of two that touch, the first. The others are found
/// again in what comes of it.
pub fn choose<'f>(findings: &'f [Finding], file: &str) -> Vec<(&'f Finding, &'f Fix)> {
    let mut chosen = Vec::new();
    let mut taken: BTreeSet<(u32, u32)> = BTreeSet::new();
    for finding in findings {
        let mut safe = finding.fixes.iter().filter(|fix| fix.is_safe);
        let Some(fix) = safe.find(|fix| fix.edits.iter().all(|edit| edit.file == file)) else {
            continue;
        };
        let is_free = |edit: &Edit| {
            let mut others = taken.iter();
            others.all(|(start, end)| edit.span.end < *start || edit.span.start > *end)
        };
        if !fix.edits.is_empty() && fix.edits.iter().all(is_free) {
            taken.extend(fix.edits.iter().map(|edit| (edit.span.start, edit.span.end)));
            chosen.push((finding, fix));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::syntax::Span;

    fn edit(start: usize, end: usize, text: &str) -> Edit {
        Edit {
            file: "a.rhai".to_owned(),
            span: Span::new(start, end),
            text: text.to_owned(),
        }
    }

    fn fix(edit: Edit, is_safe: bool) -> Finding {
        Finding {
            fixes: vec![Fix {
                title: "write it".to_owned(),
                edits: vec![edit],
                is_safe,
            }],
            ..Finding::new("SYNTAX", "a.rhai", "")
        }
    }

    #[test]
    fn edits_are_made_in_the_order_of_the_text_and_keep_its_ends_of_lines() {
        let (first, second) = (edit(0, 1, "X"), edit(3, 3, "\nnew"));
        assert_eq!(apply("abc", &[&second, &first]).unwrap(), "Xbc\nnew");
        assert_eq!(apply("a\r\nc", &[&edit(4, 4, "\nnew")]).unwrap(), "a\r\nc\r\nnew");
    }

    #[test]
    fn edits_that_overlap_or_lie_outside_are_refused() {
        assert_eq!(apply("abc", &[&edit(0, 2, ""), &edit(1, 3, "")]), None);
        assert_eq!(apply("abc", &[&edit(2, 9, "")]), None);
        assert_eq!(apply("é", &[&edit(1, 1, "x")]), None, "within a character");
    }

    #[test]
    fn only_safe_fixes_that_do_not_touch_are_made_together() {
        let findings = [
            fix(edit(0, 2, "x"), true),
            fix(edit(2, 3, "y"), true),
            fix(edit(5, 6, "z"), false),
            fix(edit(7, 8, "z"), true),
        ];
        let chosen = choose(&findings, "a.rhai");
        let starts: Vec<u32> = chosen.iter().map(|(_, fix)| fix.edits[0].span.start).collect();
        assert_eq!(starts, [0, 7]);
        assert!(choose(&findings, "b.rhai").is_empty());
    }
}
