//! Explanations of made-up runs.

use super::*;
use crate::effect::{Class, Place, RunMode};
use crate::id::{ContentHash, RunId};
use crate::journal::{Answer, Asked, Awaited, Begun, Entry, Intent, RunError, Suspended, Waits, Wake};

const BEGUN_MS: i64 = 1_763_683_200_000;

fn begun() -> Begun {
    Begun {
        run: RunId::new(BEGUN_MS, 7),
        playbook: "daily/publish".to_owned(),
        file: "playbooks/daily/publish.rhai".to_owned(),
        version: ContentHash::of(b"script"),
        modules: Default::default(),
        api: 1,
        mode: RunMode::dry(),
        input: Value::from([("topic", Value::from("habits"))]),
        at_ms: BEGUN_MS,
        trigger: "by hand".to_owned(),
        epoch: 1,
        by: Default::default(),
        parent: None,
        cause: None,
        edition: None,
        retry_of: None,
        corr: None,
    }
}

fn asked(step: u32, name: &str) -> Asked {
    let class = match name.split_once('.') {
        Some(("acme", _)) => Class::Write,
        _ => Class::Local,
    };
    Asked {
        step,
        name: name.to_owned(),
        class,
        args: Value::from([("path", Value::from("/posts"))]),
        place: Place::default(),
    }
}

fn answer(step: u32, name: &str) -> Entry {
    Entry::Answer(Box::new(Answer {
        asked: asked(step, name),
        ..Answer::default()
    }))
}

fn intent(step: u32, name: &str, at_ms: u64) -> Entry {
    Entry::Intent(Intent {
        asked: asked(step, name),
        attempt: 1,
        key: "k".to_owned(),
        at_ms,
        send_deadline_ms: 10_000,
        epoch: 1,
        decision: None,
    })
}

fn recorded(entries: Vec<Entry>) -> Recorded {
    let first = Entry::Begun(Box::new(begun()));
    let entries = std::iter::once(first).chain(entries).collect();
    Recorded::from_entries(begun().run, entries).expect("a journal")
}

fn record(status: Status, failure: Option<(&str, Option<u32>)>) -> RunRecord {
    let begun = begun();
    RunRecord {
        run: begun.run,
        playbook: begun.playbook,
        file: begun.file,
        version: begun.version,
        status,
        live: true,
        begun_ms: BEGUN_MS,
        ended_ms: Some(BEGUN_MS + 2_400),
        effects: 2,
        simulated: 0,
        cost_usd: 0.0,
        error: failure.map(|(code, step)| RunError {
            failure: Failure::new(code, "the message"),
            place: Place::default(),
            step,
        }),
        parent: None,
        lease: None,
        waits: None,
        corr: None,
    }
}

fn names(deeds: &[Deed]) -> Vec<&str> {
    deeds.iter().map(|deed| deed.name.as_str()).collect()
}

fn told(why: &Why) -> Vec<&str> {
    why.next.iter().map(|next| next.command.as_str()).collect()
}

#[test]
fn what_usually_follows_is_told_from_the_last_effect_that_both_runs_have() {
    let before = recorded(vec![
        answer(1, "kv.get"),
        answer(2, "acme.post"),
        answer(3, "store.put"),
        answer(4, "kv.get"),
        answer(5, "acme.post"),
        answer(6, "kv.put"),
    ]);
    let run = |entries| {
        let record = record(Status::Failed, Some(("X", None)));
        explain(&record, &recorded(entries), None, Some(&before))
            .deeds
            .not_begun
    };
    assert_eq!(
        names(&run(vec![answer(1, "kv.get"), answer(2, "acme.post")])),
        ["store.put", "acme.post", "kv.put"]
    );
    let twice = vec![answer(1, "kv.get"), answer(2, "acme.post"), answer(3, "acme.post")];
    assert_eq!(names(&run(twice)), ["kv.put"]);
    let strange = vec![answer(1, "random.int"), answer(2, "kv.get"), answer(3, "acme.post")];
    assert_eq!(names(&run(strange)), ["store.put", "acme.post", "kv.put"]);
    assert!(
        run(before
            .steps
            .values()
            .map(|step| Entry::Answer(Box::new(step.answer.clone().unwrap())))
            .collect())
        .is_empty()
    );
    let unknown = explain(
        &record(Status::Failed, Some(("X", None))),
        &recorded(vec![answer(1, "kv.get")]),
        None,
        None,
    );
    assert!(
        unknown.deeds.not_begun.is_empty(),
        "nothing is made up where nothing is known"
    );
}

#[test]
fn an_effect_belongs_on_the_list_of_what_is_known_of_it() {
    let with = |step, change: &dyn Fn(&mut Answer)| {
        let mut answer = Answer {
            asked: asked(step, "acme.post"),
            ..Answer::default()
        };
        change(&mut answer);
        Entry::Answer(Box::new(answer))
    };
    let failed = |landed| Some(Failure::new("X", "no").landed(landed));
    let run = recorded(vec![
        with(1, &|_| {}),
        with(2, &|answer| answer.error = failed(Some(false))),
        with(3, &|answer| answer.error = failed(Some(true))),
        with(4, &|answer| (answer.error, answer.in_doubt) = (failed(None), true)),
        with(5, &|answer| answer.simulated = Some("DRY_RUN is on".to_owned())),
        with(6, &|answer| {
            answer.value = Value::from([("assumed", Value::Bool(true))])
        }),
        answer(7, "store.put"),
        answer(8, "store.get"),
        intent(9, "acme.post", 100),
    ]);
    let deeds = Deeds::of(&run, None);
    let steps = |deeds: &[Deed]| deeds.iter().filter_map(|deed| deed.step).collect::<Vec<_>>();
    assert_eq!(steps(&deeds.landed), [1, 3, 6]);
    assert_eq!(steps(&deeds.not_landed), [2]);
    assert_eq!(steps(&deeds.in_doubt), [4, 9]);
    assert_eq!(steps(&deeds.simulated), [5]);
    assert_eq!(steps(&deeds.kept), [7]);
    assert!(deeds.landed[2].what.starts_with("assumed"), "{:?}", deeds.landed);
}

#[test]
fn a_run_that_was_cut_off_is_resumed_and_its_open_write_looked_up() {
    let run = recorded(vec![answer(1, "kv.put"), intent(2, "acme.post", 100)]);
    let why = explain(&record(Status::Running, None), &run, Some("Daily"), None);
    assert_eq!(why.headline, "Daily (daily/publish) topic=habits has not ended");
    assert_eq!(
        why.story,
        "It has no end on record: it is still at work, or its host was stopped after step 1, kv.put /posts. \
         Step 2, acme.post /posts, was begun there, and no answer is on record: whether it landed is looked up when \
         the run is resumed. So far, 1 change of the store is kept."
    );
    let short = begun().run.short();
    assert_eq!(told(&why)[0], format!("host resume {short}"));
}

#[test]
fn a_cancelled_run_starts_anew_only_if_nothing_landed() {
    let short = begun().run.short();
    let cancelled = record(Status::Cancelled, Some(("CANCELLED", None)));
    let why = explain(&cancelled, &recorded(vec![answer(1, "kv.put")]), None, None);
    assert_eq!(told(&why)[0], format!("host retry {short}"));
    assert!(
        why.story.starts_with("It was cancelled after step 1, kv.put /posts."),
        "{}",
        why.story
    );
    let why = explain(&cancelled, &recorded(vec![answer(1, "acme.post")]), None, None);
    assert_eq!(told(&why)[0], format!("host retry {short} --again 1"));
}

#[test]
fn each_cause_has_its_own_way_out() {
    let run = recorded(vec![answer(1, "kv.put")]);
    let short = begun().run.short();
    let file = begun().file;
    for (code, step, first) in [
        ("HTTP_TIMEOUT", Some(1), format!("host resume {short}")),
        ("UNKNOWN_VARIABLE", None, file.clone()),
        ("LIMIT_TIME", None, format!("host replay {short} --with {file}")),
        ("NONDETERMINISM", Some(1), format!("host show {short}")),
        ("STORE_FULL", None, format!("host resume {short}")),
    ] {
        let why = explain(&record(Status::Failed, Some((code, step))), &run, None, None);
        assert_eq!(told(&why)[0], first, "{code}");
    }
    let mut kept = run;
    kept.begun.edition = Some(1);
    let why = explain(
        &record(Status::Failed, Some(("PROMPT_VARIABLE", Some(1)))),
        &kept,
        None,
        None,
    );
    assert_eq!(told(&why)[0], format!("host resume {short} --with {file}"));
}

#[test]
fn what_the_provider_said_is_not_said_twice() {
    let failure = |details: Value| Failure::new("X", "acme answered 422: too long").details(details);
    let said = |details| words(&failure(details));
    assert_eq!(said(Value::from([("body", Value::from("too long"))])), [""; 0]);
    let body = Value::from([
        ("body", Value::from("too long\n\nby 3 s")),
        ("request_id", Value::from("r-1")),
    ]);
    assert_eq!(said(body), ["by 3 s", "request id r-1"]);
    assert_eq!(said(Value::from(vec![Value::from("line"), Value::Int(1)])), ["line"]);
}

#[test]
fn a_run_that_waits_says_what_for_and_who_can_help() {
    let waiting = |name: &str, awaited: Awaited| {
        let suspended = Suspended {
            asked: Asked {
                args: Value::Unit,
                ..asked(2, name)
            },
            wake: Wake { at_ms: None, awaited },
            at_ms: 5,
            active_ms: 5,
        };
        let what = suspended.wake.awaited.in_words();
        let mut record = record(Status::Suspended, None);
        record.waits = Some(Waits {
            step: 2,
            until_ms: Some(BEGUN_MS),
            what: what.clone(),
        });
        let run = recorded(vec![answer(1, "kv.put"), Entry::Suspended(Box::new(suspended))]);
        (explain(&record, &run, None, None), what)
    };
    let short = begun().run.short();
    let text = "go?".to_owned();
    let (why, what) = waiting("run.ask", Awaited::Question { text });
    assert_eq!(
        why.story,
        format!(
            "At step 2, run.ask, it waits for {what}, and goes on at 2025-11-21 00:00:00 UTC whatever comes. So far, 1 change \
             of the store is kept."
        )
    );
    assert_eq!(told(&why)[0], format!("host answer {short} \"…\""));
    let name = "approved".to_owned();
    assert_eq!(
        told(&waiting("run.wait_event", Awaited::Event { name }).0)[0],
        "host emit approved"
    );
    assert_eq!(
        told(&waiting("run.sleep", Awaited::Time).0)[0],
        format!("host show {short}")
    );
}

#[test]
fn what_landed_before_an_edit_is_still_told() {
    let mut run = recorded(vec![answer(1, "acme.post")]);
    let step = run.steps.remove(&1).expect("a step");
    run.past.push((1, step.clone()));
    let deeds = Deeds::of(&run, None);
    assert_eq!(names(&deeds.landed), ["acme.post"]);
    run.steps.insert(2, step);
    assert_eq!(
        Deeds::of(&run, None).landed.len(),
        1,
        "a step that was kept is told once"
    );
}
