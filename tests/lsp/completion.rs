//! Completion, signature help and hover, at a mark in a text.

use serde_json::{Value as Json, json};

use crate::client::{Client, labels};

const FILE: &str = "playbooks/a.rhai";

const PROJECT: &[(&str, &str)] = &[
    (
        "host.toml",
        "[collections.clips]\nindexes = [\"title\"]\n[providers.acme]\nbase_url = \"https://acme.example\"\n",
    ),
    (
        "prompts/demo/caption.md",
        "+++\nmodel = \"m\"\n+++\nA caption about {{ topic }}, at most {{ words }} words.\n",
    ),
    ("prompts/voice.txt", "Be brief.\n"),
    (
        "playbooks/lib/cut.rhai",
        "//! Cuts.\nimport \"lib/more\" as more;\n// Shortens `text`.\n// Twice.\nfn shorten(text, most) { text }\nprivate fn hidden() { 1 }\nexport const BEST = 3;\n",
    ),
    (
        "playbooks/lib/more.rhai",
        "fn more() { store::put(\"topics\", \"a\", #{}); }\n",
    ),
    (
        "playbooks/child.rhai",
        "//! The child.\nconst PLAYBOOK = #{ title: \"A child\", inputs: #{ clip: #{ help: \"which\" }, seconds: #{ type: \"int\" } } };\ninput.clip\n",
    ),
];

#[track_caller]
fn offers(marked: &str, wanted: &[&str], unwanted: &[&str]) {
    let mut client = Client::greeted(PROJECT);
    let offered = client.offered(FILE, marked);
    for name in wanted {
        assert!(
            offered.iter().any(|offered| offered == name),
            "{name} is missing: {offered:?}"
        );
    }
    for name in unwanted {
        assert!(
            offered.iter().all(|offered| offered != name),
            "{name} is too much: {offered:?}"
        );
    }
}

#[test]
fn after_a_namespace_its_functions_are_offered() {
    offers("kv::‸", &["get", "put", "list", "increment"], &["query", "if"]);
    offers("let x = store::qu‸;", &["query"], &["increment"]);
    offers("acme::‸", &["get", "post"], &["query"]);
    offers(
        "import \"lib/cut\" as cut;\ncut::‸\nlet y = 1;",
        &["shorten", "BEST"],
        &["hidden", "get"],
    );
}

#[test]
fn where_an_expression_may_begin_everything_visible_is_offered() {
    let text = "let before = 1;\nfn own(a, b) { a }\nfor item in [1] {\n    ‸\n}\nlet later = 2;\n";
    offers(
        text,
        &["before", "own", "item", "input", "kv", "acme", "if", "return"],
        &["later", "a"],
    );
    offers(
        "fn own(a, b) {\n    let inner = 1;\n    ‸\n}\nlet outside = 1;\n",
        &["a", "b", "inner"],
        &["outside"],
    );
    offers("let ‸", &[], &["kv", "input"]);
    offers("// a comm‸", &[], &["kv", "input", "if"]);
}

#[test]
fn in_the_header_its_keys_and_values_are_offered() {
    offers(
        "const PLAYBOOK = #{ title: \"x\", ‸ };",
        &["uses", "inputs", "timeout", "schedule"],
        &["title", "kv"],
    );
    offers(
        "const PLAYBOOK = #{ uses: [\"‸\"] };",
        &["slack", "openai", "acme"],
        &["kv"],
    );
    offers(
        "const PLAYBOOK = #{ inputs: #{ topic: #{ ‸ } } };",
        &["type", "preset", "choices"],
        &["uses"],
    );
    offers(
        "const PLAYBOOK = #{ inputs: #{ topic: #{ type: \"‸\" } } };",
        &["string", "float"],
        &["slack"],
    );
}

#[test]
fn texts_are_completed_with_the_names_that_are_meant() {
    offers("prompt::render(\"‸\")", &["demo/caption", "voice"], &["child"]);
    offers("prompt::render(\"demo/caption\", #{ ‸ })", &["topic", "words"], &["kv"]);
    offers(
        "prompt::render(\"demo/caption\", #{ topic: 1, ‸ })",
        &["words"],
        &["topic"],
    );
    offers("import \"‸\" as x;", &["lib/cut", "child"], &["voice", "a"]);
    offers("playbook::run(\"‸\", #{})", &["child"], &["voice"]);
    offers("playbook::run(\"child\", #{ ‸ })", &["clip", "seconds"], &["topic"]);
    offers("store::get(\"‸\", \"a\")", &["clips", "topics"], &["child"]);
    offers(
        "try { } catch (e) { if e.code == \"‸\" { } }",
        &["HTTP_TIMEOUT", "FILE_NOT_FOUND"],
        &["child"],
    );
}

#[test]
fn after_a_dot_inputs_fields_and_methods_are_offered() {
    let header = "const PLAYBOOK = #{ inputs: #{ topic: #{}, seconds: #{ type: \"int\" } } };\n";
    offers(&format!("{header}let x = input.‸;"), &["topic", "seconds"], &["len"]);
    offers(
        "let m = #{ alpha: 1, beta: 2 };\nm.‸\n",
        &["alpha", "beta", "keys"],
        &["kv"],
    );
    offers(
        "try { x() } catch (e) { e.‸ }",
        &["code", "message", "landed"],
        &["len"],
    );
    offers(
        "let page = store::query(\"clips\", #{});\npage.‸\n",
        &["documents", "next", "keys"],
        &["kv"],
    );
    offers("let a = [1]; a.‸", &["len", "filter", "push"], &["kv"]);
}

#[test]
fn options_of_functions_are_offered_as_keys() {
    offers("kv::list(\"a\", #{ ‸ })", &["limit"], &["title"]);
    offers("kv::put(\"a\", 1, #{ ‸ })", &["ttl"], &["title"]);
    offers(
        "store::query(\"clips\", #{ limit: 1, ‸ })",
        &["where", "order_by"],
        &["limit"],
    );
}

#[test]
fn what_is_taken_is_put_in_the_place_of_what_was_typed() {
    let mut client = Client::greeted(PROJECT);
    let place = client.open_at(FILE, "let x = \"𝄞\"; kv::incr‸");
    let answer = client.at("textDocument/completion", FILE, place);
    let items = answer["items"].as_array().expect("a list");
    let item = items
        .iter()
        .find(|item| item["label"] == "increment")
        .expect("it is offered");
    assert_eq!(item["textEdit"]["newText"], "increment($1)");
    assert_eq!(item["insertTextFormat"], 2);
    assert_eq!(
        item["textEdit"]["range"]["start"],
        json!({ "line": 0, "character": 18 })
    );
    assert_eq!(item["textEdit"]["range"]["end"], json!({ "line": 0, "character": 22 }));
    assert!(
        item["documentation"]["value"]
            .as_str()
            .expect("words")
            .contains("STORE_NOT_A_NUMBER")
    );
    // Without snippets nothing is offered that only an editor with snippets understands.
    let mut plain = Client::start(PROJECT);
    plain.greet(json!({ "textDocument": {} }));
    let place = plain.open_at(FILE, "‸");
    let answer = plain.at("textDocument/completion", FILE, place).to_string();
    assert!(
        !answer.contains('$') || !answer.contains("insertTextFormat"),
        "{answer}"
    );
}

#[track_caller]
fn told(marked: &str) -> String {
    let mut client = Client::greeted(PROJECT);
    let place = client.open_at(FILE, marked);
    let answer = client.at("textDocument/hover", FILE, place);
    answer["contents"]["value"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn tells(marked: &str, wanted: &[&str]) {
    let words = told(marked);
    for part in wanted {
        assert!(words.contains(part), "{part:?} is missing in: {words}");
    }
}

#[test]
fn hover_tells_what_stands_there() {
    tells(
        "kv::in‸crement(\"a\", 2)",
        &["kv::increment(key: string, by: int)", "STORE_OVERFLOW"],
    );
    tells("k‸v::get(\"a\")", &["namespace `kv::`", "increment"]);
    tells(
        "const PLAYBOOK = #{ tim‸eout: \"5m\" };",
        &["`timeout` — How long a run may be at work"],
    );
    tells(
        "let speed = 5;\nspe‸ed + 1",
        &["let speed = 5;", "variable, declared in line 1"],
    );
    tells(
        "// Adds.\nfn add(a, b) { a + b }\nad‸d(1, 2)",
        &["fn add(a, b)", "function, declared in line 2", "Adds."],
    );
    tells(
        "import \"lib/cut\" as cut;\ncut::shor‸ten(\"a\", 1)",
        &["playbooks/lib/cut.rhai:5", "Shortens `text`.\nTwice."],
    );
    tells(
        "prompt::render(\"demo/cap‸tion\", #{})",
        &["prompts/demo/caption.md", "`topic`, `words`", "A caption about"],
    );
    tells(
        "try {} catch (e) { e.code == \"HTTP_TIME‸OUT\" }",
        &["# HTTP_TIMEOUT", "## What to do"],
    );
    tells(
        "playbook::run(\"chi‸ld\", #{})",
        &["playbooks/child.rhai", "A child", "The child."],
    );
    tells(
        "const PLAYBOOK = #{ uses: [\"sla‸ck\"] };",
        &["`slack` — simulated: DRY_RUN is on"],
    );
    tells("let a = [1]; a.fil‸ter(|x| x > 1)", &["filter("]);
    tells(
        "const PLAYBOOK = #{ inputs: #{ topic: #{ help: \"what\" } } };\ninput.top‸ic",
        &["input.topic", "help: \"what\""],
    );
    tells("try {} catch (e) { e.lan‸ded }", &["Whether a write was done"]);
    assert_eq!(told("let x = 1; // wo‸rds"), "");
    assert_eq!(told("‸"), "");
}

fn signature(marked: &str) -> (String, Json) {
    let mut client = Client::greeted(PROJECT);
    let place = client.open_at(FILE, marked);
    let answer = client.at("textDocument/signatureHelp", FILE, place);
    let active = answer["activeSignature"].as_u64().unwrap_or_default() as usize;
    let label = answer["signatures"][active]["label"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (label, answer["activeParameter"].clone())
}

#[test]
fn signature_help_shows_the_form_and_the_argument_that_is_typed() {
    assert_eq!(signature("kv::get(‸"), ("kv::get(key: string)".to_owned(), json!(0)));
    assert_eq!(
        signature("kv::increment(f(1, 2), ‸"),
        ("kv::increment(key: string, by: int)".to_owned(), json!(1))
    );
    assert_eq!(signature("fn own(a, b) { a }\nown([1, 2, 3], |x, y| x, ‸)").1, json!(2));
    assert_eq!(signature("fn own(a, b) { a }\nown(1, ‸").0, "own(a, b)");
    assert_eq!(
        signature("import \"lib/cut\" as cut;\ncut::shorten(‸").0,
        "shorten(text, most)"
    );
    assert_eq!(signature("let a = (1, ‸"), (String::new(), Json::Null));
    let mut client = Client::greeted(PROJECT);
    let place = client.open_at(FILE, "let a = [1]; a.filter(‸");
    let answer = client.at("textDocument/signatureHelp", FILE, place);
    assert!(
        answer["signatures"][0]["label"]
            .as_str()
            .expect("a form")
            .starts_with("filter(")
    );
}

#[test]
fn what_is_offered_in_an_open_module_is_what_the_editor_shows() {
    let mut client = Client::greeted(PROJECT);
    client.open("playbooks/lib/cut.rhai", "fn fresh(a) { a }\n");
    let place = client.open_at(FILE, "import \"lib/cut\" as cut;\ncut::‸");
    let answer = client.at("textDocument/completion", FILE, place);
    assert_eq!(labels(&answer), ["fresh"]);
}
