//! Going to declarations, finding uses, renaming, outlines, folding, formatting.

use serde_json::{Value as Json, json};

use crate::client::{Client, edited};

const FILE: &str = "playbooks/a.rhai";
const LIB: &str = "playbooks/lib/cut.rhai";

const LIB_TEXT: &str = "fn shorten(text, most) { text }\nfn twice(text) { shorten(text, 1) }\n";
const OTHER_TEXT: &str = "import \"lib/cut\" as c;\nc::shorten(\"x\", 2);\n";

const PROJECT: &[(&str, &str)] = &[
    ("host.toml", ""),
    ("prompts/voice.txt", "Be brief.\n"),
    (LIB, LIB_TEXT),
    ("playbooks/other.rhai", OTHER_TEXT),
];

/// Where a place leads: `playbooks/lib/cut.rhai 0:3`.
fn leads(marked: &str) -> String {
    let mut client = Client::greeted(PROJECT);
    let place = client.open_at(FILE, marked);
    let answer = client.at("textDocument/definition", FILE, place);
    match answer["uri"].as_str() {
        None => String::new(),
        Some(uri) => located(&client, uri, &answer["range"]),
    }
}

fn located(client: &Client, uri: &str, range: &Json) -> String {
    let root = client.uri("");
    let start = &range["start"];
    let file = uri.strip_prefix(&root).unwrap_or(uri);
    format!("{file} {}:{}", start["line"], start["character"])
}

#[test]
fn definitions_are_found_here_in_modules_and_in_files_that_are_named() {
    assert_eq!(leads("let speed = 1;\nlet x = 2;\nsp‸eed + x"), "playbooks/a.rhai 0:4");
    assert_eq!(leads("let a = 1; let a = 2; a‸"), "playbooks/a.rhai 0:15");
    assert_eq!(leads("fn own(a) { a }\now‸n(1)"), "playbooks/a.rhai 0:3");
    assert_eq!(
        leads("import \"lib/cut\" as cut;\ncut::sho‸rten(1, 2)"),
        "playbooks/lib/cut.rhai 0:3"
    );
    assert_eq!(
        leads("import \"lib/cut\" as cut;\ncu‸t::shorten(1, 2)"),
        "playbooks/lib/cut.rhai 0:0"
    );
    assert_eq!(leads("import \"lib/‸cut\" as cut;"), "playbooks/lib/cut.rhai 0:0");
    assert_eq!(leads("prompt::render(\"vo‸ice\")"), "prompts/voice.txt 0:0");
    assert_eq!(leads("playbook::run(\"oth‸er\", #{})"), "playbooks/other.rhai 0:0");
    assert_eq!(
        leads("const PLAYBOOK = #{ inputs: #{ topic: #{} } };\ninput.top‸ic"),
        "playbooks/a.rhai 0:31"
    );
    assert_eq!(leads("prompt::render(\"../../etc/pas‸swd\")"), "");
    assert_eq!(leads("kv::ge‸t(1)"), "");
}

#[test]
fn references_of_a_function_are_found_in_every_file_that_imports_it() {
    let mut client = Client::greeted(PROJECT);
    client.open(LIB, LIB_TEXT);
    // As the editor has it, not as it lies on disk.
    client.open(
        "playbooks/other.rhai",
        "// one more line\nimport \"lib/cut\" as c;\nc::shorten(\"x\", 2);\n",
    );
    let place = client.open_at(
        FILE,
        "import \"lib/cut\" as cut;\ncut::sho‸rten(1, 2);\ncut::shorten(3, 4);\nfn shorten(a, b) { 1 }\n",
    );
    let answer = client.at("textDocument/references", FILE, place);
    let found: Vec<String> = answer
        .as_array()
        .expect("a list")
        .iter()
        .map(|location| {
            located(
                &client,
                location["uri"].as_str().expect("an address"),
                &location["range"],
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "playbooks/lib/cut.rhai 0:3",
            "playbooks/lib/cut.rhai 1:17",
            "playbooks/other.rhai 2:3"
        ],
        "the playbook itself lies nowhere on disk"
    );
    let mut params = client.place(FILE, place);
    params["context"] = json!({ "includeDeclaration": false });
    let uses = client.ask("textDocument/references", params);
    assert_eq!(uses.as_array().expect("a list").len(), found.len() - 1, "{uses}");
    assert!(
        !uses.to_string().contains("\"line\":0"),
        "the declaration is left out: {uses}"
    );
    let highlights = client.at("textDocument/documentHighlight", LIB, (0, 5));
    assert_eq!(highlights.as_array().expect("a list").len(), 2);
}

/// The text after renaming what the mark stands on, or why not.
fn renamed(marked: &str, name: &str) -> Result<String, String> {
    let mut client = Client::greeted(PROJECT);
    let place = client.open_at(FILE, marked);
    let text = marked.replacen('‸', "", 1);
    let mut params = client.place(FILE, place);
    params["newName"] = json!(name);
    let answer = client
        .try_ask("textDocument/rename", params)
        .map_err(|refused| refused.message)?;
    let uri = client.uri(FILE);
    Ok(edited(&text, &answer["changes"][uri.as_str()]))
}

#[test]
fn renaming_changes_every_use_and_nothing_else() {
    assert_eq!(
        renamed("let a = 1;\nlet b = a‸ + 1;\nlet a = 2; a", "x").as_deref(),
        Ok("let x = 1;\nlet b = x + 1;\nlet a = 2; a")
    );
    assert_eq!(
        renamed("fn f(a) { a }\nlet a = f(1) + f‸(2); a.f()", "double").as_deref(),
        Ok("fn double(a) { a }\nlet a = double(1) + double(2); a.f()"),
        "a method of no arguments is another function"
    );
    assert_eq!(
        renamed("let a = 1; let t = `v ${a‸ + 1}`; let g = |x| a + x;", "z").as_deref(),
        Ok("let z = 1; let t = `v ${z + 1}`; let g = |x| z + x;")
    );
    assert_eq!(
        renamed(
            "const PLAYBOOK = #{ inputs: #{ topic: #{} } };\ninput.top‸ic + input[\"topic\"] + input.get(\"topic\")",
            "about"
        )
        .as_deref(),
        Ok("const PLAYBOOK = #{ inputs: #{ about: #{} } };\ninput.about + input[\"about\"] + input.get(\"about\")")
    );
    assert_eq!(
        renamed("const A‸ = 1; fn f() { global::A }\nf() + A", "B").as_deref(),
        Ok("const B = 1; fn f() { global::B }\nf() + B")
    );
    assert_eq!(
        renamed(
            "fn f‸(a) { a }\nlet g = Fn(\"f\"); fn h() { global::f(1) }\ng.call(1) + h()",
            "own"
        )
        .as_deref(),
        Ok("fn own(a) { a }\nlet g = Fn(\"own\"); fn h() { global::own(1) }\ng.call(1) + h()")
    );
}

#[test]
fn names_that_are_taken_reserved_or_none_are_refused() {
    let why = |marked: &str, name: &str| renamed(marked, name).expect_err("it is refused");
    assert_eq!(why("let a‸ = 1;", "if"), "`if` is a reserved word");
    assert_eq!(why("let a‸ = 1;", "default"), "`default` is a reserved word");
    assert!(why("let a‸ = 1;", "1x").starts_with("\"1x\" is no name"));
    assert!(why("let a‸ = 1;", "å").starts_with("\"å\" is no name"));
    assert!(why("let a‸ = 1;", "a b").starts_with("\"a b\" is no name"));
    assert!(why("let a‸ = 1; let b = 2; a + b", "b").starts_with("`b` is taken"));
    assert!(why("let b = 2; let a‸ = 1; a + b", "b").starts_with("`b` is taken"));
    assert!(why("let a‸ = 1; { let b = 2; a }", "b").starts_with("`b` is taken"));
    assert!(why("fn f(x) { x } fn g‸(x) { f(x) }", "f").starts_with("`f` is taken"));
    assert_eq!(why("let a‸ = 1;", "input"), "`input` is what the run was given");
    assert_eq!(
        why("const PLAY‸BOOK = #{};", "OTHER"),
        "`PLAYBOOK` has its name from host"
    );
    assert_eq!(
        why("import \"lib/cut\" as cu‸t;", "kv"),
        "`kv::` is a namespace of host"
    );
    assert_eq!(why("kv::ge‸t(1)", "x"), "there is nothing to rename here");
    assert_eq!(
        why("import \"lib/‸cut\" as cut;", "x"),
        "files are renamed where they lie"
    );
}

#[test]
fn a_function_of_a_module_is_renamed_in_the_files_that_import_it() {
    let mut client = Client::greeted(PROJECT);
    client.open(LIB, LIB_TEXT);
    let mut params = client.place(LIB, (0, 4));
    let prepared = client.ask("textDocument/prepareRename", params.clone());
    assert_eq!(prepared["start"], json!({ "line": 0, "character": 3 }));
    params["newName"] = json!("cut_off");
    let changes = client.ask("textDocument/rename", params)["changes"].clone();
    let after = |text: &str, path: &str| edited(text, &changes[client.uri(path).as_str()]);
    assert_eq!(after(LIB_TEXT, LIB), LIB_TEXT.replace("shorten", "cut_off"));
    assert_eq!(
        after(OTHER_TEXT, "playbooks/other.rhai"),
        OTHER_TEXT.replace("shorten", "cut_off")
    );
}

#[test]
fn the_outline_has_functions_inputs_and_modules() {
    let mut client = Client::greeted(PROJECT);
    client.open(
        FILE,
        "const PLAYBOOK = #{ inputs: #{ topic: #{} } };\nimport \"lib/cut\" as cut;\nfn f(a, b) {\n    let inner = 1;\n    a\n}\nlet x = 1;\nfn ",
    );
    let answer = client.ask(
        "textDocument/documentSymbol",
        json!({ "textDocument": { "uri": client.uri(FILE) } }),
    );
    let names: Vec<&str> = answer
        .as_array()
        .expect("a list")
        .iter()
        .map(|symbol| symbol["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["PLAYBOOK", "cut", "f", "x", "fn"]);
    assert_eq!(answer[0]["children"][0]["name"], "input.topic");
    assert_eq!(answer[2]["detail"], "(a, b)");
    let folds = client.ask(
        "textDocument/foldingRange",
        json!({ "textDocument": { "uri": client.uri(FILE) } }),
    );
    assert_eq!(
        (folds[0]["startLine"].clone(), folds[0]["endLine"].clone()),
        (json!(2), json!(4))
    );
    let across = client.ask("workspace/symbol", json!({ "query": "SHORT" }));
    assert_eq!(across[0]["name"], "shorten");
}

#[test]
fn formatting_changes_only_the_lines_it_must() {
    let text = "let a = 1;\nlet   b=2;\nlet x = 1;\n\n\nlet c = [ 1,2 ];\n";
    let mut client = Client::greeted(PROJECT);
    client.open(FILE, text);
    let options = json!({ "tabSize": 2, "insertSpaces": false });
    let params = json!({ "textDocument": { "uri": client.uri(FILE) }, "options": options });
    let edits = client.ask("textDocument/formatting", params.clone());
    assert_eq!(
        edited(text, &edits),
        host::script::format::format(text).expect("it is formatted")
    );
    assert!(
        edits
            .as_array()
            .expect("a list")
            .iter()
            .all(|edit| edit["range"]["start"]["line"] != 0)
    );
    let mut part = params.clone();
    part["range"] = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 2, "character": 0 } });
    let edits = client.ask("textDocument/rangeFormatting", part);
    assert_eq!(
        edited(text, &edits),
        "let a = 1;\nlet b = 2;\nlet x = 1;\n\n\nlet c = [ 1,2 ];\n"
    );
    client.change(FILE, 2, json!([{ "text": "let a = ;" }]));
    let refused = client
        .try_ask("textDocument/formatting", params)
        .expect_err("it cannot be read");
    assert!(refused.message.starts_with("left as it is: "), "{refused:?}");
}
