//! What a hostile or a careless playbook can do to its host: nothing.
//!
//! Each test is something that has taken an interpreter, its process or its machine down. All run in one process, and
//! the host replays each of them when it is dropped.

mod small;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use host::journal::Status;
use host::runs::{Order, Runner, runner};
use host::script::source::Text;
use host::script::{Diagnosis, Script, ScriptLimits};
use host::testing::TestHost;
use host::value::Value;
use small::{host_with, small_host, small_limits, verdict, watched_host};

/// Runs each script, and expects how it is told, up to the first word that may differ.
fn expect(cases: &[(&str, &str)]) {
    let host = small_host();
    let told = cases
        .iter()
        .map(|(script, wanted)| (*script, verdict(&host.run(script)), *wanted));
    none_differs(told.collect());
    assert_eq!(
        host.run("1 + 1").value(),
        &Value::Int(2),
        "the host still runs playbooks"
    );
}

/// Script, how it is told, and how it should be told.
fn none_differs(told: Vec<(&str, String, &str)>) {
    let differ = told.into_iter().filter(|(_, told, wanted)| !told.starts_with(wanted));
    let differ = differ.map(|(script, told, wanted)| format!("{script}\n  is told as  {told}\n  instead of  {wanted}"));
    let differ: Vec<String> = differ.collect();
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
}

fn compile(host: &TestHost, script: &str) -> Result<Script, Diagnosis> {
    let library = host.library();
    let find = |module: &str| Ok(Text::new(format!("{module}.rhai"), module_text(&library, module)?));
    Script::compile(&library.language, "test", Text::new("test.rhai", script), &find)
}

fn module_text(library: &host::runs::Library, module: &str) -> Result<String, String> {
    library
        .files
        .module(module)
        .map(|found| found.text)
        .map_err(|fault| fault.to_string())
}

/// Expects that `script` does not compile, and how it is told: `SYNTAX 1:5 …`.
fn refuse(host: &TestHost, script: &str, wanted: &str) {
    let head: String = script.chars().take(60).collect();
    let Err(told) = compile(host, script) else {
        panic!("{head} compiles")
    };
    let told = format!(
        "{} {}:{} {}",
        told.code, told.place.line, told.place.column, told.message
    );
    assert!(
        told.starts_with(wanted),
        "{head}\n  is told as  {told}\n  instead of  {wanted}"
    );
}

#[test]
fn values_that_grow_are_stopped_and_the_limit_is_named() {
    let large = "Length of string became too large: at most 65,536 bytes in a string, 1,000 items";
    expect(&[
        (
            "let a = [];\nloop { a = [a]; }",
            "LIMIT_SIZE 2:13 Size of array/BLOB became too large: at most 65,536 bytes",
        ),
        (
            "let a = [];\nloop { a.push(a.len()); }",
            "LIMIT_SIZE 2:10 Size of array/BLOB",
        ),
        ("let a = [1];\nloop { a += a; }", "LIMIT_SIZE 2:"),
        ("let s = \"x\";\nloop { s += s; }", &format!("LIMIT_SIZE 2:10 {large}")),
        ("let b = blob(1000000000000, 0);", "LIMIT_SIZE 1:9 Size of array/BLOB"),
        (
            "let a = [];\na.pad(1000000000000, 0);",
            "LIMIT_SIZE 2:3 Size of array/BLOB",
        ),
        (
            "let s = \"\";\ns.pad(1000000000000, \"é\");",
            &format!("LIMIT_SIZE 2:3 {large}"),
        ),
        (
            "let s = \"\";\ns.pad(60000, 'x');\ns.replace(\"x\", s);",
            "LIMIT_SIZE 3:3 the replaced string",
        ),
        (
            "let s = \"\";\ns.pad(60000, ' ');\ns.split(\" \")",
            "LIMIT_SIZE 3:3 Size of array/BLOB",
        ),
    ]);
}

/// `m[k] = v` is never measured by Rhai: such a map has grown to 4 GB.
#[test]
fn a_map_that_is_grown_by_its_index_is_stopped_by_memory() {
    let host = host_with(ScriptLimits {
        memory_mib: 2,
        operations: 1_000_000,
        ..small_limits()
    });
    for script in [
        "let m = #{};\nlet i = 0;\nloop { m[`${i}`] = \"a text\"; i += 1; }",
        "let m = #{ a: #{} };\nlet i = 0;\nloop { m.a[`${i}`] = i; i += 1; }",
        "let f = Fn(\"x\");\n1;\nloop { f = f.curry(f); }",
    ] {
        let told = verdict(&host.run(script));
        let wanted =
            "the script holds more than 2 MiB of memory; keep large collections in the store and ask for parts of them";
        assert!(
            told.starts_with("LIMIT_MEMORY 3:") && told.ends_with(wanted),
            "{script}\n  is told as  {told}"
        );
    }
}

/// A chain of closures, each captured by the next, costs 130 bytes each; dropping it recurses, and its end overflowed
/// the stack of its thread and took the process along.
#[test]
fn a_long_chain_of_closures_is_stopped_by_memory_and_dropped_in_peace() {
    let host = TestHost::default();
    let run = host.run("let f = || 0;\nloop { let g = f; f = || g.call(); }");
    assert!(verdict(&run).starts_with("LIMIT_MEMORY 2:"), "{}", verdict(&run));
}

/// Rhai shares texts: a map whose thousand fields hold the same text is small until somebody copies it.
#[test]
fn what_is_small_only_because_it_shares_is_not_written_out() {
    let host = TestHost::default();
    let shared = "let s = \"0123456789abcdef\";\nfor i in 0..17 { s += s; }\nlet m = #{};\nfor i in 0..9000 { m[`${i}`] = s; }\n";
    let text = "LIMIT_SIZE 5:3 a collection that was to become a text became too large";
    let value = "VALUE_TOO_LARGE 5:3 the value has more than 8388608 bytes";
    let cases = [
        ("`${m}`", text),
        ("\"\" + m", "LIMIT_SIZE 5:4 a collection"),
        ("print(m)", "LIMIT_SIZE 5:1 a collection"),
        ("debug([m])", "LIMIT_SIZE 5:"),
        ("m.to_string()", text),
        ("m.to_json()", value),
        ("kv::put(\"m\", m)", "VALUE_TOO_LARGE 5:5 the value has"),
        ("m", "VALUE_TOO_LARGE 0:0 the playbook's result: the value has"),
        ("throw m", "THROWN 5:1 the value has more than"),
        ("try { `${m}` } catch { 1 }", "LIMIT_SIZE 5:9 a collection"),
    ];
    none_differs(
        cases
            .iter()
            .map(|(end, wanted)| (*end, verdict(&host.run(&format!("{shared}{end}"))), *wanted))
            .collect(),
    );
}

/// A thrown value of 400 MB could not be put into the run's last entry, so the run had no end at all.
#[test]
fn whatever_is_thrown_the_run_has_an_end_on_record() {
    let host = TestHost::default();
    let long = "let s = \"0123456789abcdef\"; for i in 0..16 { s += s; } ";
    for end in [
        "throw s",
        "throw #{ code: s, message: s, details: [s, s, s], provider: s }",
        "throw [s, s, s]",
        "throw |x| x",
        "throw ()",
    ] {
        let run = host.run(&format!("{long}{end}"));
        assert_eq!(run.outcome().status, Status::Failed);
        let bytes = run.finished.record.encode().len();
        assert!(bytes < 100_000, "{end} makes a record of {bytes} bytes");
    }
}

#[test]
fn endless_loops_and_recursions_are_stopped() {
    let steps = "the script took more than 100,000 steps; is there an endless loop?";
    let calls = "functions called each other more than 48 levels deep; is there an endless recursion?";
    expect(&[
        ("let a = 1;\nloop { }", "LIMIT_OPERATIONS 2:"),
        ("loop { try { loop { } } catch { } }", "LIMIT_OPERATIONS 1:"),
        ("[1].map(|x| { loop { } })", "LIMIT_OPERATIONS 1:"),
        ("[1].filter(|x| { loop { } })", "LIMIT_OPERATIONS 1:"),
        ("[2, 1].sort(|x, y| { loop { } })", "LIMIT_OPERATIONS 1:"),
        ("#{ a: 1 }.filter(|k| { loop { } })", "LIMIT_OPERATIONS 1:"),
        ("while true { }", &format!("LIMIT_OPERATIONS 1:12 {steps}")),
        ("fn f(x) { f(x + 1) }\nf(0)", &format!("LIMIT_CALLS 2:1 {calls}")),
        ("let f = |f| [1].map(|x| f.call(f));\nf.call(f)", "LIMIT_CALLS 1:"),
        ("fn f() { g() }\nfn g() { [1].map(|x| f()) }\nf()", "LIMIT_CALLS "),
    ]);
}

/// Rhai counts operations anew in every closure that a native function calls, so a hundred million of them were no
/// limit: ten levels of `map` over a hundred items are as many as there are grains of sand.
#[test]
fn operations_in_closures_count_like_all_others() {
    expect(&[(
        "let a = [];\na.pad(100, 0);\nlet b = a; let c = a; let d = a;\na.for_each(|| b.for_each(|| c.for_each(|| d.for_each(|| 1))));",
        "LIMIT_OPERATIONS ",
    )]);
}

/// Rhai lets an uncatchable error be caught where a native function has wrapped it, or drops it altogether.
#[test]
fn a_halted_run_does_nothing_more_whatever_it_catches() {
    let catchers = [
        "try { BOMB } catch { }",
        "try { [1].map(|x| { BOMB }) } catch { }",
        "try { [1, 2].filter(|x| { BOMB }) } catch { }",
        "try { [1, 2].reduce(|x, y| { BOMB }) } catch { }",
        "try { let a = [1, 2]; a.retain(|x| { BOMB }) } catch { }",
        "try { [1, 2].for_each(|x| { BOMB }) } catch { }",
        "try { [1, 2].some(|x| { BOMB }) } catch { }",
        "try { [1, 2].index_of(|x| { BOMB }) } catch { }",
        "try { #{ a: 1 }.filter(|k| { BOMB }) } catch { }",
        "try { #{ a: 1 }.map(|k| { BOMB }) } catch { }",
        "let a = [2, 1]; a.sort(|x, y| { BOMB });",
        "let a = [2, 1]; a.sort_by(|x, y| { BOMB });",
        "let a = [2, 1]; let b = a.order_by(|x, y| { BOMB });",
        "let a = [1, 1]; a.dedup(|x, y| { BOMB });",
        "try { try { [1].map(|x| { BOMB }) } catch { [1].map(|x| kv::put(\"inner\", 1)) } } catch { kv::put(\"outer\", 1) }",
        "fn f() { try { BOMB } catch { } } try { f() } catch { }",
        "let f = || { BOMB }; try { f.call() } catch { }",
        "switch 1 { _ => { try { BOMB } catch { } } }",
    ];
    let bombs = [
        ("loop { }", "LIMIT_OPERATIONS"),
        (
            "let m = #{}; let i = 0; loop { m[`${i}`] = [i, i, i, i, i, i, i, i]; i += 1; }",
            "LIMIT_MEMORY",
        ),
        ("let m = #{}; for i in 0..2000 { m[`${i}`] = 1; } `${m}`", "LIMIT_SIZE"),
    ];
    let host = host_with(ScriptLimits {
        memory_mib: 1,
        operations: 150_000,
        ..small_limits()
    });
    for catcher in catchers {
        for (bomb, code) in bombs {
            let script = format!(
                "{}\nkv::put(\"after\", 1);\n\"survived\"",
                catcher.replace("BOMB", bomb)
            );
            let run = host.run(&script);
            assert_eq!(run.failure().code, code, "{script}: {}", run.failure());
            assert_eq!(run.journal(), "", "{script}");
        }
    }
}

#[test]
fn limits_that_are_errors_do_not_end_a_run_that_catches_them_in_a_closure() {
    // The array limit is an error like others. Rhai wraps it, so that it can be caught; nothing is lost by that.
    let run = small_host().run(
        "let told = (); try { [1].map(|x| { let a = []; loop { a.push(1); } }) } catch (e) { told = \"caught\"; } told",
    );
    assert_eq!(run.value(), &Value::from("caught"));
}

#[test]
fn sorting_that_fails_leaves_the_array_as_it_was() {
    let host = small_host();
    for sort in [
        "a.sort(|x, y| throw 1)",
        "a.sort_by(|x, y| throw 1)",
        "a.dedup(|x, y| throw 1)",
        "a.sort(|x, y| \"?\")",
        "a.push(()); a.sort()",
        "a.sort(\"no\")",
        "a.dedup(\"no\")",
    ] {
        let run = host.run(&format!(
            "fn no(x, y) {{ throw 1 }}\nlet a = [3, 1, 2];\ntry {{ {sort} }} catch {{ a.push(\"caught\"); }}\na"
        ));
        let text = run.value().to_string();
        assert!(
            text.starts_with("[3,1,2") && text.ends_with("\"caught\"]"),
            "{sort} left {text}"
        );
    }
}

/// The standard library's sort panics or does as it likes where a comparison is no order.
#[test]
fn every_array_is_sorted_the_same_everywhere() {
    let host = small_host();
    let run = host.run("let a = [2.5, 0.0/0.0, -1.0, 0.0/0.0, 1e300]; a.sort(); let b = a.order_desc(); `${a} ${b}`");
    assert_eq!(
        run.value(),
        &Value::from("[-1.0, 2.5, 1e300, NaN, NaN] [NaN, NaN, 1e300, 2.5, -1.0]")
    );
    let contrary = "let a = []; for i in 0..100 { a.push(i * 7919 % 101); } let n = 0; a.sort(|x, y| { if (x + y) % 3 == 0 { 1 } else { -1 } }); a";
    let once = host.run(contrary).value().clone();
    assert_eq!(host.run(contrary).value(), &once);
    assert_eq!(
        once.as_list().map(<[Value]>::len),
        Some(100),
        "nothing is lost or doubled"
    );
    assert_eq!(
        host.run("let a = [\"b\", \"a\", \"c\"]; a.sort_desc(); a")
            .value()
            .to_string(),
        r#"["c","b","a"]"#
    );
    assert_eq!(host.run("[3, 1, 2].order(|x, y| y - x)").value().to_string(), "[3,2,1]");
    assert_eq!(
        verdict(&host.run("let a = [1, \"a\"];\na.sort();")),
        "THROWN 2:3 i64 and string have no order among each other; give `sort` a closure that compares"
    );
}

#[test]
fn what_would_escape_or_wait_is_not_there() {
    let host = small_host();
    refuse(
        &host,
        "let a = 1;\neval(\"a\")",
        "FORBIDDEN 2:1 `eval` is not available in playbooks",
    );
    refuse(&host, "2 ** 3", "FORBIDDEN 1:3 `**` is not available in playbooks");
    refuse(
        &host,
        "let x = 2.0;\nx **= 0.5;",
        "FORBIDDEN 2:3 `**=` is not available in playbooks",
    );
    expect(&[
        ("Fn(\"eval\").call(\"1\")", "SYNTAX 1:4 'eval' is a reserved keyword"),
        ("call(\"eval\", \"1\")", "TYPE 1:6"),
        (
            "let t = timestamp();",
            "UNKNOWN_FUNCTION 1:9 there is no function `timestamp`",
        ),
        ("sleep(10)", "THROWN 1:1 a playbook cannot sleep like this"),
        ("sleep(0.5)", "THROWN 1:1 a playbook cannot sleep like this"),
        ("rand()", "UNKNOWN_FUNCTION 1:1 there is no function `rand`"),
    ]);
}

/// Rhai's optimizer panicked over this one, so scripts run without it.
#[test]
fn assigning_to_a_constant_is_an_error_and_no_panic() {
    let host = small_host();
    for script in [
        "const C = #{ a: 1 };\nC.a = 5;",
        "const C = [1];\nC[0] = 5;",
        "const C = 1;\nC = 5;",
        "const C = [1];\nC.push(5);",
    ] {
        let told = match compile(&host, script) {
            Err(told) => format!("{} {}", told.code, told.message),
            Ok(_) => verdict(&host.run(script)),
        };
        assert!(
            told.contains("constant") && !told.starts_with("PANIC"),
            "{script}: {told}"
        );
    }
}

/// The parser recurses: each of these once went as deep as its text is long. Test threads have a stack of 2 MiB.
#[test]
fn deep_nesting_is_refused_while_reading() {
    let host = small_host();
    let pile = |before: &str, open: &str, middle: &str, close: &str| {
        let times = 500_000 / (open.len() + close.len()).max(1) - 100;
        format!("{before}{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    for script in [
        pile("", "(", "1", ")"),
        pile("", "[", "", "]"),
        pile("", "#{a:", "1", "}"),
        pile("", "{", "", "}"),
        pile("", "!", "true", ""),
        pile("let a=1;a", "+a", "", ""),
        pile("let a=1;a", "&&a", "", ""),
        pile("let a=1;a", "||a", "", ""),
        pile("let a=1;a", "??a", "", ""),
        pile("let a=#{};a", ".a", "", ""),
        pile("let a=#{};a", "?.a", "", ""),
        pile("let a=[];a", "[0]", "", ""),
        pile("let f=||1;f", ".call()", "", ""),
        pile("let a=1;if a==1{}", "else if a==2{}", "", ""),
        pile("", "while true{", "", "}"),
        pile("", "switch 1{_=>", "1", "}"),
        pile("", "`${", "1", "}`"),
        pile("0", "..0", "", ""),
    ] {
        refuse(&host, &script, "LIMIT_NESTING 1:");
    }
    for script in [
        pile("let a=1;", "a=", "1", ""),
        pile("", "-", "1", ""),
        pile("", "/*", "", "*/"),
        pile("", "|x|", "1", ""),
    ] {
        if let Err(told) = compile(&host, &script) {
            assert!(
                told.code == "SYNTAX" || told.code == "LIMIT_NESTING",
                "{}",
                told.message
            );
        }
    }
}

#[test]
fn large_texts_are_refused_or_read_quickly() {
    let host = TestHost::default();
    refuse(
        &host,
        &"1;".repeat(500_000),
        "SCRIPT_TOO_LARGE 0:0 the script has 1000000 bytes; at most 524288 are allowed: split it into modules",
    );
    let functions: String = (0..1025).map(|n| format!("fn f{n}() {{}}\n")).collect();
    refuse(
        &host,
        &functions,
        "LIMIT_FUNCTIONS 1025:1 more than 1024 functions are defined",
    );
    assert_eq!(host.run(&"1;".repeat(260_000)).outcome().status, Status::Succeeded);
    let variables: String = (0..2000).map(|n| format!("let v{n} = 1;\n")).collect();
    assert!(verdict(&host.run(&variables)).starts_with("LIMIT_VARIABLES 1025:1 more than 1024 variables"));
}

#[test]
fn modules_come_from_the_project_and_never_in_circles() {
    let host = small_host()
        .file("playbooks/self.rhai", "import \"self\" as me;")
        .file("playbooks/a.rhai", "import \"b\" as b;\nfn f() { 1 }")
        .file("playbooks/b.rhai", "\nimport \"a\" as a;")
        .file(
            "playbooks/ok.rhai",
            "fn twice(x) { x * 2 }\nfn fails() {\n  throw \"no\"\n}\nfn given() { input.topic }",
        )
        .file("outside.rhai", "1");
    refuse(
        &host,
        "import \"self\" as s;",
        "IMPORT_CYCLE 1:1 modules import each other in a circle: self → self",
    );
    refuse(
        &host,
        "import \"a\" as a;",
        "IMPORT_CYCLE 2:1 modules import each other in a circle: a → b → a",
    );
    refuse(&host, "let n = \"ok\";\nimport n as m;", "IMPORT_COMPUTED 2:");
    refuse(&host, "import \"../outside\" as m;", "IMPORT_NOT_FOUND 1:1 ");
    refuse(&host, "import \"/etc/passwd\" as m;", "IMPORT_NOT_FOUND 1:1 ");
    refuse(&host, "import \"nothing\" as m;", "IMPORT_NOT_FOUND 1:1 ");
    assert_eq!(host.run("import \"ok\" as m; m::twice(21)").value(), &Value::Int(42));
    assert_eq!(
        verdict(&host.run("import \"ok\" as m;\nm::fails()")),
        "THROWN ok:3:3 no"
    );
    let told = verdict(&host.run("for i in 0..100 { import \"ok\" as m; }"));
    assert!(told.starts_with("LIMIT_MODULES 1:"), "{told}");
}

#[test]
fn what_cannot_be_written_down_does_not_leave_the_script() {
    let deep = "let a = 1;\nfor i in 0..65 { a = [a]; }\n";
    expect(&[
        (
            "kv::put(\"a\", |x| x)",
            "NOT_PLAIN_DATA 1:5 a function cannot leave the script",
        ),
        (
            "kv::put(\"a\", [#{ f: Fn(\"x\") }])",
            "NOT_PLAIN_DATA 1:5 a function cannot leave the script",
        ),
        (
            "kv::put(\"a\", 0..3)",
            "NOT_PLAIN_DATA 1:5 a range cannot leave the script",
        ),
        (
            &format!("{deep}kv::put(\"a\", a)"),
            "VALUE_TOO_DEEP 3:5 the value is nested more than 64 levels deep",
        ),
        (
            &format!("{deep}a"),
            "VALUE_TOO_DEEP 0:0 the playbook's result: the value is nested",
        ),
        ("|x| x", "NOT_PLAIN_DATA 0:0 the playbook's result: a function"),
    ]);
    let run = small_host().run("let code = (); try { kv::put(\"a\", 0..3) } catch (e) { code = e.code; } code");
    assert_eq!(run.value(), &Value::from("NOT_PLAIN_DATA"));
    assert_eq!(run.journal(), "", "it was refused before it became an effect");
}

/// Rhai names closures by a hash that is different in every process, unless it is told its seed.
#[test]
fn names_of_closures_are_the_same_in_every_process() {
    let (host, lines) = watched_host();
    host.run("let f = |x| x + 1;\nprint(f);\nprint([f, || 2]);\ndebug(#{ b: 1, a: f });");
    insta::assert_snapshot!(lines.take().join("\n"));
}

#[test]
fn print_and_debug_are_shown_once_and_not_in_a_replay() {
    let (host, lines) = watched_host();
    let run = host.run("print(\"one\"); kv::put(\"a\", 1); debug(\"two\"); print(`${kv::get(\"a\")}`);");
    assert_eq!(lines.take(), ["one", "\"two\"", "1"]);
    let observer = host.observer.clone();
    let shut = host.gate().shut();
    let replayed = host::runs::replay::replay(&host.library(), Arc::new(shut), run.id(), observer).expect("it replays");
    assert!(replayed.same);
    assert_eq!(lines.take(), [""; 0], "what was said is not said again");
}

#[test]
fn input_is_seen_everywhere_and_changed_nowhere() {
    let host = small_host().file("playbooks/m.rhai", "fn given() { input.topic }");
    let input = || Value::from([("topic", Value::from("cats"))]);
    for script in [
        "input.topic",
        "fn f() { input.topic }\nf()",
        "let f = || input.topic; f.call()",
        "[1].map(|x| input.topic)[0]",
        "import \"m\" as m; m::given()",
        "let copy = input; copy.topic = \"dogs\"; input.topic",
    ] {
        assert_eq!(host.run_with(script, input()).value(), &Value::from("cats"), "{script}");
    }
    for script in [
        "input = 1;",
        "input.topic = 1;",
        "input += 1;",
        "fn f() { input.topic = 1; }\nf()",
        "input.clear();",
        "let f = || { input.topic = 1; }; f.call()",
    ] {
        let told = match compile(&host, script) {
            Err(told) => told.code,
            Ok(_) => host.run_with(script, input()).failure().code.clone(),
        };
        assert_eq!(told, "CONSTANT", "{script}");
    }
    for script in [
        "let input = 1;",
        "const input = 1;",
        "for input in 0..3 { }",
        "for (a, input) in [1] { }",
        "fn f(input) { }",
        "let f = |input| 1;",
        "try { } catch (input) { }",
    ] {
        refuse(&host, script, "INPUT_SHADOWED ");
    }
}

#[test]
fn a_panic_ends_its_run_and_no_other() {
    let host = small_host().modules(|| {
        let mut module = rhai::Module::new();
        rhai::FuncRegistration::new("boom").set_into_module(&mut module, || -> i64 { panic!("no such luck") });
        vec![("broken".to_owned(), module)]
    });
    for script in [
        "broken::boom()",
        "try { broken::boom() } catch { 1 }",
        "[2, 1].sort(|a, b| broken::boom())",
    ] {
        let run = host.run(&format!("kv::put(\"a\", 1);\n{script}"));
        assert_eq!(verdict(&run), "PANIC 0:0 the script's engine gave up: no such luck");
        assert_eq!(run.answers().len(), 1, "what it did before is on record");
    }
    assert_eq!(host.run("kv::get(\"a\")").value(), &Value::Int(1));
}

#[test]
fn bombs_on_other_threads_do_not_touch_an_innocent_run() {
    let host = host_with(ScriptLimits {
        memory_mib: 16,
        operations: 2_000_000,
        map_fields: 20_000,
        string_bytes: 4 << 20,
        ..small_limits()
    });
    let runner = Runner {
        gate: host.gate(),
        language: host.library().language,
    };
    let order = |script: &str| Order {
        script: host.compile(script),
        input: Value::Map(Default::default()),
        mode: host.mode.clone(),
        trigger: "test".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: host.observer.clone(),
    };
    let bomb = "let m = #{}; let i = 0; loop { m[`${i}`] = `a text of some length ${i}`; i += 1; }";
    let chain = "let f = || 0; loop { let g = f; f = || g.call(); }";
    let endless = "loop { }";
    // Eight MiB of its own, and work to do while the others grow.
    let innocent = "let m = #{}; for i in 0..10000 { m[`${i}`] = `a text of some length ${i}`; } for i in 0..20 { kv::increment(\"n\"); } m.len()";
    let orders = [
        order(bomb),
        order(innocent),
        order(chain),
        order(innocent),
        order(endless),
        order(bomb),
    ];
    let codes = std::thread::scope(|scope| {
        let runs = orders
            .iter()
            .map(|order| scope.spawn(|| runner.run(order).expect("the store takes the run")));
        let runs: Vec<_> = runs.collect();
        let outcomes = runs
            .into_iter()
            .map(|run| run.join().expect("no thread panics").outcome);
        outcomes
            .map(|outcome| {
                outcome
                    .error
                    .map_or_else(|| outcome.value.to_string(), |error| error.failure.code)
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(
        codes,
        [
            "LIMIT_MEMORY",
            "10000",
            "LIMIT_MEMORY",
            "10000",
            "LIMIT_OPERATIONS",
            "LIMIT_MEMORY"
        ]
    );
    assert_eq!(host.run("kv::get(\"n\")").value(), &Value::Int(40));
}

#[test]
fn time_is_limited_by_the_host_and_by_the_playbook() {
    struct Slow;
    impl host::gate::Act for Slow {
        fn simulate(&self, _: &host::gate::Simulation<'_>) -> Result<Value, host::effect::Failure> {
            Ok(Value::Unit)
        }
        fn carry_out(&self, errand: &mut host::gate::Errand<'_>) -> Result<Value, host::effect::Fault> {
            errand.world.clock.sleep(Duration::from_secs(60));
            Ok(Value::Unit)
        }
    }
    static READ: host::effect::Declaration = host::effect::Declaration::read("slow.read");
    let host = small_host().modules(|| {
        use host::script::ContextExt as _;
        let mut module = rhai::Module::new();
        rhai::FuncRegistration::new("read").set_into_module(&mut module, |ctx: rhai::NativeCallContext| {
            ctx.outside(host::effect::Effect::new(&READ, Value::Unit), &Slow)
        });
        vec![("slow".to_owned(), module)]
    });
    let told = verdict(&host.run("loop { slow::read(); for i in 0..100 { } }"));
    assert!(
        told.starts_with("LIMIT_TIME 1:") && told.ends_with("the run has been at work for 3600 s, its time limit"),
        "{told}"
    );
    let run = host.run("const PLAYBOOK = #{ timeout: \"5m\" };\nloop { slow::read(); for i in 0..100 { } }");
    assert!(
        verdict(&run).ends_with("the run has been at work for 300 s, its time limit"),
        "{}",
        verdict(&run)
    );
    assert!(run.answers().len() <= 7);
}

#[test]
fn a_cancelled_run_stops_at_its_next_operation() {
    let host = host_with(ScriptLimits {
        operations: u64::MAX,
        ..small_limits()
    });
    let runner = Runner {
        gate: host.gate(),
        language: host.library().language,
    };
    let script = host.compile("kv::put(\"begun\", 1);\nloop { try { [1].map(|x| { loop { } }) } catch { } }");
    let order = Order {
        script: script.clone(),
        input: Value::Map(Default::default()),
        mode: host.mode.clone(),
        trigger: "test".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: host.observer.clone(),
    };
    let run = runner.begin(&order).expect("it begins");
    let finished = std::thread::scope(|scope| {
        let finished = scope.spawn(|| runner.finish(&run, &script).expect("it ends"));
        while host.run("kv::get(\"begun\")").value().is_unit() {}
        runner::cancel(&run);
        finished.join().expect("no thread panics")
    });
    assert_eq!(finished.outcome.status, Status::Cancelled);
    let error = finished.outcome.error.expect("an error");
    assert_eq!((error.failure.code.as_str(), error.place.line), ("CANCELLED", 2));
    let replayed = host.replay(finished.record.run);
    assert!(replayed.same, "{:?}", replayed.outcome);
}

/// A new function in the language shows up here, in review: is it deterministic, bounded, and without a door?
#[test]
fn the_language_has_these_functions_and_no_others() {
    let language = TestHost::default().library().language;
    let described = |function: rhai::FuncInfo<'_>| {
        let metadata = function.metadata;
        let types = |info: &str| info.rsplit([':', ' ', '&']).next().unwrap_or(info).to_owned();
        let mut types: Vec<String> = metadata.params_info.iter().map(|info| types(info)).collect();
        types.resize(metadata.num_params, "?".to_owned());
        let is_same = format!("{} {:?}", metadata.name, metadata.param_types);
        function
            .namespace
            .is_empty()
            .then(|| (is_same, format!("{}({})", metadata.name, types.join(", "))))
    };
    // Where two have the same name and types, the second is Rhai's and the first is ours.
    let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (is_same, shown) in language.engine().collect_fn_metadata(None, described, true) {
        functions.entry(is_same).or_default().push(shown);
    }
    let replaced = |same: &Vec<String>| if same.len() > 1 { "  replaced" } else { "" };
    let mut list: Vec<String> = functions
        .values()
        .map(|same| format!("{}{}", same.iter().max().expect("one"), replaced(same)))
        .collect();
    list.sort();
    insta::assert_snapshot!(list.join("\n"));
}

/// The functions of namespaces, as playbooks call them: a change of the script API shows up in review.
#[test]
fn the_namespaces_have_these_functions_and_no_others() {
    let language = TestHost::default().library().language;
    let signatures = host::script::reference::functions(&language)
        .into_iter()
        .map(|function| function.signature + "\n");
    insta::assert_snapshot!(signatures.collect::<String>());
}
