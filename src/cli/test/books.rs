//! Snapshots: read before the cases are run, and taken anew where that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::cli::error::{CliError, OTHER, USAGE};
use crate::io::scripts::{read_text, remove, write_text};
use crate::runs::trial::snapshot::{BYTES_MAX, Book, SnapshotError, Taken};
use crate::runs::trial::{CaseResult, TestFile};

/// The snapshots of all test files, as they are kept.
pub struct Shelf {
    books: BTreeMap<String, Result<Arc<Book>, CliError>>,
}

/// What became of the snapshots.
#[derive(Default)]
pub struct Settled {
    pub changes: Vec<Change>,
    pub accepted: bool,
}

/// One snapshot that is not as it was kept.
pub struct Change {
    pub file: String,
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Shelf {
    pub fn open(files: &[TestFile]) -> Shelf {
        let books = files.iter().map(|file| (file.name.clone(), open(file))).collect();
        Shelf { books }
    }

    pub fn books(&self) -> BTreeMap<String, Arc<Book>> {
        let read =
            |(name, book): (&String, &Result<Arc<Book>, CliError>)| Some((name.clone(), book.as_ref().ok()?.clone()));
        self.books.iter().filter_map(read).collect()
    }

    /// That all could be read.
    pub fn check(&self) -> Result<(), CliError> {
        match self.books.values().find_map(|book| book.as_ref().err()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Compares what was taken with what is kept; with `accept`, keeps it.
    pub fn settle(&self, files: &[TestFile], results: &[CaseResult], accept: bool) -> Result<Settled, CliError> {
        let mut settled = Settled {
            accepted: accept,
            ..Settled::default()
        };
        for file in files {
            let Some(Ok(kept)) = self.books.get(&file.name) else {
                continue;
            };
            let of_file = || results.iter().filter(|result| result.file == file.file);
            // What a case that failed would have taken after that is not known.
            let run: BTreeSet<&str> = of_file()
                .filter(|one| one.passed())
                .map(|one| one.case.as_str())
                .collect();
            let all: Vec<&Taken> = of_file().flat_map(|result| &result.taken).collect();
            let taken: BTreeSet<&str> = all.iter().map(|taken| taken.key.as_str()).collect();
            let mut book = (**kept).clone();
            let mut changes = Vec::new();
            // Those that differ have failed their case already, unless they are accepted.
            for taken in all.iter().filter(|taken| accept && !taken.is_same()) {
                book.put(&taken.key, &taken.text);
                changes.push(Change {
                    file: file.file.clone(),
                    key: taken.key.clone(),
                    before: taken.kept.clone(),
                    after: Some(taken.text.clone()),
                });
            }
            if file.script.is_ok() {
                for key in kept.unreferenced(&file.cases, &run, &taken) {
                    book.remove(&key);
                    changes.push(Change {
                        file: file.file.clone(),
                        before: kept.get(&key).map(str::to_owned),
                        after: None,
                        key,
                    });
                }
            }
            if accept && !changes.is_empty() {
                keep(file, &book)?;
            }
            settled.changes.extend(changes);
        }
        Ok(settled)
    }
}

impl Settled {
    pub fn to_json(&self) -> Json {
        let word = |change: &Change| match (&change.before, &change.after) {
            (None, _) => "new",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "unreferenced",
        };
        let changes = self.changes.iter().map(|change| {
            json!({ "file": change.file, "name": change.key, "state": word(change), "accepted": self.accepted })
        });
        changes.collect()
    }
}

fn open(file: &TestFile) -> Result<Arc<Book>, CliError> {
    let Some(path) = file.snapshots.as_ref().filter(|path| path.is_file()) else {
        return Ok(Arc::default());
    };
    let shown = shown(file);
    let text = read_text(&path.to_string_lossy(), BYTES_MAX)
        .map_err(|reason| CliError::usage("SNAPSHOT_INVALID", format!("{shown} cannot be read: {reason}")))?;
    let invalid = |error: SnapshotError| CliError::new(error.code(), format!("{shown}: {error}"), USAGE);
    Ok(Arc::new(Book::parse(&text).map_err(invalid)?))
}

fn keep(file: &TestFile, book: &Book) -> Result<(), CliError> {
    let Some(path) = &file.snapshots else { return Ok(()) };
    let path = path.to_string_lossy();
    let written = if book.is_empty() {
        remove(&path)
    } else {
        write_text(&path, &book.write())
    };
    written.map_err(|reason| {
        CliError::new(
            "REPORT_UNWRITABLE",
            format!("{} cannot be written: {reason}", shown(file)),
            OTHER,
        )
    })
}

fn shown(file: &TestFile) -> String {
    format!("playbooks/{}.snap", file.name)
}
