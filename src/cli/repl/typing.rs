//! Where entries come from: a person at a terminal, with completion and a history; or a pipe, without either.

use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use super::commands::COMMANDS;
use super::entry::is_open;
use crate::app::App;
use crate::gate::Masks;
use crate::io::line_history;
use crate::runs::session::Session;
use crate::script::limits::SOURCE_BYTES_MAX;
use crate::script::reference::functions;

/// The history's name in the data folder.
const HISTORY_FILE: &str = "repl_history";

/// Entries that are remembered.
const HISTORY_MAX: usize = 1_000;

/// Something was typed.
pub enum Typed {
    Entry(String),
    /// Ctrl-C while nothing ran.
    Interrupted,
    End,
    /// What cannot be read, and why.
    Refused(String),
}

/// Where entries come from.
pub enum Typing {
    Person(Box<Person>),
    Pipe,
}

pub struct Person {
    editor: Editor<Known, MemHistory>,
    history: Option<PathBuf>,
    masks: Arc<Masks>,
}

impl Typing {
    /// A person's where one sits there.
    pub fn begin(app: &App, is_live: bool) -> Typing {
        let is_person = is_live && std::io::IsTerminal::is_terminal(&std::io::stdin());
        let person = is_person.then(|| Person::begin(app)).transpose();
        match person {
            Ok(Some(person)) => Typing::Person(Box::new(person)),
            Ok(None) => Typing::Pipe,
            Err(error) => {
                tracing::warn!(%error, "this terminal cannot be edited on: lines are read as they come");
                Typing::Pipe
            }
        }
    }

    pub fn is_person(&self) -> bool {
        matches!(self, Typing::Person(_))
    }

    /// The next entry.
    pub fn next(&mut self, session: &Session) -> Typed {
        match self {
            Typing::Person(person) => person.next(session),
            Typing::Pipe => piped(),
        }
    }
}

impl Person {
    fn begin(app: &App) -> rustyline::Result<Person> {
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)?
            .history_ignore_space(true)
            .completion_type(rustyline::CompletionType::List)
            .build();
        let mut editor = Editor::with_history(config, MemHistory::new())?;
        let mut names: Vec<String> = Vec::new();
        for function in functions(&app.library.language) {
            names.push(format!("{}(", function.name));
        }
        names.extend(
            app.library
                .language
                .namespaces()
                .iter()
                .map(|(name, _)| format!("{name}::")),
        );
        names.sort();
        names.dedup();
        editor.set_helper(Some(Known { names, own: Vec::new() }));
        // Outside a project nothing is left behind, not even this.
        let history = app
            .config
            .project
            .as_ref()
            .map(|_| app.config.data().join(HISTORY_FILE));
        if let Some(path) = &history {
            for entry in line_history::load(path, HISTORY_MAX) {
                editor.add_history_entry(entry)?;
            }
        }
        Ok(Person {
            editor,
            history,
            masks: app.masks.clone(),
        })
    }

    fn next(&mut self, session: &Session) -> Typed {
        if let Some(known) = self.editor.helper_mut() {
            known.own = session.names();
        }
        match self.editor.readline(&format!("{:>3} > ", session.next_line())) {
            Ok(text) if text.trim().is_empty() => Typed::Interrupted,
            Ok(text) => {
                self.remember(&text);
                Typed::Entry(text)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            Err(ReadlineError::Eof) => Typed::End,
            Err(error) => {
                tracing::debug!(%error, "the terminal has gone");
                Typed::End
            }
        }
    }

    /// Keeps an entry, without the secrets of the project in it.
    fn remember(&mut self, text: &str) {
        let text = text.trim_end();
        if text.starts_with(' ') {
            return;
        }
        let masked = self.masks.mask_text(text.to_owned());
        let is_new = self.editor.add_history_entry(masked.clone()).unwrap_or(false);
        if let (true, Some(path)) = (is_new, &self.history)
            && let Err(error) = line_history::append(path, &masked)
        {
            tracing::debug!(%error, "the history cannot be kept");
            self.history = None;
        }
    }
}

/// The next entry of a pipe: a line, and more while something in it is open.
fn piped() -> Typed {
    let mut entry = String::new();
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        let left = (SOURCE_BYTES_MAX + 1).saturating_sub(entry.len()) as u64;
        let read = Read::take(&mut input, left).read_line(&mut line);
        let ended = match read {
            Ok(count) => count == 0,
            Err(error) => {
                let message = format!("standard input cannot be read: {error}");
                return if error.kind() == std::io::ErrorKind::InvalidData {
                    Typed::Refused(message)
                } else {
                    Typed::End
                };
            }
        };
        entry.push_str(&line);
        if ended && entry.trim().is_empty() {
            return Typed::End;
        }
        if entry.trim().is_empty() {
            entry.clear();
            continue;
        }
        // What is too long is refused by whoever compiles it.
        if ended || entry.len() > SOURCE_BYTES_MAX || !is_open(&entry) {
            entry.truncate(entry.trim_end().len());
            return Typed::Entry(entry);
        }
    }
}

/// What completes a word: the functions of the language, and what the session made.
pub struct Known {
    names: Vec<String>,
    own: Vec<String>,
}

impl Known {
    /// Where the word before `pos` begins, and what it may become.
    fn candidates(&self, line: &str, pos: usize) -> (usize, Vec<String>) {
        let before = &line[..pos];
        if before.starts_with(':') {
            let names = COMMANDS.iter().map(|(name, _)| name.split(' ').next().unwrap_or(name));
            let fitting = names.filter(|name| name.starts_with(before)).map(str::to_owned);
            return (0, fitting.collect());
        }
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, letter)| is_word(*letter))
            .last();
        let start = start.map_or(pos, |(at, _)| at);
        let word = &before[start..];
        if word.is_empty() {
            return (pos, Vec::new());
        }
        let fits = |name: &&String| name.starts_with(word);
        // The functions of a namespace only once it is named: there are hundreds.
        let is_near = |name: &&String| word.contains("::") || !name.contains("::") || name.ends_with("::");
        let known = self.names.iter().filter(fits).filter(is_near);
        let mut found: Vec<String> = self.own.iter().filter(fits).chain(known).cloned().collect();
        found.dedup();
        (start, found)
    }
}

impl Completer for Known {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, names) = self.candidates(line, pos);
        let pair = |name: String| Pair {
            display: name.trim_end_matches('(').to_owned(),
            replacement: name,
        };
        Ok((start, names.into_iter().map(pair).collect()))
    }
}

impl Validator for Known {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let asks_to_end = input.ends_with('\n');
        Ok(if is_open(input) && !asks_to_end {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Hinter for Known {
    type Hint = String;
}

impl Highlighter for Known {}

impl Helper for Known {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_from_the_functions_and_from_what_was_made() {
        let known = Known {
            names: ["kv::", "kv::get(", "kv::put(", "log::"].map(str::to_owned).to_vec(),
            own: ["kept".to_owned(), "keep(".to_owned()].to_vec(),
        };
        let of = |line: &str| known.candidates(line, line.len());
        assert_eq!(of("let a = kv::g"), (8, vec!["kv::get(".to_owned()]));
        assert_eq!(
            of("k"),
            (0, vec!["kept".to_owned(), "keep(".to_owned(), "kv::".to_owned()])
        );
        assert_eq!(of(":qu"), (0, vec![":quit".to_owned()]));
        assert_eq!(of("f("), (2, Vec::new()));
        assert_eq!(of("ä + ke").0, "ä + ".len());
    }
}
