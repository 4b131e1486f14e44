//! What the host's turns come to, however often it is killed in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host::journal::Status;
use host::store::ticks::tick::{latest, with_ticks};
use host::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats, keys};
use host::triggers;

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);

fn quarterly(text: &str) -> String {
    format!(
        "const PLAYBOOK = #{{ schedule: \"*/15 * * * *\", timezone: \"UTC\", missed: \"all\", overlap: \"allow\" }};\n{text}"
    )
}

/// Every tick by schedule, and how many runs each names.
fn fates(world: &World) -> BTreeMap<(String, i64), bool> {
    let store = &*world.host.ground.store;
    let mut fates = BTreeMap::new();
    for id in with_ticks(store, None).expect("readable") {
        for (planned_ms, tick) in latest(store, &id, i64::MAX, 100_000).expect("readable") {
            assert!(tick.many.is_none(), "{tick:?}");
            fates.insert((id.playbook.clone(), planned_ms), tick.run.is_some());
        }
    }
    fates
}

#[test]
fn every_tick_runs_once_through_kills_saves_and_sleep() {
    let mut world = World::new(triggers::all);
    world.save("a", &quarterly("kv::increment(\"a\")"));
    world.save("b", &quarterly("run::sleep(\"7m\"); kv::increment(\"b\")"));
    world.start();
    world.settle();
    let begun_ms = world.now_ms();
    for hour in 0..24_u64 {
        world.pass(37 * MINUTE);
        match hour % 4 {
            0 => {
                world.kill();
                // While nobody is there.
                world.host.clock.advance(13 * MINUTE);
                world.start();
            }
            1 => {
                world.save("a", &quarterly(&format!("kv::increment(\"a\"); {hour}")));
                world.reload();
            }
            2 => {
                // Killed with runs at work and others waiting.
                let now_ms = world.now_ms();
                world.host.clock.advance(15 * MINUTE);
                assert!(world.core().turn(now_ms + 15 * 60_000).failed.is_empty());
                world.kill();
                world.start();
            }
            _ => {}
        }
    }
    world.pass(30 * MINUTE);
    let end_ms = world.now_ms();
    let fates = fates(&world);
    let quarter = 15 * 60_000;
    let mut planned_ms = (begun_ms / quarter + 1) * quarter;
    let mut expected = 0;
    while planned_ms <= end_ms - 10 * 60_000 {
        for playbook in ["a", "b"] {
            let ran = fates.get(&(playbook.to_owned(), planned_ms));
            assert_eq!(ran, Some(&true), "{playbook} at {planned_ms}");
        }
        expected += 2;
        planned_ms += quarter;
    }
    assert!(expected > 100, "{expected}");
    let runs = world.runs();
    assert!(
        runs.len() == fates.len(),
        "{} runs of {} ticks",
        runs.len(),
        fates.len()
    );
    let unfinished: Vec<_> = runs.iter().filter(|run| run.status != Status::Succeeded).collect();
    assert!(
        unfinished.len() <= 1,
        "only one may be asleep at the end: {unfinished:#?}"
    );
    let counted = world.host.run("kv::get(\"a\")");
    let of_a = fates.keys().filter(|(playbook, _)| playbook == "a").count();
    assert_eq!(counted.value().to_string(), of_a.to_string(), "each did its work once");
}

#[test]
fn a_clock_that_is_set_back_and_forth_starts_nothing_twice() {
    let mut world = World::new(triggers::all);
    world.save("a", &quarterly("kv::increment(\"a\")"));
    world.start();
    world.pass(61 * MINUTE);
    let before = world.runs().len();
    assert_eq!(before, 4);
    let back_ms = world.now_ms() - 3_600_000;
    world.host.clock.set(back_ms);
    world.pass(59 * MINUTE);
    assert_eq!(world.runs().len(), before, "these ticks have had their fate");
    world.pass(16 * MINUTE);
    assert_eq!(world.runs().len(), before + 1);
}

#[test]
fn a_run_that_waits_goes_on_when_its_time_comes_also_after_a_restart() {
    let mut world = World::new(triggers::all);
    world.save("slow", &quarterly("run::sleep(\"20m\"); kv::increment(\"slow\")"));
    world.start();
    world.pass(16 * MINUTE);
    assert_eq!(world.runs()[0].status, Status::Suspended);
    world.kill();
    world.host.clock.advance(6 * MINUTE);
    world.start();
    world.pass(14 * MINUTE);
    assert_eq!(world.runs()[0].status, Status::Succeeded);
}

/// A store that cannot be read for a while.
struct Sick {
    inner: Arc<dyn Store>,
    is_sick: AtomicBool,
}

impl Store for Sick {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        // As a bad block: one kind of row, and not the others.
        let is_run = matches!(keys::parse(key), Some(keys::Place::Run(_)));
        match self.is_sick.load(Ordering::Relaxed) && is_run {
            true => Err(StoreError::Io {
                path: "store".into(),
                reason: "bad block".to_owned(),
            }),
            false => self.inner.get(key),
        }
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.inner.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        self.inner.commit(batch, durability)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.inner.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }
}

/// Once a run whose record could not be read in the turn in which its time came was not looked at again.
#[test]
fn a_run_that_cannot_be_read_when_its_time_comes_goes_on_when_it_can() {
    let mut world = World::new(triggers::all);
    let sick = Arc::new(Sick {
        inner: world.host.ground.store.clone(),
        is_sick: AtomicBool::new(false),
    });
    world.host.ground.store = sick.clone();
    world.save("slow", &quarterly("run::sleep(\"20m\"); kv::increment(\"slow\")"));
    world.start();
    world.pass(16 * MINUTE);
    assert_eq!(world.runs()[0].status, Status::Suspended);
    // Told to it, as a command does that has committed what the run waited for.
    let run = world.runs()[0].run;
    for is_told in [true, false] {
        sick.is_sick.store(true, Ordering::Relaxed);
        world.host.clock.advance(if is_told { MINUTE } else { 25 * MINUTE });
        if is_told {
            world.live().runner.gate.ready.tell(run);
        }
        let now_ms = world.now_ms();
        let moved = world.core().turn(now_ms);
        assert!(!moved.failed.is_empty());
        sick.is_sick.store(false, Ordering::Relaxed);
    }
    world.host.clock.advance(Duration::from_secs(2));
    world.turn();
    assert_eq!(world.runs()[0].status, Status::Succeeded);
}

#[test]
fn a_run_that_cannot_be_read_keeps_no_host_from_serving() {
    let mut world = World::new(triggers::all);
    world.save("work", &quarterly("kv::increment(\"work\")"));
    let mut batch = Batch::new();
    let run = host::id::RunId::from_bytes([7; 16]);
    batch.put(keys::open(run), Vec::new());
    batch.put(keys::run(run), vec![1, 2, 3]);
    world
        .host
        .ground
        .store
        .commit(batch, Durability::Now)
        .expect("a commit");
    world.start();
    world.pass(16 * MINUTE);
    let worked = world.host.run("kv::get(\"work\")");
    assert_eq!(worked.value().to_string(), "1");
}
