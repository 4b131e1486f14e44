//! Going back.

use std::sync::Arc;

use host::app::App;
use host::journal::edition::State;
use host::serve::rollback::{Done, RollbackError, Wish, rollback};

use super::project::Project;

fn go_back(project: &Project, to: u64, playbook: Option<&str>, force: bool) -> Result<Done, RollbackError> {
    let app = Arc::new(App::new(project.folder.path()).expect("a project"));
    let wish = Wish {
        to,
        playbook,
        force,
        by: "mika",
    };
    rollback(&app, &project.ground, &wish)
}

fn three_versions() -> Project {
    let project = Project::of(&[
        ("prompts/word.md", "one"),
        ("playbooks/a.rhai", "prompt::render(\"word\").text"),
        ("playbooks/b.rhai", "1"),
    ]);
    project.save("prompts/word.md", "two");
    project.save("playbooks/a.rhai", "prompt::render(\"word\").text + 2");
    project.until("it is live", |project| project.edition().number == 2);
    project.save("playbooks/b.rhai", "3");
    project.save("playbooks/c.rhai", "3");
    project.until("it is live", |project| project.edition().number == 3);
    project
}

#[test]
fn a_rollback_brings_scripts_and_prompts_back_together_and_can_be_undone() {
    let project = three_versions();
    let done = go_back(&project, 1, None, false).unwrap();
    assert_eq!(done.changes.len(), 4);
    assert_eq!(done.before, Some(3));
    project.until("it is live", |project| project.edition().number == 4);
    assert_eq!(project.run("a").outcome.value.to_string(), "\"one\"");
    assert_eq!(project.text("b").as_deref(), Some("1"));
    assert_eq!(project.text("c"), None);
    assert!(!project.path("playbooks/c.rhai").exists());
    assert_eq!(project.states()[..2], [(4, State::Live), (3, State::RolledBack)]);
    assert_eq!(project.versions()[0].by, "rollback to 1 by mika");
    go_back(&project, 3, None, false).unwrap();
    project.until("it is live", |project| project.edition().number == 5);
    assert_eq!(project.run("a").outcome.value.to_string(), "\"two2\"");
    assert_eq!(project.text("c").as_deref(), Some("3"));
}

#[test]
fn one_playbook_goes_back_with_its_prompts_and_leaves_the_others() {
    let project = three_versions();
    let done = go_back(&project, 1, Some("a"), false).unwrap();
    let paths: Vec<&str> = done.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["playbooks/a.rhai", "prompts/word.md"]);
    project.until("it is live", |project| project.edition().number == 4);
    assert_eq!(project.run("a").outcome.value.to_string(), "\"one\"");
    assert_eq!(project.text("b").as_deref(), Some("3"));
    assert!(matches!(
        go_back(&project, 1, Some("c"), false),
        Err(RollbackError::NoPlaybook { .. })
    ));
}

#[test]
fn what_is_on_the_disk_alone_is_not_overwritten_unless_it_is_kept() {
    let mut project = three_versions();
    project.stop();
    project.save("playbooks/b.rhai", "precious");
    let refused = go_back(&project, 1, None, false).unwrap_err();
    assert_eq!(refused.code(), "VERSION_UNSAVED");
    assert_eq!(
        std::fs::read_to_string(project.path("playbooks/b.rhai")).unwrap(),
        "precious"
    );
    let done = go_back(&project, 1, None, true).unwrap();
    assert_eq!(done.before, Some(4));
    assert_eq!(project.states()[0], (4, State::Kept));
    assert_eq!(std::fs::read_to_string(project.path("playbooks/b.rhai")).unwrap(), "1");
    // Without a server, too: what was kept comes back.
    go_back(&project, 4, None, false).unwrap();
    assert_eq!(
        std::fs::read_to_string(project.path("playbooks/b.rhai")).unwrap(),
        "precious"
    );
}

#[test]
fn a_broken_save_is_undone_by_going_back_to_what_is_live() {
    let project = three_versions();
    project.save("playbooks/b.rhai", "let x = ;");
    project.until("it is broken", |project| project.status().broken.is_some());
    let done = go_back(&project, 3, None, false).unwrap();
    assert_eq!(done.before, Some(4), "what was broken is a version, too");
    project.until("it is over", |project| project.status().broken.is_none());
    assert_eq!(project.edition().number, 3);
    // The next save is somebody's own.
    project.save("playbooks/b.rhai", "4");
    project.until_live("b", "4");
    assert_eq!(project.versions()[0].by, "save");
}
