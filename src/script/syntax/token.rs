//! The text of a script in pieces. Together they are the text again, byte for byte.

use super::tree::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Whitespace,
    /// `// …`, `/// …` and `//! …`, without the end of the line.
    LineComment,
    /// `/* … */`, nested ones included.
    BlockComment,
    Ident,
    /// A word of the language, or one that Rhai reserves.
    Keyword,
    Int,
    Float,
    /// `'x'`
    Char,
    /// `"…"` or `#"…"#`.
    Str,
    /// A text in backticks without anything filled in.
    TemplateWhole,
    /// From the backtick to the first `${`.
    TemplateStart,
    /// From a `}` to the next `${`.
    TemplateMiddle,
    /// From the last `}` to the backtick.
    TemplateEnd,
    /// Operators, brackets, commas.
    Symbol,
    /// Bytes that mean nothing.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Span,
    /// A text, character or comment that the script ends within.
    pub is_unclosed: bool,
}

impl Token {
    /// Whether it is whitespace or a comment.
    pub fn is_trivia(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment
        )
    }
}

/// The words that Rhai keeps for itself and gives a meaning.
pub const KEYWORDS: &[&str] = &[
    "true",
    "false",
    "let",
    "const",
    "is_shared",
    "if",
    "else",
    "switch",
    "while",
    "loop",
    "do",
    "until",
    "for",
    "in",
    "continue",
    "break",
    "return",
    "throw",
    "try",
    "catch",
    "fn",
    "private",
    "import",
    "export",
    "as",
    "this",
];

/// The words that Rhai keeps for later.
pub const RESERVED: &[&str] = &[
    "var",
    "static",
    "shared",
    "goto",
    "exit",
    "match",
    "case",
    "public",
    "protected",
    "new",
    "use",
    "with",
    "is",
    "module",
    "package",
    "super",
    "spawn",
    "thread",
    "go",
    "sync",
    "async",
    "await",
    "yield",
    "default",
    "void",
    "null",
    "nil",
];

/// Longest first, so that the first that fits is the one.
const SYMBOLS: &[&str] = &[
    "**=", "<<=", ">>=", "..=", "...", "===", "!==", "!in", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**", "<<",
    ">>", "&&", "||", "==", "!=", "<=", ">=", "=>", "->", "::", "..", "?.", "?[", "??", "#{", "${", "+", "-", "*", "/",
    "%", "<", ">", "=", "!", "&", "|", "^", "(", ")", "[", "]", "{", "}", ",", ";", ":", ".", "?", "~", "@", "$", "#",
    "\\",
];

/// Cuts `text` into tokens. Never fails; what means nothing is [`TokenKind::Unknown`].
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        found: Vec::with_capacity(text.len() / 4),
        open_templates: Vec::new(),
    };
    while lexer.at < text.len() {
        lexer.next();
    }
    lexer.found
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    found: Vec<Token>,
    /// For each template that is being filled in: the open braces within.
    open_templates: Vec<u32>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: TokenKind, length: usize, is_unclosed: bool) {
        let span = Span::new(self.at, self.at + length);
        self.at += length;
        self.found.push(Token {
            kind,
            span,
            is_unclosed,
        });
    }

    fn next(&mut self) {
        let rest = self.rest();
        let first = rest.chars().next().expect("the text is not over");
        let is_blank = |letter: char| letter.is_whitespace() || letter == '\u{feff}';
        match first {
            _ if is_blank(first) => {
                let length = rest.find(|letter| !is_blank(letter)).unwrap_or(rest.len());
                self.push(TokenKind::Whitespace, length, false);
            }
            '/' if rest.starts_with("//") => {
                let end = rest.find('\n').unwrap_or(rest.len());
                let length = rest[..end].trim_end_matches('\r').len();
                self.push(TokenKind::LineComment, length, false);
            }
            '/' if rest.starts_with("/*") => {
                let (length, is_closed) = block_comment(rest);
                self.push(TokenKind::BlockComment, length, !is_closed);
            }
            '#' if self.first_of_file() && rest.starts_with("#!") => {
                let length = rest.find('\n').unwrap_or(rest.len());
                self.push(TokenKind::LineComment, length, false);
            }
            '"' => {
                let (length, is_closed) = quoted(rest, '"');
                self.push(TokenKind::Str, length, !is_closed);
            }
            '\'' => {
                let (length, is_closed) = quoted(rest, '\'');
                self.push(TokenKind::Char, length, !is_closed);
            }
            '#' if raw_hashes(rest).is_some() => {
                let (length, is_closed) = raw(rest);
                self.push(TokenKind::Str, length, !is_closed);
            }
            '`' => self.template(1, TokenKind::TemplateWhole, TokenKind::TemplateStart),
            '}' if self.open_templates.last() == Some(&0) => {
                self.open_templates.pop();
                self.template(1, TokenKind::TemplateEnd, TokenKind::TemplateMiddle);
            }
            '0'..='9' => self.number(),
            _ if first.is_alphabetic() || first == '_' => {
                let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
                let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
                let word = &rest[..length];
                let kind = match KEYWORDS.contains(&word) || RESERVED.contains(&word) {
                    true => TokenKind::Keyword,
                    false => TokenKind::Ident,
                };
                self.push(kind, length, false);
            }
            _ => self.symbol(first),
        }
    }

    fn first_of_file(&self) -> bool {
        self.at == 0
    }

    /// The part of a template after its first `skip` bytes, up to what is filled in next or to its end.
    fn template(&mut self, skip: usize, to_end: TokenKind, to_code: TokenKind) {
        let rest = self.rest();
        let mut at = skip;
        while let Some(letter) = rest[at..].chars().next() {
            match letter {
                '\\' if rest[at..].starts_with("\\${") => at += 3,
                // Two of them stand for one.
                '`' if rest[at..].starts_with("``") => at += 2,
                '`' => return self.push(to_end, at + 1, false),
                '$' if rest[at..].starts_with("${") => {
                    self.open_templates.push(0);
                    return self.push(to_code, at + 2, false);
                }
                _ => at += letter.len_utf8(),
            }
        }
        let length = rest.len();
        self.push(to_end, length, true);
    }

    fn number(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let is_radix =
            bytes.len() > 2 && bytes[0] == b'0' && matches!(bytes[1].to_ascii_lowercase(), b'x' | b'o' | b'b');
        if is_radix {
            let digits = rest[2..].find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            return self.push(TokenKind::Int, digits.map_or(rest.len(), |digits| digits + 2), false);
        }
        let run = |from: usize| {
            let digits = rest[from..].find(|letter: char| !letter.is_ascii_digit() && letter != '_');
            digits.map_or(rest.len(), |digits| from + digits)
        };
        let mut end = run(0);
        let mut kind = TokenKind::Int;
        let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        // `1..3` is a range and `1.to_string()` a call.
        let is_word = |at: usize| {
            bytes
                .get(at)
                .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        };
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') && !is_word(end + 1) {
            kind = TokenKind::Float;
            end = run(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digit_at(end + 1 + signed) {
                kind = TokenKind::Float;
                end = run(end + 1 + signed);
            }
        }
        self.push(kind, end, false);
    }

    fn symbol(&mut self, first: char) {
        let rest = self.rest();
        let is_word = |at: usize| rest[at..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        let fits = |symbol: &&&str| rest.starts_with(**symbol) && (**symbol != "!in" || !is_word(3));
        let Some(symbol) = SYMBOLS.iter().find(|symbol| fits(symbol)) else {
            return self.push(TokenKind::Unknown, first.len_utf8(), false);
        };
        if let Some(open) = self.open_templates.last_mut() {
            match *symbol {
                "{" | "#{" | "${" => *open += 1,
                "}" => *open = open.saturating_sub(1),
                _ => {}
            }
        }
        self.push(TokenKind::Symbol, symbol.len(), false);
    }
}

fn block_comment(text: &str) -> (usize, bool) {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        let (open, close) = (text[at..].find("/*"), text[at..].find("*/"));
        match (open, close) {
            (Some(open), Some(close)) if open < close => (at, depth) = (at + open + 2, depth + 1),
            (_, Some(close)) => (at, depth) = (at + close + 2, depth - 1),
            (_, None) => return (text.len(), false),
        }
    }
    (at, true)
}

/// The length of a text in quotes. It ends with its line, unless that ends in a backslash.
fn quoted(text: &str, quote: char) -> (usize, bool) {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                if let Some((_, '\r')) = letters.next() {
                    letters.next();
                }
            }
            '\n' => return (text[..at].trim_end_matches('\r').len(), false),
            // Two of them stand for one.
            _ if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() => return (at + 1, true),
            _ => {}
        }
    }
    (text.len(), false)
}

/// The `#` before the quote of a raw text.
fn raw_hashes(text: &str) -> Option<usize> {
    let hashes = text.len() - text.trim_start_matches('#').len();
    text[hashes..].starts_with('"').then_some(hashes)
}

fn raw(text: &str) -> (usize, bool) {
    let hashes = raw_hashes(text).expect("a raw text begins here");
    let close = format!("\"{}", "#".repeat(hashes));
    match text[hashes + 1..].find(&close) {
        Some(at) => (hashes + 1 + at + close.len(), true),
        None => (text.len(), false),
    }
}

/// What a text literal stands for; `None` where an escape means nothing.
pub fn unescape(literal: &str) -> Option<String> {
    if literal.starts_with('#') {
        let hashes = raw_hashes(literal)?;
        return Some(
            literal
                .get(hashes + 1..literal.len().checked_sub(hashes + 1)?)?
                .to_owned(),
        );
    }
    let quote = literal.chars().next()?;
    let inner = literal.get(1..literal.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(unescape_template(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut letters = inner.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            if letter == quote {
                letters.next_if_eq(&quote);
            }
            continue;
        }
        let digits = match letters.next()? {
            'n' => {
                text.push('\n');
                continue;
            }
            't' => {
                text.push('\t');
                continue;
            }
            'r' => {
                text.push('\r');
                continue;
            }
            '\r' | '\n' => {
                // The line goes on after its indentation.
                while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
                continue;
            }
            mark if mark == '\\' || mark == quote => {
                text.push(mark);
                continue;
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        let code: String = letters.by_ref().take(digits).collect();
        text.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
    }
    Some(text)
}

/// What a piece of a text in backticks stands for: there are no escapes but two, and a line break at the beginning is
/// not part of it.
pub fn unescape_template(piece: &str) -> String {
    piece.replace("``", "`").replace("\\${", "${")
}
