//! A run goes on where its journal ends.

use host::gate::{Resumption, Silent, Tape};
use host::journal::{Recorded, RunRecord, Status};
use host::runs::ResumeError;
use host::testing::TestHost;
use host::testing::http_stub::HttpStub;
use host::value::Value;

#[test]
fn a_run_that_failed_by_an_effect_goes_on_from_that_effect() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").once().json(404, serde_json::json!({}));
    stub.on("GET", "/x").json(200, serde_json::json!({ "ok": true }));
    let host = TestHost::default().live("http").host(&stub.host());
    let script = format!(
        r#"kv::put("a", 1); let x = http::get("{}").json.ok; kv::put("b", x); x"#,
        stub.url("/x")
    );
    let run = host.run(&script);
    assert_eq!(run.outcome().status, Status::Failed);
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::Bool(true));
    assert_eq!(stub.count("GET", "/x"), 2);
    assert_eq!(run.recorded.past.len(), 1, "the failure is history");
}

#[test]
fn what_a_script_did_about_an_error_is_history_when_the_error_is_taken_back() {
    let stub = HttpStub::start();
    stub.on("GET", "/x").once().json(404, serde_json::json!({}));
    stub.on("GET", "/x").json(200, serde_json::json!({ "ok": true }));
    let host = TestHost::default().live("http").host(&stub.host());
    let script = format!(
        r#"let x = (); try {{ x = http::get("{}").json.ok; }} catch (e) {{ kv::put("failed", e.code); throw e; }} kv::put("good", x); x"#,
        stub.url("/x")
    );
    let run = host.run(&script);
    assert_eq!(run.outcome().status, Status::Failed);
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::Bool(true));
    assert!(
        run.journal().contains("good") && !run.journal().contains("failed"),
        "{}",
        run.journal()
    );
}

#[test]
fn a_script_error_a_success_and_a_stranger_are_not_gone_on_with() {
    let host = TestHost::default();
    let code = |error: Result<_, ResumeError>| {
        error
            .map(|_: host::testing::TestRun| ())
            .expect_err("refused")
            .code()
            .to_owned()
    };
    let failed = host.run("let a = [1]; a[7]");
    assert_eq!(code(host.resume(failed.id())), "RESUME_NEEDS_EDIT");
    let good = host.run("1");
    assert_eq!(code(host.resume(good.id())), "RUN_OVER");
    let nobody = host::id::RunId::new(1, 1);
    assert_eq!(code(host.resume(nobody)), "RUN_NOT_FOUND");
}

#[test]
fn an_owner_who_was_taken_over_can_write_nothing_more() {
    let host = TestHost::default();
    let run = host.start(r#"run::sleep("1h"); kv::put("a", 1)"#);
    host.clock.advance(std::time::Duration::from_secs(3600));
    let (first, script) = take_over(&host, run.id());
    // The first is believed to be dead: a later process takes over and finishes the run.
    let second = host.resume(run.id()).expect("it goes on");
    assert_eq!(second.outcome().status, Status::Succeeded);
    let runner = host::runs::Runner {
        gate: first.gate().clone(),
        language: host.library().language,
    };
    let late = runner.finish(&first, &script);
    assert!(late.is_err(), "it cannot end what it does not own: {late:?}");
    let recorded = Recorded::load(&host.ground, run.id()).expect("one journal, no hole");
    assert_eq!(recorded.steps.len(), 2);
    assert_eq!(
        recorded.outcome().map(|outcome| outcome.status),
        Some(Status::Succeeded)
    );
}

fn take_over(host: &TestHost, run: host::id::RunId) -> (host::script::RunHandle, std::sync::Arc<host::script::Script>) {
    let runner = host.runner();
    let record = RunRecord::get(&*host.ground.store, run).expect("it is there");
    let recorded = Recorded::load(&host.ground, run).expect("readable");
    let script = host
        .library()
        .pinned(&*host.ground.store, &recorded.begun)
        .expect("kept");
    let how = Resumption::default();
    let tape = Tape::resume(&runner.gate, recorded, &record, &how, std::sync::Arc::new(Silent)).expect("taken");
    (host::script::RunHandle::new(runner.gate.clone(), tape), script)
}

#[test]
fn a_clean_up_follows_a_failure_and_sees_why() {
    let host = TestHost::default();
    let run = host.run(
        r#"fn cleanup(end) { kv::put("cleaned", `${end.status} ${end.code}`); }
        kv::put("a", 1); throw #{ code: "BROKEN", message: "no" };"#,
    );
    assert_eq!(run.failure().code, "BROKEN");
    assert!(
        run.journal()
            .contains(r#"kv.put {"key":"cleaned","value":"failed BROKEN"}"#),
        "{}",
        run.journal()
    );
    let run = host.run("fn cleanup(end) { kv::put(\"cleaned\", 2); } loop { }");
    assert_eq!(run.failure().code, "LIMIT_OPERATIONS");
    assert!(run.journal().contains("cleaned"), "{}", run.journal());
    let run = host.run("fn cleanup(end) { kv::put(\"cleaned\", 2); } 1");
    assert!(!run.journal().contains("cleaned"), "nothing failed");
}

#[test]
fn time_does_not_go_back_in_a_run_whose_next_host_has_an_earlier_clock() {
    struct Shifted(std::sync::Arc<host::testing::TestClock>, i64);
    impl host::io::clock::Clock for Shifted {
        fn unix_ms(&self) -> i64 {
            self.0.unix_ms() + self.1
        }
        fn monotonic(&self) -> std::time::Duration {
            self.0.monotonic()
        }
        fn sleep(&self, duration: std::time::Duration) {
            self.0.sleep(duration);
        }
    }
    let host = TestHost::default();
    let run = host.start(r#"let a = time::now_ms(); let x = run::wait_event("go"); [a, time::now_ms()]"#);
    let now_ms = host::io::clock::Clock::unix_ms(&*host.clock);
    let emitted = host::journal::event::emit(
        &host.ground,
        host::store::Realm::Dry,
        "go",
        &Value::Unit,
        now_ms,
        host::store::Durability::Now,
    );
    assert_eq!(emitted.expect("taken"), [run.id()]);
    let mut runner = host.runner();
    let mut gate = std::sync::Arc::into_inner(runner.gate).expect("nobody else has it");
    gate.world.clock = std::sync::Arc::new(Shifted(host.clock.clone(), -86_400_000));
    runner.gate = std::sync::Arc::new(gate);
    let how = host::runs::Resume {
        by: "test".to_owned(),
        observer: std::sync::Arc::new(Silent),
    };
    let finished = runner.resume(&host.library(), run.id(), &how).expect("it goes on");
    let told = finished
        .outcome
        .value
        .as_list()
        .map(<[Value]>::to_vec)
        .expect("two times");
    assert!(told[1].as_int() >= told[0].as_int(), "{told:?}");
}
