//! What-ifs of runs that wait, poll, clean up and start others.

use std::sync::Arc;

use super::whatif::Options;
use super::whatif_tests::{ask, keeps_all, told};
use crate::gate::Missing;
use crate::journal::Status;
use crate::testing::TestHost;
use crate::value::Value;

#[test]
fn waits_on_record_are_over_and_new_ones_pass() {
    let host = TestHost::default();
    let script = "let t = time::now_ms();\nrun::sleep(\"2h\");\nlet later = time::now_ms();\n(later - t) / 3600000";
    let run = host.run(script);
    assert_eq!(run.value(), &Value::Int(2), "{:?}", run.outcome());
    let same = ask(&host, &run, script, &Options::new());
    assert!(same.same_effects() && same.same_outcome(), "{}", told(&same));
    let edited = "let t = time::now_ms();\nrun::sleep(\"5h\");\nlet later = time::now_ms();\nrun::sleep(\"1m\");\nlet end = time::now_ms();\nif end < later { throw \"back\"; }\n(end - t) / 3600000";
    let answer = ask(
        &host,
        &run,
        edited,
        &Options {
            missing: Missing::Stop,
            ..Options::new()
        },
    );
    assert_eq!(answer.now.value, Value::Int(5), "{:?}\n{}", answer.now, told(&answer));
}

#[test]
fn a_run_that_waits_is_told_to_wait_and_goes_on_with_another_script() {
    let host = TestHost::default();
    let script = "kv::put(\"a\", 1);\nlet answer = run::ask(\"publish?\");\nkv::put(\"b\", 1);";
    let run = host.start(script);
    let same = ask(&host, &run, script, &Options::new());
    keeps_all(&same);
    assert_eq!(same.now.status, Status::Suspended);
    let edited = "kv::put(\"a\", 1);\nlet answer = run::ask(\"publish now?\", #{ timeout: \"1h\" });\nif answer == () { \"nobody\" } else { answer }";
    let answer = ask(&host, &run, edited, &Options::new());
    assert_eq!(
        answer.now.value,
        Value::from("nobody"),
        "{:?}\n{}",
        answer.now,
        told(&answer)
    );
    let without_limit = edited.replace(", #{ timeout: \"1h\" }", "");
    let answer = ask(&host, &run, &without_limit, &Options::new());
    assert_eq!(answer.now.status, Status::Suspended);
    let yes = Missing::Ask(Arc::new(|_| Some(Value::from("yes"))));
    let answer = ask(
        &host,
        &run,
        &without_limit,
        &Options {
            missing: yes,
            ..Options::new()
        },
    );
    assert_eq!(answer.now.value, Value::from("yes"), "{}", told(&answer));
}

#[test]
fn polls_and_clean_ups_are_kept_and_edited() {
    let host = TestHost::default();
    let script = "let n = run::poll(\"10s\", \"10m\", || { let n = kv::increment(\"n\"); if n >= 3 { n } });\nkv::put(\"got\", n);\nn";
    let run = host.run(script);
    assert_eq!(run.value(), &Value::Int(3), "{:?}", run.outcome());
    let same = ask(
        &host,
        &run,
        script,
        &Options {
            missing: Missing::Stop,
            ..Options::new()
        },
    );
    keeps_all(&same);
    let edited = script.replace("10m", "20m").replace("n >= 3", "n >= 300");
    let answer = ask(&host, &run, &edited, &Options::new());
    let code = answer.now.error.as_ref().map(|error| error.failure.code.clone());
    assert_eq!(
        code.as_deref(),
        Some("POLL_TIMEOUT"),
        "{}\n{:?}",
        told(&answer),
        answer.now
    );
}

#[test]
fn a_clean_up_is_part_of_the_what_if() {
    let host = TestHost::default();
    let script = "fn cleanup(end) { kv::put(\"cleaned\", end.code); }\nkv::put(\"a\", 1);\nthrow #{ code: \"MINE\", message: \"x\" };";
    let run = host.run(script);
    let same = ask(&host, &run, script, &Options::new());
    keeps_all(&same);
    assert_eq!(told(&same), "1>1 kv.put kept record\n2>2 kv.put kept record\n");
    let edited = ask(&host, &run, &script.replace("MINE", "OTHER"), &Options::new());
    assert_eq!(told(&edited), "1>1 kv.put kept record\n2>2 kv.put changed computed\n");
}

#[test]
fn children_answer_from_the_record() {
    let host = TestHost::default().file("playbooks/double.rhai", "input.n * 2");
    let script = "let one = playbook::run(\"double\", #{ n: 4 });\nlet all = playbook::map(\"double\", [#{ n: 1 }, #{ n: 2 }]);\n[one, all]";
    let run = host.run(script);
    let edited = format!("kv::put(\"first\", 1);\n{script}");
    for script in [script, &edited] {
        let answer = ask(
            &host,
            &run,
            script,
            &Options {
                missing: Missing::Stop,
                ..Options::new()
            },
        );
        assert_eq!(
            answer.now.value.to_string(),
            "[8,[2,4]]",
            "{:?}\n{}",
            answer.now,
            told(&answer)
        );
    }
    let other = script.replace("n: 4", "n: 5");
    let answer = ask(&host, &run, &other, &Options::new());
    assert_eq!(answer.now.status, Status::Suspended, "{}", told(&answer));
}
