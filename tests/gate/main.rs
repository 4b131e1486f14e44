//! Every effect passes the gate: in order, on record, and never twice unseen.

mod ledger;
mod provider;
mod restored;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use host::effect::{Declaration, Failure, Fault, OnUnknown, RunMode};
use host::gate::observer::{Notice, Observer};
use host::gate::{Sighting, Signals};
use host::journal::{Recorded, Status, Step};
use host::runs::{Order, Runner, runner};
use host::testing::{TestHost, TestRun};
use host::value::Value;
use ledger::words;
use provider::{Provider, done, failure, lost, passing, refused};

/// The timeout and the settle time of the declarations here, and when a "not there" counts.
const TIMEOUT: Duration = Duration::from_secs(20);
const SETTLE: Duration = Duration::from_secs(40);
const CERTAIN_AFTER_S: f64 = 10.0 + 20.0 + 40.0;

fn write() -> Declaration {
    Declaration::write("acme.send").timeout(TIMEOUT).settle(SETTLE)
}

fn runner_of(host: &TestHost) -> Runner {
    Runner {
        gate: host.gate(),
        language: host.library().language,
    }
}

fn order(host: &TestHost, script: &str) -> Order {
    Order {
        script: host.compile(script),
        input: Value::Map(Default::default()),
        mode: host.mode.clone(),
        trigger: "test".to_owned(),
        by: None,
        retry_of: None,
        corr: None,
        observer: host.observer.clone(),
    }
}

fn code_of(run: &TestRun) -> &str {
    &run.failure().code
}

#[test]
fn a_write_leaves_an_intent_and_an_answer_and_a_read_only_its_answer() {
    let provider = Provider::new(write());
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!(
        words(&ledger.on_disk(run.id())),
        ["begun", "intent 1.1", "answer 1", "ended"]
    );
    let intent = &run.recorded.steps[&1].intents[0];
    assert_eq!((intent.attempt, intent.epoch, intent.send_deadline_ms), (1, 1, 10_000));
    assert_eq!(provider.calls()[0].key, intent.key);

    let provider = Provider::new(Declaration::read("acme.get"));
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(words(&ledger.on_disk(run.id())), ["begun", "answer 1", "ended"]);
    assert_eq!(
        provider.calls()[0].on_disk,
        [""; 0],
        "nothing is written down before a read"
    );
}

/// Output commit: before a request leaves, its intent is on disk, and so is all that came before.
#[test]
fn nothing_leaves_before_its_intent_and_everything_before_it_are_on_disk() {
    let provider = Provider::new(write());
    let (host, _) = provider.host();
    let run =
        host.run("time::now(); kv::increment(\"n\"); kv::get(\"n\"); acme::send(1); random::float(); acme::send(2);");
    assert_eq!(run.outcome().status, Status::Succeeded);
    let calls = provider.calls();
    assert_eq!(
        calls[0].on_disk,
        ["begun", "answer 1", "answer 2", "answer 3", "intent 4.1"]
    );
    assert_eq!(
        calls[1].on_disk,
        [
            "begun",
            "answer 1",
            "answer 2",
            "answer 3",
            "intent 4.1",
            "answer 4",
            "answer 5",
            "intent 6.1"
        ]
    );
}

#[test]
fn a_write_that_certainly_did_nothing_is_sent_again_under_the_same_key() {
    let provider = Provider::new(write()).answers([passing(), passing(), done()]);
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("done"));
    let on_disk = words(&ledger.on_disk(run.id()));
    let wanted = [
        "begun",
        "intent 1.1",
        "attempt 1.1 HTTP_CONNECT",
        "intent 1.2",
        "attempt 1.2 HTTP_CONNECT",
        "intent 1.3",
        "answer 1",
        "ended",
    ];
    assert_eq!(on_disk, wanted);
    assert_eq!(run.answers()[0].attempts, 3);
    let calls = provider.calls();
    assert!(calls.iter().all(|call| call.key == calls[0].key), "{calls:?}");
    assert_eq!(calls[2].on_disk, wanted[..6]);
    let sent = provider.sent_at();
    let pauses = [sent[1] - sent[0], sent[2] - sent[1]];
    assert!(
        (0.25..=0.5).contains(&pauses[0]) && (0.5..=1.0).contains(&pauses[1]),
        "{pauses:?}"
    );

    let other = host.run("acme::send(1)");
    assert_ne!(
        provider.calls()[3].key,
        calls[0].key,
        "another run's effect has another key"
    );
    assert_eq!(other.value(), &Value::from("done"));
}

#[test]
fn attempts_run_out_and_refusals_are_not_repeated() {
    let provider = Provider::new(write()).answers([passing(), passing(), passing(), refused()]);
    let (host, _) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!((code_of(&run), run.failure().landed), ("HTTP_CONNECT", Some(false)));
    assert_eq!(provider.calls().len(), 3);
    let run = host.run("let told = (); try { acme::send(1) } catch (e) { told = [e.code, e.status, e.landed]; } told");
    assert_eq!(run.value().to_string(), r#"["HTTP_STATUS",400,false]"#);
    assert_eq!(provider.calls().len(), 4);
}

#[test]
fn a_provider_that_names_a_time_is_left_alone_for_so_long() {
    let asked = |ms| {
        Err(Fault::passing(Failure {
            retry_after_ms: Some(ms),
            ..failure("HTTP_STATUS").status(429)
        }))
    };
    let provider = Provider::new(write()).answers([asked(7_000), done(), asked(3_600_000)]);
    let (host, _) = provider.host();
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("done"));
    assert_eq!(provider.sent_at(), [0.0, 7.0]);
    let run = host.run("acme::send(1)");
    assert_eq!(
        (run.failure().status, run.failure().retry_after_ms),
        (Some(429), Some(3_600_000)),
        "an hour is not waited"
    );
    assert_eq!(provider.calls().len(), 3);
}

#[test]
fn a_write_in_doubt_that_is_seen_has_landed_at_once() {
    let seen = Ok(Sighting::Landed(Value::from("seen")));
    let provider = Provider::new(write()).answers([lost()]).sightings([seen]);
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("seen"));
    assert_eq!(host.clock.elapsed(), Duration::ZERO);
    assert_eq!(
        words(&ledger.on_disk(run.id())),
        ["begun", "intent 1.1", "answer 1", "ended"]
    );
}

/// A provider may need its settle time to show a write, and the request may have waited until its send deadline.
#[test]
fn not_there_counts_only_when_the_write_must_be_visible_by_now() {
    let provider = Provider::new(write()).answers([lost(), done()]);
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("done"));
    let sent = provider.sent_at();
    assert_eq!(sent.len(), 2);
    assert!(
        (CERTAIN_AFTER_S..CERTAIN_AFTER_S + 6.0).contains(&sent[1]),
        "sent again after {} s",
        sent[1]
    );
    let calls = provider.calls();
    let last_question = calls.iter().rfind(|call| call.is_question).expect("it was asked");
    assert!(
        last_question.at.as_secs_f64() >= CERTAIN_AFTER_S,
        "the last question was put too early"
    );
    assert!(calls.iter().all(|call| call.key == calls[0].key));
    assert_eq!(
        words(&ledger.on_disk(run.id())),
        [
            "begun",
            "intent 1.1",
            "attempt 1.1 HTTP_TIMEOUT",
            "intent 1.2",
            "answer 1",
            "ended"
        ]
    );
}

#[test]
fn what_becomes_visible_late_has_landed() {
    let not_there = || Ok(Sighting::NotThere);
    let seen = Ok(Sighting::Landed(Value::from("seen")));
    let provider = Provider::new(write())
        .answers([lost()])
        .sightings([not_there(), not_there(), not_there(), seen]);
    let (host, _) = provider.host();
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("seen"));
    assert_eq!(provider.sent_at().len(), 1, "it is not sent twice");
}

#[test]
fn where_nobody_can_tell_a_person_must_and_the_script_cannot_go_on() {
    for catcher in [
        "try { acme::send(1) } catch { }",
        "try { [1].map(|x| acme::send(x)) } catch { }",
        "[2, 1].sort(|x, y| acme::send(x));",
    ] {
        let provider = Provider::new(write())
            .answers([lost()])
            .sightings([Ok(Sighting::CannotTell)]);
        let (host, ledger) = provider.host();
        let run = host.run(&format!(
            "{catcher}\nkv::put(\"after\", 1); acme::send(2); \"survived\""
        ));
        assert_eq!(run.outcome().status, Status::NeedsAttention, "{catcher}");
        let error = run.outcome().error.as_ref().expect("an error");
        assert_eq!(
            (
                error.failure.code.as_str(),
                error.failure.landed,
                error.step,
                error.place.line
            ),
            ("HTTP_TIMEOUT", None, Some(1), 1)
        );
        assert_eq!(provider.sent_at().len(), 1);
        assert_eq!(
            words(&ledger.on_disk(run.id())),
            ["begun", "intent 1.1", "answer 1 HTTP_TIMEOUT", "ended"]
        );
        assert!(run.answers()[0].in_doubt);
        assert_eq!(host.run("kv::get(\"after\")").value(), &Value::Unit);
    }
}

#[test]
fn generation_is_repeated_so_often_and_not_more() {
    let cannot_tell = || Ok(Sighting::CannotTell);
    let provider = Provider::new(write().on_unknown(OnUnknown::Repeat(2)))
        .answers([lost(), lost(), done(), lost(), lost(), lost()])
        .sightings((0..5).map(|_| cannot_tell()));
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!(
        words(&ledger.on_disk(run.id())),
        [
            "begun",
            "intent 1.1",
            "attempt 1.1 HTTP_TIMEOUT",
            "intent 1.2",
            "attempt 1.2 HTTP_TIMEOUT",
            "intent 1.3",
            "answer 1",
            "ended"
        ],
        "the possible double cost is on record"
    );
    let run = host.run("acme::send(1)");
    assert_eq!(run.outcome().status, Status::NeedsAttention);
    assert_eq!(provider.sent_at().len(), 6);
}

#[test]
fn a_notification_is_taken_as_done() {
    let provider = Provider::new(write().on_unknown(OnUnknown::AssumeLanded))
        .answers([lost()])
        .sightings([Ok(Sighting::CannotTell)]);
    let (host, _) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.value().get("assumed"), Some(&Value::Bool(true)));
    assert_eq!(provider.sent_at().len(), 1);
}

#[test]
fn questions_that_fail_are_put_again_and_then_nobody_can_tell() {
    let unreachable = || Err(Fault::passing(failure("HTTP_CONNECT")));
    let seen = Ok(Sighting::Landed(Value::from("seen")));
    let provider = Provider::new(write()).answers([lost(), lost()]).sightings([
        unreachable(),
        unreachable(),
        unreachable(),
        seen,
        unreachable(),
        unreachable(),
        unreachable(),
        unreachable(),
    ]);
    let (host, _) = provider.host();
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("seen"));
    assert_eq!(host.run("acme::send(1)").outcome().status, Status::NeedsAttention);
}

#[test]
fn under_a_key_a_write_in_doubt_is_sent_again_while_the_provider_remembers_it() {
    let keyed = write().key_lifetime(Some(Duration::from_secs(3600)));
    let provider = Provider::new(keyed).answers([lost(), lost(), done()]);
    let (host, _) = provider.host();
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("done"));
    let calls = provider.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| !call.is_question && call.key == calls[0].key));
}

/// The second attempt was certainly refused, which was told as "did not land" of the whole effect; of the first one
/// nobody knew.
#[test]
fn an_attempt_in_doubt_stays_in_doubt_whatever_comes_of_the_next_one() {
    let keyed = || write().key_lifetime(Some(Duration::from_secs(3600)));
    let seen = || Ok(Sighting::Landed(Value::from("seen")));
    for next in [refused(), passing()] {
        let provider = Provider::new(keyed().attempts(2))
            .answers([lost(), next.clone()])
            .sightings([seen()]);
        let (host, _) = provider.host();
        assert_eq!(host.run("acme::send(1)").value(), &Value::from("seen"));

        let provider = Provider::new(keyed().attempts(2))
            .answers([lost(), next.clone()])
            .sightings([Ok(Sighting::CannotTell)]);
        let (host, _) = provider.host();
        assert_eq!(host.run("acme::send(1)").outcome().status, Status::NeedsAttention);

        let provider = Provider::new(keyed().attempts(2)).answers([lost(), next.clone()]);
        let (host, _) = provider.host();
        let run = host.run("acme::send(1)");
        assert_eq!(run.failure().landed, Some(false), "it was looked for, and is not there");
        assert!(host.clock.elapsed().as_secs_f64() >= CERTAIN_AFTER_S);

        let repeated = keyed().attempts(2).on_unknown(OnUnknown::Repeat(1));
        let provider = Provider::new(repeated)
            .answers([lost(), next])
            .sightings([Ok(Sighting::CannotTell)]);
        let (host, _) = provider.host();
        let run = host.run("acme::send(1)");
        assert_eq!(run.failure().landed, None, "nobody knows of the first attempt");
    }
}

/// The same where the circuit or the rate limit lets no second attempt through.
#[test]
fn an_attempt_in_doubt_is_settled_when_no_other_may_follow() {
    let keyed = || write().key_lifetime(Some(Duration::from_secs(3600)));
    let provider = Provider::new(keyed())
        .answers([lost()])
        .sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (mut host, _) = provider.host();
    host.policies.circuit.threshold = 1;
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("seen"));
    assert_eq!(provider.sent_at().len(), 1);

    let provider = Provider::new(keyed())
        .answers([lost()])
        .sightings([Ok(Sighting::CannotTell)]);
    let (mut host, _) = provider.host();
    host.policies.circuit.threshold = 1;
    let run = host.run("acme::send(1)");
    assert_eq!(
        (run.outcome().status, code_of(&run)),
        (Status::NeedsAttention, "CIRCUIT_OPEN")
    );
}

#[test]
fn a_request_whose_intent_took_too_long_to_reach_the_disk_is_not_sent() {
    struct SlowDisk(Arc<dyn host::store::Store>, Arc<host::testing::TestClock>, AtomicU32);
    impl host::store::Store for SlowDisk {
        fn get(&self, key: &[u8]) -> Result<Option<host::store::Row>, host::store::StoreError> {
            self.0.get(key)
        }
        fn scan(
            &self,
            range: host::store::KeyRange,
            limit: usize,
            reverse: bool,
        ) -> Result<Vec<(Vec<u8>, host::store::Row)>, host::store::StoreError> {
            self.0.scan(range, limit, reverse)
        }
        fn commit(
            &self,
            batch: host::store::Batch,
            durability: host::store::Durability,
        ) -> Result<host::store::CommitNo, host::store::StoreError> {
            if durability == host::store::Durability::Now && self.2.fetch_add(1, Ordering::Relaxed) == 0 {
                self.1.advance(Duration::from_secs(11));
            }
            self.0.commit(batch, durability)
        }
        fn wait_durable(&self, commit: host::store::CommitNo) -> Result<(), host::store::StoreError> {
            self.0.wait_durable(commit)
        }
        fn stats(&self) -> host::store::StoreStats {
            self.0.stats()
        }
    }
    let provider = Provider::new(write());
    let (mut host, ledger) = provider.host();
    host.ground.store = Arc::new(SlowDisk(
        host.ground.store.clone(),
        host.clock.clone(),
        AtomicU32::new(0),
    ));
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!(
        words(&ledger.on_disk(run.id())),
        [
            "begun",
            "intent 1.1",
            "attempt 1.1 SEND_DEADLINE",
            "intent 1.2",
            "answer 1",
            "ended"
        ]
    );
    assert_eq!(provider.sent_at().len(), 1, "only the second attempt left the host");
}

#[test]
fn an_open_circuit_fails_fast_and_one_probe_closes_it() {
    let unwell = || Err(Fault::passing(failure("HTTP_STATUS").status(503)));
    let provider = Provider::new(Declaration::read("acme.get").attempts(1)).answers([
        unwell(),
        refused(),
        unwell(),
        unwell(),
        unwell(),
        unwell(),
        done(),
    ]);
    let (mut host, _) = provider.host();
    host.policies.circuit.threshold = 3;
    for _ in 0..2 {
        host.run("acme::send(1)");
    }
    for _ in 0..3 {
        assert_eq!(
            code_of(&host.run("acme::send(1)")),
            "HTTP_STATUS",
            "a refusal is an answer: it starts the count anew"
        );
    }
    let run = host.run("acme::send(1)");
    assert_eq!(
        (code_of(&run), run.failure().landed, run.failure().retry_after_ms),
        ("CIRCUIT_OPEN", Some(false), Some(60_000))
    );
    assert_eq!(provider.calls().len(), 5, "it was not called");

    host.clock.advance(Duration::from_secs(60));
    assert_eq!(code_of(&host.run("acme::send(1)")), "HTTP_STATUS", "the probe");
    assert_eq!(code_of(&host.run("acme::send(1)")), "CIRCUIT_OPEN", "open again");
    host.clock.advance(Duration::from_secs(60));
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("done"));
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("done"), "closed");
}

#[test]
fn a_circuit_outlives_its_process() {
    let unwell = Err(Fault::passing(failure("HTTP_STATUS").status(503)));
    let provider = Provider::new(Declaration::read("acme.get").attempts(1)).answers([unwell]);
    let (mut host, _) = provider.host();
    host.policies.circuit.threshold = 1;
    host.run("acme::send(1)");
    let after = Provider::new(Declaration::read("acme.get"));
    let mut other = after.clone().lend(TestHost::default()).live("acme");
    other.ground = host.ground.clone();
    other.clock.advance(Duration::from_secs(1));
    assert_eq!(code_of(&other.run("acme::send(1)")), "CIRCUIT_OPEN");
    assert_eq!(after.calls().len(), 0);
}

#[test]
fn a_rate_limit_is_waited_for_and_beyond_five_seconds_without_a_thread() {
    let provider = Provider::new(Declaration::read("acme.get"));
    let (mut host, _) = provider.host();
    host.policies.per_minute.insert("acme".to_owned(), 30);
    let run = host.run("for i in 0..8 { acme::send(i); }");
    assert_eq!(run.outcome().status, Status::Succeeded);
    assert_eq!(provider.sent_at(), [0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 4.0, 6.0]);

    host.policies.per_minute.insert("acme".to_owned(), 6);
    let run = host.start("acme::send(1); acme::send(2);");
    assert_eq!(run.outcome().status, Status::Suspended);
    let waits = run.finished.record.waits.as_ref().expect("it waits");
    assert!(waits.what.contains("rate limit of acme"), "{}", waits.what);
    let run = host.resume(run.id()).expect("it looks again");
    assert_eq!(run.outcome().status, Status::Suspended, "it is too early");
    let driven = host.drive([run.id()]);
    assert_eq!(driven.finished[&run.id()].outcome.status, Status::Succeeded);
    assert_eq!(provider.sent_at().len(), 10);
}

#[test]
fn only_one_run_generates_the_same_thing_at_a_time() {
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let (begun, may_go_on) = (std::sync::Mutex::new(begun), std::sync::Mutex::new(may_go_on));
    let provider = Provider::new(write()).at_each_call(move |_| {
        begun.lock().expect("no panic").send(()).expect("the test waits");
        may_go_on.lock().expect("no panic").recv().expect("the test lets it go");
    });
    let (host, _) = provider.host();
    let runner = runner_of(&host);
    let orders = [
        order(&host, "acme::generate(\"cat\")"),
        order(&host, "acme::generate(\"cat\")"),
        order(&host, "acme::generate(\"dog\")"),
    ];
    std::thread::scope(|scope| {
        let first = scope.spawn(|| runner.run(&orders[0]).expect("it runs"));
        has_begun.recv().expect("the first has begun");
        let second = runner.run(&orders[1]).expect("it runs");
        let failure = second.outcome.error.expect("refused").failure;
        assert_eq!(
            (failure.code.as_str(), failure.status, failure.landed),
            ("GENERATION_IN_PROGRESS", Some(409), Some(false))
        );
        let other = scope.spawn(|| runner.run(&orders[2]).expect("it runs"));
        has_begun.recv().expect("another thing is generated beside it");
        for _ in 0..2 {
            go_on.send(()).expect("they wait");
        }
        assert!(first.join().expect("no panic").succeeded() && other.join().expect("no panic").succeeded());
        go_on.send(()).expect("it will wait");
        assert!(
            runner.run(&orders[1]).expect("it runs").succeeded(),
            "the claim was given back"
        );
    });
}

#[test]
fn a_live_publish_needs_all_three_signals() {
    for signals in 0..8 {
        let given = [signals & 1 != 0, signals & 2 != 0, signals & 4 != 0];
        let provider = Provider::new(write().publishing(true));
        let (mut host, _) = provider.host();
        host.policies.signals = Signals(given);
        let run = host.run("acme::publish(\"clip\")");
        let answer = run.answers()[0].clone();
        if given == [true; 3] {
            assert_eq!((run.value(), answer.simulated.as_ref()), (&Value::from("done"), None));
            let decision = run.recorded.steps[&1].intents[0]
                .decision
                .clone()
                .expect("the decision is with the intent");
            assert!(
                decision.starts_with("allowed: ALLOW_AUTONOMOUS_PUBLISH, PUBLISH_APPROVAL_GRANTED"),
                "{decision}"
            );
            continue;
        }
        assert_eq!(provider.calls().len(), 0, "{given:?}");
        assert!(run.value().as_str().is_some_and(|id| id.starts_with("made-up-")));
        let reason = answer.simulated.expect("it says why");
        for (name, given) in host::gate::governance::SIGNAL_NAMES.into_iter().zip(given) {
            assert_eq!(reason.contains(name), !given, "{reason}");
        }
        assert_eq!(answer.decision.as_ref(), Some(&reason));

        let run = host.run("let code = (); try { acme::publish_strictly(\"clip\") } catch (e) { code = e.code; } code");
        assert_eq!(run.value(), &Value::from("PUBLISH_REFUSED"));
        assert_eq!(run.answers()[0].decision.as_ref(), Some(&reason));
        assert_eq!(provider.calls().len(), 0);
    }
}

#[test]
fn nothing_leaves_a_dry_run() {
    let provider = Provider::new(write().publishing(true));
    let host = provider.clone().lend(TestHost::default()).approved();
    let run = host.run("acme::publish(1); acme::send(2); acme::send(2) == acme::send(2)");
    assert_eq!(
        run.value(),
        &Value::Bool(true),
        "a simulation depends on its arguments alone"
    );
    assert_eq!(provider.calls().len(), 0);
    assert!(
        run.answers()
            .iter()
            .all(|answer| answer.simulated.as_deref() == Some("DRY_RUN is on"))
    );
    assert_eq!(run.answers()[0].decision.as_deref(), Some("would be allowed"));
    assert_eq!(run.finished.record.simulated, 4);
}

#[test]
fn what_the_header_does_not_name_is_not_written_to() {
    let provider = Provider::new(write());
    let (mut host, _) = provider.host();
    host.mode.uses.clear();
    let run = host.run("acme::send(1)");
    assert_eq!((code_of(&run), run.failure().landed), ("NOT_IN_USES", Some(false)));
    assert_eq!(provider.calls().len(), 0);
    let run = host.run("const PLAYBOOK = #{ uses: [\"acme:main\"] };\nacme::send(1)");
    assert_eq!(run.value(), &Value::from("done"));

    let provider = Provider::new(Declaration::read("acme.get"));
    let (mut host, _) = provider.host();
    host.mode.uses.clear();
    assert_eq!(
        host.run("acme::send(1)").value(),
        &Value::from("done"),
        "reading needs no mention"
    );
}

/// Everything a run says to those who watch it.
#[derive(Default)]
struct Everything(std::sync::Mutex<String>);

impl Observer for Everything {
    fn notice(&self, notice: Notice<'_>) {
        self.0.lock().expect("no panic").push_str(&format!("{notice:?}\n"));
    }
}

#[test]
fn a_secret_is_nowhere_to_be_found_in_no_disguise() {
    const SECRET: &str = "sk-live/\"A+b c\\9=é";
    let disguises = || {
        let base64 =
            |before: &str| base64::engine::general_purpose::STANDARD.encode(format!("{before}{SECRET} and more"));
        let url_safe =
            |before: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{before}{SECRET}"));
        let percent = percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string();
        vec![
            SECRET.to_owned(),
            serde_json::Value::from(SECRET).to_string(),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            percent.to_lowercase(),
            percent,
            base64(""),
            base64("k"),
            base64("ke"),
            url_safe("key"),
            url_safe("k"),
        ]
    };
    let all = Value::List(disguises().into_iter().map(Value::from).collect());
    let told = || Failure {
        message: disguises().join(" "),
        details: all.clone(),
        ..failure("HTTP_STATUS")
    };
    let provider = Provider::new(write())
        .answers([
            Err(Fault::passing(told())),
            Ok(Value::from([
                (SECRET, Value::Blob(SECRET.as_bytes().to_vec())),
                ("all", all.clone()),
            ])),
            Err(Fault::refused(told())),
            Err(Fault::refused(told())),
        ])
        .at_each_call(|errand| errand.progress(None, format!("sending {SECRET}")));
    let (mut host, ledger) = provider.host();
    let everything = Arc::new(Everything::default());
    host.observer = everything.clone();
    let host = host.secret("ACME_KEY", SECRET);
    let script = "print(input.key); debug(input); log::info(`the key is ${input.key}`, #{ key: input.all });\n\
        let got = acme::send(input);\nkv::put(\"got\", got);\n\
        try { acme::send(got) } catch (e) { kv::put(\"error\", e); }\nacme::send(3);";
    let input = Value::from([("key", Value::from(SECRET)), ("all", all.clone())]);
    let run = host.run_with(script, input);
    assert_eq!(code_of(&run), "HTTP_STATUS");
    let result = host.run_with("input", Value::from([("all", all.clone())]));
    let thrown = host.run_with(
        "throw #{ code: input.all[0], message: input.all[1], details: input }",
        Value::from([("all", all)]),
    );

    let mut seen = String::from_utf8_lossy(&ledger.bytes()).into_owned();
    seen.push_str(&everything.0.lock().expect("no panic"));
    seen.push_str(&format!(
        "{:?} {:?} {:?}",
        run.outcome(),
        result.outcome(),
        thrown.outcome()
    ));
    assert!(
        seen.matches("[masked:ACME_KEY]").count() > 60,
        "it was there, and is masked"
    );
    for disguise in disguises() {
        // What surrounds it in base64 is no secret.
        let core = &disguise[disguise.len() / 3..disguise.len() * 2 / 3];
        assert!(!seen.contains(core), "{core} of {disguise} is to be seen");
    }
}

#[test]
fn ten_local_effects_take_one_sync_whether_they_change_the_store_or_not() {
    let host = TestHost::default();
    let scripts = [
        "for i in 0..10 { time::now(); }",
        "for i in 0..10 { kv::increment(\"n\"); }",
    ];
    for script in scripts {
        let runner = runner_of(&host);
        let order = order(&host, script);
        // The store syncs by itself when a commit is nearly 100 ms old, which a busy machine may make it.
        let least = (0..5).map(|_| {
            let before = host.ground.store.stats().durable_commits;
            assert!(runner.run(&order).expect("it runs").succeeded());
            host.ground.store.stats().durable_commits - before
        });
        assert_eq!(least.min(), Some(1), "{script}");
    }
}

#[test]
fn runs_that_share_a_counter_or_a_limit_do_not_fail_each_other() {
    let provider = Provider::new(Declaration::read("acme.get"));
    let mut host = provider.clone().lend(TestHost::default()).live("acme");
    host.policies.per_minute.insert("acme".to_owned(), 6_000_000);
    let runner = runner_of(&host);
    let order = order(&host, "for i in 0..10 { kv::increment(\"n\"); acme::send(i); }");
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..48)
            .map(|_| scope.spawn(|| runner.run(&order).expect("it runs").outcome))
            .collect();
        for run in runs {
            let outcome = run.join().expect("no thread panics");
            assert_eq!(outcome.status, Status::Succeeded, "{:?}", outcome.error);
        }
    });
    assert_eq!(host.run("kv::get(\"n\")").value(), &Value::Int(480));
}

#[test]
fn a_run_whose_journal_cannot_be_written_does_nothing_more() {
    for commits in 0..9 {
        let provider = Provider::new(write());
        let (host, ledger) = provider.host();
        let runner = runner_of(&host);
        let order = order(
            &host,
            "for i in 0..3 { try { kv::increment(\"n\"); [1].map(|x| acme::send(x)); } catch { } }",
        );
        ledger.fail_after(commits);
        let run = runner.begin(&order).expect("it begins");
        let ended = runner.finish(&run, &order.script);
        assert_eq!(ended.expect_err("it has no end on record").code(), "STORE_FULL");
        ledger.recover();
        let id = run.tape().run;
        let intents = words(&ledger.on_disk(id))
            .iter()
            .filter(|word| word.starts_with("intent"))
            .count();
        assert_eq!(provider.calls().len(), intents, "whatever left has its intent on disk");
        // An increment, an intent and its answer are a commit each.
        assert_eq!(provider.calls().len() as u32, (commits + 1) / 3);
        let n = host.run("kv::get(\"n\") ?? 0");
        let recorded = Recorded::load(&host.ground, id);
        let answered = |step: &Step| {
            step.answer
                .as_ref()
                .is_some_and(|answer| answer.asked.name == "kv.increment")
        };
        let increments = recorded.map_or(0, |recorded| {
            recorded.steps.values().filter(|step| answered(step)).count()
        });
        assert_eq!(
            n.value(),
            &Value::Int(increments as i64),
            "each change has its entry, and each entry its change"
        );
    }
}

#[test]
fn a_panic_of_whoever_carries_it_out_is_an_outcome() {
    let provider = Provider::new(Declaration::read("acme.get")).at_each_call(|_| panic!("a defect"));
    let (host, _) = provider.host();
    let run = host.run("let code = (); try { acme::send(1) } catch (e) { code = e.code; } code");
    assert_eq!(run.value(), &Value::from("PANIC"));

    let provider = Provider::new(write())
        .at_each_call(|_| panic!("a defect"))
        .sightings([Ok(Sighting::CannotTell)]);
    let (host, ledger) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(
        (run.outcome().status, code_of(&run)),
        (Status::NeedsAttention, "PANIC"),
        "it may have sent it"
    );
    assert_eq!(
        words(&ledger.on_disk(run.id())),
        ["begun", "intent 1.1", "answer 1 PANIC", "ended"]
    );
}

#[test]
fn a_cancelled_run_tells_the_effect_under_way() {
    let (begun, has_begun) = std::sync::mpsc::channel();
    let begun = std::sync::Mutex::new(begun);
    let provider = Provider::new(write()).at_each_call(move |errand| {
        begun.lock().expect("no panic").send(()).expect("the test waits");
        while !errand.is_halted() {
            std::thread::yield_now();
        }
    });
    let (host, ledger) = provider.host();
    let runner = runner_of(&host);
    let order = order(&host, "acme::send(1); acme::send(2);");
    let run = runner.begin(&order).expect("it begins");
    let finished = std::thread::scope(|scope| {
        let finished = scope.spawn(|| runner.finish(&run, &order.script).expect("it ends"));
        has_begun.recv().expect("the first call");
        runner::cancel(&run);
        finished.join().expect("no thread panics")
    });
    assert_eq!(finished.outcome.status, Status::Cancelled);
    assert_eq!(
        words(&ledger.on_disk(finished.record.run)),
        ["begun", "intent 1.1", "answer 1", "ended"],
        "what was sent is awaited"
    );
    assert!(host.replay(finished.record.run).same);
}

#[test]
fn arguments_that_no_row_would_hold_are_refused_before_anything_happens() {
    let provider = Provider::new(write());
    let (mut host, _) = provider.host();
    host.limits.string_bytes = 64 << 20;
    let pad = "let s = \"\"; s.pad(4000000, 'x'); ";
    let run = host.run(&format!(
        "{pad}let m = #{{}}; m.a = s; m.b = s; m.c = s; kv::put(\"m\", m)"
    ));
    assert_eq!(code_of(&run), "VALUE_TOO_LARGE");
    let run = host.run(&format!(
        "{pad}let a = []; a.push(s); acme::send(a); acme::send(a); acme::send(a); 1"
    ));
    assert_eq!(
        run.value(),
        &Value::Int(1),
        "twelve megabytes of entries are written in several rows"
    );
}

#[test]
fn costs_of_attempts_add_up() {
    let provider = Provider::new(write())
        .answers([passing(), done()])
        .at_each_call(|errand| errand.cost(0.25));
    let (host, _) = provider.host();
    let run = host.run("acme::send(1)");
    assert_eq!(run.answers()[0].cost_usd, Some(0.5));
    assert_eq!(run.finished.record.cost_usd, 0.5);
}

#[test]
fn a_mode_is_fixed_when_the_run_begins() {
    let provider = Provider::new(write());
    let (mut host, _) = provider.host();
    host.mode = RunMode {
        live: true,
        ..RunMode::default()
    };
    let run = host.run("acme::send(1)");
    assert_eq!(
        run.answers()[0].simulated.as_deref(),
        Some("it was not configured when the run was created")
    );
    assert_eq!(provider.calls().len(), 0);
}
