//! Code actions: the fixes of findings, made as an editor makes them.

use serde_json::json;

use crate::client::{Client, edited, shown};

const FILE: &str = "playbooks/a.rhai";

#[test]
fn a_misspelt_function_is_corrected_by_its_fix() {
    let text = "let n = [\"𝄞\", kv::gett(\"a\")];\r\nlog::info(`${n}`);\r\n";
    let mut client = Client::greeted(&[("host.toml", "")]);
    client.open(FILE, text);
    let before = client.findings(FILE, 1);
    assert!(before[0].contains("UNKNOWN_FUNCTION"), "{before:?}");
    let range = json!({ "start": { "line": 0, "character": 20 }, "end": { "line": 0, "character": 20 } });
    let context = json!({ "diagnostics": [] });
    let params = json!({ "textDocument": { "uri": client.uri(FILE) }, "range": range, "context": context });
    let actions = client.ask("textDocument/codeAction", params.clone());
    let fix = actions
        .as_array()
        .expect("a list")
        .iter()
        .find(|action| action["kind"] == "quickfix")
        .expect("a fix");
    assert!(shown(&fix["diagnostics"])[0].contains("UNKNOWN_FUNCTION"));
    let uri = client.uri(FILE);
    let fixed = edited(text, &fix["edit"]["changes"][uri.as_str()]);
    assert_eq!(fixed, text.replace("gett", "get"));
    client.change(FILE, 2, json!([{ "text": fixed }]));
    assert_eq!(client.findings(FILE, 2), [""; 0]);

    // Elsewhere there is nothing to correct, and what is not wanted is not offered.
    let mut elsewhere = params.clone();
    elsewhere["range"] = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 1 } });
    client.change(FILE, 3, json!([{ "text": text }]));
    let actions = client.ask("textDocument/codeAction", elsewhere);
    assert!(
        actions
            .as_array()
            .expect("a list")
            .iter()
            .all(|action| action["kind"] != "quickfix"),
        "{actions}"
    );
    let mut all = params;
    all["context"]["only"] = json!(["source.fixAll"]);
    let actions = client.ask("textDocument/codeAction", all);
    assert!(
        actions
            .as_array()
            .expect("a list")
            .iter()
            .all(|action| action["kind"] == "source.fixAll"),
        "{actions}"
    );
}
