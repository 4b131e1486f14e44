//! Errors as a person meets them: what was attempted, what went wrong, where, and what to do next.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

use super::out::plain;
use crate::app::AppError;
use crate::config::ConfigError;
use crate::effect::{Failure, Place};
use crate::journal::JournalError;
use crate::journal::incident::IncidentError;
use crate::runs::ResumeError;
use crate::runs::library::LibraryError;
use crate::runs::replay::ReplayError;
use crate::runs::whatif::WhatIfError;
use crate::script::Diagnosis;
use crate::store::StoreError;

/// Exit codes, as `host --help` lists them.
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const NEEDS_ATTENTION: u8 = 3;
pub const STORE: u8 = 4;
pub const CONFIG: u8 = 5;
pub const OTHER: u8 = 6;
pub const UNFINISHED: u8 = 7;

/// An error that ends a command.
#[derive(Clone, Debug)]
pub struct CliError {
    code: String,
    message: String,
    exit_code: u8,
    /// The text and the place, when it is about a script.
    diagnosis: Option<Diagnosis>,
    notes: Vec<String>,
    help: Option<String>,
}

impl CliError {
    pub fn new(code: impl Into<String>, message: impl Into<String>, exit_code: u8) -> CliError {
        CliError {
            code: code.into(),
            message: message.into(),
            exit_code,
            diagnosis: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// Wrong usage or input.
    pub fn usage(code: impl Into<String>, message: impl Into<String>) -> CliError {
        CliError::new(code, message, USAGE)
    }

    pub fn help(mut self, help: impl Into<String>) -> CliError {
        self.help = Some(help.into());
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> CliError {
        self.notes.push(note.into());
        self
    }

    /// With the place in the script that it is about.
    pub fn at(mut self, diagnosis: Diagnosis) -> CliError {
        self.help = self.help.or_else(|| diagnosis.help.clone());
        self.diagnosis = Some(diagnosis);
        self
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    /// The same with the way to its page, where nothing else helps on.
    pub fn explained(&self) -> CliError {
        let explained = format!("`host explain {}` tells what it means, and what to do", self.code);
        CliError {
            code: self.code.clone(),
            message: self.message.clone(),
            exit_code: self.exit_code,
            diagnosis: self.diagnosis.clone(),
            notes: self.notes.clone(),
            help: self.help.clone().or(Some(explained)),
        }
    }

    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// `{"error": {code, message, file, line, column}}`
    pub fn to_json(&self) -> serde_json::Value {
        let place = self
            .diagnosis
            .as_ref()
            .map(|diagnosis| (&diagnosis.text.file, &diagnosis.place));
        json!({ "error": {
            "code": self.code,
            "message": self.message,
            "file": place.map(|(file, _)| file),
            "line": place.map(|(_, place)| place.line).filter(|line| *line > 0),
            "column": place.map(|(_, place)| place.column).filter(|column| *column > 0),
            "help": self.help,
        }})
    }

    /// As text, with the code frame.
    pub fn render(&self, color: bool, unicode: bool) -> String {
        render(
            &Shown {
                code: &self.code,
                message: &self.message,
                notes: &self.notes,
                help: self.help.as_deref(),
            },
            self.diagnosis.as_ref(),
            color,
            unicode,
        )
    }
}

/// What is said around a code frame.
pub struct Shown<'a> {
    pub code: &'a str,
    pub message: &'a str,
    pub notes: &'a [String],
    pub help: Option<&'a str>,
}

/// An error as text, with its code frame when the place is known.
pub fn render(shown: &Shown<'_>, diagnosis: Option<&Diagnosis>, color: bool, unicode: bool) -> String {
    let (code, message) = (plain(shown.code), plain(shown.message));
    let source = diagnosis
        .map(|diagnosis| visible(&diagnosis.text.text))
        .unwrap_or_default();
    let file = diagnosis
        .map(|diagnosis| plain(&diagnosis.text.file))
        .unwrap_or_default();
    let notes: Vec<String> = shown.notes.iter().map(|note| plain(note)).collect();
    let help = shown.help.map(plain);
    let title = Level::ERROR.primary_title(&message).id(&code);
    let mut group = match diagnosis.and_then(|diagnosis| span(&source, &diagnosis.place)) {
        Some(span) => title.element(
            Snippet::source(&source)
                .path(&file)
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        None if !file.is_empty() => title.element(annotate_snippets::Origin::path(&file)),
        None => Group::with_title(title),
    };
    for note in &notes {
        group = group.element(Level::NOTE.message(note));
    }
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let decor = if unicode {
        DecorStyle::Unicode
    } else {
        DecorStyle::Ascii
    };
    renderer.decor_style(decor).render(&[group])
}

/// The text with every character that could drive a terminal replaced by one of the same length in columns.
fn visible(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter == '\r' {
                ' '
            } else if letter == '\n' || letter == '\t' || plain(&letter.to_string()).chars().count() == 1 {
                letter
            } else {
                '\u{fffd}'
            }
        })
        .collect()
}

/// The word at `place`, in bytes of `text`.
fn span(text: &str, place: &Place) -> Option<std::ops::Range<usize>> {
    if place.line == 0 {
        return None;
    }
    let start_of_line: usize = text
        .split_inclusive('\n')
        .take(place.line as usize - 1)
        .map(str::len)
        .sum();
    let line = text.get(start_of_line..)?.lines().next().unwrap_or_default();
    let column = (place.column.max(1) - 1) as usize;
    let start = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let length = line[start..]
        .find(|letter| !is_word(letter))
        .unwrap_or(line.len() - start);
    let first = line[start..].chars().next().map_or(0, char::len_utf8);
    let start = start_of_line + start;
    Some(start..start + length.max(first))
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        let exit_code = if error.is_callers() { USAGE } else { STORE };
        let shown = CliError::new(error.code(), error.to_string(), exit_code);
        match error.code() {
            "STORE_SERVED" => shown.help("stop the server, type it again, and start the server"),
            "STORE_COMMIT_UNKNOWN" => shown.help("look whether it happened before you repeat it"),
            "STORE_LOCKED" => shown.help("another `host` command is at work in this project: let it end"),
            "STORE_NEEDS_REPAIR" => shown.help("`host resume --all` repairs it too, and goes on with what was cut off"),
            _ => shown,
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        match error {
            ConfigError::Toml(diagnosis) => {
                CliError::new(diagnosis.code.clone(), diagnosis.message.clone(), CONFIG).at(*diagnosis)
            }
            other => CliError::new(other.code(), other.to_string(), CONFIG),
        }
    }
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> CliError {
        match error {
            AppError::Store(error) => error.into(),
            AppError::Config(error) => error.into(),
            other => CliError::new(other.code(), other.to_string(), CONFIG),
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> CliError {
        match error {
            JournalError::Store(error) => error.into(),
            JournalError::NoSuchRun(_) | JournalError::Ambiguous { .. } => {
                CliError::usage(error.code(), error.to_string())
            }
            other => CliError::new(other.code(), other.to_string(), STORE),
        }
    }
}

impl From<IncidentError> for CliError {
    fn from(error: IncidentError) -> CliError {
        match error {
            IncidentError::Store(error) => error.into(),
            IncidentError::Journal(error) => error.into(),
            IncidentError::Corrupt { .. } | IncidentError::NewerFormat { .. } => {
                CliError::new(error.code(), error.to_string(), STORE)
            }
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}

impl From<Diagnosis> for CliError {
    fn from(diagnosis: Diagnosis) -> CliError {
        CliError::usage(diagnosis.code.clone(), diagnosis.message.clone()).at(diagnosis)
    }
}

impl From<LibraryError> for CliError {
    fn from(error: LibraryError) -> CliError {
        match error {
            LibraryError::Script(diagnosis) => (*diagnosis).into(),
            LibraryError::Store(error) => error.into(),
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}

impl From<ResumeError> for CliError {
    fn from(error: ResumeError) -> CliError {
        match error {
            ResumeError::Journal(error) => error.into(),
            ResumeError::Library(error) => error.into(),
            ResumeError::Store(error) => error.into(),
            ResumeError::InDoubt { .. } => CliError::new(error.code(), error.to_string(), NEEDS_ATTENTION),
            ResumeError::Refused(failure) => failure.into(),
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}

impl From<ReplayError> for CliError {
    fn from(error: ReplayError) -> CliError {
        match error {
            ReplayError::Journal(error) => error.into(),
            ReplayError::Library(error) => error.into(),
            other => CliError::usage(other.code(), other.to_string()),
        }
    }
}

impl From<WhatIfError> for CliError {
    fn from(error: WhatIfError) -> CliError {
        match error {
            WhatIfError::Journal(error) => error.into(),
            WhatIfError::Library(error) => error.into(),
            WhatIfError::Store(error) => error.into(),
            WhatIfError::Input(failure) => failure.into(),
        }
    }
}

/// An input that does not fit.
impl From<Failure> for CliError {
    fn from(failure: Failure) -> CliError {
        CliError::usage(failure.code, failure.message)
    }
}
