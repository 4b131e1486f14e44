//! `host why`: how a run ended, in words, and what to do next.

use host::testing::HttpStub;

use crate::incident::{FAILS, SECRET, live, run};
use crate::project::Project;

fn told(project: &Project, run: &str) -> String {
    project.ok(&["why", run])
}

#[track_caller]
fn says(shown: &str, parts: &[&str]) {
    // The paragraph is broken into lines as wide as it happens to be.
    let flowing = shown.replace('\n', " ");
    for part in parts {
        assert!(
            shown.contains(part) || flowing.contains(part),
            "{part:?} is missing in:\n{shown}"
        );
    }
}

#[test]
fn a_write_in_doubt_is_told_with_what_landed_and_how_to_decide() {
    let stub = HttpStub::start();
    stub.on("POST", "/uploads").json(201, serde_json::json!({ "id": "u1" }));
    stub.on("POST", "/posts")
        .times(1)
        .json(201, serde_json::json!({ "id": "p1" }));
    let project = live(&stub).file("playbooks/weekly.rhai", FAILS);
    run(&project, "weekly");
    stub.on("POST", "/posts").cut();
    let run = run(&project, "weekly");
    let short = &run[..10];
    let shown = told(&project, &run);
    says(
        &shown,
        &[
            "Weekly recap (weekly) did not finish: a person must decide\n",
            "Step 3, acme.post /posts, was sent, and its answer was lost",
            "in doubt, and was not sent again",
            "landed      step 2  acme.post",
            "in doubt    step 3  acme.post",
            "kept        step 1  kv.put",
            "not begun   store.put  posts/c",
            &format!("host resolve {short} 3 --landed --reason"),
            &format!("host resolve {short} 3 --not-landed --reason"),
            &format!("host replay {short} --with playbooks/weekly.rhai"),
            &format!("host incident show I-{short}"),
            "weekly.rhai:4:",
        ],
    );
    let json = project.json(&["why", &run]);
    assert_eq!(json["in_doubt"][0]["step"], 3);
    assert_eq!(json["not_begun"][0]["name"], "store.put");
    assert_eq!(json["incident_ids"], serde_json::json!([format!("I-{run}")]));
}

#[test]
fn a_refused_write_is_told_in_the_providers_own_words_without_secrets() {
    let stub = HttpStub::start();
    stub.on("POST", "/uploads").json(201, serde_json::json!({ "id": "u1" }));
    let body = format!("the clip is too long for key {SECRET}\u{1b}[2J\nask support");
    stub.on("POST", "/posts").answer(422, body);
    let project = live(&stub).file("playbooks/weekly.rhai", FAILS);
    let run = run(&project, "weekly");
    let shown = told(&project, &run);
    says(
        &shown,
        &[
            "Weekly recap (weekly) failed\n",
            "Step 3, acme.post /posts, failed",
            "It certainly did nothing.",
            "the clip is too long for key [masked:ACME_TOKEN]",
            "not landed  step 3  acme.post",
            &format!("host resume {}", &run[..10]),
        ],
    );
    assert!(!shown.contains('\u{1b}') && !shown.contains(SECRET), "{shown}");
    assert!(!project.ok(&["why", &run, "--json"]).contains(SECRET));
}

#[test]
fn a_read_that_was_tried_in_vain_changed_nothing() {
    let stub = HttpStub::start();
    stub.on("GET", "/feed").answer(503, "down for repairs");
    let project = live(&stub).file("playbooks/feed.rhai", "acme::get(\"/feed\").json");
    let shown = told(&project, &run(&project, "feed"));
    says(
        &shown,
        &[
            "Step 1, acme.get /feed, failed",
            "It was tried 2 times (",
            "It is a read, so nothing was changed by it.",
        ],
    );
    assert!(
        !shown.contains("not begun"),
        "nothing is known of what would follow: {shown}"
    );
}

#[test]
fn each_end_has_its_own_words() {
    let project = Project::bare()
        .file(
            "playbooks/fine.rhai",
            "kv::put(\"a\", 1); try { file::read_text(\"none\") } catch { 7 }",
        )
        .file("playbooks/wrong.rhai", "kv::put(\"a\", 1);\nlet m = #{};\nm.a.b")
        .file("playbooks/long.rhai", "kv::put(\"a\", 1); loop { }")
        .file("host.toml", "[limits]\noperations = 100000\n");
    let fine = told(&project, &run(&project, "fine"));
    says(
        &fine,
        &[
            "fine succeeded\n",
            "2 effects in",
            "On the way it caught 1 error: FILE_",
            " at step 2.",
        ],
    );
    let wrong = told(&project, &run(&project, "wrong"));
    says(
        &wrong,
        &[
            "wrong failed\n",
            "The script itself failed at line 3: ",
            "wrong.rhai:3:",
            "mend        playbooks/wrong.rhai",
            "1 change of the store is kept",
        ],
    );
    let long = told(&project, &run(&project, "long"));
    says(
        &long,
        &[
            "was stopped after step 1, kv.put a, by a limit: ",
            "with a script that needs less",
        ],
    );
    let answer = project.host(&["why", "7ZZZ", "--json"]);
    assert_eq!((answer.code, answer.error_code()), (2, "RUN_NOT_FOUND".to_owned()));
}

#[test]
fn what_was_simulated_is_said_with_the_reason() {
    let stub = HttpStub::start();
    let project = live(&stub).env("DRY_RUN", "true").file(
        "playbooks/weekly.rhai",
        "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/posts\", #{}); throw \"no\"",
    );
    let shown = told(&project, &run(&project, "weekly"));
    says(
        &shown,
        &[
            "simulated   step 1  acme.post  /posts  DRY_RUN is on",
            "It was a dry run: nothing has left this machine.",
        ],
    );
    assert_eq!(stub.connections(), 0);
}
