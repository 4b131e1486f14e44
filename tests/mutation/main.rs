//! Are the tests of the shipped playbooks worth something? Every line of every playbook is broken, in every small way
//! that still compiles, and a test of it must notice.

mod mutants;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host::app::App;
use host::runs::trial::snapshot::Book;
use host::runs::trial::{Options, Session, Setting, TestFile};

use mutants::{code_lines, mutants};

struct Bench {
    app: App,
    setting: Setting,
    files: Vec<TestFile>,
}

impl Bench {
    fn new() -> Bench {
        let app = App::new(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("this repository is a project");
        let setting = app.trial(app.library.clone()).expect("a setting");
        let files = TestFile::all(&app.library);
        Bench { app, setting, files }
    }

    /// Whether a test of `playbook` fails when it reads `text`; `None` when that does not compile.
    fn notices(&self, playbook: &str, text: &str) -> Option<bool> {
        let files = self.app.library.files.with_text(playbook, text);
        let library = self.app.library.with_files(files);
        library.playbook(playbook).ok()?;
        let own = format!("{playbook}_test");
        let file = self.files.iter().find(|file| file.name == own);
        let file = file.unwrap_or_else(|| panic!("{playbook} has no tests")).clone();
        let session = Session {
            setting: Arc::new(self.setting.with_library(library)),
            books: BTreeMap::from([(own, Arc::new(book(&file)))]),
            files: vec![file],
            options: Options {
                threads: 1,
                timeout: Duration::from_secs(5),
                fail_fast: true,
                ..Options::default()
            },
        };
        let results = session.run(&mut |_| ());
        Some(results.iter().any(|result| result.failed()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the test reads what is kept of the playbooks")]
fn book(file: &TestFile) -> Book {
    let path = file.snapshots.as_ref().expect("a project has a place for it");
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| panic!("{} has no snapshots", file.name));
    Book::parse(&text).expect("snapshots")
}

#[test]
fn breaking_any_line_of_a_shipped_playbook_is_noticed_by_its_tests() {
    let bench = Bench::new();
    let mut missed = Vec::new();
    let (mut made, mut noticed) = (0, 0);
    let mut lines_all = 0;
    for playbook in bench.app.library.files.list() {
        let text = bench
            .app
            .library
            .playbook(&playbook)
            .expect("it compiles")
            .source
            .text
            .clone();
        assert_eq!(
            bench.notices(&playbook, &text),
            Some(false),
            "{playbook}: its tests fail as it is"
        );
        let mut lines_left: BTreeSet<u32> = code_lines(&text);
        lines_all += lines_left.len();
        for mutant in mutants(&text) {
            let is_noticed = bench.notices(&playbook, &mutant.text);
            // What does not compile any more is noticed without tests, and says nothing about them.
            made += usize::from(is_noticed.is_some());
            noticed += usize::from(is_noticed == Some(true));
            match is_noticed {
                Some(false) => missed.push(format!("{playbook}.rhai:{:?} {}", mutant.lines, mutant.what)),
                Some(true) | None => lines_left.retain(|line| !mutant.lines.contains(line)),
            }
        }
        missed.extend(
            lines_left
                .iter()
                .map(|line| format!("{playbook}.rhai:{line} was not broken at all")),
        );
    }
    println!(
        "{noticed} of {made} mutants noticed, on {lines_all} lines of {} playbooks",
        bench.files.len()
    );
    assert!(
        missed.is_empty(),
        "{noticed} of {made} mutants noticed; not these:\n{}",
        missed.join("\n")
    );
    assert!(made > lines_all, "each line is broken in more than one way");
}
