//! Jobs and their runs, from the push to the one end that each job has.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::after::After;
use super::edition_tests::{edition, turn};
use super::jobs::Jobs;
use super::{Trigger, Turn};
use crate::gate::Silent;
use crate::io::clock::Clock;
use crate::journal::{Cause, Recorded, RunRecord, Status};
use crate::runs::conductor::{Crew, Offer, Shift, What};
use crate::runs::edit::Amendment;
use crate::runs::{Resume, recovery};
use crate::script::triggers::{Consumes, Follows, Triggers};
use crate::serve::Edition;
use crate::store::keys::{self, QueueRow};
use crate::store::queue::pause::Paused;
use crate::store::queue::{self, State, Stats, Taken, Wanted};
use crate::store::ticks::{self, Pause};
use crate::store::{Batch, CommitNo, Durability, KeyRange, Realm, Row, Store, StoreError, StoreStats, Tx};
use crate::testing::TestHost;
use crate::value::Value;

fn host(playbooks: &[(&str, &str)]) -> TestHost {
    let host = TestHost::default().file("host.toml", "");
    playbooks.iter().fold(host, |host, (name, script)| {
        host.file(&format!("playbooks/{name}.rhai"), script)
    })
}

fn consumes(queue: &str, concurrency: u32) -> Triggers {
    Triggers {
        queue: Some(Consumes {
            name: queue.to_owned(),
            concurrency,
        }),
        ..Triggers::default()
    }
}

fn in_queue<T>(host: &TestHost, work: impl Fn(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
    let mut tx = Tx::new(&host.ground, Realm::Dry, host.clock.unix_ms());
    let answer = work(&mut tx).expect("the store answers");
    host.ground
        .store
        .commit(tx.batch, Durability::Soon)
        .expect("nobody else is here");
    answer
}

fn push(host: &TestHost, queue: &str, payload: Value, attempts_max: u32) -> u64 {
    let wanted = Wanted {
        attempts_max,
        ..Wanted::default()
    };
    in_queue(host, |tx| queue::push(tx, queue, &payload, &wanted)).job
}

fn stats(host: &TestHost, queue: &str) -> Stats {
    in_queue(host, |tx| queue::stats(tx, queue))
}

fn only_job(host: &TestHost, queue: &str) -> Taken {
    let mut jobs = in_queue(host, |tx| queue::list(tx, queue, None, 10));
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

fn kv(host: &TestHost, key: &str) -> String {
    in_queue(host, |tx| crate::store::kv::get(tx, key)).map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn look(host: &TestHost, edition: &Edition, room: usize) -> Turn {
    Jobs::default()
        .turn(edition, host.clock.unix_ms(), room)
        .expect("the store takes it")
}

/// Fails as long as `inbox/a.txt` is not there, after it has counted that it was begun.
const NEEDS_FILE: &str = r#"kv::increment("begun"); file::read_text("inbox/a.txt"); kv::increment("done")"#;

#[test]
fn a_job_is_done_by_a_run_that_is_given_its_payload_and_leaves_the_queue() {
    let script = r#"const PLAYBOOK = #{ inputs: #{ clip: #{ type: "string" } } }; kv::put("seen", input.clip)"#;
    let host = host(&[("render", script)]);
    let edition = edition(&host, &[("render", consumes("renders", 4))]);
    let job = push(&host, "renders", Value::from([("clip", "a".into())]), 5);
    let (turn, driven) = turn(&host, &edition, &mut Jobs::default(), 8);
    let run = turn.runs[0].run;
    assert_eq!(driven.finished[&run].record.status, Status::Succeeded);
    assert_eq!(kv(&host, "seen"), r#""a""#);
    assert_eq!(stats(&host, "renders"), Stats::default());
    let begun = Recorded::load(&host.ground, run).unwrap().begun;
    let queue = "renders".to_owned();
    assert_eq!(begun.cause, Some(Cause::Job { queue, job }));
    assert_eq!(begun.trigger, "by queue renders, job 0");
    assert_eq!(look(&host, &edition, 8), Turn::default());
}

#[test]
fn what_is_no_map_is_the_input_payload() {
    let script = r#"const PLAYBOOK = #{ inputs: #{ payload: #{ type: "int" } } }; kv::put("seen", input.payload)"#;
    let host = host(&[("render", script)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Int(7), 5);
    turn(&host, &edition, &mut Jobs::default(), 8);
    assert_eq!(kv(&host, "seen"), "7");
}

#[test]
fn the_next_attempt_goes_on_with_the_same_run_after_a_wait() {
    let host = host(&[("render", NEEDS_FILE)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Unit, 5);
    let mut jobs = Jobs::default();
    let (first, driven) = turn(&host, &edition, &mut jobs, 8);
    assert_eq!(driven.finished[&first.runs[0].run].record.status, Status::Failed);
    let waiting = only_job(&host, "q");
    let now_ms = host.clock.unix_ms();
    assert_eq!(waiting.job.state(now_ms as u64), State::Delayed);
    assert!(waiting.job.reason.unwrap().starts_with("FILE_NOT_FOUND"));
    let look = look(&host, &edition, 8);
    assert_eq!((look.runs.len(), look.next_ms), (0, Some(now_ms + 30_000)));

    let host = host.file("inbox/a.txt", "here");
    host.clock.advance(Duration::from_secs(30));
    let (second, driven) = turn(&host, &edition, &mut jobs, 8);
    assert_eq!((second.runs.len(), second.runs[0].run), (1, first.runs[0].run));
    assert_eq!(driven.finished[&second.runs[0].run].record.status, Status::Succeeded);
    assert_eq!(
        (kv(&host, "begun"), kv(&host, "done")),
        ("1".to_owned(), "1".to_owned())
    );
    assert_eq!(stats(&host, "q"), Stats::default());
}

#[test]
fn a_consumer_that_always_fails_buries_its_job_and_a_retry_goes_on_where_it_stopped() {
    let host = host(&[("render", NEEDS_FILE)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Unit, 3);
    let mut jobs = Jobs::default();
    for _ in 0..10 {
        turn(&host, &edition, &mut jobs, 8);
        host.clock.advance(Duration::from_secs(3600));
    }
    let dead = only_job(&host, "q");
    assert_eq!((dead.job.attempts, dead.job.died_ms.is_some()), (3, true));

    let host = host.file("inbox/a.txt", "here");
    assert!(in_queue(&host, |tx| queue::requeue(tx, "q", dead.number)));
    let (turn, _) = turn(&host, &edition, &mut jobs, 8);
    assert_eq!(Some(turn.runs[0].run), dead.job.run);
    assert_eq!(
        (kv(&host, "begun"), kv(&host, "done")),
        ("1".to_owned(), "1".to_owned())
    );
    assert_eq!(stats(&host, "q"), Stats::default());
}

#[test]
fn a_job_whose_run_its_script_ended_is_dead_at_once_and_a_retry_gets_the_mended_script() {
    let host = host(&[("render", r#"throw "no such template""#)]);
    let first = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Unit, 5);
    let (begun, _) = turn(&host, &first, &mut Jobs::default(), 8);
    let dead = only_job(&host, "q");
    assert!(dead.job.died_ms.is_some());
    assert!(dead.job.reason.as_ref().unwrap().contains("no such template"));

    let host = host.file("playbooks/render.rhai", "kv::put(\"mended\", true)");
    assert!(in_queue(&host, |tx| queue::requeue(tx, "q", dead.number)));
    let second = edition(&host, &[("render", consumes("q", 1))]);
    let (again, _) = turn(&host, &second, &mut Jobs::default(), 8);
    assert_ne!(again.runs[0].run, begun.runs[0].run);
    assert_eq!(kv(&host, "mended"), "true");
    assert_eq!(stats(&host, "q"), Stats::default());
}

#[test]
fn a_dead_job_is_done_when_somebody_mends_its_run() {
    let host = host(&[("render", r#"throw "no such template""#)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Unit, 5);
    let (begun, _) = turn(&host, &edition, &mut Jobs::default(), 8);
    let amendment = Amendment {
        script: host.compile("7"),
        input: Default::default(),
        keep: Default::default(),
        again: Default::default(),
    };
    let how = Resume {
        by: "anna".to_owned(),
        observer: Arc::new(Silent),
    };
    let runner = host.runner();
    let run = begun.runs[0].run;
    let (handle, script) = runner.amend(&host.library(), run, &amendment, &how).unwrap();
    assert_eq!(stats(&host, "q").dead, 1);
    let finished = runner.finish(&handle, &script).unwrap();
    assert_eq!(finished.record.status, Status::Succeeded);
    assert_eq!(stats(&host, "q"), Stats::default());
}

#[test]
fn a_poisoned_job_is_dead_without_a_run_and_those_behind_it_are_done() {
    let script =
        r#"const PLAYBOOK = #{ inputs: #{ clip: #{ type: "string", required: true } } }; kv::put("seen", input.clip)"#;
    let host = host(&[("render", script)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    for payload in [Value::from([("clop", "a".into())]), Value::Int(7), Value::Unit] {
        push(&host, "q", payload, 5);
    }
    push(&host, "q", Value::from([("clip", "b".into())]), 5);
    turn(&host, &edition, &mut Jobs::default(), 8);
    assert_eq!(kv(&host, "seen"), r#""b""#);
    assert_eq!(stats(&host, "q").dead, 3);
    let dead = in_queue(&host, |tx| queue::list(tx, "q", Some(State::Dead), 10));
    assert!(dead.iter().all(|dead| dead.job.run.is_none()));
    let reason = dead[0].job.reason.as_ref().unwrap();
    assert!(reason.contains("INPUT") && reason.contains("render"), "{reason}");
}

#[test]
fn jobs_that_nobody_can_do_keep_no_turn_for_themselves() {
    let script = r#"const PLAYBOOK = #{ inputs: #{ clip: #{ type: "string", required: true } } }; input.clip"#;
    let host = host(&[("render", script)]);
    let edition = edition(&host, &[("render", consumes("q", 8))]);
    for _ in 0..600 {
        push(&host, "q", Value::Int(7), 5);
    }
    let first = look(&host, &edition, 8);
    assert!(first.has_more && first.runs.is_empty());
    let dead = stats(&host, "q").dead;
    assert!((256..300).contains(&dead), "{dead}");
    assert!(look(&host, &edition, 8).has_more);
    assert!(!look(&host, &edition, 8).has_more);
    assert_eq!(stats(&host, "q").dead, 600);
}

#[test]
fn who_follows_is_told_of_the_last_attempt_at_a_job_alone() {
    let host = host(&[("tries", NEEDS_FILE), ("follower", "kv::increment(\"told\")")]);
    let follows = Triggers {
        after: vec![Follows {
            playbook: "tries".to_owned(),
            status: None,
        }],
        ..Triggers::default()
    };
    let edition = edition(&host, &[("tries", consumes("q", 1)), ("follower", follows)]);
    let mut after = After::default();
    turn(&host, &edition, &mut after, 8);
    push(&host, "q", Value::Unit, 2);
    for told in [0, 1] {
        host.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(turn(&host, &edition, &mut Jobs::default(), 8).0.runs.len(), 1);
        assert_eq!(turn(&host, &edition, &mut after, 8).0.runs.len(), told);
    }
    assert_eq!(stats(&host, "q").dead, 1);
}

/// What is left of a job whose large payload was lost.
fn lose_payload(host: &TestHost, queue: &str, number: u64) {
    let key = keys::queue(Realm::Dry, queue, &QueueRow::Job(number));
    let row = host.ground.store.get(&key).unwrap().expect("it is there");
    let mut job: queue::Job = rmp_serde::from_slice(&row.value).expect("a job");
    job.payload = [&[1][..], &[7; 32]].concat();
    in_queue(host, |tx| {
        tx.batch.put(key.clone(), rmp_serde::to_vec_named(&job).expect("a job"));
        Ok(())
    });
}

#[test]
fn a_job_whose_payload_is_lost_is_dead_and_those_behind_it_are_done() {
    let host = host(&[("render", "kv::increment(\"done\")")]);
    let edition = edition(&host, &[("render", consumes("q", 4))]);
    for queue in ["q", "leased"] {
        push(&host, queue, Value::Unit, 5);
        push(&host, queue, Value::Unit, 5);
        lose_payload(&host, queue, 0);
    }
    let (given, _) = turn(&host, &edition, &mut Jobs::default(), 8);
    assert_eq!((given.runs.len(), kv(&host, "done").as_str()), (1, "1"));
    let taken = in_queue(&host, |tx| queue::take(tx, "leased", 1000)).expect("the one behind it");
    assert_eq!(taken.number, 1);
    for queue in ["q", "leased"] {
        let dead = in_queue(&host, |tx| queue::list(tx, queue, Some(State::Dead), 10));
        let reason = dead[0].job.reason.clone().unwrap_or_default();
        assert!(reason.contains("its content"), "{reason}");
        assert!(dead[0].payload.to_string().contains("its content"), "{:?}", dead[0]);
        assert!(in_queue(&host, |tx| queue::remove(tx, queue, 0)));
    }
}

#[test]
fn runs_of_a_turn_that_is_cut_short_are_handed_over() {
    let mut host = host(&[("render", "1")]);
    let mortal = Arc::new(Mortal {
        store: host.ground.store.clone(),
        commits_left: AtomicI64::new(i64::MAX),
    });
    host.ground.store = mortal.clone();
    let edition = edition(&host, &[("render", consumes("q", 100))]);
    for _ in 0..40 {
        push(&host, "q", Value::Unit, 5);
    }
    mortal.commits_left.store(1, Ordering::Relaxed);
    let first = look(&host, &edition, 100);
    assert_eq!((first.runs.len(), first.has_more), (16, true), "they are on disk");
    let failed = Jobs::default().turn(&edition, host.clock.unix_ms(), 100);
    assert!(failed.is_err(), "and one that could do nothing says why");
    mortal.commits_left.store(i64::MAX, Ordering::Relaxed);
    assert_eq!(look(&host, &edition, 100).runs.len(), 24);
}

#[test]
fn a_run_that_is_reopened_before_it_is_at_rest_gets_a_thread_again() {
    let host = host(&[("tries", NEEDS_FILE)]);
    let edition = Arc::new(edition(&host, &[("tries", consumes("q", 1))]));
    let wanted = Wanted {
        attempts_max: 3,
        backoff_ms: 0,
        ..Wanted::default()
    };
    in_queue(&host, |tx| queue::push(tx, "q", &Value::Unit, &wanted));
    let give = {
        let (edition, now_ms) = (edition.clone(), host.clock.unix_ms());
        move || -> Vec<Offer> {
            let turn = Jobs::default().turn(&edition, now_ms, 8).expect("the store takes it");
            let offer = |started: super::Started| Offer {
                run: started.run,
                playbook: started.playbook,
                what: What::GoOn,
            };
            turn.runs.into_iter().map(offer).collect()
        }
    };
    let shift = Shift {
        runner: edition.runner.clone(),
        library: edition.app.library.clone(),
    };
    let crew: Arc<OnceLock<Weak<Crew>>> = Arc::default();
    let mut made = Crew::new(0, edition.runner.gate.ready.clone(), move || shift.clone());
    made.on_rest = Box::new({
        let (give, crew) = (give.clone(), crew.clone());
        // The host's loop is quicker than the thread of the run.
        move |_| crew.get().and_then(Weak::upgrade).expect("a crew").offer(give())
    });
    let made = Arc::new(made);
    crew.set(Arc::downgrade(&made)).expect("once");
    made.offer(give());
    while made.step() {}
    assert_eq!(only_job(&host, "q").job.attempts, 3);
    assert_eq!(stats(&host, "q").dead, 1, "nobody holds it");
}

#[test]
fn a_job_is_dead_when_its_run_is_cancelled() {
    let host = host(&[("render", r#"run::sleep("1h")"#)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Unit, 5);
    let turn = look(&host, &edition, 8);
    let how = Resume {
        by: "anna".to_owned(),
        observer: Arc::new(Silent),
    };
    host.runner().cancel(&host.library(), turn.runs[0].run, &how).unwrap();
    let dead = only_job(&host, "q");
    assert!(dead.job.reason.unwrap().contains("cancelled"));
}

#[test]
fn as_many_jobs_are_under_way_as_their_playbook_allows_whoever_counts() {
    let host = host(&[("render", r#"run::sleep("1h")"#)]);
    let edition = edition(&host, &[("render", consumes("q", 2))]);
    for _ in 0..5 {
        push(&host, "q", Value::Unit, 5);
    }
    let first = look(&host, &edition, 8);
    assert_eq!((first.runs.len(), first.has_more), (2, false));
    assert_eq!(
        look(&host, &edition, 8).runs.len(),
        0,
        "another process counts the same"
    );
    // They sleep, without a thread, and are still under way.
    for started in &first.runs {
        host.resume(started.run).unwrap();
    }
    assert_eq!((stats(&host, "q").held, stats(&host, "q").ready), (2, 3));
    assert_eq!(look(&host, &edition, 8).runs.len(), 0);
    host.clock.advance(Duration::from_secs(3600));
    host.resume(first.runs[0].run).unwrap();
    assert_eq!(look(&host, &edition, 8).runs.len(), 1);
}

#[test]
fn queues_share_what_room_there_is_and_leave_none_of_it() {
    let host = host(&[("one", "1"), ("two", "2")]);
    let triggers = [("one", consumes("a", 100)), ("two", consumes("b", 100))];
    let edition = edition(&host, &triggers);
    for _ in 0..30 {
        push(&host, "a", Value::Unit, 5);
    }
    for _ in 0..3 {
        push(&host, "b", Value::Unit, 5);
    }
    let turn = look(&host, &edition, 4);
    let of = |turn: &Turn, playbook: &str| turn.runs.iter().filter(|run| run.playbook == playbook).count();
    assert_eq!((of(&turn, "one"), of(&turn, "two"), turn.has_more), (2, 2, true));
    let turn = look(&host, &edition, 20);
    assert_eq!((of(&turn, "one"), of(&turn, "two"), turn.has_more), (19, 1, true));
    let turn = look(&host, &edition, 20);
    assert_eq!((turn.runs.len(), turn.has_more), (9, false));
}

#[test]
fn what_is_paused_takes_nothing() {
    let host = host(&[("render", "1")]);
    let edition = edition(&host, &[("render", consumes("q", 2))]);
    push(&host, "q", Value::Unit, 5);
    let pause = Pause {
        since_ms: 0,
        by: None,
        why: String::new(),
    };
    for name in [ticks::pause::ALL, "render"] {
        in_queue(&host, |tx| {
            ticks::pause::pause(&mut tx.batch, name, &pause);
            Ok(())
        });
        assert_eq!(look(&host, &edition, 8), Turn::default(), "{name}");
        in_queue(&host, |tx| {
            ticks::pause::resume(&mut tx.batch, name, 0, ticks::Resumed::None);
            Ok(())
        });
    }
    let paused = Paused {
        since_ms: 0,
        by: "anna".to_owned(),
        why: String::new(),
    };
    in_queue(&host, |tx| queue::pause::put(tx, "q", Some(&paused)));
    assert_eq!(look(&host, &edition, 8), Turn::default());
    in_queue(&host, |tx| queue::pause::put(tx, "q", None));
    assert_eq!(look(&host, &edition, 8).runs.len(), 1);
}

#[test]
fn a_run_that_somebody_goes_on_with_before_its_next_attempt_keeps_its_job() {
    let script = r#"file::read_text("inbox/a.txt"); run::sleep("2h"); kv::increment("done")"#;
    let host = host(&[("render", script)]);
    let edition = edition(&host, &[("render", consumes("q", 1))]);
    push(&host, "q", Value::Unit, 2);
    let (begun, _) = turn(&host, &edition, &mut Jobs::default(), 8);
    let host = host.file("inbox/a.txt", "here");
    let run = begun.runs[0].run;
    assert_eq!(host.resume(run).unwrap().outcome().status, Status::Suspended);
    host.clock.advance(Duration::from_secs(3600));
    assert_eq!(look(&host, &edition, 8).runs, [], "it is under way");
    assert_eq!(stats(&host, "q").held, 1);
    host.clock.advance(Duration::from_secs(3600));
    host.resume(run).unwrap();
    assert_eq!(
        (kv(&host, "done"), stats(&host, "q")),
        ("1".to_owned(), Stats::default())
    );
}

/// A store whose host dies after so many commits: later ones fail, and leave nothing.
struct Mortal {
    store: Arc<dyn Store>,
    commits_left: AtomicI64,
}

impl Store for Mortal {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.store.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        if self.commits_left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(StoreError::Io {
                path: "memory".into(),
                reason: "the host is dead".to_owned(),
            });
        }
        self.store.commit(batch, durability)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.store.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.store.stats()
    }
}

/// Some jobs fail once, one always, one is poisoned, and one is ended by its script.
const MIXED: &str = r#"
const PLAYBOOK = #{ inputs: #{ n: #{ type: "int" }, how: #{ type: "string" } } };
kv::increment(`begun/${input.n}`);
if input.how == "always" { file::read_text("inbox/none.txt"); }
if input.how == "once" { file::read_text("inbox/late.txt"); }
if input.how == "script" { throw "no"; }
kv::increment(`done/${input.n}`);
"#;

#[test]
fn each_job_has_one_end_wherever_the_host_dies() {
    let hows = ["well", "well", "once", "always", "script", "poison", "well"];
    let mut deaths = 0;
    for commits in 0.. {
        let mut host = host(&[("mixed", MIXED)]);
        let mortal = Arc::new(Mortal {
            store: host.ground.store.clone(),
            commits_left: AtomicI64::new(i64::MAX),
        });
        host.ground.store = mortal.clone();
        let edition = edition(&host, &[("mixed", consumes("q", 3))]);
        for (n, how) in hows.iter().enumerate() {
            let n = if *how == "poison" {
                Value::from("seven")
            } else {
                Value::Int(n as i64)
            };
            push(&host, "q", Value::from([("n", n), ("how", (*how).into())]), 3);
        }
        mortal.commits_left.store(commits, Ordering::Relaxed);
        let died = live(&host, &edition).is_err();
        mortal.commits_left.store(i64::MAX, Ordering::Relaxed);
        live(&host, &edition).expect("it lives");

        let found = stats(&host, "q");
        assert_eq!(
            (found.ready, found.later, found.held, found.dead),
            (0, 0, 0, 3),
            "after {commits} commits"
        );
        for (n, how) in hows.iter().enumerate() {
            let (begun, done) = (kv(&host, &format!("begun/{n}")), kv(&host, &format!("done/{n}")));
            match *how {
                "poison" => assert_eq!(begun, "none"),
                "script" | "always" => assert_eq!((begun.as_str(), done.as_str()), ("1", "none"), "{how}"),
                _ => assert_eq!(
                    (begun.as_str(), done.as_str()),
                    ("1", "1"),
                    "{how} after {commits} commits"
                ),
            }
        }
        let latest = RunRecord::latest(&*host.ground.store, crate::id::RunId::from_bytes([0xff; 16]), 100).unwrap();
        let mut runs = BTreeMap::new();
        for record in &latest {
            assert!(record.status.is_over());
            let begun = Recorded::load(&host.ground, record.run).unwrap().begun;
            if let Some(Cause::Job { job, .. }) = begun.cause {
                *runs.entry(job).or_insert(0) += 1;
            }
        }
        assert_eq!(runs, [0, 1, 2, 3, 4, 6].map(|job| (job, 1)).into_iter().collect());
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 20, "it died {deaths} times");
}

/// A host begins, takes up what was cut off, and works until nothing is left to do. While it waits, a file comes.
#[expect(clippy::disallowed_methods, reason = "the test writes the file that playbooks read")]
fn live(host: &TestHost, edition: &Edition) -> Result<(), StoreError> {
    let died = |error: &dyn std::fmt::Display| StoreError::Io {
        path: "memory".into(),
        reason: error.to_string(),
    };
    let mut jobs = Jobs::default();
    let mut runs = recovery::unfinished(&host.ground).expect("it can be read");
    for _ in 0..50 {
        let driven = host.drive(std::mem::take(&mut runs));
        if let Some(error) = driven.failed.values().next() {
            return Err(died(error));
        }
        let turn = jobs.turn(edition, host.clock.unix_ms(), 4)?;
        runs = turn.runs.iter().map(|started| started.run).collect();
        if runs.is_empty() && !turn.has_more {
            match turn.next_ms {
                Some(next_ms) => {
                    std::fs::create_dir_all(host.folder().join("inbox")).expect("a folder");
                    std::fs::write(host.folder().join("inbox/late.txt"), "here").expect("a file");
                    let wait_ms = (next_ms - host.clock.unix_ms()).max(1);
                    host.clock.advance(Duration::from_millis(wait_ms as u64));
                }
                None => return Ok(()),
            }
        }
    }
    panic!("it does not come to an end");
}
