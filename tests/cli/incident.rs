//! `host incident`: runs that are held, and their story.

use host::testing::HttpStub;

use crate::project::Project;

/// A project in which `acme` is live and leads to `stub`; its key is a secret.
pub fn live(stub: &HttpStub) -> Project {
    let host = stub.host();
    let toml = format!(
        "[http]\nhosts = [\"{host}\"]\n[gate]\nbackoff_base = \"1ms\"\nattempts_max = 2\n[providers.acme]\n\
         base_url = \"http://{host}\"\nsettle = \"0s\"\ntimeout = \"1s\"\non_unknown = \"ask\"\n\
         auth = {{ header = \"X-Key\", secret = \"ACME_TOKEN\" }}\n"
    );
    Project::none()
        .file("host.toml", &toml)
        .env("DRY_RUN", "false")
        .env("ACME_ENABLED", "true")
        .env("ACME_TOKEN", SECRET)
        .env("USER", "ada")
}

pub const SECRET: &str = "tok-9f8e7d6c5b4a";

pub const FAILS: &str = r#"const PLAYBOOK = #{ title: "Weekly recap", uses: ["acme"], on_failure: "incident" };
kv::put("begun", true);
let upload = acme::post("/uploads", #{ clip: "c" }).json;
acme::post("/posts", #{ upload: upload.id });
store::put("posts", "c", #{ upload: upload.id });
"#;

/// The id of the run that `host run` has just made, whatever became of it.
pub fn run(project: &Project, playbook: &str) -> String {
    let answer = project.host(&["run", playbook, "--json"]);
    let last = answer.stdout.lines().last().unwrap_or_else(|| panic!("{answer:?}"));
    let run: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    run["run_id"].as_str().unwrap_or_else(|| panic!("{run}")).to_owned()
}

fn listed(project: &Project) -> Vec<serde_json::Value> {
    let all = project.json(&["incident", "list", "--all"]);
    all.as_array().expect("a list").clone()
}

#[test]
fn a_run_that_fails_opens_an_incident_only_where_its_playbook_says_so() {
    let project = Project::bare()
        .file(
            "playbooks/ruled.rhai",
            "const PLAYBOOK = #{ on_failure: \"incident\" };\nthrow #{ code: \"NO\", message: \"no\" };",
        )
        .file("playbooks/plain.rhai", "throw \"no\"")
        .file(
            "playbooks/fine.rhai",
            "const PLAYBOOK = #{ on_failure: \"incident\" };\n1",
        );
    let ruled = run(&project, "ruled");
    run(&project, "plain");
    run(&project, "fine");
    project.host(&["plan", "ruled"]);
    let found = listed(&project);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["opened_by"], "rule");
    assert_eq!(found[0]["title"], "ruled: NO");
    assert_eq!(found[0]["run_ids"], serde_json::json!([ruled]));
    assert_eq!(found[0]["incident_id"], format!("I-{ruled}"));

    let wrong = project.file("playbooks/wrong.rhai", "const PLAYBOOK = #{ on_failure: \"page\" };");
    assert_eq!(wrong.host(&["check", "wrong", "--json"]).code, 2);
}

#[test]
fn a_write_in_doubt_opens_an_incident_that_says_what_to_decide() {
    let stub = HttpStub::start();
    stub.on("POST", "/uploads").json(201, serde_json::json!({ "id": "u1" }));
    stub.on("POST", "/posts").cut();
    let project = live(&stub).file(
        "playbooks/weekly.rhai",
        &FAILS.replace(", on_failure: \"incident\"", ""),
    );
    let run = run(&project, "weekly");
    let found = listed(&project);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["opened_by"], "in_doubt");
    let shown = project.ok(&["incident", "show", &format!("i-{}", run[..10].to_lowercase())]);
    assert!(shown.contains("needs attention"), "{shown}");
    assert!(shown.contains(&format!("host why {}", &run[..10])), "{shown}");
    assert!(shown.contains("step 3 is in doubt"), "{shown}");
}

#[test]
fn an_incident_is_opened_written_to_and_closed_by_hand() {
    let project = Project::bare()
        .env("USER", "ada")
        .file("playbooks/a.rhai", "1")
        .file("playbooks/b.rhai", "throw 1");
    let (a, b) = (run(&project, "a"), run(&project, "b"));
    let opened = project.json(&["incident", "open", &a, "--title", "odd numbers"]);
    let id = opened["incident_id"].as_str().expect("an id").to_owned();
    assert_eq!(opened["opened_by"], "hand");
    project.ok(&["incident", "note", &id, "the feed was empty"]);
    let pinned = project.ok(&["incident", "pin", &id, &b]);
    project.undo(&pinned);
    assert_eq!(
        project.json(&["incident", "show", &id])["run_ids"],
        serde_json::json!([a])
    );
    project.ok(&["incident", "pin", &id, &b, &b]);
    let closed = project.ok(&["incident", "close", &id, "--reason", "feed mended"]);
    assert!(closed.contains("still holds 2 runs"), "{closed}");

    let shown = project.json(&["incident", "show", &id]);
    assert_eq!(shown["state"], "closed");
    assert_eq!(shown["notes"][0]["text"], "the feed was empty");
    assert_eq!(shown["notes"][0]["by"], "ada");
    let told: Vec<String> = shown["timeline"]
        .as_array()
        .expect("a timeline")
        .iter()
        .map(|moment| moment["text"].as_str().expect("a text").to_owned())
        .collect();
    for part in [
        "began",
        "ended: failed",
        "opened by hand",
        "the feed was empty",
        "lets go of",
        "closed: feed mended",
    ] {
        assert!(told.iter().any(|text| text.contains(part)), "{part}: {told:?}");
    }
    assert_eq!(
        project.ok(&["incident", "list"]),
        "no incident is open\n1 closed: --all lists them\n"
    );
}

#[test]
fn what_cannot_be_done_is_said_with_a_code() {
    let project = Project::bare().file("playbooks/a.rhai", "1");
    let a = run(&project, "a");
    let id = project.json(&["incident", "open", &a])["incident_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    project.ok(&["incident", "close", &id]);
    let long = "x".repeat(9000);
    let title = "x".repeat(201);
    for (arguments, code) in [
        (vec!["incident", "show", "I-7ZZZ"], "INCIDENT_NOT_FOUND"),
        (vec!["incident", "show", "nonsense!"], "INCIDENT_NOT_FOUND"),
        (vec!["incident", "open", "7ZZZ"], "RUN_NOT_FOUND"),
        (vec!["incident", "open", &a, "--title", &title], "INCIDENT_LIMIT"),
        (vec!["incident", "note", &id, &long], "INCIDENT_LIMIT"),
        (vec!["incident", "note", &id, "  "], "INCIDENT_EMPTY"),
        (vec!["incident", "unpin", &id, "7ZZZ"], "INCIDENT_NOT_PINNED"),
        (vec!["incident", "close", &id], "INCIDENT_CLOSED"),
    ] {
        let answer = project.host(&[arguments.clone(), vec!["--json"]].concat());
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert_eq!(answer.error_code(), code, "{arguments:?}");
    }
    let nothing = Project::bare();
    assert_eq!(nothing.ok(&["incident", "list"]), "no incident is open\n");
    assert_eq!(
        nothing.host(&["incident", "show", "I-7", "--json"]).error_code(),
        "INCIDENT_NOT_FOUND"
    );
}

#[test]
fn notes_and_titles_drive_no_terminal_and_hold_no_secret() {
    let stub = HttpStub::start();
    let project = live(&stub).file("playbooks/a.rhai", "1");
    let a = run(&project, "a");
    let opened = project.json(&["incident", "open", &a, "--title", &format!("key {SECRET}")]);
    let id = opened["incident_id"].as_str().expect("an id").to_owned();
    project.ok(&[
        "incident",
        "note",
        &id,
        &format!("\u{1b}[2J it was {SECRET}\nsecond line"),
    ]);
    let shown = project.ok(&["incident", "show", &id]);
    assert!(!shown.contains('\u{1b}') && !shown.contains(SECRET), "{shown}");
    assert!(
        shown.contains("[masked:ACME_TOKEN]") && shown.contains("second line"),
        "{shown}"
    );
}

/// A project with one incident: its run, and the bundle's bytes written beside it.
fn exported(stub: &HttpStub) -> (Project, String) {
    stub.on("POST", "/uploads")
        .json(201, serde_json::json!({ "id": "u1", "echo": SECRET }));
    stub.on("POST", "/posts").answer(422, format!("too long, {SECRET}"));
    let project = live(stub).file("playbooks/weekly.rhai", &format!("import \"names\" as names;\n{FAILS}"));
    project.write("playbooks/names.rhai", "fn nothing() { 1 }");
    let run = run(&project, "weekly");
    project.ok(&["incident", "export", &format!("I-{run}"), "night.bundle"]);
    (project, run)
}

#[test]
fn a_bundle_replays_on_a_machine_that_has_nothing_else() {
    let stub = HttpStub::start();
    let (project, run) = exported(&stub);
    let elsewhere = Project::none();
    std::fs::copy(project.path("night.bundle"), elsewhere.path("night.bundle")).expect("a copy");
    let connections = stub.connections();
    let replayed = elsewhere.json(&["replay", "night.bundle"]);
    assert_eq!(
        (&replayed["same"], &replayed["run_id"]),
        (&true.into(), &run.clone().into())
    );
    let named = elsewhere.json(&["replay", "./night.bundle", &run[..12]]);
    assert_eq!(named["same"], true);
    let shown = elsewhere.ok(&["incident", "show", "night.bundle"]);
    assert!(
        shown.contains("weekly: HTTP_STATUS at step 3") && shown.contains("host replay night.bundle"),
        "{shown}"
    );
    let why = elsewhere.ok(&["why", "night.bundle"]);
    assert!(
        why.contains("Weekly recap (weekly) failed") && why.contains("weekly.rhai:5:"),
        "{why}"
    );
    assert_eq!(elsewhere.files().len(), 1, "nothing was written there");
    assert_eq!(stub.connections(), connections);

    let unknown = elsewhere.host(&["replay", "night.bundle", "7ZZZ", "--json"]);
    assert_eq!((unknown.code, unknown.error_code()), (2, "BUNDLE_RUN".to_owned()));
}

#[test]
fn a_bundle_is_the_same_each_time_and_no_file_is_overwritten_unasked() {
    let stub = HttpStub::start();
    let (project, run) = exported(&stub);
    let first = std::fs::read(project.path("night.bundle")).expect("a bundle");
    let again = project.host(&["incident", "export", &run, "night.bundle", "--json"]);
    assert_eq!((again.code, again.error_code()), (2, "BUNDLE_EXISTS".to_owned()));
    let written = project.json(&["incident", "export", &run, "night.bundle", "--force"]);
    assert_eq!(std::fs::read(project.path("night.bundle")).expect("a bundle"), first);
    assert_eq!(written["sha256"], host::id::ContentHash::of(&first).to_string());
    let nowhere = project.host(&["incident", "export", &run, "none/night.bundle", "--json"]);
    assert_eq!(
        (nowhere.code, nowhere.error_code()),
        (6, "BUNDLE_UNWRITABLE".to_owned())
    );
}

/// The secret stood in the environment, was echoed by the provider, and later also in a script.
#[test]
fn no_secret_leaves_in_a_bundle() {
    let stub = HttpStub::start();
    let (project, run) = exported(&stub);
    let replayed = project.ok(&["replay", "night.bundle", "--json"]);
    let text = |arguments: &[&str]| project.host(arguments).shown();
    let shown = [
        replayed,
        text(&["why", "night.bundle"]),
        text(&["incident", "show", "night.bundle", "--json"]),
        unpacked(&project.path("night.bundle")),
    ];
    for text in &shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(
        shown[3].contains("[masked:ACME_TOKEN]") && shown[3].contains(&run),
        "it was unpacked"
    );
    assert!(shown[3].contains("\"ACME_TOKEN\":true"), "its name is no secret");
}

fn unpacked(bundle: &std::path::Path) -> String {
    let script = format!("tail -n +3 '{}' | gzip -dc", bundle.display());
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .output()
        .expect("bash and gzip");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_file_that_is_no_good_bundle_is_refused_with_a_code() {
    let stub = HttpStub::start();
    let (project, _) = exported(&stub);
    let good = std::fs::read(project.path("night.bundle")).expect("a bundle");
    std::fs::write(project.path("cut.bundle"), &good[..good.len() / 2]).expect("a file");
    std::fs::write(project.path("other.bundle"), b"PK").expect("a file");
    std::fs::write(project.path("new.bundle"), [b"host bundle 9\n", &good[14..]].concat()).expect("a file");
    for (file, code) in [
        ("cut.bundle", "BUNDLE_ALTERED"),
        ("other.bundle", "BUNDLE_NOT_ONE"),
        ("new.bundle", "BUNDLE_NEWER_FORMAT"),
        ("none.bundle", "RUN_NOT_FOUND"),
    ] {
        let answer = project.host(&["replay", file, "--json"]);
        assert_eq!((answer.code, answer.error_code()), (2, code.to_owned()), "{file}");
    }
}

#[test]
fn an_incident_is_taken_in_hand_and_raised_and_all_of_it_is_told() {
    let project = Project::bare()
        .file(
            "host.toml",
            "[escalation.L1]\ntitle = \"on call\"\npeople = [\"ada\", \"ben\"]\nwithin = \"30m\"\n\
             [escalation.L2]\ntitle = \"automation owner\"\npeople = [\"cleo\"]\n",
        )
        .file(
            "playbooks/ruled.rhai",
            "const PLAYBOOK = #{ on_failure: \"incident\" };\nthrow #{ code: \"NO\", message: \"no\" };",
        )
        .env("USER", "ada");
    let id = format!("I-{}", run(&project, "ruled"));
    let shown = project.host(&["incident", "show", &id]).stdout;
    assert!(
        shown.contains("L1 on call: nobody has it in hand; ask ada, ben; rises by itself on 2"),
        "{shown}"
    );

    let taken = project.host(&["incident", "assign", &id, "ben", "--eta", "2h"]);
    assert_eq!(taken.code, 0, "{taken:?}");
    assert!(taken.stdout.contains("ben has I-"), "{taken:?}");
    let raised = project.host(&["incident", "escalate", &id, "--why", "the template is wrong"]);
    assert!(
        raised.stdout.contains("is at L2 now, automation owner: cleo"),
        "{raised:?}"
    );
    let found = &listed(&project)[0];
    assert_eq!(
        (found["level"].as_str(), found["owner"].as_str()),
        (Some("L2"), None),
        "whoever comes takes it"
    );
    let shown = project.host(&["incident", "show", &id]).stdout;
    assert!(shown.contains("ben has it in hand, to be solved by 2"), "{shown}");
    assert!(
        shown.contains("escalated from L1 to L2: the template is wrong"),
        "{shown}"
    );

    let again = project.host(&["incident", "escalate", &id, "--to", "l2"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("is at L2 already"), "{again:?}");
    for (eta, said) in [
        ("soon", "--eta is \"soon\""),
        ("2020-01-01T00:00:00Z", "has passed: 2020-01-01 00:00 UTC"),
    ] {
        let refused = project.host(&["incident", "assign", &id, "ben", "--eta", eta]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    let level = project.host(&["incident", "escalate", &id, "--to", "L4"]);
    assert!(level.stderr.contains("there are L1, L2 and L3"), "{level:?}");
}

#[test]
fn a_ladder_that_says_no_length_of_time_is_refused_with_its_key() {
    let project = Project::bare().file("host.toml", "[escalation.L2]\nwithin = \"soon\"\n");
    let refused = project.host(&["incident", "list"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("[escalation] L2 within"), "{refused:?}");
}

#[test]
fn a_procedure_is_run_for_an_incident_and_held_by_it() {
    let project = Project::bare()
        .file(
            "playbooks/ruled.rhai",
            "const PLAYBOOK = #{ on_failure: \"incident\" };\nthrow #{ code: \"NO\", message: \"no\" };",
        )
        .file(
            "playbooks/incidents/restart.rhai",
            "const PLAYBOOK = #{ inputs: #{ incident: #{ required: true }, hard: #{ type: \"bool\", preset: false } } };\n\
             kv::put(\"solved\", input.incident);\n[input.incident, input.hard]",
        );
    let id = format!("I-{}", run(&project, "ruled"));
    let said = project.host(&["incident", "run", &id, "restart", "--hard"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("incidents/restart@"), "{said:?}");
    assert!(said.stdout.contains("which holds the run now"), "{said:?}");
    let found = &listed(&project)[0];
    assert_eq!(found["run_ids"].as_array().map(Vec::len), Some(2), "{found}");
    let shown = project.host(&["incident", "show", &id]).stdout;
    assert!(shown.contains("ran incidents/restart to solve it: run "), "{shown}");
    assert!(
        project.host(&["kv", "get", "solved"]).stdout.contains(&id),
        "it is told which incident it is about"
    );

    let unknown = project.host(&["incident", "run", &id, "restrat"]);
    assert!(unknown.stderr.contains("incidents/restart"), "{unknown:?}");
    project.host(&["incident", "close", &id]);
    let closed = project.host(&["incident", "run", &id, "restart"]);
    assert!(closed.stderr.contains("INCIDENT_CLOSED"), "{closed:?}");
}
