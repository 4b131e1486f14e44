//! Which files hold which cases.

use std::path::PathBuf;
use std::sync::Arc;

use crate::runs::Library;
use crate::runs::library::LibraryError;
use crate::script::source::{CASE, Text};
use crate::script::{Diagnosis, Script};

/// A file of tests.
#[derive(Clone)]
pub struct TestFile {
    /// `daily/publish_test`.
    pub name: String,
    /// As a person would write it: `playbooks/daily/publish_test.rhai`.
    pub file: String,
    /// Compiled, or why it is not.
    pub script: Result<Arc<Script>, Box<Diagnosis>>,
    /// The functions that are cases, in the order of the file.
    pub cases: Vec<String>,
    /// Where its snapshots are kept.
    pub snapshots: Option<PathBuf>,
}

impl TestFile {
    /// Loads the tests called `name`.
    pub fn load(library: &Library, name: &str) -> TestFile {
        let file = format!("playbooks/{name}.rhai");
        let snapshots = library.files.path(name).map(|path| path.with_extension("snap"));
        let loaded = library.load(name).map_err(|error| match error {
            LibraryError::Script(diagnosis) => diagnosis,
            error => Box::new(Diagnosis::new(
                error.code(),
                error.to_string(),
                Text::new(file.as_str(), ""),
            )),
        });
        let cases = loaded.as_ref().map(|script| in_order(script)).unwrap_or_default();
        TestFile {
            name: name.to_owned(),
            file,
            script: loaded,
            cases,
            snapshots,
        }
    }

    /// All files of tests of the project, by name.
    pub fn all(library: &Library) -> Vec<TestFile> {
        let names = library.files.tests();
        names.iter().map(|name| TestFile::load(library, name)).collect()
    }
}

/// A case's name as a sentence: `test_a_quiet_day` is `a quiet day`.
pub fn sentence(case: &str) -> String {
    case.strip_prefix(CASE).unwrap_or(case).replace('_', " ")
}

/// Whether somebody who asks for `words` means this case: each is part of its file's name, of its own, or of its sentence.
pub fn is_meant(words: &[String], file: &TestFile, case: &str) -> bool {
    let sentence = sentence(case);
    let means = |word: &String| {
        let word = word.strip_prefix("playbooks/").unwrap_or(word);
        let word = word.strip_suffix(".rhai").unwrap_or(word);
        file.name.contains(word) || case.contains(word) || sentence.contains(word)
    };
    words.iter().all(means)
}

/// The cases as they stand in the file: Rhai lists functions by name.
fn in_order(script: &Script) -> Vec<String> {
    let text = &script.source.text;
    let mut cases = script.cases();
    cases.sort_by_key(|case| text.find(&format!("fn {case}(")).unwrap_or(usize::MAX));
    cases
}
