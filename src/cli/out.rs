//! What people see: aligned lines, colour only where it helps, nothing that could drive a terminal.
//!
//! Text from outside may hold control characters; everything printed passes [`plain`]. JSON goes to standard output
//! and errors to standard error, whatever else is printed.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::error::CliError;
use crate::app::App;
use crate::telemetry::log::{self, Look};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// Names for what is coloured.
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const CAREFUL: Style = AnsiColor::Yellow.on_default();
pub const FAINT: Style = Style::new().dimmed();
pub const STRONG: Style = Style::new().bold();

/// The terminal, file or pipe that a command speaks to.
pub struct Out {
    pub json: bool,
    choice: ColorChoice,
    color: bool,
    /// Whether a person sits there, so that progress may be drawn.
    pub live: bool,
    pub unicode: bool,
    /// Columns of the terminal; `None` for a file or a pipe, which take lines of any length.
    pub width: Option<usize>,
    gone: bool,
    /// Whether long lists may go to a pager.
    may_page: bool,
    /// What is kept for the pager.
    pages: Option<String>,
}

impl Out {
    pub fn new(json: bool, choice: ColorChoice) -> Out {
        let terminal = std::io::stdout().is_terminal();
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            // `NO_COLOR`, `CLICOLOR` and a dumb terminal are respected.
            ColorChoice::Auto => {
                anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never && terminal
            }
        };
        Out {
            json,
            choice,
            color: color && !json,
            live: terminal && std::io::stderr().is_terminal() && !json,
            unicode: speaks_unicode(),
            width: terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into()),
            gone: false,
            may_page: false,
            pages: None,
        }
    }

    /// The same, whose long lists may go to a pager where a person looks at them.
    pub fn paging(self, may_page: bool) -> Out {
        let may_page = may_page && !self.json && self.width.is_some();
        Out { may_page, ..self }
    }

    /// From here on everything goes to the pager, if it is more than a screen.
    pub fn page(&mut self) {
        if self.may_page && !self.json && self.pages.is_none() {
            self.pages = Some(String::new());
        }
    }

    /// Shows what was kept for the pager. Without a pager it is printed as it is.
    pub fn end_page(&mut self) {
        let Some(text) = self.pages.take() else { return };
        let (width, height) = terminal_size::terminal_size_of(std::io::stdout()).map_or((80, 24), |(width, height)| {
            (usize::from(width.0), usize::from(height.0))
        });
        let pager = || {
            let env = crate::io::env::Environment::read(None).unwrap_or_default();
            crate::io::pager::chosen(env.get("HOST_PAGER").or_else(|| env.get("PAGER")))
        };
        if rows_of(&text, width.max(1)) >= height
            && let Some(pager) = pager()
        {
            match crate::io::pager::show(&pager, &text) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, ?pager, "no pager"),
            }
        }
        self.write(format_args!("{text}"));
    }

    /// How colour was asked for.
    pub fn choice(&self) -> ColorChoice {
        self.choice
    }

    /// The columns left of a line after so many; all that anybody may want when nobody reads by eye.
    pub fn rest_of_line(&self, taken: usize) -> usize {
        self.width
            .map_or(usize::MAX, |width| width.saturating_sub(taken).max(20))
    }

    /// Prints one line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.write(format_args!("{}\n", text.as_ref()));
    }

    /// Prints the command's answer in JSON.
    pub fn json(&mut self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value).expect("answers are plain data");
        self.line(text);
    }

    /// One JSON value on a line of its own.
    pub fn json_line(&mut self, value: &impl serde::Serialize) {
        let text = serde_json::to_string(value).expect("answers are plain data");
        self.line(text);
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(pages) = &mut self.pages {
            std::fmt::Write::write_fmt(pages, text).expect("a string takes every text");
            return;
        }
        if !self.gone && std::io::stdout().lock().write_fmt(text).is_err() {
            // The reader has closed the pipe: `host runs | head`. There is nobody left to print for.
            self.gone = true;
        }
    }

    /// `text` in `style`, when colour is on.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    pub fn has_color(&self) -> bool {
        self.color
    }

    /// The symbol, or its stand-in where the terminal is not UTF-8.
    pub fn symbol(&self, symbol: &'static str) -> &'static str {
        if self.unicode {
            return symbol;
        }
        match symbol {
            "✓" => "ok",
            "✗" => "x",
            "−" => "-",
            "·" => "-",
            "→" => "->",
            "…" => "...",
            "—" => "-",
            other => other,
        }
    }

    /// Prints a result: on one line where it fits, else spread out, up to a screen of it.
    pub fn result(&mut self, value: &crate::value::Value) {
        const LINES_MAX: usize = 40;
        let text = plain(&value.to_string());
        if text.width() + 8 <= self.width.unwrap_or(120) {
            self.line(format!("result  {text}"));
            return;
        }
        let spread = serde_json::to_string_pretty(&value.to_json()).expect("values are plain data");
        self.line("result");
        for line in spread.lines().take(LINES_MAX) {
            self.line(format!("  {}", excerpt(line, 400)));
        }
        let left = spread.lines().count().saturating_sub(LINES_MAX);
        if left > 0 {
            let more = self.paint(FAINT, &format!("  and {left} more lines: --json shows them all"));
            self.line(more);
        }
    }

    /// Prints rows in aligned columns, each cell as it is; the last column is not padded.
    pub fn table(&mut self, heads: &[&str], rows: &[Vec<String>]) {
        let columns = heads.len();
        let width = |column: usize| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| visible_width(cell));
            cells.chain(std::iter::once(heads[column].width())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let head: Vec<String> = heads.iter().map(|head| self.paint(FAINT, head)).collect();
        for row in std::iter::once(&head).chain(rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if column + 1 < columns {
                    let pad = widths[column].saturating_sub(visible_width(cell)) + 2;
                    line.push_str(&" ".repeat(pad));
                }
            }
            self.line(line.trim_end());
        }
    }

    /// Prints an error to standard error, or as JSON to standard output.
    pub fn error(&mut self, error: &CliError) {
        if self.json {
            self.json_line(&error.to_json());
            return;
        }
        // A log or a pipe has no use for the hint.
        let explained = std::io::stderr().is_terminal().then(|| error.explained());
        let text = explained.as_ref().unwrap_or(error).render(
            std::io::stderr().is_terminal()
                && anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never,
            self.unicode,
        );
        // Standard error may be closed; there is no third place to complain to.
        writeln!(std::io::stderr(), "{text}").unwrap_or_default();
    }

    /// Starts the log: to standard error, as `LOG_LEVEL` and `LOG_FORMAT` say. That of a server tells of every run.
    pub fn start_log(&self, app: &App, is_serving: bool) {
        let preset = if is_serving { "info" } else { "warn" };
        let of = |name: &str| app.config.env.get(name).map(|text| text.trim().to_ascii_lowercase());
        let (level, format) = (of("LOG_LEVEL"), of("LOG_FORMAT"));
        let known = level.as_deref().filter(|level| log::LEVELS.contains(level));
        log::mask(app.masks.clone());
        let look = Look {
            json: format.as_deref() == Some("json"),
            color: self.color,
            time: is_serving,
        };
        log::start(known.unwrap_or(preset), look);
        if known.is_none()
            && let Some(given) = level.filter(|given| !given.is_empty())
        {
            let levels = log::LEVELS.join(", ");
            tracing::warn!(given, preset, "LOG_LEVEL is none of {levels}: the preset stands");
        }
        if let Some(given) = format.filter(|given| !matches!(given.as_str(), "" | "text" | "json")) {
            tracing::warn!(given, "LOG_FORMAT is neither text nor json: it is text");
        }
    }
}

/// `text` without anything that could drive a terminal: control and direction characters become visible escapes.
pub fn plain(text: &str) -> String {
    let is_safe = |letter: char| {
        !letter.is_control()
            && !matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|letter| {
            if is_safe(letter) {
                letter.to_string()
            } else {
                letter.escape_default().to_string()
            }
        })
        .collect()
}

/// The beginning of `text`, safe to print, at most `width` columns wide.
pub fn excerpt(text: &str, width: usize) -> String {
    let text = plain(text);
    if text.width() <= width {
        return text;
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if kept.width() + unicode_width::UnicodeWidthChar::width(letter).unwrap_or(0) + 1 > width {
            break;
        }
        kept.push(letter);
    }
    kept + "…"
}

/// The rows that `text` takes on a terminal so wide.
fn rows_of(text: &str, width: usize) -> usize {
    text.lines()
        .map(|line| visible_width(line).div_ceil(width).max(1))
        .sum()
}

/// The width of a cell without its colours.
fn visible_width(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().width()
}

fn speaks_unicode() -> bool {
    let env = crate::io::env::Environment::read(None).unwrap_or_default();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env.get(name).map(str::to_ascii_lowercase));
    // A locale that is not set says nothing about the terminal; most are UTF-8.
    locale.is_none_or(|locale| locale.contains("utf-8") || locale.contains("utf8") || locale == "c.utf8")
}

/// Bytes for people: `12 kB`, `3.4 MB`.
pub fn bytes_for_people(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A moment for people: absolute, in UTC.
pub fn moment(unix_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(unix_ms).map_or_else(
        || unix_ms.to_string(),
        |moment| moment.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// How long ago, for people: `3 min ago`.
pub fn ago(then_ms: i64, now_ms: i64) -> String {
    match (now_ms - then_ms).max(0) / 1000 {
        0..2 => "just now".to_owned(),
        seconds @ 2..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}
