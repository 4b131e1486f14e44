//! Greeting, asking, leaving.

use serde_json::{Value as Json, json};

use crate::client::Client;

#[test]
fn a_server_says_what_it_can_do_and_leaves_in_order() {
    let mut client = Client::start(&[("host.toml", "")]);
    let greeting = client.greet(json!({}));
    let can = &greeting["capabilities"];
    assert_eq!(greeting["serverInfo"]["name"], "host");
    assert_eq!(can["positionEncoding"], "utf-16");
    assert_eq!(can["textDocumentSync"]["change"], 2);
    for provider in [
        "completionProvider",
        "hoverProvider",
        "signatureHelpProvider",
        "definitionProvider",
        "referencesProvider",
        "documentHighlightProvider",
        "renameProvider",
        "documentSymbolProvider",
        "workspaceSymbolProvider",
        "foldingRangeProvider",
        "documentFormattingProvider",
        "documentRangeFormattingProvider",
        "codeActionProvider",
        "codeLensProvider",
        "inlayHintProvider",
    ] {
        assert!(
            !can[provider].is_null() && can[provider] != false,
            "{provider} is not offered: {can}"
        );
    }
    assert_eq!(client.leave(), 0);
}

#[test]
fn before_the_greeting_nothing_is_answered_and_after_the_goodbye_nothing_either() {
    let mut client = Client::start(&[]);
    let refused = client
        .try_ask("textDocument/hover", json!({}))
        .expect_err("it is too early");
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (-32002, "textDocument/hover came before initialize")
    );
    client.greet(json!({}));
    let refused = client
        .try_ask("initialize", json!({ "capabilities": {} }))
        .expect_err("once is enough");
    assert_eq!(refused.code, -32600);
    client.ask("shutdown", Json::Null);
    let refused = client
        .try_ask("textDocument/hover", json!({}))
        .expect_err("it is too late");
    assert_eq!(refused.message, "textDocument/hover came after shutdown");
    client.tell("exit", Json::Null);
    assert_eq!(client.end(), 0);
}

#[test]
fn an_editor_that_is_gone_is_not_waited_for() {
    let mut client = Client::greeted(&[]);
    assert_eq!(client.end(), 1);
    let mut client = Client::start(&[]);
    client.tell("exit", Json::Null);
    assert_eq!(client.end(), 1);
}

#[test]
fn unknown_requests_and_wrong_parameters_are_refused_and_unknown_notifications_are_passed_over() {
    let mut client = Client::greeted(&[]);
    client.tell("textDocument/somethingElse", json!({ "a": 1 }));
    client.tell("textDocument/didChange", json!({ "no": "document" }));
    let refused = client.try_ask("textDocument/fly", json!({})).expect_err("nobody can");
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (-32601, "there is no request \"textDocument/fly\"")
    );
    let refused = client
        .try_ask("textDocument/hover", json!({ "position": 1 }))
        .expect_err("they are wrong");
    assert_eq!(refused.code, -32602);
    let nowhere = client.place("playbooks/never-opened.rhai", (0, 0));
    let refused = client
        .try_ask("textDocument/hover", nowhere)
        .expect_err("it is not open");
    assert!(
        refused.message.ends_with("never-opened.rhai is not open"),
        "{refused:?}"
    );
}

#[test]
fn a_request_that_is_cancelled_before_its_turn_is_answered_as_such() {
    let mut client = Client::greeted(&[]);
    client.open("a.rhai", "let x = 1;\n");
    // In one piece, so that all of it waits when the first is taken.
    let symbols = json!({ "textDocument": { "uri": client.uri("a.rhai") } });
    let mut bytes = Vec::new();
    let mut frame = |message: Json| {
        let text = message.to_string();
        bytes.extend(format!("Content-Length: {}\r\n\r\n{text}", text.len()).bytes());
    };
    for id in 100..200 {
        frame(json!({ "jsonrpc": "2.0", "id": id, "method": "textDocument/documentSymbol", "params": symbols }));
    }
    frame(json!({ "jsonrpc": "2.0", "method": "$/cancelRequest", "params": { "id": 199 } }));
    frame(json!({ "jsonrpc": "2.0", "method": "$/cancelRequest", "params": { "id": 7777 } }));
    client.send_bytes(&bytes);
    let cancelled = client.answer(199);
    assert!(
        matches!(&cancelled, Err(refused) if refused.code == -32800) || cancelled.is_ok(),
        "it was answered before it could be cancelled, or as cancelled: {cancelled:?}"
    );
    for id in 100..199 {
        client.answer(id).expect("the others are answered");
    }
}

#[test]
fn watched_files_are_asked_for_and_a_change_of_host_toml_is_heeded() {
    let capabilities = json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } });
    let mut client = Client::greeted_with(&[("host.toml", "")], &[], capabilities);
    let asked = client.next(|message| message["method"] == "client/registerCapability");
    assert_eq!(
        asked["params"]["registrations"][0]["method"],
        "workspace/didChangeWatchedFiles"
    );
    client.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": null }));

    client.open("playbooks/a.rhai", "acme::post(\"/x\", #{});\n");
    let before = client.findings("playbooks/a.rhai", 1);
    assert!(before.iter().any(|finding| finding.contains("acme")), "{before:?}");
    client.write("host.toml", "[providers.acme]\nbase_url = \"https://acme.example\"\n");
    client.tell("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    let after = client.findings("playbooks/a.rhai", 1);
    assert!(!after.iter().any(|finding| finding.contains("error")), "{after:?}");
}

#[test]
fn a_broken_host_toml_is_told_and_the_rest_goes_on() {
    let mut client = Client::greeted(&[("host.toml", "[stroe]\n")]);
    client.open("playbooks/a.rhai", "kv::gett(\"a\");\n");
    let findings = client.findings("playbooks/a.rhai", 1);
    assert!(
        findings[0].contains("warning CONFIG presets are used: host.toml: "),
        "{findings:?}"
    );
    assert!(
        findings.iter().any(|finding| finding.contains("UNKNOWN_FUNCTION")),
        "{findings:?}"
    );
}
