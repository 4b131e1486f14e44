//! One style for all scripts: four spaces, lines of about 100 columns, one item per line where a list does not fit.
//!
//! A script means the same afterwards: its tokens are the same, but for commas before a closing bracket. That is not
//! hoped for but looked at, each time. Comments stay, at most one blank line stays, the file's own kind of line ends
//! stays. Formatting twice changes nothing. Whoever breaks a list after its opening bracket, or a line before a dot or
//! at an operator, is heeded; what is in templates and comments is left as it is.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`shape`] | what tokens are to each other, from the syntax tree |
//! | [`nodes`] | tokens with brackets closed; the items of a list, the statements of a block |
//! | [`print`] | where lines break |

mod nodes;
mod print;
mod shape;
#[cfg(test)]
mod tests;

use super::limits::SOURCE_BYTES_MAX;
use super::syntax::token::tokens;
use super::syntax::{Problem, Token, TokenKind, Tree, parse};

/// Lines are broken so that they have so many columns at most, where they can be.
pub const COLUMNS_MAX: usize = 100;

/// Spaces of one level.
const INDENT: usize = 4;

/// Why a script is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unformatted {
    /// What is not understood is not moved.
    #[error("{}", .0.message)]
    Syntax(Problem),
    #[error("the script has {0} bytes; at most {SOURCE_BYTES_MAX} are formatted")]
    TooLarge(usize),
    /// What was made of it would have meant something else.
    #[error("this is a defect of host, please report it: formatting would change what the script says")]
    Defect,
}

/// `text` in the one style.
pub fn format(text: &str) -> Result<String, Unformatted> {
    if text.len() > SOURCE_BYTES_MAX {
        return Err(Unformatted::TooLarge(text.len()));
    }
    let tree = parse(text);
    if let Some(problem) = tree.problems.first() {
        return Err(Unformatted::Syntax(problem.clone()));
    }
    let formatted = print::print(text, &tree);
    if says_the_same(text, &tree, &formatted) {
        Ok(formatted)
    } else {
        Err(Unformatted::Defect)
    }
}

fn says_the_same(before: &str, tree: &Tree, after: &str) -> bool {
    said(before, &tree.tokens) == said(after, &tokens(after))
}

/// What a text says: its tokens without space, and without the commas that a closing bracket makes superfluous.
fn said<'t>(text: &'t str, tokens: &[Token]) -> Vec<(TokenKind, &'t str)> {
    let mut said: Vec<(TokenKind, &str)> = Vec::new();
    for token in tokens.iter().filter(|token| token.kind != TokenKind::Whitespace) {
        let words = token.span.of(text);
        let words = match token.kind {
            TokenKind::LineComment => words.trim_end(),
            _ => words,
        };
        // Bars without parameters may stand apart or together.
        match words {
            "||" => said.extend([(token.kind, "|"), (token.kind, "|")]),
            words => said.push((token.kind, words)),
        }
    }
    let is_comment = |kind: TokenKind| matches!(kind, TokenKind::LineComment | TokenKind::BlockComment);
    let mut closes = false;
    let mut keep = vec![true; said.len()];
    for (at, (kind, words)) in said.iter().enumerate().rev() {
        match *words {
            _ if is_comment(*kind) => {}
            "," if closes => keep[at] = false,
            words => closes = matches!(words, ")" | "]" | "}"),
        }
    }
    // A comment may have changed places with a comma: what it stands at is told by the tokens, in their own order.
    let kept = || said.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(word, _)| *word);
    let (comments, code): (Vec<_>, Vec<_>) = kept().partition(|(kind, _)| is_comment(*kind));
    code.into_iter().chain(comments).collect()
}
