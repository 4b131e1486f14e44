//! `host replay RUN --with FILE`: what an edit would have changed, with every door shut.

use std::process::Stdio;

use host::testing::HttpStub;
use serde_json::json;

use crate::project::{Project, keys};

/// Reads a list over the network, counts, and publishes what it found.
const WEEKLY: &str = r#"const PLAYBOOK = #{ uses: ["acme", "slack"], inputs: #{ top: #{ type: "int", preset: 2, max: 9 } } };
let page = acme::get("/items", #{ query: #{ sort: "new" } });
let items = page.json.items;
let seen = kv::increment("runs");
let title = items[0].title;
kv::put("last", title);
let post = acme::post("/posts", #{ text: title, top: input.top });
slack::post(`posted ${post.json.id}`);
#{ post: post.json.id, seen: seen }
"#;

/// A project in which acme is live and leads to `stub`.
fn live(stub: &HttpStub, playbook: &str) -> Project {
    let host = stub.host();
    let toml = format!("[providers.acme]\nbase_url = \"http://{host}\"\npublish = true\ntimeout = \"1s\"\n");
    let project = Project::none()
        .file("host.toml", &toml)
        .file("playbooks/weekly.rhai", playbook)
        .env("DRY_RUN", "false")
        .env("ACME_ENABLED", "true");
    let signals = [
        "ALLOW_AUTONOMOUS_PUBLISH",
        "PUBLISH_APPROVAL_GRANTED",
        "GOVERNANCE_APPROVED",
    ];
    signals
        .into_iter()
        .fold(project, |project, name| project.env(name, "true"))
}

fn run_of(project: &Project) -> String {
    let runs = project.json(&["runs"]);
    runs[0]["run_id"].as_str().expect("a run").to_owned()
}

/// A run that published, its project and its id. The server counts what else would come.
fn published() -> (HttpStub, Project, String) {
    let stub = HttpStub::start();
    stub.on("GET", "/items")
        .json(200, json!({ "items": [{ "title": "One" }, { "title": "Two" }] }));
    stub.on("POST", "/posts").json(201, json!({ "id": "p1" }));
    let project = live(&stub, WEEKLY);
    project.ok(&["run", "weekly"]);
    let run = run_of(&project);
    (stub, project, run)
}

/// `text` with the id, the time and the versions of a run left out.
fn timeless(text: &str, run: &str) -> String {
    let text = text.replace(&run[..10], "RUN");
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let head: Vec<String> = head
        .iter()
        .enumerate()
        .filter(|(at, _)| !(3..=5).contains(at))
        .map(|(_, word)| word.split('@').next().unwrap_or_default().to_owned())
        .collect();
    std::iter::once(head.join(" "))
        .chain(lines.map(|line| line.trim_end().to_owned()))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_difference_of_effects_is_told_and_nothing_is_reached_or_written() {
    let (stub, project, run) = published();
    let fix = WEEKLY
        .replace(
            "items[0].title;",
            "items[1].title;\nlet old = kv::get(\"last\");\nlet more = acme::get(\"/more\");",
        )
        .replace("slack::post(`posted ${post.json.id}`);\n", "");
    project.write("fix.rhai", &fix);
    let (before, connections) = (project.files(), stub.connections());
    let shown = project.ok(&["replay", &run[..10], "--with", "fix.rhai"]);
    assert_eq!(project.files(), before, "every file is as it was");
    assert_eq!(stub.connections(), connections, "no socket was opened");
    insta::assert_snapshot!(timeless(&shown, &run));
}

#[test]
fn the_same_script_is_answered_the_same() {
    let (_stub, project, run) = published();
    let answer = project.json(&["replay", &run, "--with", "playbooks/weekly.rhai"]);
    assert_eq!(answer["same_outcome"], true);
    assert_eq!(answer["same_effects"], true);
    assert_eq!(answer["counts"]["unrecorded"], 0);
}

#[test]
fn the_shape_of_its_json_is_stable() {
    let (_stub, project, run) = published();
    let answer = project.json(&["replay", &run, "--input", "top=3"]);
    assert_eq!(
        keys(&answer),
        [
            "before",
            "begun",
            "counts",
            "input",
            "now",
            "playbook",
            "recorded_with",
            "replayed_with",
            "run_id",
            "same_effects",
            "same_outcome",
            "steps"
        ]
    );
    assert_eq!(
        keys(&answer["counts"]),
        ["changed", "gone", "kept", "new", "reordered", "unrecorded"]
    );
    let changed = answer["steps"]
        .as_array()
        .and_then(|steps| steps.iter().find(|step| step["verdict"] == "changed"))
        .expect("the post has another input");
    assert_eq!(
        keys(changed),
        ["before", "class", "name", "now", "reordered", "verdict"]
    );
    assert_eq!(
        keys(&changed["now"]),
        [
            "answered",
            "args",
            "decision",
            "error",
            "line",
            "note",
            "outcome",
            "recorded",
            "simulated",
            "step"
        ]
    );
    assert_eq!(changed["name"], "acme.post");
    assert_eq!(changed["before"]["landing"], "landed");
    assert_eq!(changed["before"]["args"]["body"]["top"].clone(), json!(2), "{changed}");
    assert_eq!(changed["now"]["args"]["body"]["top"].clone(), json!(3));
    assert_eq!(changed["now"]["answered"], "not_recorded");
    assert_eq!(changed["now"]["decision"], "would be allowed");
}

#[test]
fn where_the_record_has_no_answer_it_stops_if_wanted() {
    let (_stub, project, run) = published();
    project.write("fix.rhai", &WEEKLY.replace("/items", "/other"));
    let answer = project.json(&["replay", &run, "--with", "fix.rhai", "--missing", "stop"]);
    assert_eq!(answer["now"]["error"]["code"], "NOT_RECORDED");
    assert_eq!(answer["now"]["error"]["line"], 2);
    let simulated = project.json(&["replay", &run, "--with", "fix.rhai"]);
    assert_ne!(simulated["now"]["error"]["code"], "NOT_RECORDED");
    // Nobody is there to be asked.
    let refused = project.host(&["replay", &run, "--with", "fix.rhai", "--missing", "ask"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn a_publish_in_doubt_that_the_edit_leaves_out_is_pointed_at() {
    let stub = HttpStub::start();
    stub.on("GET", "/items")
        .json(200, json!({ "items": [{ "title": "One" }] }));
    stub.on("POST", "/posts").cut();
    let project = live(&stub, WEEKLY);
    let run = project.host(&["run", "weekly"]);
    assert_eq!(run.code, 3, "{run:?}");
    let run = run_of(&project);
    let same = project.json(&["replay", &run, "--with", "weekly"]);
    assert_eq!(
        (&same["same_outcome"], &same["same_effects"]),
        (&json!(true), &json!(true)),
        "{same}"
    );
    project.write(
        "fix.rhai",
        &WEEKLY.replace(
            "let post = acme::post(\"/posts\", #{ text: title, top: input.top });",
            "let post = #{ json: #{ id: 7 } };",
        ),
    );
    let shown = project.ok(&["replay", &run, "--with", "fix.rhai"]);
    assert!(
        shown.contains("was sent, and nobody knows whether it landed"),
        "{shown}"
    );
    assert!(shown.contains("needs attention"), "{shown}");
    let answer = project.json(&["replay", &run, "--with", "fix.rhai"]);
    let gone = answer["steps"]
        .as_array()
        .and_then(|steps| steps.iter().find(|step| step["verdict"] == "gone"));
    assert_eq!(
        gone.map(|gone| gone["before"]["landing"].clone()),
        Some(json!("in doubt"))
    );
}

#[test]
fn bad_questions_are_refused_with_the_way_out() {
    let (_stub, project, run) = published();
    project.write("broken.rhai", "let a = ;");
    let broken = project.host(&["replay", &run, "--with", "broken.rhai"]);
    assert_eq!(broken.code, 2, "{broken:?}");
    assert!(
        broken.stderr.contains("broken.rhai:1:8") && broken.stderr.contains("let a = ;"),
        "{broken:?}"
    );
    project.write("huge.rhai", &"// words\n".repeat(100_000));
    project.write("prompt.md", "x");
    let refusals: [(&[&str], &str); 8] = [
        (&["--with", "huge.rhai"], "SCRIPT_TOO_LARGE"),
        (&["--with", "nowhere.rhai"], "PLAYBOOK_NOT_FOUND"),
        (&["--prompt", "caption"], "USAGE"),
        (&["--prompt", "=prompt.md"], "USAGE"),
        (&["--prompt", "caption=missing.md"], "PROMPT_UNREADABLE"),
        (&["--input", "top=many"], "INPUT"),
        (&["--input", "topp=1"], "INPUT_UNKNOWN"),
        (&["--html", "no/such/folder/page.html"], "REPORT_UNWRITABLE"),
    ];
    for (words, code) in refusals {
        let refused = project.host(&[&["replay", &run, "--json"], words].concat());
        assert_eq!((refused.code, refused.error_code().as_str()), (2, code), "{refused:?}");
    }
    let nobody = project.host(&["replay", "7ZZ", "--with", "weekly", "--json"]);
    assert_eq!((nobody.code, nobody.error_code().as_str()), (2, "RUN_NOT_FOUND"));
    project.ok(&["run", "weekly"]);
    let several = project.host(&["replay", "0", "--with", "weekly", "--json"]);
    assert_eq!((several.code, several.error_code().as_str()), (2, "RUN_AMBIGUOUS"));
}

#[test]
fn a_loop_ends_with_a_limit_and_the_report_says_so() {
    let project = Project::bare()
        .file("host.toml", "[limits]\noperations = 200000\n")
        .file("playbooks/a.rhai", "kv::put(\"a\", 1)")
        .file("loop.rhai", "kv::put(\"a\", 1); loop { }");
    project.ok(&["run", "a"]);
    let shown = project.ok(&["replay", &run_of(&project), "--with", "loop.rhai"]);
    assert!(shown.contains("LIMIT_OPERATIONS"), "{shown}");
}

#[test]
fn a_run_whose_host_was_killed_can_be_asked() {
    let stub = HttpStub::start();
    stub.on("GET", "/items")
        .json(200, json!({ "items": [{ "title": "One" }] }));
    stub.on("POST", "/posts").never();
    let project = live(&stub, WEEKLY);
    let mut child = project
        .command(&["run", "weekly"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    assert!(stub.wait_for_requests(2, std::time::Duration::from_secs(20)));
    child.kill().expect("it is killed");
    child.wait().expect("it has ended");
    project.ok(&["store", "repair"]);
    let answer = project.json(&["replay", &run_of(&project), "--with", "weekly"]);
    assert_eq!(answer["before"], json!(null), "{answer}");
    assert_eq!(answer["same_outcome"], false);
    assert_eq!(answer["now"]["status"], "succeeded");
    let post = answer["steps"]
        .as_array()
        .and_then(|steps| steps.iter().find(|step| step["name"] == "acme.post"));
    let post = post.expect("the post is on record");
    assert_eq!(
        (&post["before"]["landing"], &post["verdict"]),
        (&json!("in doubt"), &json!("kept")),
        "{post}"
    );
    assert_eq!(post["now"]["answered"], "not_recorded");
}

#[test]
fn a_run_in_a_bundle_is_asked_where_there_is_nothing_else() {
    let project = Project::bare()
        .file("playbooks/names.rhai", "fn double(n) { n * 2 }")
        .file(
            "playbooks/weekly.rhai",
            "import \"names\" as names;\nkv::put(\"n\", names::double(4));\nthrow \"no\";",
        );
    assert_eq!(project.host(&["run", "weekly"]).code, 1);
    let run = run_of(&project);
    let opened = project.json(&["incident", "open", &run]);
    let incident = opened["incident_id"].as_str().expect("it has an id");
    project.ok(&["incident", "export", incident, "night.bundle"]);
    let elsewhere = Project::none().file(
        "fix.rhai",
        "import \"names\" as names;\nkv::put(\"n\", names::double(4));\nkv::get(\"n\")",
    );
    std::fs::copy(project.path("night.bundle"), elsewhere.path("night.bundle")).expect("a copy");
    let answer = elsewhere.json(&["replay", "night.bundle", "--with", "fix.rhai"]);
    assert_eq!(
        (&answer["now"]["value"], &answer["counts"]["kept"]),
        (&json!(8), &json!(1)),
        "{answer}"
    );
    assert_eq!(answer["before"]["status"], "failed");
    assert_eq!(elsewhere.files().len(), 2, "nothing was written there");
}

#[test]
fn the_page_stands_alone_and_escapes_what_comes_from_outside() {
    let hostile = r#"<script>alert("x")</script>"#;
    let project = Project::bare()
        .file("playbooks/a.rhai", "kv::put(\"a\", input.text); kv::get(\"a\")")
        .file("fix.rhai", "kv::put(\"a\", input.text + \"!\"); kv::get(\"a\")");
    project.ok(&["run", "a", "--input", &format!("text={hostile}")]);
    let shown = project.ok(&["replay", &run_of(&project), "--with", "fix.rhai", "--html", "page.html"]);
    assert!(shown.ends_with("page      page.html\n"), "{shown}");
    let page = std::fs::read_to_string(project.path("page.html")).expect("the page");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("&lt;script&gt;alert("), "{page}");
    let lower = page.to_lowercase();
    for forbidden in [
        "<script", "src=", "href=", "@import", "url(", "http://", "https://", "onclick",
    ] {
        assert!(!lower.contains(forbidden), "the page has {forbidden}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("with another result."));
}
