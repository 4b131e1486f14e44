//! What a line would do to the world, and what it did last.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::client::Client;

const FILE: &str = "playbooks/a.rhai";

const TEXT: &str = "const PLAYBOOK = #{ uses: [\"slack\"] };\nlet n = kv::increment(\"runs\");\nslack::post(\"hello\");\nopenai::chat(#{ prompt: \"x\" });\nfor i in 0..3 { kv::put(`k${i}`, i); }\nfor i in 0..3 { kv::increment(\"n\"); }\n";

fn titles(env: &[(&str, &str)], toml: &str, text: &str) -> Vec<String> {
    let mut client = Client::greeted_with(&[("host.toml", toml)], env, json!({}));
    client.open(FILE, text);
    let answer = client.ask(
        "textDocument/codeLens",
        json!({ "textDocument": { "uri": client.uri(FILE) } }),
    );
    let lenses = answer.as_array().expect("a list").iter();
    lenses
        .map(|lens| {
            format!(
                "{} {}",
                lens["range"]["start"]["line"],
                lens["command"]["title"].as_str().expect("a title")
            )
        })
        .collect()
}

#[test]
fn each_line_that_writes_says_what_the_gate_would_do_with_it() {
    assert_eq!(
        titles(&[], "", TEXT),
        [
            "2 writes to slack — simulated: DRY_RUN is on",
            "3 writes to openai — simulated: DRY_RUN is on"
        ]
    );
    let live = [
        ("DRY_RUN", "false"),
        ("SLACK_ENABLED", "true"),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.example/x"),
        ("OPENAI_ENABLED", "true"),
        ("OPENAI_API_KEY", "key"),
    ];
    assert_eq!(
        titles(&live, "", TEXT),
        [
            "2 writes to slack — LIVE",
            "3 writes to openai — refused: `uses` does not name openai"
        ]
    );
    assert_eq!(
        titles(&live[..1], "", TEXT),
        [
            "2 writes to slack — simulated: SLACK_ENABLED is off",
            "3 writes to openai — simulated: OPENAI_ENABLED is off"
        ]
    );
}

#[test]
fn a_publish_says_which_signals_are_missing() {
    let toml = "[providers.acme]\nbase_url = \"https://acme.example\"\npublish = true\n";
    let live = [
        ("DRY_RUN", "false"),
        ("ACME_ENABLED", "true"),
        ("PUBLISH_APPROVAL_GRANTED", "true"),
    ];
    let text = "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/x\", #{});\n";
    let titles = titles(&live, toml, text);
    assert!(
        titles[0].starts_with("1 publishes to acme — simulated: the gate is shut, not given: "),
        "{titles:?}"
    );
    assert!(!titles[0].contains("PUBLISH_APPROVAL_GRANTED"), "{titles:?}");
}

fn hints(client: &mut Client) -> Vec<String> {
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let answer = client.ask(
        "textDocument/inlayHint",
        json!({ "textDocument": { "uri": client.uri(FILE) }, "range": range }),
    );
    let hints = answer.as_array().expect("a list").iter();
    hints
        .map(|hint| {
            format!(
                "{} {}",
                hint["position"]["line"],
                hint["label"].as_str().expect("a label")
            )
        })
        .collect()
}

#[test]
fn the_values_of_the_last_run_stand_beside_their_lines_while_the_text_is_the_same() {
    let mut client = Client::greeted(&[("host.toml", ""), (FILE, TEXT)]);
    client.open(FILE, TEXT);
    assert_eq!(hints(&mut client), [""; 0], "nothing has run yet");
    let run = |client: &Client| {
        let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
        let output = host
            .args(["run", "a"])
            .current_dir(client.folder.path())
            .env_clear()
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
    };
    run(&client);
    let shown = hints(&mut client);
    assert_eq!(shown[0], "1 → 1");
    assert!(shown[1].starts_with("2 → sim "), "{shown:?}");
    assert_eq!(
        shown[shown.len() - 2..],
        ["4 → () (the last of 3)", "5 → 3 (the last of 3)"]
    );
    // A later run is shown, and the store is not held meanwhile.
    run(&client);
    assert_eq!(hints(&mut client)[0], "1 → 2");
    client.change(
        FILE,
        2,
        Json::from(vec![json!({ "text": format!("{TEXT}// changed\n") })]),
    );
    assert_eq!(hints(&mut client), [""; 0]);
}
