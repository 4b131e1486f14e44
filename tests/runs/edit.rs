//! A run goes on with an edited script: what landed is not done again.

use std::collections::BTreeSet;
use std::sync::Arc;

use host::gate::Silent;
use host::id::{RunId, StepNo};
use host::journal::{Recorded, Status};
use host::runs::edit::{Amendment, preview};
use host::runs::whatif::Options;
use host::runs::{Finished, Resume, ResumeError};
use host::testing::TestHost;
use host::testing::http_stub::HttpStub;
use host::value::Value;

struct Place {
    stub: HttpStub,
    host: TestHost,
}

fn place() -> Place {
    let stub = HttpStub::start();
    stub.on("POST", "/x").json(201, serde_json::json!({ "id": 7 }));
    let host = TestHost::default().live("http").live("http_writes").host(&stub.host());
    Place { stub, host }
}

impl Place {
    fn script(&self, text: &str) -> String {
        text.replace("URL", &self.stub.url("/x"))
    }

    fn amendment(&self, script: &str, keep: &[StepNo], again: &[StepNo]) -> Amendment {
        Amendment {
            script: self.host.compile(&self.script(script)),
            input: Default::default(),
            keep: keep.iter().copied().collect(),
            again: again.iter().copied().collect(),
        }
    }

    fn amend(&self, run: RunId, amendment: &Amendment) -> Result<Finished, ResumeError> {
        let runner = self.host.runner();
        let how = Resume {
            by: "test".to_owned(),
            observer: Arc::new(Silent),
        };
        let (handle, script) = runner.amend(&self.host.library(), run, amendment, &how)?;
        Ok(runner.finish(&handle, &script)?)
    }

    fn undecided(&self, run: RunId, amendment: &Amendment) -> BTreeSet<StepNo> {
        let recorded = Recorded::load(&self.host.ground, run).expect("readable");
        let runner = self.host.runner();
        let preview =
            preview(&runner, &self.host.library(), &recorded, amendment, &Options::new()).expect("it is asked");
        preview
            .undecided(amendment)
            .iter()
            .filter_map(|diff| diff.old_step())
            .collect()
    }
}

const BROKEN: &str = "const PLAYBOOK = #{ uses: [\"http_writes\"] };\nkv::put(\"a\", 1);\nlet id = http::post(\"URL\", #{ text: \"one\" }).json.id;\nid.nonsense();";

#[test]
fn a_mended_script_goes_on_after_what_landed() {
    let place = place();
    let run = place.host.run(&place.script(BROKEN));
    assert_eq!(run.outcome().status, Status::Failed);
    let mended = BROKEN.replace(
        "id.nonsense();",
        "kv::put(\"id\", id);\nkv::get(\"id\") + kv::get(\"a\")",
    );
    let amendment = place.amendment(&mended, &[], &[]);
    assert_eq!(place.undecided(run.id(), &amendment), BTreeSet::new());
    let finished = place.amend(run.id(), &amendment).expect("it goes on");
    assert_eq!(finished.outcome.value, Value::Int(8), "{:?}", finished.outcome);
    assert_eq!(place.stub.count("POST", "/x"), 1, "it landed before");
    let recorded = Recorded::load(&place.host.ground, run.id()).expect("readable");
    let from = |step: StepNo| recorded.steps[&step].answer.as_ref().and_then(|answer| answer.from);
    assert_eq!((from(1), from(2), from(3)), (Some(1), Some(2), None));
    assert!(place.host.replay(run.id()).same);
}

#[test]
fn a_landed_write_that_would_change_needs_a_decision() {
    let place = place();
    let run = place.host.run(&place.script(BROKEN)).id();
    let changed = BROKEN.replace("one", "two").replace("id.nonsense();", "id");
    let plain = place.amendment(&changed, &[], &[]);
    assert_eq!(place.undecided(run, &plain), BTreeSet::from([2]));
    // Whoever goes on all the same is stopped before anything leaves.
    let stopped = place.amend(run, &plain).expect("it is taken over");
    assert_eq!(
        stopped.outcome.error.expect("refused").failure.code,
        "LANDED_WRITE_CHANGED"
    );
    assert_eq!(place.stub.count("POST", "/x"), 1);

    let again = place.host.run(&place.script(BROKEN)).id();
    let kept = place
        .amend(again, &place.amendment(&changed, &[2], &[]))
        .expect("it goes on");
    assert_eq!((kept.outcome.value, place.stub.count("POST", "/x")), (Value::Int(7), 2));
    let again = place.host.run(&place.script(BROKEN)).id();
    let anew = place
        .amend(again, &place.amendment(&changed, &[], &[2]))
        .expect("it goes on");
    assert_eq!((anew.outcome.value, place.stub.count("POST", "/x")), (Value::Int(7), 4));
    let recorded = Recorded::load(&place.host.ground, again).expect("readable");
    let past = recorded.past.iter().map(|(_, step)| step);
    let intents = recorded.steps.values().chain(past).flat_map(|step| &step.intents);
    let keys: Vec<&str> = intents.map(|intent| intent.key.as_str()).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_ne!(keys[0], keys[1], "no key is used for two writes");
}

#[test]
fn a_crash_on_the_way_through_the_edited_script_repeats_nothing() {
    let place = place();
    let text = "kv::put(\"a\", 1);\nhttp::post(\"URL\", #{ text: \"one\" });\nhttp::post(\"URL\", #{ text: \"two\" });\nlet x = (); x.nonsense();";
    let run = place.host.run(&place.script(text)).id();
    let mended = text.replace(
        "let x = (); x.nonsense();",
        "run::sleep(\"1h\");\nkv::increment(\"ends\")",
    );
    let suspended = place
        .amend(run, &place.amendment(&mended, &[], &[]))
        .expect("it goes on");
    assert_eq!(suspended.outcome.status, Status::Suspended);
    place.host.clock.advance(std::time::Duration::from_secs(3600));
    // Another process takes it from there, and a third after that one was killed before its first step.
    let runner = place.host.runner();
    let how = Resume {
        by: "test".to_owned(),
        observer: Arc::new(Silent),
    };
    runner.take_over(&place.host.library(), run, &how).expect("taken");
    let finished = place.host.resume(run).expect("it goes on");
    assert_eq!(finished.value(), &Value::Int(1));
    assert_eq!(place.stub.count("POST", "/x"), 2);
}

#[test]
fn what_an_edited_script_has_changed_it_reads_anew() {
    let place = place();
    let text = "kv::put(\"a\", 1);\nlet a = kv::get(\"a\");\nlet b = kv::increment(\"n\");\n().nonsense();";
    let run = place.host.run(text).id();
    let mended = text
        .replace("(\"a\", 1)", "(\"a\", 2)")
        .replace("().nonsense();", "[a, b]");
    let finished = place
        .amend(run, &place.amendment(&mended, &[], &[]))
        .expect("it goes on");
    assert_eq!(finished.outcome.value.to_string(), "[2,1]", "counted once");
}

#[test]
fn a_run_that_succeeded_is_not_edited() {
    let place = place();
    let run = place.host.run("1").id();
    let refused = place.amend(run, &place.amendment("2", &[], &[])).expect_err("refused");
    assert_eq!(refused.code(), "RUN_OVER");
}

#[test]
fn a_second_edit_finds_what_was_done_before_the_first_although_its_lines_are_gone() {
    let place = place();
    let text =
        "kv::increment(\"one\");\nkv::increment(\"two\");\nhttp::post(\"URL\", #{ text: \"a\" });\nthrow \"no\";";
    let run = place.host.run(&place.script(text)).id();
    // It stops before it has come to what was done.
    let first =
        "run::sleep(\"1h\");\nkv::increment(\"one\");\nkv::increment(\"two\");\nhttp::post(\"URL\", #{ text: \"a\" });";
    let waits = place.amend(run, &place.amendment(first, &[], &[])).expect("it goes on");
    assert_eq!(waits.outcome.status, Status::Suspended);
    let second =
        "kv::increment(\"one\");\nkv::increment(\"two\");\nhttp::post(\"URL\", #{ text: \"a\" });\nkv::get(\"two\")";
    let ended = place
        .amend(run, &place.amendment(second, &[], &[]))
        .expect("it goes on");
    assert_eq!(
        (ended.outcome.value, place.stub.count("POST", "/x")),
        (Value::Int(1), 1)
    );
}

#[test]
fn a_run_that_has_written_is_not_started_again_by_an_edit_unless_that_is_said() {
    let place = place();
    let child = place.script("const PLAYBOOK = #{ uses: [\"http_writes\"], inputs: #{ n: #{ type: \"int\" } } };\nhttp::post(\"URL\", #{ n: input.n }).json.id");
    let place = Place {
        host: place.host.file("playbooks/child.rhai", &child),
        stub: place.stub,
    };
    let text = "let id = playbook::run(\"child\", #{ n: 1 });\nid.nonsense();";
    let changed = text.replace("n: 1", "n: 2").replace("id.nonsense();", "id");
    let run = place.host.run(text).id();
    assert_eq!(place.stub.count("POST", "/x"), 1);
    assert_eq!(
        place.undecided(run, &place.amendment(&changed, &[], &[])),
        BTreeSet::from([1])
    );
    let kept = place
        .amend(run, &place.amendment(&changed, &[1], &[]))
        .expect("it goes on");
    assert_eq!((kept.outcome.value, place.stub.count("POST", "/x")), (Value::Int(7), 1));
}

/// A step that was kept for a call with other arguments was forgotten, and the same call, later in the script, was sent
/// once more.
#[test]
fn what_was_kept_for_another_call_is_not_sent_again_when_it_is_asked_for_itself() {
    let place = place();
    let run = place.host.run(&place.script(BROKEN)).id();
    let twice = BROKEN.replace("let id = ", "http::post(\"URL\", #{ text: \"before\" });\nlet id = ");
    let stopped = place
        .amend(run, &place.amendment(&twice, &[2], &[]))
        .expect("it is taken over");
    let failure = stopped.outcome.error.expect("refused").failure;
    assert_eq!(failure.code, "LANDED_WRITE_CHANGED", "{}", failure.message);
    assert_eq!(place.stub.count("POST", "/x"), 1);
    // And not by the next edit either, unless that names the step which has its outcome now.
    let mended = BROKEN.replace("id.nonsense();", "id");
    let stopped = place
        .amend(run, &place.amendment(&mended, &[], &[]))
        .expect("it is taken over");
    assert_eq!(
        stopped.outcome.error.expect("refused").failure.code,
        "LANDED_WRITE_CHANGED"
    );
    assert_eq!(place.stub.count("POST", "/x"), 1);
}

/// A step of an earlier script was shown under one number and taken by another.
#[test]
fn what_is_left_of_an_earlier_script_is_named_by_the_number_that_is_shown() {
    let place = place();
    let run = place.host.run(&place.script(BROKEN)).id();
    // The edited script has not come to the post when it fails.
    let first = "const PLAYBOOK = #{ uses: [\"http_writes\"] };\nkv::put(\"b\", 1);\nkv::put(\"c\", 1);\nlet x = (); x.nonsense();";
    let failed = place.amend(run, &place.amendment(first, &[], &[])).expect("it goes on");
    assert_eq!(failed.outcome.status, Status::Failed);
    let without = first.replace("let x = (); x.nonsense();", "kv::get(\"b\")");
    let undecided = place.undecided(run, &place.amendment(&without, &[], &[]));
    assert_eq!(
        undecided,
        BTreeSet::from([4]),
        "steps 1 and 2 are the edited script's own"
    );
    assert_eq!(
        place.undecided(run, &place.amendment(&without, &[4], &[])),
        BTreeSet::new()
    );
}
