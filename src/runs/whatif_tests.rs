//! What-ifs over runs of a host in memory.

use std::sync::Arc;

use proptest::prelude::*;

use super::diff::{Diff, Landing, Verdict};
use super::whatif::{Options, WhatIf, whatif};
use crate::gate::{Missing, Origin};
use crate::journal::Recorded;
use crate::script::Script;
use crate::testing::{HttpStub, TestHost, TestRun};
use crate::value::Value;

pub(super) fn ask(host: &TestHost, run: &TestRun, script: &str, options: &Options) -> WhatIf {
    ask_script(host, run, &host.compile(script), options)
}

pub(super) fn ask_script(host: &TestHost, run: &TestRun, script: &Arc<Script>, options: &Options) -> WhatIf {
    let gate = host.gate();
    let shut = gate.shut();
    let recorded = Recorded::load(&host.ground, run.id()).expect("the journal reads back");
    let before = host.ground.store.stats().last_commit;
    let answer = whatif(&host.library(), &shut, recorded, script, options).expect("the what-if runs");
    assert_eq!(
        host.ground.store.stats().last_commit,
        before,
        "a what-if writes nothing"
    );
    answer
}

/// A line each: `1>1 = kv.get kept record`.
pub(super) fn told(whatif: &WhatIf) -> String {
    let number = |step: Option<u32>| step.map_or("-".to_owned(), |step| step.to_string());
    let line = |diff: &Diff| {
        let origin = diff
            .now
            .as_ref()
            .map(|now| crate::report::whatif::origin_code(&now.origin));
        let moved = if diff.reordered { " moved" } else { "" };
        format!(
            "{}>{} {} {}{moved} {}\n",
            number(diff.old_step()),
            number(diff.new_step()),
            diff.asked().name,
            diff.verdict.as_str(),
            origin.unwrap_or("-")
        )
    };
    whatif.steps.iter().map(line).collect()
}

/// Fails unless nothing at all would have been different.
pub(super) fn keeps_all(whatif: &WhatIf) {
    assert!(
        whatif.same_effects() && whatif.same_outcome(),
        "{}\n{:?} {:?}",
        told(whatif),
        whatif.before,
        whatif.now
    );
}

/// Scripts over a store that holds `kv` a and n, and three documents; each tells something of everything it does.
const SCRIPTS: [&str; 9] = [
    "1 + 1",
    r#"let a = kv::get("a"); kv::put("a", 5); kv::put("b", a); [kv::get("a"), kv::get("b"), kv::remove("a"), kv::get("a")]"#,
    r#"[kv::increment("n", 2), kv::increment("n", -1), kv::increment("new"), kv::list("n"), kv::list("", #{ limit: 1 })]"#,
    r#"store::put("clips", "a", #{ n: 9 }); store::update("clips", "b", #{ m: 1 });
       [store::get("clips", "a"), store::read("clips", "b"), store::count("clips"), store::delete("clips", "c"),
        store::count("clips", #{ n: #{ gte: 2 } }), store::collections()]"#,
    r#"let page = store::query("clips", #{ where: #{ n: #{ gte: 2 } }, order_by: "-n", limit: 1 });
       let next = store::query("clips", #{ where: #{ n: #{ gte: 2 } }, order_by: "-n", limit: 1, cursor: page.next });
       store::update("clips", page.documents[0].id, page.documents[0].version, #{ seen: true });
       [page, next, store::query("clips", #{})]"#,
    r#"let t = time::now(); let r = random::int(1, 1000); let i = id::ulid(); kv::put("t", t, #{ ttl: "1s" });
       [t, r, i, time::now_ms(), kv::get("t"), random::shuffle([1, 2, 3, 4, 5])]"#,
    r#"let codes = [];
       for id in ["a", "zz"] { try { store::update("clips", id, 7, #{ x: 1 }); } catch (e) { codes.push(e.code); } }
       try { kv::increment("a"); } catch (e) { codes.push(e.code); }
       try { kv::get(""); } catch (e) { codes.push(e.code); }
       codes"#,
    r#"kv::put("before", 1); store::update("clips", "missing", #{ a: 1 });"#,
    r#"kv::put("x", 1); throw #{ code: "MINE", message: "on purpose" };"#,
];

pub(super) fn stocked() -> TestHost {
    let host = TestHost::default();
    host.run(
        r#"kv::put("a", "first"); kv::put("n", 40); kv::put("na", 1);
           store::put("clips", "a", #{ n: 1 }); store::put("clips", "a", #{ n: 1 });
           store::put("clips", "b", #{ n: 2 }); store::put("clips", "c", #{ n: 3 });"#,
    );
    host
}

#[test]
fn the_same_script_keeps_everything_and_ends_the_same() {
    for script in SCRIPTS {
        let host = stocked();
        let run = host.run(script);
        // What has become of the store since must not matter.
        host.run(r#"kv::put("a", "later"); kv::put("n", 0); store::delete("clips", "b"); store::put("clips", "z", #{ n: 5 });"#);
        for missing in [Missing::Stop, Missing::Simulate] {
            let answer = ask(
                &host,
                &run,
                script,
                &Options {
                    missing,
                    ..Options::new()
                },
            );
            assert!(answer.same_effects(), "{script}\n{}", told(&answer));
            assert!(answer.same_outcome(), "{script}\n{:?}\n{:?}", answer.before, answer.now);
            assert_eq!(answer.counts().unrecorded, 0, "{script}\n{}", told(&answer));
        }
    }
}

#[test]
fn the_same_script_keeps_what_came_over_the_network_and_reaches_nobody() {
    let stub = HttpStub::start();
    stub.on("GET", "/list")
        .json(200, serde_json::json!({ "items": [1, 2] }));
    stub.on("GET", "/missing").answer(404, "no");
    let url = |path: &str| format!("http://{}{path}", stub.host());
    let script = format!(
        r#"let page = http::get("{}"); let code = 0;
           try {{ http::get("{}"); code = 1; }} catch (e) {{ code = e.status; }}
           kv::put("page", page.json.items.len()); [page.json, code, kv::get("page")]"#,
        url("/list"),
        url("/missing")
    );
    let host = TestHost::default().host(&stub.host()).live("http");
    let run = host.run(&script);
    let connections = stub.connections();
    let answer = ask(&host, &run, &script, &Options::new());
    keeps_all(&answer);
    let edited = script.replace("/list", "/other");
    let answer = ask(&host, &run, &edited, &Options::new());
    assert_eq!(stub.connections(), connections, "a what-if reaches nobody");
    assert_eq!(answer.counts().unrecorded, 1, "{}", told(&answer));
    assert_eq!(answer.steps[0].verdict, Verdict::Changed);
}

#[test]
fn work_without_a_simulation_is_answered_as_it_was_then() {
    let host = TestHost::default()
        .file("inbox/a.json", r#"{"n": 1}"#)
        .file("inbox/b.json", r#"{"n": 2}"#);
    let script = "let a = file::read_json(\"inbox/a.json\");\nlet b = file::read_json(\"inbox/b.json\");\n[a.n, b.n]";
    let run = host.run(script);
    let edited = script.replace("a.json", "x.json");
    let answer = ask(&host, &run, &edited, &Options::new());
    assert_eq!(answer.now.value.to_string(), "[1,2]", "{:?}", answer.now);
    assert_eq!(
        told(&answer),
        "1>1 file.read_json changed stand_in\n2>2 file.read_json kept record\n"
    );
    let more = format!("file::read_json(\"inbox/c.json\");\n{script}");
    let answer = ask(&host, &run, &more, &Options::new());
    let code = answer.now.error.as_ref().map(|error| error.failure.code.clone());
    assert_eq!(
        code.as_deref(),
        Some("NOT_SIMULATED"),
        "a call on a new line has nothing to stand in for it"
    );
}

#[test]
fn the_edited_script_reads_back_what_it_wrote() {
    let host = stocked();
    let run = host.run(
        "let n = kv::get(\"n\");\nkv::put(\"n\", n + 1);\nlet later = kv::get(\"n\");\nstore::put(\"out\", \"x\", #{ n: later });\nstore::get(\"out\", \"x\").n",
    );
    let edited = "let n = kv::get(\"n\");\nkv::put(\"n\", n + 100);\nlet later = kv::get(\"n\");\nstore::put(\"out\", \"x\", #{ n: later });\nstore::get(\"out\", \"x\").n";
    let answer = ask(
        &host,
        &run,
        edited,
        &Options {
            missing: Missing::Stop,
            ..Options::new()
        },
    );
    assert_eq!(answer.now.value, Value::Int(140), "{:?}", answer.now);
    assert_eq!(
        told(&answer),
        "1>1 kv.get kept record\n2>2 kv.put changed computed\n3>3 kv.get changed computed\n\
         4>4 store.put changed computed\n5>5 store.get changed computed\n"
    );
}

#[test]
fn an_added_call_shifts_nothing() {
    let host = stocked();
    let run =
        host.run("let a = random::int(1, 1000);\nlet b = random::int(1, 1000);\nlet t = time::now_ms();\n[a, b, t]");
    let edited = "let extra = random::int(1, 1000);\nlet early = time::now_ms();\nlet a = random::int(1, 1000);\nlog::info(\"x\");\nlet more = random::int(1, 1000);\nlet b = random::int(1, 1000);\nlet t = time::now_ms();\nlet after = time::now_ms();\nif early > t || after < t { throw \"back\"; }\n[a, b, t]";
    let answer = ask(
        &host,
        &run,
        edited,
        &Options {
            missing: Missing::Stop,
            ..Options::new()
        },
    );
    assert!(
        answer.same_outcome(),
        "{:?} {:?}\n{}",
        answer.before,
        answer.now,
        told(&answer)
    );
    assert_eq!(
        told(&answer),
        "->1 random.int new derived\n->2 time.now_ms new derived\n1>3 random.int kept record\n\
         ->4 random.int new derived\n2>5 random.int kept record\n3>6 time.now_ms kept record\n\
         ->7 time.now_ms new derived\n"
    );
}

#[test]
fn what_the_record_does_not_show_is_said_and_stops_if_wanted() {
    let host = stocked();
    let run = host.run(r#"kv::get("a")"#);
    let edited = r#"kv::get("a"); kv::get("n")"#;
    let stopped = ask(
        &host,
        &run,
        edited,
        &Options {
            missing: Missing::Stop,
            ..Options::new()
        },
    );
    let code = stopped.now.error.as_ref().map(|error| error.failure.code.clone());
    assert_eq!(code.as_deref(), Some("NOT_RECORDED"));
    assert!(stopped.is_stuck());
    let guessed = ask(&host, &run, edited, &Options::new());
    assert_eq!(guessed.now.value, Value::Unit);
    assert_eq!(told(&guessed), "1>1 kv.get kept record\n->2 kv.get new guessed\n");
    let told_by_hand = Missing::Ask(Arc::new(|asked| (asked.name == "kv.get").then_some(Value::Int(40))));
    let answer = ask(
        &host,
        &run,
        edited,
        &Options {
            missing: told_by_hand,
            ..Options::new()
        },
    );
    assert_eq!(answer.now.value, Value::Int(40));
    assert_eq!(
        answer.steps[1].now.as_ref().map(|now| now.origin.clone()),
        Some(Origin::Told)
    );
}

#[test]
fn a_count_goes_on_from_the_recorded_one() {
    let host = stocked();
    let run = host.run("let before = store::count(\"clips\");\n[before, store::count(\"clips\")]");
    let edited = "let before = store::count(\"clips\");\nstore::put(\"clips\", \"more\", #{ n: 7 });\n[before, store::count(\"clips\")]";
    let answer = ask(&host, &run, edited, &Options::new());
    assert_eq!(answer.now.value.to_string(), "[3,4]", "{}", told(&answer));
}

#[test]
fn an_edited_prompt_is_rendered_and_the_others_stay_as_the_run_had_them() {
    let host = TestHost::default()
        .file("prompts/caption.md", "About {{ topic }}.{% include \"voice\" %}")
        .file("prompts/voice.md", " Be brief.")
        .file("prompts/other.md", "Other {{ n }}");
    let script = r#"[prompt::render("caption", #{ topic: "x" }).text, prompt::render("other", #{ n: 1 }).text]"#;
    let run = host.run(script);
    // The files of today are others.
    let host = host
        .file("prompts/caption.md", "Today")
        .file("prompts/other.md", "Today {{ n }}");
    let options = |name: &str, text: &str| Options {
        prompts: [(name.to_owned(), text.to_owned())].into(),
        ..Options::new()
    };
    let edited = ask(&host, &run, script, &options("voice", " Be long."));
    assert_eq!(edited.now.value.to_string(), r#"["About x. Be long.","Other 1"]"#);
    assert_eq!(
        told(&edited),
        "1>1 prompt.render changed computed\n2>2 prompt.render kept record\n"
    );
    // Other variables for an unchanged prompt: its recorded text is rendered.
    let other = script.replace("n: 1", "n: 2");
    let answer = ask(
        &host,
        &run,
        &other,
        &Options {
            missing: Missing::Stop,
            ..Options::new()
        },
    );
    assert_eq!(answer.now.value.to_string(), r#"["About x. Be brief.","Other 2"]"#);
    let same = ask(
        &host,
        &run,
        script,
        &options("caption", "About {{ topic }}.{% include \"voice\" %}"),
    );
    assert!(same.same_effects() && same.same_outcome(), "{}", told(&same));
}

#[test]
fn blocks_that_change_places_are_told_as_moved() {
    let host = TestHost::default();
    let run = host.run("slack::post(\"one\");\nslack::post(\"two\");\nslack::post(\"three\");");
    let edited = "slack::post(\"two\");\nslack::post(\"three\");\nslack::post(\"one\");";
    let answer = ask(&host, &run, edited, &Options::new());
    assert_eq!(answer.counts().kept, 3);
    assert_eq!(answer.counts().reordered, 1);
    assert!(answer.steps.iter().all(|diff| diff.landing() == Landing::Simulated));
}

#[test]
fn a_script_that_never_ends_ends_with_a_limit() {
    let mut host = TestHost::default();
    host.limits.operations = 100_000;
    let run = host.run("1");
    let answer = ask(&host, &run, "loop { }", &Options::new());
    let error = answer.now.error.expect("an error");
    assert_eq!(error.failure.code, "LIMIT_OPERATIONS");
}

#[test]
fn another_input_is_checked_and_used() {
    let host = TestHost::default();
    let script = r#"const PLAYBOOK = #{ inputs: #{ n: #{ type: "int", preset: 1, max: 5 }, gone: #{} } }; kv::put("n", input.n); input.n"#;
    let run = host.run_with(script, Value::from([("n", Value::Int(1)), ("gone", Value::Unit)]));
    let with = |n: i64| Options {
        input: [("n".to_owned(), Value::Int(n))].into(),
        ..Options::new()
    };
    let answer = ask(&host, &run, script, &with(4));
    assert_eq!(answer.now.value, Value::Int(4));
    assert_eq!(answer.steps[0].verdict, Verdict::Changed);
    let recorded = Recorded::load(&host.ground, run.id()).expect("a record");
    let refused = whatif(&host.library(), &host.gate(), recorded, &host.compile(script), &with(9));
    assert_eq!(refused.expect_err("too large").code(), "INPUT");
}

/// One call of the store, as a line of a script that keeps what came of it.
fn line() -> impl Strategy<Value = String> {
    let key = || prop::sample::select(vec!["a", "b", "n/1", "n/2"]);
    let id = || prop::sample::select(vec!["x", "y", "z"]);
    let call = prop_oneof![
        (key(), 0..5i64).prop_map(|(key, n)| format!("kv::put(\"{key}\", {n})")),
        key().prop_map(|key| format!("kv::put(\"{key}\", \"text\")")),
        key().prop_map(|key| format!("kv::get(\"{key}\")")),
        key().prop_map(|key| format!("kv::remove(\"{key}\")")),
        (key(), 1..3i64).prop_map(|(key, by)| format!("kv::increment(\"{key}\", {by})")),
        prop::sample::select(vec!["", "n/"]).prop_map(|prefix| format!("kv::list(\"{prefix}\")")),
        (id(), 0..5i64).prop_map(|(id, n)| format!("store::put(\"c\", \"{id}\", #{{ n: {n} }})")),
        (id(), 0..5i64).prop_map(|(id, n)| format!("store::update(\"c\", \"{id}\", #{{ m: {n} }})")),
        (id(), 1..4i64).prop_map(|(id, v)| format!("store::update(\"c\", \"{id}\", {v}, #{{ m: {v} }})")),
        id().prop_map(|id| format!("store::get(\"c\", \"{id}\")")),
        id().prop_map(|id| format!("store::read(\"c\", \"{id}\")")),
        id().prop_map(|id| format!("store::delete(\"c\", \"{id}\")")),
        (0..5i64)
            .prop_map(|n| format!("store::query(\"c\", #{{ where: #{{ n: #{{ gte: {n} }} }}, order_by: \"-n\" }})")),
        (0..5i64).prop_map(|n| format!("store::count(\"c\", #{{ n: #{{ lt: {n} }} }})")),
        Just("store::count(\"c\")".to_owned()),
    ];
    call.prop_map(|call| format!("try {{ out.push({call}); }} catch (e) {{ out.push(e.code); }}"))
}

/// A script of these lines. It first looks at everything there is, where `sees_all`.
fn script_of(lines: &[String], sees_all: bool) -> String {
    let look = if sees_all {
        "kv::list(\"\"); store::query(\"c\", #{});"
    } else {
        ""
    };
    format!("{look}\nlet out = [];\n{}\nout", lines.join("\n"))
}

fn filled() -> TestHost {
    let host = TestHost::default();
    host.run(
        r#"kv::put("a", 1); kv::put("n/1", "one"); store::put("c", "x", #{ n: 1 }); store::put("c", "x", #{ n: 2 });
           store::put("c", "y", #{ n: 4, m: 0 });"#,
    );
    host
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_what_if_ends_as_the_edited_script_would_have_where_the_record_shows_all(
        recorded in prop::collection::vec(line(), 0..10),
        kept in prop::collection::vec(any::<bool>(), 10),
        added in prop::collection::vec(line(), 0..5),
        places in prop::collection::vec(0..10usize, 5),
    ) {
        let mut edited: Vec<String> = recorded.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(line, _)| line.clone()).collect();
        for (line, place) in added.into_iter().zip(places) {
            edited.insert(place.min(edited.len()), line);
        }
        let (recorded, edited) = (script_of(&recorded, true), script_of(&edited, true));
        let host = filled();
        let run = host.run(&recorded);
        let answer = ask(&host, &run, &edited, &Options { missing: Missing::Stop, ..Options::new() });
        let truth = filled();
        let truth = truth.run(&edited);
        prop_assert_eq!(answer.now.value.to_string(), truth.value().to_string(), "{}\n{}\n{}", recorded, edited, told(&answer));
    }

    #[test]
    fn the_same_calls_are_all_kept_whatever_the_record_shows(lines in prop::collection::vec(line(), 0..12)) {
        let script = script_of(&lines, false);
        let host = filled();
        let run = host.run(&script);
        let answer = ask(&host, &run, &script, &Options { missing: Missing::Stop, ..Options::new() });
        prop_assert!(answer.same_effects() && answer.same_outcome(), "{}\n{}\n{:?}", script, told(&answer), answer.now);
    }
}
