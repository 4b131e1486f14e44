//! `host test`

use host::testing::HttpStub;

use crate::project::{Project, keys};

const PLAYBOOK: &str = "let last = kv::get(\"last\");\nif last == () {\n    slack::post(\"first\");\n} else {\n    slack::post(`again ${last}`);\n}\nkv::put(\"last\", 1);\n";

fn project(tests: &str) -> Project {
    Project::bare()
        .file("playbooks/daily.rhai", PLAYBOOK)
        .file("playbooks/daily_test.rhai", tests)
}

#[test]
fn what_init_makes_passes_its_tests_and_leaves_nothing_behind() {
    let project = Project::made();
    let before = project.files();
    let printed = project.ok(&["test"]);
    assert!(
        printed.contains("✓ the newest item becomes a clip and is announced"),
        "{printed}"
    );
    assert!(
        printed
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("17 passed · 4 files")),
        "{printed}"
    );
    assert_eq!(project.files(), before);
}

#[test]
fn a_failure_is_told_with_its_frame_and_the_difference() {
    let project = project(
        "fn test_a_first_post() {\n    let run = test::run(\"daily\");\n    test::equal(run.effects.map(|e| e.args), []);\n}\n",
    );
    let tested = project.host(&["test"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    let printed = tested.stdout;
    for part in [
        "✗ a first post",
        "error[EXPECTATION]",
        "playbooks/daily_test.rhai:3:11",
        "\"text\": \"first\"",
        "0 passed · 1 failed",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn snapshots_are_taken_compared_and_removed_only_when_that_is_accepted() {
    let tests = "fn test_a() { test::snapshot(test::run(\"daily\")); }\nfn test_b() { test::snapshot(1, \"one\"); }\n";
    let project = project(tests);
    let first = project.host(&["test"]);
    assert_eq!(first.code, 1);
    assert!(
        first.stdout.contains("nothing was taken") && !project.path("playbooks/daily_test.snap").exists(),
        "{first:?}"
    );
    let accepted = project.ok(&["test", "--accept"]);
    assert!(accepted.contains("2 snapshots accepted"), "{accepted}");
    assert_eq!(
        read(&project),
        "host snapshots, format 1\n\n=== test_a\n  daily\n  1 local kv.get {\"key\":\"last\"}\n  2 write slack.post {\"text\":\"first\"}\n      simulated\n  3 local kv.put {\"key\":\"last\",\"value\":1}\n  succeeded\n\n=== test_b: one\n  1\n"
    );
    project.ok(&["test"]);

    project.write("playbooks/daily.rhai", &PLAYBOOK.replace("first", "1st"));
    let differs = project.host(&["test"]);
    assert_eq!(differs.code, 1);
    for part in [
        "error[SNAPSHOT]",
        "− 2 write slack.post {\"text\":\"first\"}",
        "+ 2 write slack.post {\"text\":\"1st\"}",
    ] {
        assert!(differs.stdout.contains(part), "{part}: {}", differs.stdout);
    }
    assert!(read(&project).contains("first"), "nothing is taken unasked");
    let accepted = project.ok(&["test", "--accept"]);
    assert!(
        accepted.contains("snapshot changed playbooks/daily_test.rhai test_a") && read(&project).contains("1st"),
        "{accepted}"
    );

    project.write(
        "playbooks/daily_test.rhai",
        &tests[..tests.find("fn test_b").expect("it is there")],
    );
    let left = project.ok(&["test"]);
    assert!(
        left.contains("1 snapshot that no test takes") && read(&project).contains("test_b"),
        "{left}"
    );
    project.ok(&["test", "--accept"]);
    assert!(!read(&project).contains("test_b"));
}

#[test]
fn a_case_that_fails_before_it_takes_its_snapshot_does_not_lose_it() {
    let project = project("fn test_a() { test::snapshot(1, \"one\"); }\n");
    project.ok(&["test", "--accept"]);
    let kept = read(&project);
    project.write(
        "playbooks/daily_test.rhai",
        "fn test_a() { test::equal(1, 2); test::snapshot(1, \"one\"); }\n",
    );
    assert_eq!(project.host(&["test", "--accept"]).code, 1);
    assert_eq!(read(&project), kept);
}

#[test]
fn a_checkout_with_other_line_ends_is_the_same_and_stays_so() {
    let project = project("fn test_a() { test::snapshot(\"one\\ntwo\"); }\n");
    project.ok(&["test", "--accept"]);
    let windows = read(&project).replace('\n', "\r\n");
    project.write("playbooks/daily_test.snap", &windows);
    let tests = "fn test_a() {\r\n    test::snapshot(\"one\\r\\ntwo\");\r\n}\r\nfn test_b() { test::snapshot(2); }\r\n";
    project.write("playbooks/daily_test.rhai", tests);
    project.ok(&["test", "test_a"]);
    project.ok(&["test", "--accept"]);
    assert_eq!(read(&project), format!("{windows}\r\n=== test_b\r\n  2\r\n"));
}

#[test]
fn snapshots_of_another_version_are_refused_before_anything_is_run() {
    let project =
        project("fn test_a() { test::snapshot(1); }\n").file("playbooks/daily_test.snap", "host snapshots, format 9\n");
    for arguments in [&["test", "--json"][..], &["test", "--accept", "--json"]] {
        let refused = project.host(arguments);
        assert_eq!((refused.code, refused.error_code().as_str()), (2, "SNAPSHOT_VERSION"));
    }
    assert_eq!(read(&project), "host snapshots, format 9\n");
}

#[test]
fn words_choose_cases_and_none_chosen_is_an_error() {
    let project = project("fn test_a_quiet_day() { }\nfn test_a_loud_day() { }\n");
    assert_eq!(
        project.ok(&["test", "--list"]),
        "playbooks/daily_test.rhai\n  test_a_quiet_day\n  test_a_loud_day\n"
    );
    assert!(project.ok(&["test", "quiet"]).contains("1 passed"));
    assert!(
        project
            .ok(&["test", "playbooks/daily_test.rhai", "loud day"])
            .contains("1 passed")
    );
    let none = project.host(&["test", "noisy", "--json"]);
    assert_eq!((none.code, none.error_code().as_str()), (2, "NO_TESTS"));
    let bare = Project::bare().host(&["test", "--json"]);
    assert_eq!((bare.code, bare.error_code().as_str()), (2, "NO_TESTS"));
    assert_eq!(Project::none().host(&["test", "--json"]).error_code(), "NO_PROJECT");
}

#[test]
fn the_first_failure_can_be_the_last() {
    let project = project("fn test_a() { test::that(false); }\nfn test_b() { }\n");
    let tested = project.host(&["test", "--fail-fast", "--threads", "1"]);
    assert!(tested.stdout.contains("1 failed · 1 not run"), "{tested:?}");
}

#[test]
fn a_file_that_does_not_compile_fails_and_the_others_are_run() {
    let project = project("fn test_a() { }\n").file("playbooks/broken_test.rhai", "fn test_b( { }\n");
    let tested = project.host(&["test"]);
    assert_eq!(tested.code, 1);
    assert!(
        tested.stdout.contains("broken_test.rhai:1:") && tested.stdout.contains("1 passed · 1 failed"),
        "{tested:?}"
    );
}

#[test]
fn coverage_names_the_lines_that_no_case_runs() {
    let project = project("fn test_a() { test::run(\"daily\"); }\n").file("playbooks/other.rhai", "1\n");
    let printed = project.ok(&["test", "--coverage", "--lcov", "out.info"]);
    assert!(printed.contains("playbooks/daily.rhai  4 of 5  80 %  5"), "{printed}");
    assert!(printed.contains("playbooks/other.rhai  0 of 1  0 %   1"), "{printed}");
    let lcov = std::fs::read_to_string(project.path("out.info")).expect("a report");
    assert!(
        lcov.contains("SF:playbooks/daily.rhai\nDA:1,1\nDA:2,1\nDA:3,1\nDA:5,0\nDA:7,1\nLF:5\nLH:4\n"),
        "{lcov}"
    );
    let json = project.json(&["test", "--coverage"]);
    assert_eq!(json["coverage"][0]["missing"], serde_json::json!([5]));
}

#[test]
fn places_are_the_same_with_coverage_as_without() {
    let tests = "fn test_a() { let run = test::run(\"daily\"); test::equal(run.error.line, 9); }\nfn test_b() { test::run(\"daily\"); }\n";
    let project = project(tests).file(
        "playbooks/daily.rhai",
        "let a = \"é\"; [1].map(|x| x + 1); throw \"no\";",
    );
    let error = |arguments: &[&str]| {
        let tested = project.host(arguments);
        let json: serde_json::Value = serde_json::from_str(&tested.stdout).expect("JSON");
        json["tests"]
            .as_array()
            .expect("tests")
            .iter()
            .map(|test| test["error"].clone())
            .collect::<Vec<_>>()
    };
    let without = error(&["test", "--json"]);
    assert_eq!(without[1]["column"], 34, "{without:?}");
    assert_eq!(error(&["test", "--json", "--coverage"]), without);
}

#[test]
fn junit_and_json_tell_every_case() {
    let project =
        project("fn test_a() { }\nfn test_b() { print(\"\\u001b[31m<&\"); test::equal(\"<&\\u0000\", 1); }\n");
    let tested = project.host(&["test", "--json", "--junit", "out.xml"]);
    assert_eq!(tested.code, 1);
    let json: serde_json::Value = serde_json::from_str(&tested.stdout).expect("JSON");
    assert_eq!(keys(&json), ["coverage", "ok", "snapshots", "tests"]);
    assert_eq!(
        keys(&json["tests"][1]),
        ["case", "error", "file", "said", "took_ms", "verdict"]
    );
    assert_eq!(
        (&json["tests"][0]["verdict"], &json["tests"][1]["error"]["line"]),
        (&"passed".into(), &2.into())
    );
    let xml = std::fs::read_to_string(project.path("out.xml")).expect("a report");
    assert!(
        xml.contains("tests=\"2\"")
            && xml.contains("failures=\"1\"")
            && xml.contains("classname=\"playbooks/daily_test.rhai\""),
        "{xml}"
    );
    assert!(!xml.contains('\u{1b}') && !xml.contains('\0'), "{xml}");
}

#[test]
fn test_files_are_no_playbooks_and_are_checked_with_their_own_functions() {
    let project = project("fn test_a() { test::run(\"daily\"); }\n");
    let run = project.host(&["run", "daily_test", "--json"]);
    assert_eq!((run.code, run.error_code().as_str()), (2, "PLAYBOOK_IS_TEST"));
    project.ok(&["check"]);
    project.write("playbooks/daily_test.rhai", "fn test_a() { test::rum(\"daily\"); }\n");
    let checked = project.host(&["check"]);
    assert!(
        checked.code == 2 && checked.stdout.contains("did you mean `test::run`"),
        "{checked:?}"
    );
    project.write("playbooks/daily.rhai", "test::run(\"x\")");
    assert!(
        project.host(&["check", "daily"]).stdout.contains("test"),
        "playbooks have no `test::`"
    );
    assert_eq!(project.host(&["check", "daily"]).code, 2);
}

fn read(project: &Project) -> String {
    std::fs::read_to_string(project.path("playbooks/daily_test.snap")).expect("snapshots")
}

/// The id of the last run of `daily`.
#[track_caller]
fn last_run(project: &Project) -> String {
    let runs = project.json(&["runs"]);
    let mut runs = runs.as_array().expect("a list").iter();
    let last = runs.find(|run| run["playbook"] == "daily").expect("a run");
    last["run_id"].as_str().expect("an id").to_owned()
}

/// The file that `--from-run` has written of that run.
#[track_caller]
fn from_last_run(project: &Project) -> String {
    let run = last_run(project);
    let made = project.json(&["test", "--from-run", &run]);
    let file = made["file"].as_str().expect("a file").to_owned();
    project.ok(&["test"]);
    project.ok(&["check"]);
    std::fs::read_to_string(project.path(&file)).expect("a test")
}

#[test]
fn a_test_written_from_a_run_passes_and_fails_when_the_playbook_is_broken() {
    let project = Project::bare().file("playbooks/daily.rhai", PLAYBOOK);
    project.ok(&["run", "daily"]);
    project.ok(&["run", "daily"]);
    let text = from_last_run(&project);
    for part in [
        "kv::put(\"last\", 1);",
        "test::answer(\"slack.post\", #{ ok: true, simulated: true });",
        "test::equal(run.effect(\"slack.post\").args, #{ text: \"again 1\" });",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    project.write("playbooks/daily.rhai", &PLAYBOOK.replace("again", "once more"));
    assert_eq!(project.host(&["test"]).code, 1);
    project.write("playbooks/daily.rhai", &PLAYBOOK.replace("kv::put(\"last\", 1);", ""));
    assert_eq!(project.host(&["test"]).code, 1);
}

#[test]
fn a_test_written_from_a_live_run_has_its_faults_and_none_of_its_secrets() {
    let stub = HttpStub::start();
    stub.on("POST", "/services/T0SECRET/hook").times(1).status(429);
    stub.on("POST", "/services/T0SECRET/hook").answer(200, "ok");
    let project = Project::bare()
        .file(
            "playbooks/daily.rhai",
            &format!("const PLAYBOOK = #{{ uses: [\"slack\"] }};\nlog::info(\"x\");\n{PLAYBOOK}"),
        )
        .env("DRY_RUN", "false")
        .env("SLACK_ENABLED", "true")
        .env("SLACK_WEBHOOK_URL", &stub.url("/services/T0SECRET/hook"));
    project.ok(&["run", "daily"]);
    let text = from_last_run(&project);
    for part in [
        "test::live(\"slack\");",
        "test::fault(#{",
        "status: 429",
        "passing: true",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("T0SECRET"), "{text}");
    assert_eq!(
        stub.count("POST", "/services/T0SECRET/hook"),
        2,
        "the test sends nothing"
    );
}

#[test]
fn ids_chance_time_children_and_what_only_the_store_knows_are_given_from_the_record() {
    let project = Project::bare()
        .file("playbooks/child.rhai", "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\" } } };\ninput.n * random::int(1, 1000000)")
        .file(
            "playbooks/daily.rhai",
            "let id = run::id();\nfor n in 0..3 { store::put(\"seen\", `${id}-${n}`, #{ at: time::now(), n: random::int(1, 1000000) }); }\n\
             let page = store::query(\"seen\", #{ where: #{ n: #{ gte: 0 } }, order_by: \"-n\", limit: 2 });\n\
             run::sleep(\"1s\");\n\
             [page, store::count(\"seen\"), playbook::run(\"child\", #{ n: 2 }), id::uuid(), ()]",
        );
    project.ok(&["run", "daily"]);
    project.ok(&["run", "daily"]);
    let text = from_last_run(&project);
    for part in [
        "test::id(\"",
        "test::answers(\"random.int\", [",
        "test::answer(\"playbook.",
        "test::answer(\"store.count\", 6)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_cannot_be_reproduced_is_said_and_nothing_is_written() {
    let project = Project::bare().file("playbooks/daily.rhai", PLAYBOOK);
    project.ok(&["run", "daily"]);
    project.write("playbooks/daily.rhai", &PLAYBOOK.replace("first", "1st"));
    let run = last_run(&project);
    let before = project.files();
    let refused = project.host(&["test", "--from-run", &run]);
    assert_eq!(refused.code, 2);
    for part in [
        "error[TEST_NOT_REPRODUCED]",
        "step 2, slack.post, is asked for with other arguments",
        "the playbook has changed since",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(project.files(), before);
    project.write("playbooks/daily.rhai", PLAYBOOK);
    project.ok(&["test", "--from-run", &run]);
    let again = project.host(&["test", "--from-run", &run, "--json"]);
    assert_eq!(again.error_code(), "TEST_EXISTS");
    assert_eq!(
        project.host(&["test", "--from-run", "01ZZ", "--json"]).error_code(),
        "RUN_NOT_FOUND"
    );
}
