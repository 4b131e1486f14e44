//! What was taken of runs, kept as a text beside the test file: `publish_test.snap`.
//!
//! The first line names the format. Each snapshot stands below a line `=== name`, indented by two spaces, so that no
//! line of it can be taken for another's name. Lines may end in CRLF, as they do after a checkout on Windows; then they
//! are written so again.
//!
//! ```text
//! host snapshots, format 1
//!
//! === test_a_quiet_day
//!   daily/publish {"topic":"hooks"}
//!   1 read file.read_json {"path":"inbox/feed.json"}
//!   succeeded
//! ```

use std::collections::{BTreeMap, BTreeSet};

/// The format that is written.
const FORMAT: u32 = 1;
const HEAD: &str = "host snapshots, format ";
const MARK: &str = "=== ";

/// The longest file of snapshots.
pub const BYTES_MAX: u64 = 16 << 20;

/// The snapshots of one test file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    kept: BTreeMap<String, String>,
    has_crlf: bool,
}

/// One comparison of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// `test_a_quiet_day`, or with a name or number behind it: `test_a_quiet_day: the clip`.
    pub key: String,
    pub text: String,
    /// What was kept; `None` when nothing was.
    pub kept: Option<String>,
}

impl Taken {
    pub fn is_same(&self) -> bool {
        self.kept.as_ref() == Some(&self.text)
    }
}

/// Why a file of snapshots cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error(
        "the snapshots are of format {found}, and this host knows {FORMAT}; use a newer host, or take them anew with --accept after removing the file"
    )]
    Version { found: String },
    #[error("line {line} is no part of a file of snapshots: {reason}")]
    Invalid { line: usize, reason: &'static str },
}

impl SnapshotError {
    pub fn code(&self) -> &'static str {
        match self {
            SnapshotError::Version { .. } => "SNAPSHOT_VERSION",
            SnapshotError::Invalid { .. } => "SNAPSHOT_INVALID",
        }
    }
}

impl Book {
    /// Reads a file of snapshots.
    pub fn parse(text: &str) -> Result<Book, SnapshotError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut book = Book {
            kept: BTreeMap::new(),
            has_crlf: text.contains("\r\n"),
        };
        let mut lines = text.lines().enumerate();
        let head = lines.next().map(|(_, line)| line.trim_end()).unwrap_or_default();
        match head.strip_prefix(HEAD) {
            Some(format) if format.parse() == Ok(FORMAT) => {}
            Some(format) => {
                let found = format.chars().take(20).collect();
                return Err(SnapshotError::Version { found });
            }
            None => {
                let reason = "the first should be `host snapshots, format 1`";
                return Err(SnapshotError::Invalid { line: 1, reason });
            }
        }
        let mut key: Option<String> = None;
        for (at, line) in lines {
            let invalid = |reason| SnapshotError::Invalid { line: at + 1, reason };
            if let Some(name) = line.strip_prefix(MARK) {
                let name = name.trim_end().to_owned();
                if book.kept.insert(name.clone(), String::new()).is_some() {
                    return Err(invalid("there is a snapshot of that name already"));
                }
                key = Some(name);
                continue;
            }
            let line = match line.strip_prefix("  ") {
                Some(line) => line,
                None if line.trim_end().is_empty() => "",
                None => return Err(invalid("what belongs to a snapshot is indented by two spaces")),
            };
            match &key {
                Some(key) => {
                    let kept = book.kept.get_mut(key).expect("it was just put there");
                    kept.push_str(line.trim_end_matches('\r'));
                    kept.push('\n');
                }
                None if line.is_empty() => {}
                None => return Err(invalid("it belongs to no snapshot")),
            }
        }
        for text in book.kept.values_mut() {
            *text = tidy(text);
        }
        Ok(book)
    }

    /// The file as it is written.
    pub fn write(&self) -> String {
        let mut text = format!("{HEAD}{FORMAT}\n");
        for (key, kept) in &self.kept {
            text.push_str(&format!("\n{MARK}{key}\n"));
            for line in kept.lines() {
                let indent = if line.is_empty() { "" } else { "  " };
                text.push_str(&format!("{indent}{line}\n"));
            }
        }
        if self.has_crlf {
            text.replace('\n', "\r\n")
        } else {
            text
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.kept.get(key).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn put(&mut self, key: &str, text: &str) {
        self.kept.insert(key.to_owned(), tidy(text));
    }

    pub fn remove(&mut self, key: &str) {
        self.kept.remove(key);
    }

    /// The snapshots that nobody asks for: of cases that are gone, and of those in `run` that did not take them.
    pub fn unreferenced(&self, cases: &[String], run: &BTreeSet<&str>, taken: &BTreeSet<&str>) -> Vec<String> {
        let is_left = |key: &&String| {
            let case = key.split([':', ' ']).next().unwrap_or(key);
            !cases.iter().any(|known| known == case) || run.contains(case) && !taken.contains(key.as_str())
        };
        self.kept.keys().filter(is_left).cloned().collect()
    }
}

/// A text as it can be read back: lines without an end of their own, none of them empty at the end.
pub fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    lines[..end].iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let mut book = Book::default();
        book.put("test_a", "one\n\n=== no name\n  indented\n");
        book.put("test_b: the clip", "{}\n");
        book
    }

    #[test]
    fn what_is_written_is_read_back_also_with_other_line_ends() {
        let text = book().write();
        assert_eq!(Book::parse(&text), Ok(book()));
        let windows = text.replace('\n', "\r\n");
        let read = Book::parse(&windows).unwrap();
        assert_eq!(read.get("test_a"), book().get("test_a"));
        assert_eq!(read.write(), windows);
    }

    #[test]
    fn another_version_and_other_files_are_refused_with_the_reason() {
        let version = Book::parse("host snapshots, format 2\n").unwrap_err();
        assert_eq!(version.code(), "SNAPSHOT_VERSION");
        assert!(version.to_string().contains("format 2"), "{version}");
        for text in [
            "",
            "something else\n",
            "host snapshots, format 1\nx\n",
            "host snapshots, format 1\n=== a\n=== a\n",
        ] {
            assert_eq!(Book::parse(text).unwrap_err().code(), "SNAPSHOT_INVALID", "{text:?}");
        }
    }

    #[test]
    fn a_snapshot_is_left_over_when_its_case_is_gone_or_does_not_take_it_any_more() {
        let book = book();
        let cases = ["test_a".to_owned(), "test_b".to_owned()];
        let left = |run: &[&str], taken: &[&str]| {
            book.unreferenced(&cases, &run.iter().copied().collect(), &taken.iter().copied().collect())
        };
        assert!(left(&[], &[]).is_empty(), "a case that was not run says nothing");
        assert_eq!(left(&["test_a", "test_b"], &["test_a"]), ["test_b: the clip"]);
        assert_eq!(
            book.unreferenced(&cases[..1], &Default::default(), &Default::default()),
            ["test_b: the clip"]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_can_leave_its_place(texts in proptest::collection::vec("(?s).{0,60}", 1..4)) {
            let mut book = Book::default();
            for (number, text) in texts.iter().enumerate() {
                book.put(&format!("test_{number}"), text);
            }
            let read = Book::parse(&book.write()).unwrap();
            for (number, text) in texts.iter().enumerate() {
                let key = format!("test_{number}");
                proptest::prop_assert_eq!(read.get(&key).unwrap(), tidy(text));
            }
        }
    }
}
