//! What can be said against a text: one model for people at a terminal, for editors and for machines.
//!
//! A finding has a stable code, a place, a way out and, where a machine can take it, a fix. Which level it has is said by
//! its lint ([`lints`]), then by the project's settings ([`settings`]), then by a comment in the text ([`allow`]).
//!
//! Invariant: places are bytes of the text that was checked, on the borders of characters, and the edits of one fix do
//! not overlap.

pub mod allow;
pub mod edits;
pub mod lints;
pub mod settings;

use serde::{Deserialize, Serialize};

use super::error::Diagnosis;
use super::syntax::{Lines, Span};

pub use settings::Settings;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It will not run, or not do what is written.
    Error,
    /// It runs, and is hardly meant so.
    Warning,
    /// It could be better. Shown by editors, and by `host check` when asked.
    Hint,
    /// Not told at all.
    Off,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Hint => "hint",
            Level::Off => "off",
        }
    }
}

/// A place in a text: its bytes, and its lines and columns as people count them, from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    pub start: u32,
    pub end: u32,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

impl Region {
    pub fn of(text: &str, lines: &Lines, span: Span) -> Region {
        let (line, column) = lines.place(text, span.start);
        let (end_line, end_column) = lines.place(text, span.end);
        Region {
            start: span.start,
            end: span.end,
            line,
            column,
            end_line,
            end_column,
        }
    }

    pub fn span(self) -> Span {
        Span {
            start: self.start,
            end: self.end,
        }
    }
}

/// Another place that has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    pub file: String,
    pub region: Region,
    pub message: String,
}

/// Bytes of a file that become another text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub file: String,
    pub span: Span,
    pub text: String,
}

/// A change that takes a finding away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// In the imperative: "write `title`".
    pub title: String,
    pub edits: Vec<Edit>,
    /// Whether it certainly says what was meant, so that it may be made unseen.
    pub is_safe: bool,
}

/// One thing that can be said against a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub code: String,
    pub level: Level,
    pub message: String,
    pub file: String,
    /// `None` when it is about the whole file.
    pub region: Option<Region>,
    pub related: Vec<Related>,
    /// The way out, where one is known.
    pub help: Option<String>,
    pub fixes: Vec<Fix>,
}

impl Finding {
    /// About the whole of `file`, with the level that its lint has by itself.
    pub fn new(code: impl Into<String>, file: impl Into<String>, message: impl Into<String>) -> Finding {
        let code = code.into();
        Finding {
            level: lints::level(&code),
            code,
            message: message.into(),
            file: file.into(),
            region: None,
            related: Vec::new(),
            help: None,
            fixes: Vec::new(),
        }
    }

    pub fn at(mut self, region: Region) -> Finding {
        self.region = Some(region);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    /// What was said of a text by whoever reads it to run it. It has a point; the finding has the word there.
    pub fn of(diagnosis: &Diagnosis) -> Finding {
        let (text, place) = (&*diagnosis.text.text, &diagnosis.place);
        let finding = Finding {
            help: diagnosis.help.clone(),
            ..Finding::new(
                diagnosis.code.as_str(),
                diagnosis.text.file.as_str(),
                diagnosis.message.as_str(),
            )
        };
        if place.line == 0 {
            return finding;
        }
        let lines = Lines::of(text);
        let start = lines.offset(text, place.line, place.column.max(1));
        finding.at(Region::of(text, &lines, word_at(text, start)))
    }

    /// In the order in which a text is read.
    pub fn order(&self, other: &Finding) -> std::cmp::Ordering {
        let key = |finding: &Finding| (finding.file.clone(), finding.region, finding.code.clone());
        key(self).cmp(&key(other))
    }
}

/// The word that begins at `start`, or one character.
pub fn word_at(text: &str, start: u32) -> Span {
    let rest = &text[start as usize..];
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let word = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
    let first = rest.chars().next().filter(|letter| !matches!(letter, '\n' | '\r'));
    let length = word.max(first.map_or(0, char::len_utf8));
    Span {
        start,
        end: start + length as u32,
    }
}
