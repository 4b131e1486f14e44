//! What was probably meant where a script cannot be read.
//!
//! That it cannot be read, and where the reading stopped, is for Rhai to say; so a check and a run always agree. But the
//! place where a reader stumbles is rarely the place of the mistake, and many mistakes are words of other languages. Here
//! the first gets the better place, and the second the word of ours.

use super::syntax::token::RESERVED;
use super::syntax::{self, Span, Token, TokenKind, Tree};

/// What is said about a text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub message: String,
    pub span: Span,
    pub help: Option<String>,
    /// Where it began.
    pub related: Option<(Span, String)>,
    /// What to write instead: title, place, text.
    pub fix: Option<(String, Span, String)>,
}

impl Explained {
    fn new(span: Span, message: impl Into<String>) -> Explained {
        Explained {
            message: message.into(),
            span,
            help: None,
            related: None,
            fix: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Explained {
        self.help = Some(help.into());
        self
    }

    fn fix(mut self, span: Span, text: impl Into<String>) -> Explained {
        let text = text.into();
        let title = match text.trim() {
            "" => "take it away".to_owned(),
            shown => format!("write `{shown}`"),
        };
        self.fix = Some((title, span, text));
        self
    }
}

/// How many tokens before the one where reading stopped are looked at.
const BEFORE: usize = 5;

/// What was probably meant in `text`, whose reading stopped at the byte `at`. `None` when nothing better is known than
/// what the reader said.
pub fn explain(text: &str, at: u32) -> Option<Explained> {
    let tree = syntax::parse(text);
    let tokens: Vec<&Token> = tree.tokens.iter().filter(|token| !token.is_trivia()).collect();
    let near = tokens.partition_point(|token| token.span.end <= at);
    let words = Words { text, tokens: &tokens };
    let candidates = (near.saturating_sub(BEFORE)..=near + 1).rev();
    let mut by_word = candidates.filter(|index| *index < tokens.len());
    by_word
        .find_map(|index| words.foreign(index).or_else(|| words.shape(index)))
        .or_else(|| of_problem(text, &tree, at))
}

/// What the tolerant reader noticed first.
fn of_problem(text: &str, tree: &Tree, at: u32) -> Option<Explained> {
    let problem = tree.problems.iter().find(|problem| problem.span.start <= at)?;
    if let Some(explained) = by_indentation(text, tree).filter(|_| problem.message.starts_with("`}` is missing")) {
        return Some(explained);
    }
    let mut explained = Explained::new(problem.span, problem.message.clone());
    if let Some(open) = problem.related {
        explained.related = Some((open, format!("this `{}` is not closed", open.of(text))));
    }
    let missing = problem
        .message
        .strip_prefix('`')
        .and_then(|rest| rest.split_once("` is missing here"))
        .map(|(word, _)| word);
    if let Some(word @ (";" | "," | ")" | "]" | "}")) = missing {
        let behind = Span {
            start: problem.span.start,
            end: problem.span.start,
        };
        explained = explained.fix(behind, word);
    }
    Some(explained)
}

/// The brace that was probably left open: its partner stands further out than itself.
fn by_indentation(text: &str, tree: &Tree) -> Option<Explained> {
    let lines = syntax::Lines::of(text);
    let indent = |offset: u32| {
        let line = lines.span(text, lines.line_of(offset)).of(text);
        line.len() - line.trim_start().len()
    };
    let mut open: Vec<&Token> = Vec::new();
    for token in tree.tokens.iter().filter(|token| token.kind == TokenKind::Symbol) {
        match token.span.of(text) {
            "{" | "#{" => open.push(token),
            "}" => {
                let partner = open.pop()?;
                let (from, to) = (partner.span.start, token.span.start);
                let is_own_line = text[lines.span(text, lines.line_of(to)).start as usize..to as usize]
                    .trim()
                    .is_empty();
                if is_own_line && lines.line_of(from) != lines.line_of(to) && indent(to) < indent(from) {
                    let before = lines.span(text, lines.line_of(to)).start;
                    let explained = Explained::new(partner.span, "this `{` is not closed");
                    let brace = format!("{}}}\n", " ".repeat(indent(from)));
                    let mut explained = explained.fix(
                        Span {
                            start: before,
                            end: before,
                        },
                        brace,
                    );
                    explained.help = Some("its `}` should stand before this one".to_owned());
                    explained.related = Some((
                        token.span,
                        "this one closes it now, though it stands further out".to_owned(),
                    ));
                    return Some(explained);
                }
            }
            _ => {}
        }
    }
    None
}

struct Words<'t> {
    text: &'t str,
    tokens: &'t [&'t Token],
}

impl Words<'_> {
    fn word(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| token.span.of(self.text))
    }

    fn span(&self, index: usize) -> Span {
        self.tokens[index].span
    }

    fn kind(&self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    fn is_name(&self, index: usize) -> bool {
        self.kind(index) == Some(TokenKind::Ident)
    }

    fn before(&self, index: usize) -> &str {
        index.checked_sub(1).map_or("", |before| self.word(before))
    }

    fn touch(&self, index: usize) -> bool {
        self.tokens
            .get(index + 1)
            .is_some_and(|next| next.span.start == self.tokens[index].span.end)
    }

    /// A word of another language.
    fn foreign(&self, index: usize) -> Option<Explained> {
        let (word, next) = (self.word(index), self.word(index + 1));
        let span = self.span(index);
        let instead = |ours: &str, message: &str| Some(Explained::new(span, message).fix(span, ours));
        // After a dot it is the name of a field.
        if [".", "?."].contains(&self.before(index)) {
            return None;
        }
        match word {
            // A key of a map, or a field.
            word if RESERVED.contains(&word) && next == ":" && ["{", "#{", ","].contains(&self.before(index)) => {
                let explained = Explained::new(span, format!("`{word}` is a reserved word, and no key as it stands"));
                match word {
                    "default" => Some(
                        explained
                            .help("the value of an input that is not given is its `preset`")
                            .fix(span, "preset"),
                    ),
                    _ => Some(explained.fix(span, format!("{word:?}"))),
                }
            }
            "function" | "def" | "func" | "fun" if self.is_name(index + 1) => {
                instead("fn", &format!("functions are defined with `fn`, not with `{word}`"))
            }
            "elif" | "elseif" | "elsif" => instead("else if", &format!("`{word}` is written `else if`")),
            "foreach" => instead("for", "`foreach` is written `for`"),
            "var" if self.is_name(index + 1) => instead("let", "variables are declared with `let`, not with `var`"),
            "and" if index > 0 && !next.is_empty() => instead("&&", "`and` is written `&&`"),
            "or" if index > 0 && !next.is_empty() => instead("||", "`or` is written `||`"),
            "not" if self.is_name(index + 1) => {
                let whole = Span {
                    start: span.start,
                    end: self.span(index + 1).start,
                };
                Some(Explained::new(span, "`not` is written `!`").fix(whole, "!"))
            }
            "null" | "nil" | "void" => instead("()", &format!("nothing is written `()`, not `{word}`")),
            "await" | "async" => {
                let end = self.tokens.get(index + 1).map_or(span.end, |next| next.span.start);
                let whole = Span { start: span.start, end };
                let explained = Explained::new(
                    span,
                    format!("there is no `{word}`: calls wait for their answer by themselves"),
                );
                Some(explained.fix(whole, ""))
            }
            "===" => instead("==", "`===` is written `==`"),
            "!==" => instead("!=", "`!==` is written `!=`"),
            "case" | "default" => Some(
                Explained::new(span, format!("`switch` has no `{word}`"))
                    .help("write `switch value { 1 => …, 2 => …, _ => … }`"),
            ),
            "new" if self.is_name(index + 1) => {
                Some(Explained::new(span, "there are no classes, and no `new`").help("write a map: `#{ name: value }`"))
            }
            "=>" if index > 0 && (self.is_name(index - 1) || self.before(index) == ")") => Some(
                Explained::new(span, "a function without a name has its parameters between `|`")
                    .help("write `|item| …`"),
            ),
            "#" if next != "{" && next != "\"" && !next.is_empty() => instead("//", "comments begin with `//`"),
            _ => None,
        }
    }

    /// Signs put together as other languages do.
    fn shape(&self, index: usize) -> Option<Explained> {
        let (word, next) = (self.word(index), self.word(index + 1));
        let span = self.span(index);
        let both = || span.to(self.span(index + 1));
        match (self.kind(index)?, word) {
            (TokenKind::Char, _)
                if word.chars().count() > 3 && !word.starts_with("'\\") && !self.tokens[index].is_unclosed =>
            {
                let inner = &word[1..word.len() - 1];
                let text = format!("\"{}\"", inner.replace('"', "\\\""));
                let message = "texts stand in double quotes; single ones are for one character";
                Some(Explained::new(span, message).fix(span, text))
            }
            (_, ":") if next == "=" && self.touch(index) => {
                Some(Explained::new(both(), "a value is given with `=`, not with `:=`").fix(both(), "="))
            }
            (_, "+" | "-") if next == word && self.touch(index) && index > 0 && !self.is_name(index + 2) => {
                Some(Explained::new(both(), format!("there is no `{word}{word}`")).fix(both(), format!(" {word}= 1")))
            }
            (_, "_") if ["for", "|", ","].contains(&self.before(index)) => Some(
                Explained::new(
                    span,
                    "`_` is no name; one that begins with it says that nobody reads it",
                )
                .fix(span, "_one"),
            ),
            (_, "?") if index > 0 => Some(
                Explained::new(span, "there is no `? :`")
                    .help("write `if condition { a } else { b }`; it has a value, too"),
            ),
            (_, "{") if self.is_map_key(index + 1) && self.word(index + 2) == ":" => {
                let start = Span {
                    start: span.start,
                    end: span.start,
                };
                Some(Explained::new(span, "a map begins with `#{`").fix(start, "#"))
            }
            (_, "=") if self.is_in_condition(index) => {
                Some(Explained::new(span, "`=` gives a value; to compare write `==`").fix(span, "=="))
            }
            (_, ":")
                if index >= 2
                    && self.is_name(index - 1)
                    && self.word(index - 2) == "let"
                    && self.is_name(index + 1) =>
            {
                let typed = both();
                Some(Explained::new(typed, "variables have no written types").fix(typed, ""))
            }
            (_, "->") if self.before(index) == ")" && self.is_name(index + 1) => {
                let start = self.tokens[index - 1].span.end;
                let end = self.span(index + 1).end;
                Some(Explained::new(both(), "functions have no written types").fix(Span { start, end }, ""))
            }
            (_, "catch") if self.is_name(index + 1) && self.word(index + 2) == "{" => {
                let name = self.span(index + 1);
                let text = format!("({next})");
                Some(Explained::new(name, "the name of the error stands in brackets").fix(name, text))
            }
            (_, "import") if self.is_name(index + 1) && self.word(index + 2) == "from" => {
                let source = self.word(index + 3).to_owned();
                let whole = span.to(self.span((index + 3).min(self.tokens.len() - 1)));
                let text = format!("import {source} as {next}");
                Some(Explained::new(whole, "a module is imported with `import \"…\" as name`").fix(whole, text))
            }
            (_, "for") if next == "(" && self.is_name(index + 2) && self.word(index + 3) == "in" => Some(
                Explained::new(self.span(index + 1), "`for` has no brackets").help("write `for item in items { … }`"),
            ),
            (_, "for") if next == "(" => {
                Some(Explained::new(both(), "there is no `for (…; …; …)`").help("write `for i in 0..10 { … }`"))
            }
            _ => None,
        }
    }

    fn is_map_key(&self, index: usize) -> bool {
        matches!(self.kind(index), Some(TokenKind::Ident | TokenKind::Str))
    }

    /// Whether this `=` stands between `if` or `while` and the block of it.
    fn is_in_condition(&self, index: usize) -> bool {
        let before = (0..index).rev().map(|at| self.word(at));
        before
            .take_while(|word| !matches!(*word, "{" | "}" | ";"))
            .any(|word| matches!(word, "if" | "while"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a text, and what becomes of it with the fix.
    fn said(text: &str) -> (String, String) {
        let engine = rhai::Engine::new_raw();
        let error = engine.compile(text).expect_err("it cannot be read");
        let position = error.position();
        let lines = syntax::Lines::of(text);
        let at = match position.line() {
            Some(line) => lines.offset(text, line as u32, position.position().unwrap_or(1) as u32),
            None => text.len() as u32,
        };
        let explained = explain(text, at).expect("it is explained");
        let fixed = explained.fix.map_or(String::new(), |(_, span, new)| {
            format!("{}{new}{}", &text[..span.start as usize], &text[span.end as usize..])
        });
        (explained.message, fixed)
    }

    #[test]
    fn words_of_other_languages_become_ours() {
        for (theirs, ours) in [
            ("function f(a) { a }", "fn f(a) { a }"),
            ("if a { 1 } elif b { 2 }", "if a { 1 } else if b { 2 }"),
            ("var x = 1;", "let x = 1;"),
            ("if a and b { 1 }", "if a && b { 1 }"),
            ("let x = null;", "let x = ();"),
            ("if a === b { 1 }", "if a == b { 1 }"),
            ("let x = 'hello';", "let x = \"hello\";"),
            ("let x := 1;", "let x = 1;"),
            ("x++;", "x += 1;"),
            ("let m = { a: 1 };", "let m = #{ a: 1 };"),
            ("if a = 1 { 2 }", "if a == 1 { 2 }"),
            ("try { a } catch e { b }", "try { a } catch (e) { b }"),
            ("fn f(a) -> int { a }", "fn f(a) { a }"),
            ("import lib from \"lib\";", "import \"lib\" as lib;"),
            ("let a = await b;", "let a = b;"),
            ("for _ in 0..3 { 1 }", "for _one in 0..3 { 1 }"),
            ("# a comment\nlet a = 1;", "// a comment\nlet a = 1;"),
            ("let a = 1\nlet b = 2;", "let a = 1;\nlet b = 2;"),
            ("let a = [1 2];", "let a = [1, 2];"),
        ] {
            let (message, fixed) = said(theirs);
            assert_eq!(fixed, ours, "{message}");
        }
    }

    #[test]
    fn an_open_bracket_is_told_where_it_was_opened() {
        let text = "fn f() {\n  let a = [1, 2;\n}\n";
        let lines_at = text.find(';').expect("a semicolon") as u32;
        let explained = explain(text, lines_at).expect("explained");
        let (open, _) = explained.related.expect("where it began");
        assert_eq!(open.of(text), "[");
        let (message, fixed) = said("for a in b {\n    if a {\n        c();\n}\nd();\n");
        assert_eq!(message, "this `{` is not closed");
        assert_eq!(fixed, "for a in b {\n    if a {\n        c();\n    }\n}\nd();\n");
    }
}
