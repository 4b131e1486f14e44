//! What a crew does while the disk is slow, or gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Crew, Offer, Shift, What};
use crate::effect::RunMode;
use crate::gate::Silent;
use crate::id::RunId;
use crate::io::clock::{Clock, SystemClock};
use crate::runs::creation::{Created, Creation, Pinned};
use crate::runs::resume::Resume;
use crate::store::engine::{Engine, EngineOptions};
use crate::store::test_disk::TestDisk;
use crate::store::{Durability, StoreStats};
use crate::testing::TestHost;

/// A host on `disk` whose one playbook is `script`, and runs of it, on disk as queued.
fn queued(disk: &TestDisk, script: &str, count: u64) -> (TestHost, Vec<Created>) {
    let mut host = TestHost::default().file("playbooks/p.rhai", script);
    let store = Engine::with_backend(disk.clone(), EngineOptions::default()).unwrap();
    host.ground.store = Arc::new(store);
    let playbook = host.library().playbook("p").unwrap();
    let versions = crate::runs::library::unknown_versions(&*host.ground.store, &playbook).unwrap();
    host.ground.store.commit(versions, Durability::Soon).unwrap();
    let pinned = Pinned::of(&playbook);
    let gate = host.gate();
    let created = (0..count).map(|number| {
        let creation = Creation {
            run: RunId::new(1, u128::from(number)),
            pinned: &pinned,
            input: BTreeMap::new(),
            mode: RunMode::dry(),
            trigger: "a test".to_owned(),
            corr: None,
            cause: None,
            by: None,
            retry_of: None,
            at_ms: 1,
        };
        let (batch, created) = creation.made(&gate).unwrap();
        host.ground.store.commit(batch, Durability::Now).unwrap();
        created
    });
    let created = created.collect();
    (host, created)
}

type Rested = Arc<Mutex<Vec<(RunId, Result<String, String>)>>>;

/// A crew of `threads`, and what it told of.
fn crew(host: &TestHost, threads: usize) -> (Arc<Crew>, Rested) {
    let rested = Rested::default();
    let (runner, library) = (host.runner(), host.library());
    let shift = Shift { runner, library };
    let ready = shift.runner.gate.ready.clone();
    let mut crew = Crew::new(threads, ready, move || shift.clone());
    crew.on_rest = Box::new({
        let rested = rested.clone();
        move |rest| {
            let outcome = rest.outcome.as_ref();
            let told = outcome.map(|finished| finished.record.status.code().to_owned());
            let told = told.map_err(|error| error.code().to_owned());
            rested.lock().unwrap().push((rest.run, told));
        }
    });
    (Arc::new(crew), rested)
}

fn offers(created: &[Created]) -> Vec<Offer> {
    let offer = |created: &Created| Offer {
        run: created.0.run,
        playbook: "p".to_owned(),
        what: What::GoOn,
    };
    created.iter().map(offer).collect()
}

/// Makes every sync of `disk` wait for as long as this is kept: a test that fails must not wait for ever.
struct Held<'d>(&'d TestDisk);

impl<'d> Held<'d> {
    fn new(disk: &'d TestDisk) -> Held<'d> {
        disk.hold();
        Held(disk)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Waits until `holds`.
fn until(holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        SystemClock::new().sleep(Duration::from_millis(5));
    }
    panic!("it takes too long");
}

#[test]
fn runs_go_on_while_the_ends_of_others_go_to_the_disk_and_none_is_told_of_before() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, "40 + 2", 20);
    let (crew, rested) = crew(&host, 2);
    let held = Held::new(&disk);
    crew.offer(offers(&created));
    until(|| crew.waiting() == 0 && crew.at_work() == 20);
    // All have ended, with two threads, of which one waits for the disk.
    let store = host.ground.store.clone();
    until(|| {
        let records = created.iter().map(|created| created.0.run);
        let mut records = records.map(|run| crate::journal::RunRecord::get(&*store, run).unwrap());
        records.all(|record| record.status.is_over())
    });
    assert_eq!(*rested.lock().unwrap(), []);
    let StoreStats { durable_commits, .. } = store.stats();
    drop(held);
    assert!(crew.wait(Duration::from_secs(10)));
    let mut told = rested.lock().unwrap().clone();
    told.sort_by_key(|(run, _)| *run);
    let expected = created
        .iter()
        .map(|created| (created.0.run, Ok("succeeded".to_owned())));
    assert_eq!(told, expected.collect::<Vec<_>>(), "each once");
    let syncs = store.stats().durable_commits - durable_commits;
    assert!(syncs <= 2, "their ends go to the disk together, and took {syncs} syncs");
}

#[test]
fn a_run_whose_end_does_not_come_to_the_disk_has_not_ended_for_anybody() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, "40 + 2", 6);
    let (crew, rested) = crew(&host, 2);
    let held = Held::new(&disk);
    crew.offer(offers(&created));
    until(|| crew.waiting() == 0 && crew.at_work() == 6);
    disk.fill();
    drop(held);
    assert!(crew.wait(Duration::from_secs(10)));
    let told = rested.lock().unwrap().clone();
    assert_eq!(told.len(), 6);
    assert!(told.iter().all(|(_, told)| told.is_err()), "{told:?}");
}

#[test]
fn a_run_that_is_remembered_as_it_was_created_begins_as_one_that_is_read() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, r#"kv::increment("n")"#, 2);
    let (crew, rested) = crew(&host, 1);
    crew.remember(created[0].clone());
    crew.offer(offers(&created));
    assert!(crew.wait(Duration::from_secs(10)));
    assert_eq!(rested.lock().unwrap().len(), 2);
    let journal = |at: usize| {
        let entries = crate::journal::Recorded::entries_of(&host.ground, created[at].0.run).unwrap();
        let kinds = entries.iter().map(|entry| {
            let text = format!("{entry:?}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        });
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(journal(0), journal(1));
    assert_eq!(host.run(r#"kv::get("n")"#).value().to_string(), "2");
}

#[test]
fn a_run_that_is_not_as_it_was_created_any_more_is_read_again() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, r#"kv::increment("n")"#, 1);
    let (crew, rested) = crew(&host, 1);
    let run = created[0].0.run;
    let how = Resume {
        by: "anna".to_owned(),
        observer: Arc::new(Silent),
    };
    host.runner().cancel(&host.library(), run, &how).unwrap();
    crew.remember(created[0].clone());
    crew.offer(offers(&created));
    assert!(crew.wait(Duration::from_secs(10)));
    assert_eq!(*rested.lock().unwrap(), [(run, Err("RUN_OVER".to_owned()))]);
    assert_eq!(*host.run(r#"kv::get("n")"#).value(), crate::value::Value::Unit);
}

#[test]
fn so_many_ends_wait_for_the_disk_and_then_the_threads_do() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, "40 + 2", 1100);
    let (crew, rested) = crew(&host, 2);
    let held = Held::new(&disk);
    let offers = offers(&created);
    let (first, others) = offers.split_first().unwrap();
    // The first is told of by itself: a thread that is slow to take it would take others with it.
    crew.offer([first.clone()]);
    until(|| crew.endings.are_being_told());
    crew.offer(others.to_vec());
    // 1,024 wait for it.
    until(|| crew.at_work() == 1025);
    SystemClock::new().sleep(Duration::from_millis(50));
    assert_eq!((crew.at_work(), crew.waiting()), (1025, 75));
    assert_eq!(rested.lock().unwrap().len(), 0);
    drop(held);
    assert!(crew.wait(Duration::from_secs(20)));
    assert_eq!(rested.lock().unwrap().len(), 1100);
}

#[test]
fn who_breaks_down_when_he_is_told_of_an_end_keeps_nobody_else_from_it() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, "40 + 2", 6);
    let (mut crew, rested) = crew(&host, 2);
    let first = created[0].0.run;
    let tells = std::mem::replace(&mut Arc::get_mut(&mut crew).unwrap().on_rest, Box::new(|_| ()));
    Arc::get_mut(&mut crew).unwrap().on_rest = Box::new(move |rest| {
        assert_ne!(rest.run, first, "no such luck");
        tells(rest);
    });
    let held = Held::new(&disk);
    crew.offer(offers(&created));
    until(|| crew.waiting() == 0 && crew.at_work() == 6);
    drop(held);
    until(|| rested.lock().unwrap().len() == 5);
}

/// The place was kept for ever, and after as many such ends as there are threads nothing was begun any more.
#[test]
fn whoever_breaks_down_at_the_news_of_a_run_carried_out_here_takes_no_place_along() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, "40 + 2", 3);
    let (runner, library) = (host.runner(), host.library());
    let shift = Shift { runner, library };
    let ready = shift.runner.gate.ready.clone();
    let mut crew = Crew::new(1, ready, move || shift.clone());
    let first = created[0].0.run;
    crew.on_rest = Box::new(move |rest| assert_ne!(rest.run, first, "broken"));
    let crew = Arc::new(crew);
    let offers = offers(&created);
    let told = {
        let (crew, offer) = (crew.clone(), offers[0].clone());
        std::thread::spawn(move || crew.carry_here(&offer, None).is_some())
    };
    told.join().expect_err("it breaks down");
    assert!(crew.carry_here(&offers[1], None).is_some(), "there is a place again");
    crew.close();
    assert!(crew.carry_here(&offers[2], None).is_none(), "nothing is begun any more");
}

#[test]
fn a_run_is_carried_out_where_it_is_asked_for_if_there_is_a_place_and_nobody_waits_for_one() {
    let disk = TestDisk::default();
    let (host, created) = queued(&disk, "40 + 2", 3);
    let (crew, rested) = crew(&host, 1);
    let offers = offers(&created);
    let held = Held::new(&disk);
    let first = {
        let (crew, offer) = (crew.clone(), offers[0].clone());
        std::thread::spawn(move || crew.carry_here(&offer, None).is_some())
    };
    until(|| crew.at_work() == 1);
    assert!(crew.carry_here(&offers[1], None).is_none(), "there is one place");
    assert!(crew.carry_here(&offers[0], None).is_none(), "it is at work already");
    crew.offer([offers[1].clone()]);
    assert_eq!((crew.waiting(), rested.lock().unwrap().len()), (1, 0));
    drop(held);
    assert!(first.join().expect("no panic"));
    until(|| rested.lock().unwrap().len() == 2);
    assert!(crew.wait(Duration::from_secs(10)));
    assert!(crew.carry_here(&offers[2], None).is_some());
}
