//! `[serve] reload = "guarded"`: what recent runs would have come to decides.

use host::id::{IncidentId, RunId};
use host::journal::edition::State;
use host::journal::incident::{self, OpenedBy};
use host::journal::{Incident, RunRecord};
use host::script::Script;
use host::script::source::Text;
use host::serve::versions::decide;
use host::store::{Batch, Durability};
use host::value::Value;

use super::project::{A_WHILE, Project};

const GUARDED: (&str, &str) = ("host.toml", "[serve]\nreload = \"guarded\"\nguarded_runs = 3\n");

fn project() -> Project {
    let project = Project::of(&[
        GUARDED,
        ("prompts/word.md", "one"),
        ("playbooks/lib.rhai", "fn twice(x) { x * 2 }"),
        (
            "playbooks/a.rhai",
            "import \"lib\" as lib;\nkv::put(\"n\", 1);\nlib::twice(2)",
        ),
        ("playbooks/b.rhai", "prompt::render(\"word\").text"),
    ]);
    for _ in 0..4 {
        assert_eq!(project.run("a").outcome.value, Value::Int(4));
    }
    assert_eq!(project.run("b").outcome.value, Value::from("one"));
    project
}

#[test]
fn a_save_that_changes_no_outcome_goes_live_by_itself() {
    let project = project();
    project.save(
        "playbooks/a.rhai",
        "import \"lib\" as lib;\n// the same\nkv::put(\"n\", 1);\nlib::twice(1 + 1)",
    );
    project.until("it is live", |project| project.edition().number == 2);
    assert_eq!(project.status().held, None);
}

#[test]
fn a_save_that_changes_outcomes_is_held_until_somebody_accepts_it() {
    let project = project();
    // Through the module: the playbook itself is as it was.
    project.save("playbooks/lib.rhai", "fn twice(x) { x * 3 }");
    project.until("it is held", |project| project.status().held.is_some());
    assert_eq!(
        project.run("a").outcome.value,
        Value::Int(4),
        "the last good version is live"
    );
    let held = project.status().held.unwrap();
    assert_eq!(held.effects.len(), 3, "the last three runs were asked");
    let effect = &held.effects[0];
    assert_eq!(
        (effect.fate.as_str(), effect.playbook.as_str()),
        ("outcome_changed", "a")
    );
    assert_eq!(
        (effect.before.as_str(), effect.now.as_str()),
        ("succeeded 4", "succeeded 6")
    );
    decide(&*project.ground.store, held.number, State::Accepted, "mika").unwrap();
    project.until("it is live", |project| project.edition().number == held.number);
    assert_eq!(project.run("a").outcome.value, Value::Int(6));
    assert_eq!(project.states(), [(2, State::Live), (1, State::Past)]);
    assert_eq!(project.versions()[0].decided_by.as_deref(), Some("mika"));
    // What was accepted once is not held against the next save.
    project.save("playbooks/lib.rhai", "// a word more\nfn twice(x) { x * 3 }");
    project.until("it is live", |project| project.edition().number == 3);
}

#[test]
fn a_later_save_takes_the_place_of_one_that_is_held_and_one_that_is_discarded_never_goes_live() {
    let mut project = project();
    project.save("playbooks/a.rhai", "5");
    project.until("it is held", |project| project.status().held.is_some());
    project.save("playbooks/a.rhai", "6");
    project.until("the later one is held", |project| {
        project.status().held.is_some_and(|held| held.number == 3)
    });
    assert_eq!(
        project.states(),
        [(3, State::Held), (2, State::Superseded), (1, State::Live)]
    );
    decide(&*project.ground.store, 3, State::Discarded, "mika").unwrap();
    std::thread::sleep(A_WHILE * 2);
    assert_eq!(project.run("a").outcome.value, Value::Int(4));
    assert!(
        decide(&*project.ground.store, 3, State::Accepted, "mika").is_err(),
        "it was decided"
    );
    project.again(|_| {});
    std::thread::sleep(A_WHILE * 2);
    assert_eq!(project.states()[0], (3, State::Discarded), "also for the next host");
    // A good save after it is judged as any other.
    project.save("playbooks/c.rhai", "1");
    project.until("it is held again, since the disk holds both", |project| {
        project.status().held.is_some()
    });
}

#[test]
fn a_changed_prompt_concerns_the_playbooks_that_render_it() {
    let project = project();
    project.save("prompts/word.md", "two");
    project.until("it is held", |project| project.status().held.is_some());
    let held = project.status().held.unwrap();
    assert_eq!(held.effects.len(), 1);
    assert_eq!(held.effects[0].playbook, "b");
    assert!(held.effects[0].now.contains("two"), "{:?}", held.effects[0]);
}

#[test]
fn a_held_version_is_still_held_after_a_restart_and_what_was_saved_meanwhile_is_judged() {
    let mut project = project();
    project.save("playbooks/a.rhai", "5");
    project.until("it is held", |project| project.status().held.is_some());
    project.again(|_| {});
    assert_eq!(project.run("a").outcome.value, Value::Int(4));
    assert_eq!(project.status().held.map(|held| held.number), Some(2));
    decide(&*project.ground.store, 2, State::Accepted, "mika").unwrap();
    project.until("it is live", |project| project.edition().number == 2);
    project.again(|root| super::project::write(root, "playbooks/a.rhai", "7"));
    project.until("what was saved while nobody served is held", |project| {
        project.status().held.is_some()
    });
    assert_eq!(project.run("a").outcome.value, Value::Int(5));
}

#[test]
fn a_run_that_an_incident_holds_is_asked_however_old_it_is() {
    let project = project();
    let store = &*project.ground.store;
    let all = RunRecord::latest(store, RunId::from_bytes([0xff; 16]), 100).unwrap();
    let oldest = all.iter().rfind(|record| record.playbook == "a").unwrap().run;
    let mut held = Incident::open(IncidentId::new(1, 1), "t", OpenedBy::Hand, "ada", 1).unwrap();
    held.pin(&[oldest], "ada", 1).unwrap();
    let mut batch = Batch::new();
    incident::save_in(&mut batch, store, None, &held).unwrap();
    store.commit(batch, Durability::Now).unwrap();
    project.save("playbooks/lib.rhai", "fn twice(x) { x * 3 }");
    project.until("it is held", |project| project.status().held.is_some());
    let effects = project.status().held.unwrap().effects;
    assert_eq!(effects.len(), 4, "the last three, and that one");
    assert!(effects.iter().any(|effect| effect.run == oldest && effect.is_pinned));
}

/// Once the thread that judges had the stack of any thread, and the parser of the deepest script took the host with it.
#[test]
fn the_deepest_script_that_is_allowed_is_judged() {
    let shapes = [
        ("(0 + ", ")"),
        ("[", "][0]"),
        ("if true { ", " }"),
        ("switch 0 { 0 => ", " }"),
        ("(|| ", ").call()"),
    ];
    let project = project();
    for (number, (open, close)) in shapes.into_iter().enumerate() {
        let language = project.edition().app.library.language.clone();
        let find = move || {
            let deep = |depth: usize| format!("kv::put(\"n\", 1);\n{}4{}", open.repeat(depth), close.repeat(depth));
            let none = |name: &str| Err(name.to_owned());
            let compiles =
                |text: &String| Script::compile(&language, "a", Text::new("a.rhai", text.as_str()), &none).is_ok();
            (1..100).rev().map(deep).find(compiles).unwrap()
        };
        let finding = std::thread::Builder::new().stack_size(64 << 20).spawn(find).unwrap();
        project.save("playbooks/a.rhai", &finding.join().unwrap());
        project.until("it is live", |project| project.edition().number == number as u64 + 2);
        assert_eq!(project.run("a").outcome.value, Value::Int(4));
    }
}
