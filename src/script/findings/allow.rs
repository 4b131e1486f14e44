//! Findings that a comment allows.
//!
//! ```rhai
//! // check: allow(SWALLOWED_ERROR) the feed may be missing, and that is fine
//! try { refresh(); } catch { }
//! let id = 7;  // check: allow(UNUSED_VARIABLE)
//! // check: allow-file(PROVENANCE_MISSING)
//! ```
//!
//! A comment on a line of its own speaks for the statement that follows, one behind code for its line. What keeps a
//! playbook from running cannot be allowed, and a comment that allows nothing is itself told.

use super::lints::{self, LINTS};
use super::{Edit, Finding, Fix, Region};
use crate::script::error::nearest;
use crate::script::syntax::{Lines, Span, Token, TokenKind};

const MARK: &str = "check:";

/// Comments of one text that allow something; beyond it nobody reads them any more.
const ALLOWS_MAX: usize = 1000;

/// One code that one comment allows.
#[derive(Debug)]
struct Allow {
    code: String,
    /// The code within its comment.
    span: Span,
    /// The whole comment, for taking it away.
    comment: Span,
    /// Whether it is the comment's only code.
    is_alone: bool,
    /// The lines it speaks for, from 0, both included.
    lines: (usize, usize),
    is_used: bool,
}

/// Takes what comments allow out of `findings`, and adds what is wrong with the comments themselves. `statements` are the
/// places of all statements of the text.
pub fn apply(
    findings: Vec<Finding>,
    file: &str,
    text: &str,
    lines: &Lines,
    tokens: &[Token],
    statements: &[Span],
) -> Vec<Finding> {
    if !text.contains(MARK) {
        return findings;
    }
    let mut allows = find(text, lines, tokens, statements);
    let is_told = |finding: &Finding| {
        let Some(region) = finding.region.filter(|_| lints::find(&finding.code).is_some()) else {
            return true;
        };
        let line = region.line as usize - 1;
        let mut is_told = true;
        for allow in &mut allows {
            if allow.code == finding.code && (allow.lines.0..=allow.lines.1).contains(&line) {
                allow.is_used = true;
                is_told = false;
            }
        }
        is_told
    };
    let mut told: Vec<Finding> = findings;
    told.retain(is_told);
    let useless = allows.iter().filter(|allow| !allow.is_used);
    told.extend(useless.map(|allow| explain(allow, file, text, lines)));
    told
}

fn find(text: &str, lines: &Lines, tokens: &[Token], statements: &[Span]) -> Vec<Allow> {
    let mut allows = Vec::new();
    let comments = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.kind == TokenKind::LineComment);
    for (at, token) in comments {
        let body = token.span.of(text);
        let words = body.trim_start_matches('/').trim_start();
        let Some(order) = words.strip_prefix(MARK).map(str::trim_start) else {
            continue;
        };
        let (is_file, list) = match (order.strip_prefix("allow-file("), order.strip_prefix("allow(")) {
            (Some(list), _) => (true, list),
            (_, Some(list)) => (false, list),
            _ => continue,
        };
        let Some((list, _)) = list.split_once(')') else {
            continue;
        };
        let line = lines.line_of(token.span.start);
        let lines_meant = match is_file {
            true => (0, lines.count()),
            false if stands_alone(text, lines, line, token) => next_statement(lines, tokens, at, statements),
            false => (line, line),
        };
        let begin = list.as_ptr() as usize - text.as_ptr() as usize;
        let is_alone = !list.contains(',');
        for code in list.split(',') {
            let start =
                begin + (code.as_ptr() as usize - list.as_ptr() as usize) + (code.len() - code.trim_start().len());
            allows.push(Allow {
                code: code.trim().to_owned(),
                span: Span::new(start, start + code.trim().len()),
                comment: token.span,
                is_alone,
                lines: lines_meant,
                is_used: false,
            });
        }
        if allows.len() > ALLOWS_MAX {
            break;
        }
    }
    allows
}

fn stands_alone(text: &str, lines: &Lines, line: usize, comment: &Token) -> bool {
    let start = lines.span(text, line).start as usize;
    text[start..comment.span.start as usize].trim().is_empty()
}

/// The lines of the statement after the token `at`; its next line where no statement begins there.
fn next_statement(lines: &Lines, tokens: &[Token], at: usize, statements: &[Span]) -> (usize, usize) {
    let Some(next) = tokens[at + 1..].iter().find(|token| !token.is_trivia()) else {
        let line = lines.line_of(tokens[at].span.start);
        return (line, line);
    };
    let start = next.span.start;
    let longest = statements
        .iter()
        .filter(|span| span.start == start)
        .max_by_key(|span| span.end);
    let end = longest.map_or(next.span.end, |span| span.end);
    (lines.line_of(start), lines.line_of(end))
}

/// What is wrong with a comment that allows nothing.
fn explain(allow: &Allow, file: &str, text: &str, lines: &Lines) -> Finding {
    let code = &allow.code;
    let message = match lints::find(code) {
        Some(_) => format!("nothing here needs `allow({code})`"),
        None => {
            let near = nearest(&code.to_ascii_uppercase(), LINTS.iter().map(|lint| lint.code));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("`{code}` is nothing that can be allowed{hint}")
        }
    };
    let finding = Finding::new("UNUSED_ALLOW", file, message).at(Region::of(text, lines, allow.span));
    let fixes = match allow.is_alone {
        true => vec![Fix {
            title: "take the comment away".to_owned(),
            edits: vec![Edit {
                file: file.to_owned(),
                span: with_blanks(text, allow.comment),
                text: String::new(),
            }],
            is_safe: lints::find(code).is_some(),
        }],
        false => Vec::new(),
    };
    Finding { fixes, ..finding }
}

/// A comment with the blanks before it, and with its line where it stands alone.
fn with_blanks(text: &str, comment: Span) -> Span {
    let before = &text[..comment.start as usize];
    let start = before.trim_end_matches([' ', '\t']).len();
    let mut end = comment.end as usize;
    if before[..start].is_empty() || before[..start].ends_with('\n') {
        let rest = &text[end..];
        let line_end = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'));
        end = line_end.map_or(end, |after| text.len() - after.len());
    }
    Span::new(start, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::syntax;

    /// What is told of a text in which `code` is found at each `word`.
    fn told(text: &str, code: &str, word: &str) -> Vec<String> {
        let tree = syntax::parse(text);
        let lines = Lines::of(text);
        let found = text.match_indices(word).map(|(at, _)| {
            let span = Span::new(at, at + word.len());
            Finding::new(code, "a.rhai", "found").at(Region::of(text, &lines, span))
        });
        let statements: Vec<Span> = tree.root.stmts.iter().map(|statement| statement.span).collect();
        let left = apply(found.collect(), "a.rhai", text, &lines, &tree.tokens, &statements);
        let shown = left.iter().map(|finding| {
            format!(
                "{}: {}",
                finding.region.map_or(0, |region| region.line),
                finding.message
            )
        });
        shown.collect()
    }

    #[test]
    fn a_comment_allows_its_line_or_the_statement_below_it() {
        assert_eq!(
            told(
                "let x = 1; // check: allow(UNREACHABLE)\nlet x = 2;",
                "UNREACHABLE",
                "x"
            ),
            ["2: found"]
        );
        let above = "// check: allow(UNREACHABLE) on purpose\n// why\nlet a = [\n  x,\n];\nx";
        assert_eq!(told(above, "UNREACHABLE", "x"), ["6: found"]);
        let file = "x;\n// check: allow-file(NO_EFFECT, UNREACHABLE)\nx";
        assert_eq!(
            told(file, "UNREACHABLE", "x;"),
            ["2: nothing here needs `allow(NO_EFFECT)`"]
        );
    }

    #[test]
    fn a_comment_that_allows_nothing_is_told_and_what_must_be_told_is_told() {
        assert_eq!(
            told("// check: allow(UNREACHABEL)\ny", "SYNTAX", "y"),
            [
                "2: found",
                "1: `UNREACHABEL` is nothing that can be allowed; did you mean `UNREACHABLE`?"
            ]
        );
        assert_eq!(told("// check: allow(SYNTAX)\ny", "SYNTAX", "y").len(), 2);
        // In a text it is no comment.
        assert_eq!(
            told("\"// check: allow(UNREACHABLE)\"; y", "UNREACHABLE", "y"),
            ["1: found"]
        );
    }

    #[test]
    fn a_useless_comment_goes_with_its_line() {
        let take = |text: &str| {
            let at = text.find("//").unwrap();
            let span = with_blanks(
                text,
                Span::new(at, text[at..].find('\n').map_or(text.len(), |end| at + end)),
            );
            format!("{}{}", &text[..span.start as usize], &text[span.end as usize..])
        };
        assert_eq!(take("a;\n  // check\nb"), "a;\nb");
        assert_eq!(take("a; // check\nb"), "a;\nb");
    }
}
