//! Texts as the editor has them: edits in order, out of order, outside, in any units.

use serde_json::json;

use crate::client::Client;

const FILE: &str = "playbooks/a.rhai";

#[test]
fn diagnostics_follow_what_is_typed() {
    let mut client = Client::greeted(&[("host.toml", "")]);
    client.open(FILE, "kv::gett(\"a\");\n");
    let findings = client.findings(FILE, 1);
    assert!(
        findings.iter().any(|finding| finding
            .starts_with("0:0 error UNKNOWN_FUNCTION there is no function `kv::gett`")
            || finding.starts_with("0:4 error UNKNOWN_FUNCTION there is no function `kv::gett`")),
        "{findings:?}"
    );
    let range = json!({ "start": { "line": 0, "character": 4 }, "end": { "line": 0, "character": 8 } });
    client.change(FILE, 2, json!([{ "range": range, "text": "get" }]));
    assert_eq!(client.findings(FILE, 2), [""; 0]);
    client.change(FILE, 3, json!([{ "text": "let x = ;\n" }]));
    let findings = client.findings(FILE, 3);
    assert!(findings[0].contains("error SYNTAX"), "{findings:?}");
    client.tell(
        "textDocument/didClose",
        json!({ "textDocument": { "uri": client.uri(FILE) } }),
    );
    let uri = client.uri(FILE);
    let cleared = client.next(|message| {
        message["params"]["uri"] == uri.as_str()
            && message["params"]["diagnostics"] == json!([])
            && message["params"].get("version").is_none()
    });
    assert_eq!(cleared["method"], "textDocument/publishDiagnostics");
}

#[test]
fn columns_count_units_of_utf16_unless_the_client_prefers_bytes() {
    let text = "let 𝄞å = \"𝄞\"; kv::gett(1);\n";
    for (encodings, unit) in [(json!(["utf-16"]), 2), (json!(["utf-8", "utf-16"]), 4)] {
        let capabilities = json!({ "general": { "positionEncodings": encodings } });
        let mut client = Client::greeted_with(&[("host.toml", "")], &[], capabilities);
        client.open(FILE, text);
        // Over the 𝄞 between the quotes.
        let start = text[..text.find("\"𝄞").expect("there") + 1]
            .chars()
            .map(|letter| match unit {
                2 => letter.len_utf16(),
                _ => letter.len_utf8(),
            });
        let start = start.sum::<usize>();
        let range =
            json!({ "start": { "line": 0, "character": start }, "end": { "line": 0, "character": start + unit } });
        client.change(FILE, 2, json!([{ "range": range, "text": "x" }]));
        assert_eq!(client.text(FILE).as_deref(), Some("let 𝄞å = \"x\"; kv::gett(1);\n"));
    }
}

#[test]
fn edits_out_of_order_are_refused_until_the_whole_text_is_told_again() {
    let mut client = Client::greeted(&[("host.toml", "")]);
    client.open(FILE, "let a = 1;\na\n");
    let start = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 0, "character": 0 } });
    client.change(FILE, 5, json!([{ "range": start, "text": "// five\n" }]));
    client.change(FILE, 4, json!([{ "range": start, "text": "// four\n" }]));
    let said = client.next(|message| message["method"] == "window/showMessage");
    assert_eq!(
        said["params"]["message"],
        "a.rhai is not checked any more: edits came out of order: version 4 after version 5. Save it, or open it again"
    );
    let place = client.place(FILE, (0, 0));
    let refused = client
        .try_ask("textDocument/hover", place.clone())
        .expect_err("nobody knows what it shows");
    assert_eq!(refused.code, -32801);
    client.tell(
        "textDocument/didSave",
        json!({ "textDocument": { "uri": client.uri(FILE) }, "text": "let b = 2;\nb\n" }),
    );
    assert_eq!(client.text(FILE).as_deref(), Some("let b = 2;\nb\n"));
    client.try_ask("textDocument/hover", place).expect("it is known again");
}

#[test]
fn edits_outside_the_text_are_made_at_its_end_and_of_files_that_are_not_open_nowhere() {
    let mut client = Client::greeted(&[("host.toml", "")]);
    client.open(FILE, "a\r\nbc");
    let far = json!({ "start": { "line": 77, "character": 3 }, "end": { "line": 99, "character": 0 } });
    let beyond = json!({ "start": { "line": 0, "character": 50 }, "end": { "line": 0, "character": 60 } });
    client.change(
        FILE,
        2,
        json!([{ "range": far, "text": "d" }, { "range": beyond, "text": "X" }]),
    );
    assert_eq!(client.text(FILE).as_deref(), Some("aX\r\nbcd"));
    client.change("playbooks/closed.rhai", 2, json!([{ "text": "x" }]));
    let said = client.next(|message| message["method"] == "window/showMessage");
    assert!(
        said["params"]["message"]
            .as_str()
            .expect("words")
            .ends_with("closed.rhai is not open")
    );
    let backwards = json!({ "start": { "line": 1, "character": 1 }, "end": { "line": 0, "character": 0 } });
    client.change(FILE, 3, json!([{ "range": backwards, "text": "x" }]));
    let said = client.next(|message| message["method"] == "window/showMessage");
    assert!(
        said["params"]["message"]
            .as_str()
            .expect("words")
            .contains("an edit ends before it begins")
    );
}

#[test]
fn files_outside_of_projects_and_untitled_ones_have_the_language_too() {
    let mut client = Client::greeted(&[("inner/host.toml", ""), ("inner/playbooks/lib.rhai", "fn f() { 1 }\n")]);
    client.open("loose.rhai", "kv::gett(1);\n");
    assert!(client.findings("loose.rhai", 1)[0].contains("UNKNOWN_FUNCTION"));
    client.open("inner/playbooks/b.rhai", "import \"lib\" as lib;\nlib::f()\n");
    assert_eq!(client.findings("inner/playbooks/b.rhai", 1), [""; 0]);
    let untitled = json!({ "uri": "untitled:Untitled-1", "languageId": "rhai", "version": 1, "text": "kv::" });
    client.tell("textDocument/didOpen", json!({ "textDocument": untitled }));
    let answer = client.ask(
        "textDocument/completion",
        json!({ "textDocument": { "uri": "untitled:Untitled-1" }, "position": { "line": 0, "character": 4 } }),
    );
    assert!(crate::client::labels(&answer).contains(&"put".to_owned()));
}

#[test]
fn what_is_longer_than_a_script_may_be_is_told_and_not_read() {
    let mut client = Client::greeted(&[("host.toml", "")]);
    client.open(FILE, &"let x = 1;\n".repeat(60_000));
    let findings = client.findings(FILE, 1);
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].contains("error SCRIPT_TOO_LARGE the script has 660000 bytes"),
        "{findings:?}"
    );
    let place = client.place(FILE, (0, 0));
    client.try_ask("textDocument/hover", place).expect_err("it is not read");
    client.change(FILE, 2, json!([{ "text": "let x = 1;\nx\n" }]));
    assert_eq!(client.findings(FILE, 2), [""; 0]);
}

#[test]
fn a_module_that_is_edited_is_checked_in_the_playbooks_that_import_it() {
    let mut client = Client::greeted(&[("host.toml", ""), ("playbooks/lib.rhai", "fn f() { 1 }\n")]);
    client.open(FILE, "import \"lib\" as lib;\nlib::f()\n");
    assert_eq!(client.findings(FILE, 1), [""; 0]);
    client.open("playbooks/lib.rhai", "fn g() { 1 }\n");
    let uri = client.uri(FILE);
    let later = client
        .next(|message| message["params"]["uri"] == uri.as_str() && message["params"]["diagnostics"] != json!([]));
    let found = crate::client::shown(&later["params"]["diagnostics"]);
    assert!(found[0].contains("UNKNOWN_FUNCTION"), "{found:?}");
}
