//! The checks as a whole: what they promise about every text.

use std::sync::Arc;

use super::*;
use crate::namespaces;
use crate::script::{Language, ScriptLimits};

fn project_with(modules: &'static [(&'static str, &'static str)]) -> Project {
    let language = Arc::new(Language::new(|| namespaces::modules(&[]), ScriptLimits::default()));
    let find = move |name: &str| {
        let module = modules.iter().find(|(module, _)| *module == name);
        let (_, text) = module.ok_or_else(|| format!("there is no playbook {name:?}"))?;
        Ok(Text::new(format!("playbooks/{name}.rhai"), *text))
    };
    let mut project = Project::new(language, find);
    project.writers = namespaces::writers(&[]);
    project
}

fn project() -> Project {
    project_with(&[])
}

/// The findings as `line: CODE message`.
fn said(project: &Project, text: &str) -> Vec<String> {
    check_text(project, "playbooks/a.rhai", text)
        .iter()
        .map(|finding| {
            let line = finding.region.map_or(0, |region| region.line);
            format!("{line}: {} {}", finding.code, finding.message)
        })
        .collect()
}

fn codes(text: &str) -> Vec<String> {
    let said = check_text(&project(), "playbooks/a.rhai", text);
    said.into_iter().map(|finding| finding.code).collect()
}

const SHIPPED: [&str; 4] = [
    include_str!("../../../playbooks/demo.rhai"),
    include_str!("../../../playbooks/learn/errors.rhai"),
    include_str!("../../../playbooks/learn/incident.rhai"),
    include_str!("../../../playbooks/learn/store.rhai"),
];

#[test]
fn nothing_is_held_against_the_shipped_playbooks() {
    for text in SHIPPED {
        assert_eq!(said(&project(), text), Vec::<String>::new());
    }
}

/// Whoever types passes through every prefix. What cannot be read is one finding, and no prefix is too strange.
#[test]
fn every_prefix_of_a_playbook_has_places_within_it_and_one_finding_when_it_cannot_be_read() {
    let project = project();
    let text = SHIPPED[0];
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end) && end % 7 == 0) {
        let prefix = &text[..end];
        let findings = check_text(&project, "playbooks/a.rhai", prefix);
        let is_readable = source::read_leniently(&project.language, &Text::new("a", prefix)).is_ok();
        if !is_readable {
            assert_eq!(findings.len(), 1, "{end}: {findings:?}");
            assert_eq!(findings[0].level, Level::Error);
        }
        for finding in &findings {
            let region = finding
                .region
                .map_or(0..0, |region| region.start as usize..region.end as usize);
            assert!(prefix.get(region).is_some(), "{end}: {finding:?}");
            for edit in finding.fixes.iter().flat_map(|fix| &fix.edits) {
                assert!(edits::apply(prefix, &[edit]).is_some(), "{end}: {edit:?}");
            }
        }
    }
}

/// What a run refuses to read, check must call an error, also where its own eyes do not see it.
#[test]
fn what_rhai_refuses_is_an_error() {
    for text in [
        "let x = y;",
        "nowhere::f()",
        "const PLAYBOOK = #{ title: 1 };",
        "const PLAYBOOK = #{ title: \"a\" + \"b\" };",
        "const PLAYBOOK = #{ inputs: #{ a: 1 } };",
        "const PLAYBOOK = 5;",
        "let input = 1; input",
        "|input| input",
        "const A = 1; A = 2;",
        "fn f(a) { a } fn f(b) { b } f(1)",
        "let f = || { fn g() { 1 } };",
        "break;",
        "let m = #{ a: 1, a: 2 }; m",
        "eval(\"1\")",
        "2 ** 3",
    ] {
        let project = project();
        assert!(
            source::read(&project.language, &Text::new("a", text)).is_err(),
            "{text} is refused"
        );
        let findings = check_text(&project, "playbooks/a.rhai", text);
        assert!(
            findings.iter().any(|finding| finding.level == Level::Error),
            "{text}: {findings:?}"
        );
    }
}

#[test]
fn names_are_followed_through_functions_and_modules() {
    let project = project_with(&[
        (
            "lib",
            "fn tell(text) { say(text) } fn say(text) { slack::post(text) } fn quiet() { hidden() } private fn hidden() { 1 }",
        ),
        ("idle", "fn nothing() { 1 }"),
    ]);
    let header = "const PLAYBOOK = #{ title: \"a\" };\n";
    let reaches = |call: &str| said(&project, &format!("import \"lib\" as lib;\n{header}{call}"));
    assert_eq!(reaches("lib::quiet()"), Vec::<String>::new());
    assert!(
        reaches("lib::tell(\"x\")")[0].starts_with("3: NOT_IN_USES the playbook writes to slack with `slack::post`")
    );
    assert!(reaches("fn f() { lib::say(\"x\") }\nlet g = Fn(\"f\");\ng.call()")[0].contains("NOT_IN_USES"));
    assert_eq!(
        reaches("lib::hidden()"),
        ["3: UNKNOWN_FUNCTION `hidden` is private to the module \"lib\""]
    );
    // What runs after a run that failed is called by nobody here.
    assert!(reaches("fn cleanup(end) { lib::say(end.status) }\nlib::quiet()")[0].contains("NOT_IN_USES"));
    // A function that is never called writes nothing.
    let unused = reaches("fn f() { lib::say(\"x\") }\nlib::quiet()");
    assert_eq!(unused, ["3: UNUSED_FUNCTION nobody calls `f`"]);
    assert!(said(&project, "import \"lib\" as lib;\nlib::tel(\"x\")")[0].contains("did you mean `lib::tell`?"));
}

#[test]
fn what_is_not_known_is_not_held_against_anybody() {
    for harmless in [
        "let page = http::get(\"https://example.com\").json; page.whatever.it.says",
        // It may be `()`: nobody need give it.
        "const PLAYBOOK = #{ inputs: #{ n: #{ type: \"int\" } } };\nif input.n == \"five\" { 1 } else { 2 }",
        "let m = #{ a: 1 }; m.b = 2; m.b",
        "let m = #{ a: 1 }; if kv::get(\"x\") == 1 { m = #{ b: 1 }; } m.b",
        "let o = #{ speak: |x| x }; o.speak(1)",
        "let chat = openai::chat(#{ prompt: \"x\" }); chat.usage.input_tokens",
        "let page = store::query(\"clips\", #{ where: #{ anything: 1 } }); page.documents.map(|d| d.data.any)",
        "prompt::render(\"a\", #{}).temperature",
        "let cut = media::cut(\"a.mp4\", #{ to: 1 }); cut.source_sha256",
        "let number = 1; number == 1.5",
        "fn f(m) { m.whatever } f(#{ whatever: 1 })",
        "\"costs ${price}, said the shop\"",
        "let next_token = \"page-two-of-the-list\"; next_token",
        "let x = kv::get(\"a\"); try { x = kv::get(\"b\"); } catch { /* the old one will do */ } x",
        "while true { if kv::get(\"a\") == 1 { break; } }",
        "for _time in 0..3 { kv::increment(\"a\"); }",
        "let text = \"a\"; text.len",
        "let f = |x| x; f.call(1)",
        "[3, 1].sort(|a, b| a - b);",
        "switch kv::get(\"a\") { 1 => \"one\", _ => \"more\" }",
    ] {
        assert_eq!(codes(harmless), Vec::<String>::new(), "{harmless}");
    }
}

#[test]
fn one_fault_is_one_finding() {
    assert_eq!(codes("nme; nme; nme + 1"), ["UNKNOWN_VARIABLE"]);
    assert_eq!(
        codes("let name = kv::get(\"a\"); log::info(nmae);"),
        ["UNKNOWN_VARIABLE"]
    );
    assert_eq!(
        codes("const PLAYBOOK = #{ inputs: #{ topic: #{} } };\ninput.topc"),
        ["UNDECLARED_INPUT"]
    );
    assert_eq!(
        codes("let t = 0; for x in [1] { let t = t + x; } t"),
        ["SHADOWED_VARIABLE"]
    );
    assert_eq!(codes("const PLAYBOOK = #{ timeuot: \"5m\" };\ntime::now()"), ["HEADER"]);
}

/// The same words that a run uses for a text that cannot be read.
#[test]
fn a_run_and_a_check_say_the_same_of_what_cannot_be_read() {
    let text = "let a = 1;\nif a = 1 { }";
    let project = project();
    let told = source::read(&project.language, &Text::new("playbooks/a.rhai", text)).expect_err("refused");
    let found = &check_text(&project, "playbooks/a.rhai", text)[0];
    assert_eq!(
        (found.code.as_str(), &found.message),
        (told.code.as_str(), &told.message)
    );
    assert_eq!(
        found.region.map(|region| (region.line, region.column)),
        Some((told.place.line, told.place.column))
    );
}

/// The options that a function really takes, by its own refusal of another, are those its description speaks of.
#[test]
fn every_option_that_a_function_takes_is_known() {
    let host = crate::testing::TestHost::default();
    let project = project();
    let mut seen = 0;
    for known in project.signatures.functions() {
        let Some(way) = known
            .ways
            .iter()
            .find(|way| way.params.last().is_some_and(|param| param.name == "options"))
        else {
            continue;
        };
        let arguments = way.params.iter().map(|param| match param.name.as_str() {
            "options" => "#{ zzz: 1 }",
            _ => "\"a\"",
        });
        let call = format!("{}({})", known.name, arguments.collect::<Vec<_>>().join(", "));
        let run = host.run(&call);
        let refusal = run.failure().to_string();
        let Some((_, list)) = refusal
            .strip_prefix("UNKNOWN_OPTION")
            .and_then(|rest| rest.split_once("it takes "))
        else {
            continue;
        };
        for option in list.split(", ").filter(|option| *option != "none") {
            seen += 1;
            assert!(known.may_have_option(option), "{} takes `{option}`", known.name);
            assert!(known.options.contains(option), "{} marks `{option}`", known.name);
        }
    }
    assert!(seen >= 10, "{seen} options were found");
}

#[test]
fn lengths_of_time_go_back_only_where_the_function_says_so() {
    for future in [
        "run::sleep(\"-5m\")",
        "run::poll(\"-1s\", \"1m\", || ())",
        "kv::put(\"a\", 1, #{ ttl: \" -1h\" })",
        "const PLAYBOOK = #{ timeout: \"-5m\" };\ntime::now()",
    ] {
        assert_eq!(codes(future), ["DURATION_INVALID"], "{future}");
    }
    assert_eq!(codes("time::add(time::now(), \"-5m\")"), Vec::<String>::new());
    assert_eq!(codes("time::add(time::now(), \"--5m\")"), ["DURATION_INVALID"]);
    let project = project();
    let told = &check_text(&project, "playbooks/a.rhai", "run::sleep(\"-5m\")")[0];
    assert_eq!(told.fixes[0].title, "write \"5m\"");
    assert!(!told.fixes[0].is_safe, "what was meant is for a person to say");
}

#[test]
fn an_error_is_told_however_many_warnings_stand_around_it() {
    let warnings = "1;\n".repeat(2500);
    let text = format!("{warnings}[1].sort(|a, b| kv::get(\"a\"));\n{warnings}");
    let project = project();
    let findings = check_text(&project, "playbooks/a.rhai", &text);
    let errors: Vec<&str> = (findings.iter().filter(|finding| finding.level == Level::Error))
        .map(|finding| finding.code.as_str())
        .collect();
    assert_eq!((errors, findings.len()), (vec!["EFFECT_IN_ORDER"], SHOWN_MAX));
    let last = findings.last().and_then(|finding| finding.help.as_deref());
    assert!(
        last.is_some_and(|help| help.ends_with("more are not shown")),
        "{last:?}"
    );
}

#[test]
fn what_comments_allow_takes_no_room_from_the_rest() {
    let allowed = "// check: allow(NO_EFFECT)\n1;\n".repeat(SHOWN_MAX + 50);
    assert_eq!(
        said(&project(), &format!("{allowed}2;\nkv::get(\"a\")")),
        [format!(
            "{}: NO_EFFECT this value stands here alone, and does nothing",
            2 * (SHOWN_MAX + 50) + 1
        )]
    );
}

/// Thirty floors of modules, of which each imports both of the next: a thousand million ways from top to bottom.
#[test]
fn modules_are_followed_once_however_many_ways_lead_to_them() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    let language = Arc::new(Language::new(|| namespaces::modules(&[]), ScriptLimits::default()));
    let project = Project::new(language, move |name: &str| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let floor: usize = name[1..].parse().map_err(|_| "no floor".to_owned())?;
        let next = match floor {
            29 => String::new(),
            _ => ["a", "b"]
                .map(|side| format!("import \"{side}{}\" as {side};\n", floor + 1))
                .concat(),
        };
        Ok(Text::new(
            format!("playbooks/{name}.rhai"),
            format!("{next}// {name}\nfn f() {{ 1 }}\n"),
        ))
    });
    assert_eq!(said(&project, "import \"a0\" as top;\ntop::f()"), Vec::<String>::new());
    let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!(asked < 1000, "modules were asked for {asked} times");
}

/// Somebody deletes, or renames, a module at whatever moment of the check.
#[test]
fn a_module_that_disappears_while_it_is_read_is_one_finding_at_most() {
    for left in 0..12 {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let language = Arc::new(Language::new(|| namespaces::modules(&[]), ScriptLimits::default()));
        let project = Project::new(language, move |name: &str| {
            match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < left {
                true => Ok(Text::new("playbooks/lib.rhai", "fn tell(text) { log::info(text) }")),
                false => Err(format!("there is no playbook {name:?}")),
            }
        });
        let text = "import \"lib\" as lib;\nlib::tell(\"a\");\nlib::tell(\"b\");";
        let told = said(&project, text);
        let gone = "1: IMPORT_NOT_FOUND there is no playbook \"lib\"";
        match left {
            0 => assert_eq!(told, [gone]),
            _ => assert!(told.is_empty() || told == [gone], "after {left}: {told:?}"),
        }
    }
}

#[test]
fn nothing_runs_after_what_ends_the_way_it_is_on() {
    for (ending, word) in [
        ("return 1", "return"),
        ("throw 1", "throw"),
        ("if true == kv::get(\"a\") { throw 1; } else { return 2; }", "if"),
    ] {
        let text = format!("fn f() {{\n{ending};\nkv::get(\"a\")\n}}\nf()");
        let told = format!("3: UNREACHABLE this never runs: the `{word}` of line 2 comes before it");
        assert_eq!(said(&project(), &text), [told], "{text}");
    }
    let text = "loop {\nif kv::get(\"a\") == 1 { break; }\ncontinue;\nkv::get(\"b\");\n}";
    assert!(said(&project(), text)[0].starts_with("4: UNREACHABLE this never runs: the `continue` of line 3"));
}

/// Words that people bring from other languages, and what stands around them.
fn soup() -> impl proptest::strategy::Strategy<Value = String> {
    const PIECES: [&str; 34] = [
        "function ",
        "def ",
        "var ",
        "const ",
        "let ",
        "elif ",
        "else if ",
        "null",
        "None",
        "&& ",
        "and ",
        "not ",
        "!",
        "===",
        "==",
        "= ",
        "=> ",
        "-> ",
        "a",
        "b ",
        "1",
        "'c d'",
        "\"t\"",
        "(",
        ")",
        "{ ",
        " }",
        "#{",
        "[",
        "]",
        ": ",
        ", ",
        "; ",
        "\n",
    ];
    let piece = proptest::sample::select(&PIECES[..]);
    proptest::strategy::Strategy::prop_map(proptest::collection::vec(piece, 1..14), |pieces| pieces.concat())
}

/// A fix of a text that cannot be read is offered only where it helps: afterwards it can be, or the next mistake lies
/// further behind.
#[test]
fn a_fix_of_what_cannot_be_read_really_helps() {
    let project = project();
    let helps = |text: String| {
        let Err(before) = source::read_leniently(&project.language, &Text::new("a", text.as_str())) else {
            return Ok(());
        };
        for finding in check_text(&project, "playbooks/a.rhai", &text) {
            let edits: Vec<_> = finding.fixes.iter().flat_map(|fix| &fix.edits).collect();
            let Some(fixed) = edits::apply(&text, &edits).filter(|_| !edits.is_empty()) else {
                continue;
            };
            if let Err(after) = source::read_leniently(&project.language, &Text::new("a", fixed.as_str())) {
                proptest::prop_assert!(
                    after.stopped_at > before.stopped_at,
                    "{text:?} became {fixed:?}: {after:?}"
                );
            }
        }
        Ok(())
    };
    let cases = proptest::prelude::ProptestConfig::with_cases(2048);
    let found = proptest::test_runner::TestRunner::new(cases).run(&soup(), helps);
    assert!(found.is_ok(), "{}", found.expect_err("it was not"));
}

#[test]
fn an_arrow_at_the_beginning_is_only_a_mistake() {
    assert_eq!(said(&project(), "=> ").len(), 1);
}
