//! What a run began with it keeps: its prompts and the playbooks it starts, also when it goes on much later.

use std::sync::Arc;
use std::time::Duration;

use host::gate::Silent;
use host::id::RunId;
use host::journal::edition::Version;
use host::journal::{Recorded, RunRecord, Status, event};
use host::runs::replay::replay;
use host::runs::{Conductor, Driven, ResumeError, Task};
use host::store::{Batch, Durability};
use host::value::Value;

use super::project::{Project, write};

const MAIN: &str = r#"let before = prompt::render("word").text;
run::wait_event("go");
[before, prompt::render("word").text, playbook::run("child", #{})]"#;

const CHILD: &str = r#"prompt::render("word").text + " of the first child""#;
const OTHER_CHILD: &str = r#"prompt::render("word").text + " of the second child""#;

fn project() -> Project {
    Project::of(&[
        ("prompts/word.md", "one"),
        ("playbooks/main.rhai", MAIN),
        ("playbooks/child.rhai", CHILD),
    ])
}

fn save_others(project: &Project) {
    project.save("prompts/word.md", "two");
    project.save("playbooks/child.rhai", OTHER_CHILD);
    project.until("it is live", |project| {
        project.edition().number > 1 && project.text("child").as_deref() == Some(OTHER_CHILD)
    });
}

/// A run that waits for `go`.
fn waiting(project: &Project) -> RunId {
    let record = project.run("main").record;
    assert_eq!(record.status, Status::Suspended);
    record.run
}

fn recorded(project: &Project, run: RunId) -> Recorded {
    Recorded::load(&project.ground, run).expect("its journal")
}

fn drive(project: &Project, run: RunId) -> Driven {
    let edition = project.edition();
    let conductor = Arc::new(Conductor {
        runner: edition.runner.clone(),
        library: edition.app.library.clone(),
        by: "by a test".to_owned(),
        observe: Box::new(|_| Arc::new(Silent)),
        patience: Duration::ZERO,
        on_wait: Box::new(|_| {}),
        stop: Arc::default(),
    });
    conductor.drive([Task::Resume(run)])
}

/// Lets it go on as it is taken up now.
#[track_caller]
fn goes_on(project: &Project, run: RunId) -> String {
    let realm = recorded(project, run).begun.mode.realm();
    let now_ms = project.edition().app.clock.unix_ms();
    event::emit(&project.ground, realm, "go", &Value::Unit, now_ms, Durability::Now).expect("it is emitted");
    let mut driven = drive(project, run);
    assert!(driven.failed.is_empty(), "{:?}", driven.failed);
    let finished = driven.finished.remove(&run).expect("it was taken up");
    assert_eq!(finished.record.status, Status::Succeeded, "{:?}", finished.outcome);
    finished.outcome.value.to_string()
}

const FIRST: &str = r#"["one","one","one of the first child"]"#;
const SECOND: &str = r#"["two","two","two of the second child"]"#;

#[test]
fn a_run_that_waited_keeps_its_prompts_and_the_playbooks_it_starts_and_a_new_one_has_others() {
    let project = project();
    let old = waiting(&project);
    save_others(&project);
    let new = waiting(&project);
    assert_eq!(goes_on(&project, old), FIRST);
    assert_eq!(goes_on(&project, new), SECOND);
    let last = RunId::from_bytes([0xff; 16]);
    let editions = RunRecord::latest(&*project.ground.store, last, 100).expect("runs");
    let editions = editions.into_iter().map(|record| {
        let begun = recorded(&project, record.run).begun;
        (begun.playbook, begun.edition == recorded(&project, old).begun.edition)
    });
    let mut editions: Vec<(String, bool)> = editions.collect();
    editions.sort();
    let named = |name: &str, is_old| (name.to_owned(), is_old);
    assert_eq!(
        editions,
        [
            named("child", false),
            named("child", true),
            named("main", false),
            named("main", true)
        ]
    );
    for run in [old, new] {
        let edition = project.edition();
        let gate = edition.app.shut_gate(project.ground.clone()).expect("a gate");
        let replayed = replay(&edition.app.library, gate, run, Arc::new(Silent)).expect("it can be replayed");
        assert!(replayed.same, "{:?}", replayed.outcome);
    }
}

#[test]
fn a_run_keeps_them_when_the_host_ends_and_another_begins_with_other_files() {
    let mut project = project();
    let old = waiting(&project);
    project.again(|root| {
        write(root, "prompts/word.md", "two");
        write(root, "playbooks/child.rhai", OTHER_CHILD);
    });
    project.until("it is live", |project| project.edition().number == 2);
    assert_eq!(goes_on(&project, old), FIRST);
    let new = waiting(&project);
    assert_eq!(goes_on(&project, new), SECOND);
}

#[test]
fn a_run_goes_on_under_the_settings_of_now() {
    let project = Project::of(&[
        ("prompts/word.md", "one"),
        (
            "playbooks/main.rhai",
            "run::wait_event(\"go\"); let n = 0; for i in 0..5000 { n += 1; } prompt::render(\"word\").text",
        ),
    ]);
    let old = waiting(&project);
    project.save("prompts/word.md", "two");
    project.save("host.toml", "[limits]\noperations = 2000\n");
    project.until("the limit is live", |project| {
        project.edition().app.config.file.limits.operations == 2000
    });
    let realm = recorded(&project, old).begun.mode.realm();
    let now_ms = project.edition().app.clock.unix_ms();
    event::emit(&project.ground, realm, "go", &Value::Unit, now_ms, Durability::Now).expect("it is emitted");
    let finished = drive(&project, old).finished.remove(&old).expect("it was taken up");
    let error = finished.outcome.error.expect("the new limit holds");
    assert_eq!(error.failure.code, "LIMIT_OPERATIONS");
}

#[test]
fn a_run_whose_version_is_not_kept_any_more_goes_on_with_what_is_live() {
    let project = project();
    let old = waiting(&project);
    save_others(&project);
    let mut batch = Batch::new();
    batch.delete(Version::key(1));
    project.ground.store.commit(batch, Durability::Now).expect("it is gone");
    assert_eq!(
        goes_on(&project, old),
        r#"["one","two","two of the second child"]"#,
        "what was rendered before stays"
    );
}

#[test]
fn a_run_that_its_prompt_ended_is_not_tried_with_the_same_prompt_again() {
    let project = Project::of(&[
        ("prompts/word.md", "{{ missing }}"),
        ("playbooks/main.rhai", "prompt::render(\"word\").text"),
    ]);
    let failed = project.run("main").record;
    assert_eq!(failed.status, Status::Failed);
    project.save("prompts/word.md", "mended");
    project.until("it is live", |project| project.edition().number == 2);
    let driven = drive(&project, failed.run);
    let refused = &driven.failed[&failed.run];
    assert!(
        matches!(refused, ResumeError::NeedsEdit { code, .. } if code == "PROMPT_VARIABLE"),
        "{refused}"
    );
}
