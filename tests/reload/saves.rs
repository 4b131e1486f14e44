//! What editors do to files, and what becomes live of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use host::io::clock::{Clock, SystemClock};
use host::journal::Status;
use host::journal::edition::State;
use host::serve::figures::SAVES;
use host::store::{Realm, Tx, metrics};
use host::value::Value;

use super::project::{A_WHILE, Project};

#[test]
fn a_save_is_live_soon_and_written_down() {
    let project = Project::of(&[("playbooks/a.rhai", "1"), ("playbooks/b.rhai", "2")]);
    assert_eq!(project.edition().number, 1);
    assert_eq!(project.states(), [(1, State::Live)]);
    project.save("playbooks/a.rhai", "11");
    project.until_live("a", "11");
    assert_eq!(project.text("b").as_deref(), Some("2"));
    assert_eq!(project.run("a").outcome.value, Value::Int(11));
    assert_eq!(project.states(), [(2, State::Live), (1, State::Past)]);
    let version = &project.versions()[0];
    assert_eq!((version.base, version.by.as_str()), (Some(1), "save"));
    assert_eq!(version.changes.len(), 1);
    assert_eq!(version.changes[0].path, "playbooks/a.rhai");
}

#[test]
fn a_file_that_is_replaced_by_renaming_another_over_it_is_one_save() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    project.save("playbooks/.a.rhai.swp", "swap");
    project.save("playbooks/a.rhai~", "1");
    project.save("playbooks/4913", "");
    project.remove("playbooks/4913");
    project.save("playbooks/#a.rhai#", "half");
    project.save("playbooks/a.rhai.tmp", "2");
    std::fs::rename(project.path("playbooks/a.rhai.tmp"), project.path("playbooks/a.rhai")).unwrap();
    project.until_live("a", "2");
    assert_eq!(
        project.edition().playbooks.len(),
        1,
        "what editors leave is no playbook"
    );
    // As vim does: the file is moved away, and written anew.
    std::fs::rename(project.path("playbooks/a.rhai"), project.path("playbooks/a.rhai~")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        project.text("a").as_deref(),
        Some("2"),
        "one that is gone for a moment is not gone"
    );
    project.save("playbooks/a.rhai", "3");
    project.until_live("a", "3");
    assert_eq!(
        project.states().len(),
        3,
        "each save is one version: {:?}",
        project.versions()
    );
}

#[test]
fn a_file_that_is_emptied_and_written_a_moment_later_never_goes_live_empty() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    project.save("playbooks/a.rhai", "");
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(project.text("a").as_deref(), Some("1"));
    project.save("playbooks/a.rhai", "2");
    project.until_live("a", "2");
    assert_eq!(project.states().len(), 2, "{:?}", project.versions());
    // One that stays empty is meant so.
    project.save("playbooks/a.rhai", "");
    project.until_live("a", "");
}

#[test]
fn a_save_in_two_writes_is_taken_whole() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    project.save("playbooks/a.rhai", "let x = ");
    std::thread::sleep(std::time::Duration::from_millis(40));
    project.save("playbooks/a.rhai", "let x = 2; x");
    project.until_live("a", "let x = 2; x");
    assert_eq!(
        project.states(),
        [(2, State::Live), (1, State::Past)],
        "the half was never judged"
    );
}

#[test]
fn a_broken_save_keeps_the_last_good_version_and_the_next_good_one_clears_it() {
    let project = Project::of(&[("playbooks/a.rhai", "1"), ("playbooks/b.rhai", "2")]);
    project.save("playbooks/a.rhai", "let x = ;\n");
    project.save("playbooks/b.rhai", "22");
    project.until("the save is broken", |project| project.status().broken.is_some());
    assert_eq!(project.text("a").as_deref(), Some("1"));
    assert_eq!(
        project.text("b").as_deref(),
        Some("2"),
        "a set is taken whole or not at all"
    );
    let broken = project.status().broken.unwrap();
    let fault = &broken.faults[0];
    assert_eq!(
        (fault.file.as_str(), fault.line, fault.code.as_str()),
        ("playbooks/a.rhai", 1, "SYNTAX")
    );
    assert_eq!(project.run("a").outcome.value, Value::Int(1));
    // Another one as broken is no other version.
    project.save("playbooks/a.rhai", "let y = ;\n");
    project.until("it is judged again", |project| {
        project.status().broken.is_some_and(|now| now.changes != broken.changes)
    });
    assert_eq!(project.states(), [(2, State::Broken), (1, State::Live)]);
    project.save("playbooks/a.rhai", "11");
    project.until_live("a", "11");
    let mut tx = Tx::new(&project.ground, Realm::Dry, 0);
    let counted = metrics::read_all(&mut tx, SAVES).unwrap().unwrap();
    let labels: Vec<_> = counted
        .series
        .iter()
        .map(|series| (series.labels["state"].as_str(), series.value))
        .collect();
    assert_eq!(labels, [("broken", 2.0), ("live", 1.0)]);
    assert_eq!(project.text("b").as_deref(), Some("22"));
    assert_eq!(
        project.states(),
        [(3, State::Live), (2, State::Superseded), (1, State::Past)]
    );
    assert_eq!(project.status().broken, None);
}

#[test]
fn a_broken_save_that_is_taken_back_leaves_the_version_that_was_live() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    project.save("playbooks/a.rhai", "let x = ;");
    project.until("the save is broken", |project| project.status().broken.is_some());
    project.save("playbooks/a.rhai", "1");
    project.until("it is over", |project| project.status().broken.is_none());
    assert_eq!(project.states(), [(2, State::Superseded), (1, State::Live)]);
}

#[test]
fn a_module_changes_those_that_import_it_and_a_broken_one_changes_nothing() {
    let project = Project::of(&[
        ("playbooks/lib/words.rhai", "fn word() { \"one\" }"),
        (
            "playbooks/lib/deep.rhai",
            "import \"lib/words\" as words; fn deep() { words::word() }",
        ),
        ("playbooks/a.rhai", "import \"lib/deep\" as deep; deep::deep()"),
        ("playbooks/b.rhai", "2"),
    ]);
    let b = project.edition().playbooks["b"].clone();
    project.save("playbooks/lib/words.rhai", "fn word() { \"two\" }");
    project.until("the module is live", |project| project.edition().number == 2);
    assert_eq!(project.run("a").outcome.value, Value::from("two"));
    assert!(
        std::sync::Arc::ptr_eq(&b, &project.edition().playbooks["b"]),
        "what is not concerned is taken over"
    );
    project.save("playbooks/lib/words.rhai", "fn word() { unknown_variable }");
    project.until("it is broken", |project| project.status().broken.is_some());
    assert_eq!(
        project.status().broken.unwrap().faults.len(),
        1,
        "one mistake is told once"
    );
    assert_eq!(project.run("a").outcome.value, Value::from("two"));
    project.remove("playbooks/lib/words.rhai");
    project.until("its importer is", |project| {
        project
            .status()
            .broken
            .is_some_and(|version| version.faults.iter().any(|fault| fault.code == "IMPORT_NOT_FOUND"))
    });
    assert_eq!(project.run("a").outcome.value, Value::from("two"));
}

#[test]
fn prompts_and_scripts_go_live_together_and_bad_prompts_do_not() {
    let project = Project::of(&[
        ("prompts/voice.md", "Be brief."),
        ("prompts/say.md", "{% include \"voice\" %} Say {{ what }}."),
        ("playbooks/a.rhai", "prompt::render(\"say\", #{ what: \"one\" }).text"),
    ]);
    let said = |project: &Project| project.run("a").outcome.value.to_string();
    assert_eq!(said(&project), "\"Be brief. Say one.\"");
    project.save("prompts/voice.md", "Be long.");
    project.until("the prompt is live", |project| project.edition().number == 2);
    assert_eq!(said(&project), "\"Be long. Say one.\"");
    project.save("prompts/voice.md", "Be {{ broken");
    project.until("it is broken", |project| project.status().broken.is_some());
    assert_eq!(project.status().broken.unwrap().faults[0].code, "PROMPT_BROKEN");
    assert_eq!(
        said(&project),
        "\"Be long. Say one.\"",
        "what is on the disk is not what is live"
    );
    project.save("prompts/voice.md", "+++\nmodle = 1\n+++\n");
    project.save("playbooks/a.rhai", "\"other\"");
    std::thread::sleep(A_WHILE);
    assert_eq!(said(&project), "\"Be long. Say one.\"");
    project.save("prompts/voice.md", "Be.");
    project.until("both are live", |project| project.edition().number > 2);
    assert_eq!(said(&project), "\"other\"");
}

#[test]
fn a_playbook_that_is_removed_is_gone_and_one_that_is_new_is_there() {
    let project = Project::of(&[("playbooks/a.rhai", "1"), ("playbooks/b.rhai", "2")]);
    project.save("playbooks/new/deep/c.rhai", "3");
    project.until_live("new/deep/c", "3");
    project.remove("playbooks/a.rhai");
    project.until("it is gone", |project| project.text("a").is_none());
    assert_eq!(project.edition().playbooks.len(), 2);
    project.save("playbooks/new/deep/c.rhai", "33");
    project.until_live("new/deep/c", "33");
}

#[test]
fn a_folder_of_playbooks_that_goes_and_comes_back_changes_nothing() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    std::fs::rename(project.path("playbooks"), project.path("elsewhere")).unwrap();
    project.until("it is told", |project| project.status().broken.is_some());
    assert_eq!(project.status().broken.unwrap().faults[0].code, "PLAYBOOKS_GONE");
    assert_eq!(project.text("a").as_deref(), Some("1"));
    std::fs::rename(project.path("elsewhere"), project.path("playbooks")).unwrap();
    project.until("it is over", |project| project.status().broken.is_none());
    // The folder is another one, and is watched again.
    project.save("playbooks/a.rhai", "2");
    project.until_live("a", "2");
}

#[test]
fn two_playbooks_with_one_route_are_refused() {
    let route = |title: &str| {
        format!(
            "const PLAYBOOK = #{{ title: \"{title}\", http: #{{ method: \"POST\", path: \"/clips/{{id}}\" }}, inputs: #{{ id: #{{ type: \"string\" }} }} }};\n1"
        )
    };
    let project = Project::of(&[("playbooks/a.rhai", &route("a"))]);
    project.save("playbooks/b.rhai", &route("b"));
    project.until("it is refused", |project| project.status().broken.is_some());
    let fault = &project.status().broken.unwrap().faults[0];
    assert_eq!((fault.code.as_str(), fault.line), ("ROUTE_CONFLICT", 1));
    assert!(project.text("b").is_none());
}

#[test]
fn a_run_under_way_keeps_its_playbook_its_children_and_its_prompts() {
    let project = Project::of(&[
        ("prompts/word.md", "one"),
        ("playbooks/child.rhai", "prompt::render(\"word\").text"),
        ("playbooks/a.rhai", "prompt::render(\"word\").text"),
    ]);
    let then = project.edition();
    project.save("prompts/word.md", "two");
    project.save("playbooks/child.rhai", "\"another\"");
    project.save("playbooks/a.rhai", "\"another\"");
    project.until_live("a", "\"another\"");
    // What began before asks the set that it began with.
    let finished = super::project::run(&then, "a");
    assert_eq!(finished.outcome.status, Status::Succeeded);
    assert_eq!(finished.outcome.value, Value::from("one"));
    assert_eq!(super::project::run(&then, "child").outcome.value, Value::from("one"));
    assert_eq!(project.run("a").outcome.value, Value::from("another"));
}

#[test]
fn after_a_storm_of_saves_the_last_one_is_live() {
    let project = Project::of(&[("playbooks/a.rhai", "0")]);
    for number in 1..=200 {
        let text = match number % 5 {
            3 => "let x = ;".to_owned(),
            _ => number.to_string(),
        };
        project.save("playbooks/a.rhai", &text);
        project.save(&format!("playbooks/more/p{}.rhai", number % 7), &number.to_string());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    project.until_live("a", "200");
    project.until_live("more/p4", "200");
    assert!(project.states().len() < 30, "a storm is few versions");
}

#[test]
fn a_start_with_a_broken_disk_serves_what_was_live_last() {
    let mut project = Project::of(&[("playbooks/a.rhai", "1"), ("playbooks/b.rhai", "2")]);
    project.again(|root| super::project::write(root, "playbooks/a.rhai", "let x = ;"));
    assert_eq!(project.text("a").as_deref(), Some("1"));
    assert!(project.status().broken.is_some());
    project.again(|root| super::project::write(root, "playbooks/a.rhai", "11"));
    assert_eq!(
        project.text("a").as_deref(),
        Some("11"),
        "at once, before anything runs"
    );
    assert_eq!(
        project.states(),
        [(3, State::Live), (2, State::Superseded), (1, State::Past)]
    );
    assert_eq!(project.versions()[0].by, "start");
    project.again(|_| {});
    assert_eq!(project.edition().number, 3, "nothing changed, so nothing is new");
}

#[test]
fn on_a_first_start_what_does_not_compile_is_left_out_until_it_does() {
    let project = Project::of(&[("playbooks/a.rhai", "let x = ;"), ("playbooks/b.rhai", "2")]);
    assert_eq!(project.text("a"), None);
    project.save("playbooks/b.rhai", "22");
    project.until_live("b", "22");
    assert_eq!(
        project.status().broken,
        None,
        "what was left out stands in nobody's way"
    );
    project.save("playbooks/a.rhai", "let x = ; // still");
    project.until("it is told", |project| project.status().broken.is_some());
    project.save("playbooks/a.rhai", "1");
    project.until_live("a", "1");
}

#[test]
fn what_is_no_text_is_refused_with_the_way_out() {
    let project = Project::of(&[("playbooks/a.rhai", "1")]);
    std::fs::write(project.path("playbooks/a.rhai"), b"\xff\xfe1\0").unwrap();
    project.until("it is told", |project| project.status().broken.is_some());
    let fault = &project.status().broken.unwrap().faults[0];
    assert_eq!(fault.code, "PLAYBOOK_UNREADABLE");
    assert!(fault.message.contains("save it as UTF-8"), "{}", fault.message);
}

#[test]
fn prompts_that_a_run_lists_and_reads_as_files_are_those_it_began_with() {
    let script = "let all = file::list(\"prompts\", \"*.md\").map(|f| f.path); all.push(file::read_text(\"prompts/word.md\")); all";
    let project = Project::of(&[
        ("prompts/word.md", "one"),
        ("prompts/table.csv", "a,b"),
        ("playbooks/a.rhai", script),
    ]);
    let then = project.edition();
    project.save("prompts/word.md", "two");
    project.save("prompts/other.md", "new");
    project.until("it is live", |project| project.edition().number == 2);
    let said = |edition: &host::serve::Edition| super::project::run(edition, "a").outcome.value.to_string();
    assert_eq!(said(&then), r#"["prompts/word.md","one"]"#);
    assert_eq!(
        said(&project.edition()),
        r#"["prompts/other.md","prompts/word.md","two"]"#
    );
    project.remove("prompts/word.md");
    project.until("it is live", |project| project.edition().number == 3);
    assert_eq!(said(&then), r#"["prompts/word.md","one"]"#);
    assert!(
        super::project::run(&project.edition(), "a").outcome.error.is_some(),
        "it is gone"
    );
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_no_module_and_no_prompt() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.rhai"), "fn one() { 1 }").unwrap();
    std::fs::write(outside.path().join("secret.md"), "secret").unwrap();
    let project = Project::of(&[
        ("playbooks/a.rhai", "1"),
        ("playbooks/real.rhai", "fn one() { 11 }"),
        ("prompts/b.md", "b"),
    ]);
    let link = |from: std::path::PathBuf, to: &str| std::os::unix::fs::symlink(from, project.path(to)).unwrap();
    link(outside.path().join("secret.md"), "prompts/c.md");
    link(project.path("playbooks/real.rhai"), "playbooks/inside.rhai");
    project.save("playbooks/a.rhai", "import \"inside\" as m; m::one()");
    project.until("it is live", |project| project.edition().number == 2);
    assert_eq!(project.run("a").outcome.value, Value::Int(11));
    let files = project.versions()[0]
        .changes
        .iter()
        .map(|change| change.path.clone())
        .collect::<Vec<_>>();
    assert_eq!(files, ["playbooks/a.rhai", "playbooks/inside.rhai"]);
    link(outside.path().join("secret.rhai"), "playbooks/out.rhai");
    project.save("playbooks/a.rhai", "import \"out\" as m; m::one()");
    project.until("it is refused", |project| project.status().broken.is_some());
    assert_eq!(project.status().broken.unwrap().faults[0].code, "IMPORT_NOT_FOUND");
    assert_eq!(project.run("a").outcome.value, Value::Int(11));
}

/// Once the text of the file of secrets, which is kept nowhere, took that of every file with it that said the same.
#[test]
fn an_empty_file_of_secrets_takes_no_empty_prompt_away() {
    let project = Project::of(&[
        (".env", ""),
        ("prompts/empty.md", ""),
        ("playbooks/a.rhai", "prompt::render(\"empty\").text"),
    ]);
    let outcome = project.run("a").outcome;
    assert_eq!((outcome.error, outcome.value), (None, Value::from("")));
}

/// A clock that does something whenever the thread that looks at the disk asks it what time it is.
struct Doing<F>(SystemClock, F);

impl<F: Fn() + Send + Sync> Clock for Doing<F> {
    fn unix_ms(&self) -> i64 {
        if std::thread::current().name() == Some("reload") {
            self.1();
        }
        self.0.unix_ms()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration);
    }
}

#[test]
fn no_set_holds_one_half_of_what_was_saved_while_the_machine_was_busy_with_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    for path in [
        "host.toml",
        "playbooks/a.rhai",
        "playbooks/hint.rhai",
        "playbooks/z.rhai",
    ] {
        super::project::write(&root, path, "");
    }
    let step = Arc::new(AtomicU32::new(0));
    let clock = Doing(SystemClock::new(), {
        let step = step.clone();
        move || match step.load(Ordering::SeqCst) {
            // The disk is going to be looked at.
            1 => {
                super::project::write(&root, "playbooks/a.rhai", "1");
                step.store(2, Ordering::SeqCst);
            }
            // It has been looked at, and others have had the processors for a while.
            2 => {
                super::project::write(&root, "playbooks/z.rhai", "1");
                step.store(3, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(300));
            }
            _ => {}
        }
    });
    let project = Project::by_clock(folder, Arc::new(clock));
    std::thread::sleep(Duration::from_millis(300));
    step.store(1, Ordering::SeqCst);
    project.save("playbooks/hint.rhai", "1");
    project.until_live("z", "1");
    assert_eq!(step.load(Ordering::SeqCst), 3);
    assert_eq!(project.versions()[0].changes.len(), 3, "{:?}", project.versions());
    assert_eq!(project.versions().len(), 2);
}

/// A program that writes a prompt again and again keeps nobody's saves from going live for good.
#[test]
fn what_never_rests_is_judged_all_the_same() {
    let project = Project::of(&[("playbooks/a.rhai", "1"), ("prompts/clock.md", "0")]);
    let stop = Arc::new(AtomicBool::new(false));
    let path = project.path("prompts/clock.md");
    let writing = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut number = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                std::fs::write(&path, number.to_string()).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    project.save("playbooks/a.rhai", "2");
    let took = project.until_live("a", "2");
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    assert!(took > Duration::from_secs(2), "it was waited for: {took:?}");
}

/// Two files that belong together, saved while the disk is being looked at.
#[test]
fn no_set_holds_one_half_of_what_was_saved_together() {
    let filler: Vec<String> = (0..400)
        .map(|number| format!("playbooks/filler/p{number}.rhai"))
        .collect();
    let mut files: Vec<(&str, &str)> = filler.iter().map(|path| (path.as_str(), "1")).collect();
    files.extend([("playbooks/a.rhai", "0"), ("playbooks/z.rhai", "0")]);
    let project = Project::of(&files);
    let mut was_slow = false;
    for round in 1..60_u64 {
        let begun = std::time::Instant::now();
        // As a checkout does, when it was quiet for so long that the disk is being looked at just now.
        for name in ["a", "z"] {
            let new = project.path(&format!("playbooks/{name}.new"));
            std::fs::write(&new, round.to_string()).unwrap();
            std::fs::rename(&new, project.path(&format!("playbooks/{name}.rhai"))).unwrap();
        }
        // Whoever takes that long between the two has saved twice.
        was_slow |= begun.elapsed() > std::time::Duration::from_millis(50);
        std::thread::sleep(std::time::Duration::from_micros(100_000 + (round * 137) % 12_000));
        let edition = project.edition();
        let text = |name: &str| edition.app.library.playbook(name).unwrap().source.text.to_string();
        assert!(was_slow || text("a") == text("z"), "round {round}");
    }
    project.until_live("z", "59");
    let versions = project.versions();
    let halves = versions
        .iter()
        .filter(|version| version.base.is_some() && version.changes.len() != 2);
    assert!(was_slow || halves.count() == 0, "{versions:?}");
}
