//! Tests of playbooks: what a case says of the world holds in it, and nothing of it leaves.

use std::sync::Arc;
use std::time::Duration;

use host::app::App;
use host::runs::trial::{CaseResult, Options, Session, TestFile, Verdict};
use tempfile::TempDir;

const ACME: &str = "[providers.acme]\nbase_url = \"http://127.0.0.1:9/v1\"\npublish = true\n";

/// A project with a playbook and a file of tests, and what came of each case.
struct Trials(Vec<CaseResult>);

impl Trials {
    fn of(playbook: &str, tests: &str) -> Trials {
        Trials::with(
            &[("host.toml", ACME), ("playbooks/p.rhai", playbook)],
            tests,
            Options::default(),
        )
    }

    #[expect(clippy::disallowed_methods, reason = "the test writes a project")]
    fn with(files: &[(&str, &str)], tests: &str, options: Options) -> Trials {
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files.iter().chain(&[("playbooks/p_test.rhai", tests)]) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let app = App::new(folder.path()).expect("a project");
        let session = Session {
            setting: Arc::new(app.trial(app.library.clone()).expect("a setting")),
            files: TestFile::all(&app.library),
            books: Default::default(),
            options,
        };
        Trials(session.run(&mut |_| ()))
    }

    #[track_caller]
    fn pass(&self) {
        for result in &self.0 {
            if let Verdict::Failed(complaint) = &result.verdict {
                let (diagnosis, notes) = (&complaint.diagnosis, &complaint.notes);
                let (file, line) = (&diagnosis.text.file, diagnosis.place.line);
                panic!(
                    "{}: {file}:{line} {}: {}; {notes:?}",
                    result.case, diagnosis.code, diagnosis.message
                );
            }
        }
        assert!(!self.0.is_empty(), "no case was run");
    }

    /// Code, file, line and message of the only case, which failed.
    #[track_caller]
    fn complaint(&self) -> (String, String, u32, String) {
        match self.0.as_slice() {
            [
                CaseResult {
                    verdict: Verdict::Failed(complaint),
                    ..
                },
            ] => {
                let diagnosis = &complaint.diagnosis;
                let mut message = diagnosis.message.clone();
                complaint
                    .notes
                    .iter()
                    .for_each(|note| message.push_str(&format!("; {note}")));
                (
                    diagnosis.code.clone(),
                    diagnosis.text.file.clone(),
                    diagnosis.place.line,
                    message,
                )
            }
            other => panic!("{} cases, and one that fails was expected", other.len()),
        }
    }
}

#[test]
fn a_live_write_passes_the_real_gate_and_is_answered_by_the_test() {
    let playbook = "const PLAYBOOK = #{ uses: [\"slack\"] };\nslack::post(\"hi\")";
    Trials::of(
        playbook,
        r#"
        fn test_dry_it_is_simulated() {
            let run = test::run("p");
            test::contains(run.effect("slack.post").simulated, "DRY_RUN");
        }
        fn test_live_it_is_answered() {
            test::live("slack");
            test::answer("slack.post", #{ text: "hi" }, #{ ok: true, by: "test" });
            let run = test::run("p");
            test::equal(run.value.by, "test");
            test::equal(run.effect("slack.post").simulated, ());
        }
        fn test_a_refused_connection_is_tried_again_and_time_passes() {
            test::live();
            test::answers("slack.post", [test::fault("HTTP_CONNECT"), test::fault(#{ status: 429, retry_after: "30s" }), #{ ok: true }]);
            let run = test::run("p");
            test::equal(run.effect("slack.post").attempts, 3);
            test::that(run.seconds >= 30.0);
        }
        fn test_a_lost_answer_is_not_sent_again() {
            test::live();
            test::answers("slack.post", [test::fault("HTTP_TIMEOUT")]);
            let run = test::run("p");
            test::equal(run.value.assumed, true);
            test::equal(run.effect("slack.post").attempts, 1);
        }
        fn test_what_was_switched_off_is_refused() {
            test::live();
            test::switch_off("slack", "SLACK_ENABLED is off");
            let run = test::run("p");
            test::failed(run, "SWITCHED_OFF");
        }
        "#,
    )
    .pass();
}

#[test]
fn an_answer_is_for_every_call_that_it_fits_and_the_latest_comes_first() {
    Trials::of(
        "const PLAYBOOK = #{ uses: [\"slack\"] };\n[\"a\", \"b\", \"a\"].map(|text| slack::post(text).by)",
        r#"
        test::live("slack");
        fn test_one_answers_all_of_them() {
            test::answer("slack.post", #{ by: "all" });
            test::equal(test::run("p").value, ["all", "all", "all"]);
        }
        fn test_one_for_some_arguments_leaves_the_others_alone() {
            test::answer("slack.post", #{ by: "all" });
            test::answer("slack.post", #{ text: "b" }, #{ by: "b" });
            test::equal(test::run("p").value, ["all", "b", "all"]);
        }
        fn test_one_that_is_given_later_is_used_first() {
            test::answer("slack.post", #{ text: "b" }, #{ by: "b" });
            test::answer("slack.post", #{ by: "all" });
            test::equal(test::run("p").value, ["all", "all", "all"]);
        }
        fn test_those_in_turn_are_used_up() {
            test::answer("slack.post", #{ by: "all" });
            test::answers("slack.post", [#{ by: 1 }, #{ by: 2 }]);
            test::equal(test::run("p").value, [1, 2, "all"]);
        }
        "#,
    )
    .pass();
}

#[test]
fn governance_decides_on_publishes_as_it_would() {
    let playbook = "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/posts\", #{ text: input.text })";
    let playbook = playbook.replace("uses", "inputs: #{ text: #{ preset: \"hi\" } }, uses");
    Trials::of(
        &playbook,
        r#"
        test::live();
        fn test_without_signals_it_is_simulated_and_says_why() {
            let run = test::run("p");
            test::contains(run.effect("acme.post").decision, "GOVERNANCE_APPROVED");
            test::contains(run.effect("acme.post").simulated, "ALLOW_AUTONOMOUS_PUBLISH");
        }
        fn test_with_two_of_three_signals_it_is_simulated_too() {
            test::approve(["ALLOW_AUTONOMOUS_PUBLISH", "GOVERNANCE_APPROVED"]);
            test::contains(test::run("p").effect("acme.post").decision, "PUBLISH_APPROVAL_GRANTED is missing");
        }
        fn test_with_all_signals_it_is_sent() {
            test::approve();
            test::answer("acme.post", #{ status: 201 });
            test::equal(test::run("p").effect("acme.post").simulated, ());
        }
        fn test_a_lost_answer_of_a_publish_needs_a_person() {
            test::approve();
            test::answers("acme.post", [test::fault("HTTP_CUT")]);
            let run = test::run("p");
            test::equal(run.status, "needs_attention");
            test::equal(run.effect("acme.post").in_doubt, true);
        }
        fn test_a_lost_answer_that_turns_up_has_landed() {
            test::approve();
            test::answers("acme.post", [test::fault("HTTP_CUT")]);
            test::shows("acme.post", #{ id: "p1" });
            test::equal(test::run("p").value.id, "p1");
        }
        "#,
    )
    .pass();
}

#[test]
fn time_chance_people_and_events_are_the_tests_own() {
    let playbook = r#"
        let began = time::now();
        run::sleep("2h");
        let said = run::ask("publish?", #{ choices: ["yes", "no"], timeout: "1d" });
        let event = run::wait_event("review.done", #{ timeout: "1d" });
        #{ began: began, ended: time::now(), said: said, event: event, number: random::int(1, 1000000) }
    "#;
    Trials::of(
        playbook,
        r#"
        fn test_they_come_when_they_are_waited_for() {
            test::at("2026-03-08T06:30:00Z");
            test::reply("yes");
            test::event("review.done", #{ verdict: "good" });
            let run = test::run("p");
            test::contains(run.value.began, "2026-03-08T06:30:00");
            test::contains(run.value.ended, "2026-03-08T08:30:00");
            test::contains(`${run.value.said}`, "yes");
            test::equal(run.value.event.verdict, "good");
            test::equal(run.seconds, 7200.0);
        }
        fn test_what_does_not_come_is_waited_for_to_its_time() {
            let run = test::run("p");
            test::that(run.seconds >= 86400.0);
        }
        fn test_a_seed_draws_the_same_again() {
            test::seed(3);
            let one = test::run("p").value.number;
            test::seed(3);
            test::equal(test::run("p").value.number, one);
            test::seed(4);
            test::that(test::run("p").value.number != one);
            test::answer("random.int", 42);
            test::equal(test::run("p").value.number, 42);
        }
        fn test_the_clock_is_moved_by_hand() {
            test::at("2026-03-08T06:30:00Z");
            test::advance("1d");
            test::contains(time::now(), "2026-03-09T06:30:00");
        }
        "#,
    )
    .pass();
}

#[test]
fn a_case_shares_its_store_with_its_playbooks_and_with_no_other_case() {
    let playbook = r#"kv::increment("count"); store::put("seen", `s${kv::get("count")}`, #{ n: 1 }); kv::get("count")"#;
    Trials::of(
        playbook,
        r#"
        kv::put("always", "there");
        fn test_a() { kv::put("count", 4); test::equal(test::run("p").value, 5); test::equal(store::count("seen"), 1); }
        fn test_b() { test::equal(kv::get("count"), ()); test::equal(test::run("p").value, 1); test::equal(test::run("p").value, 2); }
        fn test_c() { test::equal(kv::get("always"), "there"); test::equal(store::collections(), []); }
        "#,
    )
    .pass();
}

#[test]
fn children_are_played_too_one_after_the_other() {
    let files = [
        ("host.toml", ""),
        (
            "playbooks/p.rhai",
            r#"playbook::map("child", [#{ n: 1 }, #{ n: 2 }, #{ n: 3 }], #{ concurrency: 3 })"#,
        ),
        (
            "playbooks/child.rhai",
            "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\" } } };\nslack::post(`${input.n}`); random::int(1, 1000000)",
        ),
    ];
    let tests = r#"
        fn test_children() {
            let run = test::run("p");
            test::equal(run.children.len(), 3);
            test::equal(run.children.map(|child| child.effect("slack.post").args.text), ["1", "2", "3"]);
            test::equal(run.value.len(), 3);
        }
    "#;
    Trials::with(&files, tests, Options::default()).pass();
    let numbers = |_: usize| {
        let tests = r#"fn test_children() { throw #{ code: "NUMBERS", message: `${test::run("p").value}` } }"#;
        Trials::with(&files, tests, Options::default()).complaint().3
    };
    let first = numbers(0);
    assert!(
        (1..4).map(numbers).all(|again| again == first),
        "the same chance in every session: {first}"
    );
}

#[test]
fn files_are_the_projects_or_the_tests() {
    let files = [
        ("host.toml", ""),
        ("inbox/feed.json", r#"{"n": 1}"#),
        (
            "playbooks/p.rhai",
            r#"[file::read_json("inbox/feed.json").n, file::list("inbox").map(|f| f.name), file::info("inbox/feed.json").sha256]"#,
        ),
    ];
    let tests = r#"
        fn test_of_the_project() { test::contains(test::run("p").value, 1); }
        fn test_of_the_test() {
            test::file("inbox/feed.json", "{\"n\": 2}");
            test::file("inbox/a.txt", "x");
            test::equal(test::run("p").value, [2, ["a.txt", "feed.json"], hash::sha256("{\"n\": 2}")]);
        }
    "#;
    Trials::with(&files, tests, Options::default()).pass();
}

#[test]
fn a_call_without_an_answer_fails_the_test_whatever_the_playbook_makes_of_it() {
    let playbook = "const PLAYBOOK = #{ uses: [\"slack\"] };\ntry { slack::post(\"hi\"); } catch { }\n1";
    let (code, file, line, message) =
        Trials::of(playbook, "fn test_a() {\n test::live();\n test::run(\"p\");\n}").complaint();
    assert_eq!(
        (code.as_str(), file.as_str(), line),
        ("TEST_UNANSWERED", "playbooks/p_test.rhai", 3)
    );
    assert!(
        message.contains("slack.post") && message.contains("\"text\":\"hi\""),
        "{message}"
    );
}

#[test]
fn a_run_that_fails_while_the_test_looks_elsewhere_fails_it_in_the_playbooks_own_line() {
    let playbook = "let a = 1;\nthrow #{ code: \"OUT_OF_LUCK\", message: \"no\" };";
    let (code, file, line, message) = Trials::of(playbook, "fn test_a() { test::run(\"p\"); }").complaint();
    assert_eq!(
        (code.as_str(), file.as_str(), line),
        ("OUT_OF_LUCK", "playbooks/p.rhai", 2)
    );
    assert!(message.contains("test::failed(run, \"OUT_OF_LUCK\")"), "{message}");
    Trials::of(
        playbook,
        "fn test_a() { test::failed(test::run(\"p\"), \"OUT_OF_LUCK\"); }",
    )
    .pass();
    let (code, _, line, message) =
        Trials::of(playbook, "fn test_a() {\n test::succeeded(test::run(\"p\")); }").complaint();
    assert_eq!((code.as_str(), line), ("EXPECTATION", 2));
    assert!(message.contains("p.rhai:2"), "{message}");
}

#[test]
fn names_that_mean_nothing_are_refused_with_what_may_be_meant() {
    for (said, code, hint) in [
        (r#"test::answer("slack.psot", 1)"#, "UNKNOWN_EFFECT", "slack.post"),
        (r#"test::live("slak")"#, "UNKNOWN_PROVIDER", "slack"),
        (
            r#"test::approve(["APPROVED"])"#,
            "UNKNOWN_SIGNAL",
            "GOVERNANCE_APPROVED",
        ),
        (r#"test::run("q")"#, "PLAYBOOK_NOT_FOUND", "p"),
        (r#"test::run("p_test")"#, "PLAYBOOK_IS_TEST", "host test"),
        (r#"test::run("p", #{ topik: 1 })"#, "INPUT_UNKNOWN", "topic"),
        (r#"test::run("p").effect("kv.get")"#, "EXPECTATION", "asked for nothing"),
        (r#"test::fault(#{ stattus: 1, code: "A" })"#, "UNKNOWN_OPTION", "status"),
        (r#"run::sleep("1h")"#, "TEST_WAITS", "test::advance"),
    ] {
        let playbook = "const PLAYBOOK = #{ inputs: #{ topic: #{ type: \"string\" } } };\n1";
        let complaint = Trials::of(playbook, &format!("fn test_a() {{ {said}; }}")).complaint();
        assert_eq!(complaint.0, code, "{said}: {complaint:?}");
        assert!(complaint.3.contains(hint), "{said}: {complaint:?}");
    }
}

#[test]
fn what_never_ends_is_stopped_in_the_playbook_and_in_the_test() {
    for (playbook, tests) in [
        ("loop { }", "fn test_a() { test::run(\"p\"); }"),
        ("1", "fn test_a() { loop { try { test::run(\"p\"); } catch { } } }"),
        (
            "run::poll(\"1s\", \"1h\", || { loop { } })",
            "fn test_a() { test::run(\"p\"); }",
        ),
    ] {
        let options = Options {
            timeout: Duration::from_millis(100),
            ..Options::default()
        };
        let files = [("host.toml", ""), ("playbooks/p.rhai", playbook)];
        assert_eq!(
            Trials::with(&files, tests, options).complaint().0,
            "TEST_TIMEOUT",
            "{playbook}"
        );
    }
}

#[test]
fn cases_are_told_in_the_order_of_their_file_however_many_run_at_once() {
    let mut tests = String::new();
    for number in 0..40 {
        tests.push_str(&format!(
            "fn test_{:02}() {{ let n = 0; while n < {} {{ n += 1; }} }}\n",
            number,
            (40 - number) * 200
        ));
    }
    let options = Options {
        threads: 8,
        ..Options::default()
    };
    let trials = Trials::with(&[("host.toml", ""), ("playbooks/p.rhai", "1")], &tests, options);
    let names: Vec<String> = trials.0.iter().map(|result| result.case.clone()).collect();
    assert_eq!(
        names,
        (0..40).map(|number| format!("test_{number:02}")).collect::<Vec<_>>()
    );
}
