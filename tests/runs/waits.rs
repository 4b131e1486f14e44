//! Waits need no thread, come back where they were, and cannot be caught.

use std::time::Duration;

use host::journal::{Status, event, question};
use host::store::{Durability, Realm};
use host::testing::TestHost;
use host::value::Value;

#[test]
fn a_sleep_frees_the_thread_and_goes_on_in_another_process() {
    let host = TestHost::default();
    let run = host.start(r#"kv::put("a", 1); run::sleep("2h"); kv::get("a")"#);
    assert_eq!(run.outcome().status, Status::Suspended);
    let waits = run.finished.record.waits.as_ref().expect("it waits");
    assert_eq!((waits.step, waits.what.as_str()), (2, "the time"));

    host.clock.advance(Duration::from_secs(7199));
    assert_eq!(
        host.resume(run.id()).expect("it looks").outcome().status,
        Status::Suspended
    );
    host.clock.advance(Duration::from_secs(1));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::Int(1));
    assert_eq!(
        host::runs::recovery::due(&host.ground, i64::MAX - 1).expect("readable"),
        []
    );
    assert_eq!(host::runs::recovery::unfinished(&host.ground).expect("readable"), []);
}

#[test]
fn no_script_can_catch_a_suspension() {
    let wraps = [
        r#"try { run::sleep("1h") } catch { kv::put("caught", 1) }"#,
        r#"[1].map(|x| { try { run::sleep("1h") } catch { kv::put("caught", 1) } })"#,
        r#"let a = [2, 1]; a.sort(|x, y| { run::sleep("1h"); 1 }); kv::put("caught", 1)"#,
        r#"[1].filter(|x| { run::sleep("1h"); true }); kv::put("caught", 1)"#,
        r#"fn f() { try { run::sleep("1h") } catch { } kv::put("caught", 1) } f()"#,
    ];
    for script in wraps {
        let host = TestHost::default();
        let run = host.start(script);
        assert_eq!(run.outcome().status, Status::Suspended, "{script}");
        assert!(!run.journal().contains("caught"), "{script}: {}", run.journal());
    }
}

#[test]
fn time_that_has_passed_is_not_waited_for() {
    let host = TestHost::default();
    let run = host.start(r#"run::sleep_until("2026-11-01T00:00:00Z"); 7"#);
    assert_eq!(run.value(), &Value::Int(7));
}

#[test]
fn an_event_is_given_once_in_order_and_also_when_it_came_before_the_wait() {
    let host = TestHost::default();
    let run = host.start(
        r#"run::sleep("1m"); let a = run::wait_event("done"); let b = run::wait_event("done", #{ timeout: "1d" }); [a.n, b.n]"#,
    );
    let emit = |n: i64| {
        let now_ms = host::io::clock::Clock::unix_ms(&*host.clock);
        let data = Value::from([("n", n.into())]);
        event::emit(&host.ground, Realm::Dry, "done", &data, now_ms, Durability::Now).expect("it is taken")
    };
    assert_eq!(emit(1), [], "nobody waits yet");
    host.clock.advance(Duration::from_secs(60));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(
        run.outcome().status,
        Status::Suspended,
        "the first is there, the second is not"
    );
    assert_eq!(emit(2), [run.id()]);
    assert_eq!(
        host::runs::recovery::due(&host.ground, 1).expect("readable"),
        [run.id()]
    );
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value().to_string(), "[1,2]");
}

#[test]
fn an_event_that_does_not_come_in_time_is_nothing() {
    let host = TestHost::default();
    let run = host.run(r#"run::wait_event("never", #{ timeout: "3d" })"#);
    assert!(run.value().is_unit());
    assert!(host.clock.elapsed() >= Duration::from_secs(3 * 86_400));
}

const ASKS: &str = r#"run::ask("publish?", #{ choices: ["yes", "no"], role: "editor", second_person: true })"#;

#[test]
fn a_question_is_answered_by_who_may_and_by_nobody_else() {
    let host = TestHost::default();
    let run = host.start(ASKS);
    let answer = |by: &str, answer: &str, roles: &[&str]| {
        let given = question::Given {
            answer: answer.to_owned(),
            by: by.to_owned(),
            at_ms: host::io::clock::Clock::unix_ms(&*host.clock),
        };
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let said = question::answer(&host.ground, run.id(), 1, given, &roles).expect("readable");
        said.map_err(|failure| failure.code)
    };
    assert_eq!(
        answer("bert", "yes", &[]),
        Err("ANSWER_NOT_ALLOWED".to_owned()),
        "no role"
    );
    assert_eq!(
        answer("anna", "yes", &["editor"]),
        Err("ANSWER_NOT_ALLOWED".to_owned()),
        "she started the run"
    );
    assert_eq!(answer("bert", "maybe", &["editor"]), Err("ANSWER_INVALID".to_owned()));
    assert_eq!(answer("bert", "yes", &["editor"]), Ok(()));
    assert_eq!(answer("carl", "no", &["editor"]), Err("ANSWERED_ALREADY".to_owned()));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value().get("answer"), Some(&"yes".into()));
    assert_eq!(run.value().get("by"), Some(&"bert".into()));
    assert_eq!(question::open(&*host.ground.store, 10).expect("readable"), []);
}

#[test]
fn an_answer_that_nobody_asked_for_is_refused() {
    let host = TestHost::default();
    let run = host.run("1");
    let given = question::Given {
        answer: "yes".to_owned(),
        by: "bert".to_owned(),
        at_ms: 0,
    };
    let said = question::answer(&host.ground, run.id(), 1, given, &[]).expect("readable");
    assert_eq!(said.expect_err("nobody asked").code, "NO_SUCH_QUESTION");
}

#[test]
fn a_poll_is_one_step_that_keeps_its_last_try() {
    let host = TestHost::default();
    let run = host.run(
        r#"
        let begun = time::now_ms();
        let n = 0;
        let found = run::poll("30s", "20m", || { n += 1; let now = time::now_ms(); if now >= begun + 90000 { now - begun } });
        kv::put("found", found);
        [found, n]
        "#,
    );
    assert_eq!(
        run.value().to_string(),
        "[90000,1]",
        "each try sees its variables as they were"
    );
    assert_eq!(run.recorded.steps.len(), 4, "{}", run.journal());
    assert_eq!(run.recorded.steps[&2].answer.as_ref().expect("answered").attempts, 4);
}

#[test]
fn a_poll_whose_time_is_up_throws_and_one_that_writes_is_refused() {
    let host = TestHost::default();
    let run = host.run(r#"run::poll("1s", "5s", || ())"#);
    assert_eq!(run.failure().code, "POLL_TIMEOUT");
    let run = host.run(r#"try { run::poll("1s", "5s", || ()) } catch (e) { return e.code; }"#);
    assert_eq!(run.value(), &"POLL_TIMEOUT".into());
    let host = TestHost::default().live("slack");
    let run = host.run(r#"run::poll("1s", "5s", || slack::post("hi"))"#);
    assert_eq!(run.failure().code, "POLL_WRITES");
    let run = host.run(r#"run::poll("1s", "5s", || run::sleep("1s"))"#);
    assert_eq!(run.failure().code, "WAIT_REFUSED");
}

#[test]
fn a_deadline_counts_waits_and_a_timeout_does_not() {
    let host = TestHost::default();
    let header = |key: &str| format!("const PLAYBOOK = #{{ {key}: \"1h\" }};\n");
    let run = host.run(&(header("deadline") + r#"run::sleep("2h"); 1"#));
    assert_eq!(run.failure().code, "LIMIT_DEADLINE");
    let run = host.run(&(header("timeout") + r#"run::sleep("2h"); 1"#));
    assert_eq!(run.value(), &Value::Int(1));
}

#[test]
fn an_event_wakes_every_run_that_waits_and_forgets_those_that_are_over() {
    let host = TestHost::default();
    let emit = || {
        let now_ms = host::io::clock::Clock::unix_ms(&*host.clock);
        let woken = event::emit(&host.ground, Realm::Dry, "go", &Value::Unit, now_ms, Durability::Now);
        woken.expect("it is taken").len()
    };
    let waiters = || {
        let prefix = host::store::keys::named(host::store::keys::Space::Waiter, &["dry", "go"]);
        let rows = host
            .ground
            .store
            .scan(host::store::keys::prefix_range(prefix), 10_000, false);
        rows.expect("readable").len()
    };
    // More than are read at a time.
    let runner = host.runner();
    let order = host.order(r#"run::wait_event("go")"#, Default::default());
    for _ in 0..1_100 {
        runner.run(&order).expect("it waits");
    }
    assert_eq!((emit(), waiters()), (1_100, 1_100));
    let driven = host.drive(host::runs::recovery::due(&host.ground, 1).expect("readable"));
    assert!(
        driven
            .finished
            .values()
            .all(|finished| finished.outcome.status == Status::Succeeded)
    );
    assert_eq!((emit(), waiters()), (0, 0));
}
