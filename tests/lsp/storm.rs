//! An editor in a hurry: thousands of edits, and at the end both sides have the same text.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

use crate::client::{Client, offset};

const FILE: &str = "playbooks/storm.rhai";

/// Edits of one storm, and storms.
const EDITS: usize = 1500;
const SEEDS: [u64; 3] = [1, 7, 42];

const PIECES: &[&str] = &[
    "let x = 1;\n",
    "kv::get(\"a\")",
    "𝄞",
    "å",
    "\r\n",
    "\n",
    "{",
    "}",
    "#{ a: ",
    "(",
    ")",
    "`${",
    "\"",
    "// ",
    "/*",
    "*/",
    "fn f(a) { a }\n",
    "input.",
    "x",
    ".",
    "::",
    ";",
    "if x { y } else ",
    "try { ",
    "import \"lib\" as l;\n",
    "\u{0}",
    "\t",
    "const PLAYBOOK = #{ uses: [\"slack\"] };\n",
];

#[test]
fn after_a_storm_of_edits_both_sides_have_the_same_text_and_the_right_findings() {
    for seed in SEEDS {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut client = Client::greeted(&[("host.toml", ""), ("playbooks/lib.rhai", "fn f() { 1 }\n")]);
        let mut text = String::from("let begin = 1;\n");
        client.open(FILE, &text);
        let mut version = 1;
        let mut asked = Vec::new();
        for _ in 0..EDITS {
            version += 1;
            let changes: Vec<Json> = (0..chance.random_range(1..4))
                .map(|_| edit(&mut chance, &mut text))
                .collect();
            client.change(FILE, version, Json::from(changes));
            if chance.random_ratio(1, 10) {
                asked.push(client.request(method(&mut chance), everything(&client, &mut chance)));
            }
        }
        for id in asked {
            // Whatever it is, it is an answer, and not that of a defect.
            if let Err(refused) = client.answer(id) {
                assert_ne!(refused.code, -32603, "seed {seed}: {refused:?}");
            }
        }
        assert_eq!(client.text(FILE).as_ref(), Some(&text), "seed {seed}");
        // What rests at the end is what a server says that has never seen anything else.
        let settled = client.findings(FILE, version);
        let mut fresh = Client::greeted(&[("host.toml", ""), ("playbooks/lib.rhai", "fn f() { 1 }\n")]);
        fresh.open(FILE, &text);
        assert_eq!(settled, fresh.findings(FILE, 1), "seed {seed}");
        version += 1;
        client.change(FILE, version, json!([{ "text": "kv::get(\"a\")\n" }]));
        assert_eq!(client.findings(FILE, version), [""; 0], "seed {seed}");
        assert_eq!(client.leave(), 0);
    }
}

/// An edit, made in `text` as well.
fn edit(chance: &mut StdRng, text: &mut String) -> Json {
    let lines = text.matches('\n').count() as u32 + 2;
    let mut place = || json!({ "line": chance.random_range(0..lines), "character": chance.random_range(0..30_u32) });
    let (mut start, mut end) = (place(), place());
    let key = |place: &Json| (place["line"].as_u64(), place["character"].as_u64());
    if key(&start) > key(&end) {
        std::mem::swap(&mut start, &mut end);
    }
    // Mostly at one place, as people type; the text would not grow otherwise.
    if chance.random_ratio(9, 10) {
        end = start.clone();
    }
    let piece = PIECES[chance.random_range(0..PIECES.len())];
    let (from, to) = (offset(text, &start), offset(text, &end));
    text.replace_range(from..to, piece);
    json!({ "range": { "start": start, "end": end }, "text": piece })
}

fn method(chance: &mut StdRng) -> &'static str {
    const METHODS: &[&str] = &[
        "textDocument/completion",
        "textDocument/hover",
        "textDocument/signatureHelp",
        "textDocument/definition",
        "textDocument/references",
        "textDocument/documentHighlight",
        "textDocument/prepareRename",
        "textDocument/rename",
        "textDocument/documentSymbol",
        "textDocument/foldingRange",
        "textDocument/formatting",
        "textDocument/rangeFormatting",
        "textDocument/codeAction",
        "textDocument/codeLens",
        "textDocument/inlayHint",
        "workspace/symbol",
    ];
    METHODS[chance.random_range(0..METHODS.len())]
}

/// Parameters that fit every request.
pub fn everything(client: &Client, chance: &mut StdRng) -> Json {
    let mut place = || json!({ "line": chance.random_range(0..60_u32), "character": chance.random_range(0..30_u32) });
    let (start, end) = (place(), place());
    json!({
        "textDocument": { "uri": client.uri(FILE) },
        "position": place(),
        "range": { "start": start, "end": end },
        "context": { "includeDeclaration": true, "diagnostics": [], "triggerKind": 1, "isRetrigger": false },
        "options": { "tabSize": 4, "insertSpaces": true },
        "newName": "other",
        "query": "f",
    })
}
