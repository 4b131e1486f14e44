//! Runs of which whoever waits is told what they give and nothing of themselves: what they wait for, and what a crash leaves
//! of them. The disk is one that holds back its syncs, so nothing here depends on how long something takes but the giving up.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;

use super::creation::{Creation, Pinned};
use super::library::unknown_versions;
use super::{Runner, replay};
use crate::gate::Silent;
use crate::id::RunId;
use crate::io::clock::{Clock, SystemClock};
use crate::journal::{Outcome, Recorded, RunRecord, Status, follow};
use crate::script::{RunHandle, Script};
use crate::store::engine::{Engine, EngineOptions};
use crate::store::test_disk::TestDisk;
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, Realm, Store, StoreError, Tx, keys, kv};
use crate::testing::TestHost;
use crate::value::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than an answer takes that nothing is waited for.
const MOMENT: Duration = Duration::from_millis(20);

const CACHE: EngineOptions = EngineOptions { cache_bytes: 1 << 20 };

struct Scene {
    host: TestHost,
    disk: TestDisk,
    ids: u64,
}

/// A run under way, and how it will have ended.
struct Run {
    id: RunId,
    handle: RunHandle,
    ended: Receiver<Outcome>,
}

impl Scene {
    /// A host on whose disk `old` lies.
    fn new() -> Scene {
        let disk = TestDisk::default();
        let store = Arc::new(Engine::with_backend(disk.clone(), CACHE).unwrap());
        let mut host = TestHost::default().file("inbox/a.txt", "a");
        host.ground.store = store;
        let scene = Scene { host, disk, ids: 0 };
        scene.change(Durability::Now, |tx| kv::put(tx, "old", &1.into(), None));
        scene
    }

    fn store(&self) -> &dyn Store {
        &*self.host.ground.store
    }

    fn change<T>(&self, durability: Durability, make: impl Fn(&mut Tx<'_>) -> Result<T, StoreError>) -> CommitNo {
        let mut tx = Tx::new(&self.host.ground, Realm::Dry, 0);
        make(&mut tx).unwrap();
        self.store().commit(tx.batch, durability).unwrap()
    }

    fn begin(&mut self, script: &str) -> (Runner, RunHandle, Arc<Script>) {
        let script = self.host.compile(script);
        let versions = unknown_versions(self.store(), &script).unwrap();
        if !versions.is_empty() {
            self.store().commit(versions, Durability::Now).unwrap();
        }
        self.ids += 1;
        let runner = self.host.runner();
        let creation = Creation {
            run: RunId::new(1, u128::from(self.ids)),
            pinned: &Pinned::of(&script),
            input: Default::default(),
            mode: self.host.mode.clone(),
            trigger: "test".to_owned(),
            corr: None,
            cause: None,
            by: None,
            retry_of: None,
            at_ms: 1,
        };
        let begun = creation.begun(&runner.gate).unwrap();
        let handle = runner.begin_answering(begun, Arc::new(Silent));
        (runner, handle, script)
    }

    fn start(&mut self, script: &str) -> Run {
        let (runner, handle, script) = self.begin(script);
        let (sender, ended) = channel();
        let run = Run {
            id: handle.tape().run,
            handle: handle.clone(),
            ended,
        };
        std::thread::spawn(move || {
            let finished = runner.finish(&handle, &script).expect("the store takes the end");
            sender.send(finished.outcome).unwrap_or_default();
        });
        run
    }

    /// Waits until `is_so`.
    fn when(&self, what: &str, is_so: impl Fn() -> bool) {
        let clock = SystemClock::new();
        let begun = clock.monotonic();
        while !is_so() {
            assert!(clock.monotonic() - begun < PATIENCE, "{what}");
            clock.sleep(Duration::from_millis(1));
        }
    }

    /// The record of `run`, where reads see one.
    fn record(&self, run: RunId) -> Option<RunRecord> {
        RunRecord::get(self.store(), run).ok()
    }

    /// What a crash of the machine leaves at this moment.
    fn after_crash(&self) -> Ground {
        let disk = self.disk.after_power_cut(|| false);
        Ground {
            store: Arc::new(Engine::with_backend(disk, CACHE).unwrap()),
            ..self.host.ground.clone()
        }
    }

    fn is_on_disk(&self, run: RunId) -> bool {
        RunRecord::get(&*self.after_crash().store, run).is_ok()
    }

    /// Fails unless `script`, begun while the disk holds everything back, has come to its end and is not answered before
    /// that is on disk.
    fn waits(&mut self, script: &str) -> Outcome {
        let run = self.start(script);
        self.when(script, || {
            self.record(run.id).is_some_and(|record| record.status.is_over())
        });
        assert_eq!(
            run.ended.recv_timeout(MOMENT),
            Err(RecvTimeoutError::Timeout),
            "{script}"
        );
        self.disk.release();
        run.ended.recv_timeout(PATIENCE).expect(script)
    }
}

impl Drop for Scene {
    /// The store is closed next, which waits for the disk.
    fn drop(&mut self) {
        self.disk.release();
    }
}

#[test]
fn what_a_run_gives_that_only_read_is_told_while_the_disk_is_busy_and_its_record_follows() {
    let mut scene = Scene::new();
    scene.host.library();
    let scripts = [
        "kv::get(\"old\")",
        "kv::get(\"never\")",
        "kv::list(\"o\")",
        "store::query(\"clips\", #{})",
        "[random::int(1, 6), time::now_ms(), 7]",
        "throw #{ code: \"CLIP_UNKNOWN\", message: \"no\", status: 404 };",
    ];
    let begun: Vec<_> = scripts.iter().map(|script| scene.begin(script)).collect();
    scene.disk.hold();
    let mut runs = Vec::new();
    for (runner, handle, script) in begun {
        let run = handle.tape().run;
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(runner.finish(&handle, &script).unwrap().outcome).unwrap());
        let outcome = ended.recv_timeout(PATIENCE).expect("nothing is waited for");
        runs.push((run, outcome));
    }
    assert_eq!((&runs[0].1.value, runs[5].1.status), (&1.into(), Status::Failed));
    for (run, outcome) in &runs {
        let record = scene.record(*run).expect("it is seen at once");
        assert_eq!((record.status, scene.is_on_disk(*run)), (outcome.status, false));
    }
    scene.disk.release();
    let last = runs.last().unwrap().0;
    scene.when("the record of the last one comes to the disk", || {
        scene.is_on_disk(last)
    });
    let ground = scene.after_crash();
    let shut = Arc::new(scene.host.gate().shut());
    for (run, outcome) in runs {
        let recorded = Recorded::load(&ground, run).unwrap();
        assert_eq!(recorded.outcome().as_ref(), Some(&outcome));
        let replayed = replay::replay(&scene.host.library(), shut.clone(), run, Arc::new(Silent)).unwrap();
        assert!(replayed.same, "{:?}", replayed.outcome);
    }
}

#[test]
fn what_was_read_is_on_disk_before_anybody_is_told_of_it() {
    type Change = fn(&mut Tx<'_>) -> Result<(), StoreError>;
    let put: Change = |tx| kv::put(tx, "new", &2.into(), None);
    let put_over: Change = |tx| kv::put(tx, "old", &2.into(), None);
    let remove: Change = |tx| kv::remove(tx, "old").map(drop);
    let (has_new, is_two, is_gone) = ([Some(1), Some(2)], [Some(2), None], [None, None]);
    for (change, script, gives, left) in [
        (put, "kv::get(\"new\")", Value::from(2), has_new),
        (put_over, "kv::get(\"old\")", 2.into(), is_two),
        (put, "kv::list(\"\").len()", 2.into(), has_new),
        // That it is gone, too, is something that was read.
        (remove, "kv::get(\"old\")", Value::Unit, is_gone),
        (remove, "kv::list(\"\").len()", 0.into(), is_gone),
        (
            remove,
            "if kv::get(\"old\") == () { throw \"gone\" }",
            Value::Unit,
            is_gone,
        ),
    ] {
        let mut scene = Scene::new();
        scene.begin(script);
        scene.disk.hold();
        scene.change(Durability::Soon, change);
        let outcome = scene.waits(script);
        assert_eq!(outcome.value, gives, "{script}");
        let ground = scene.after_crash();
        let mut tx = Tx::new(&ground, Realm::Dry, 0);
        let kept = ["old", "new"].map(|key| kv::get(&mut tx, key).unwrap());
        let left = left.map(|number: Option<i64>| number.map(Value::from));
        assert_eq!(kept, left, "{script}: it was told, so it is on disk");
    }
}

#[test]
fn changes_that_were_not_read_are_not_waited_for() {
    let mut scene = Scene::new();
    let (runner, handle, script) = scene.begin("kv::get(\"old\") + kv::list(\"o\").len()");
    scene.disk.hold();
    scene.change(Durability::Soon, |tx| kv::put(tx, "new", &2.into(), None));
    scene.change(Durability::Soon, |tx| kv::remove(tx, "new"));
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(runner.finish(&handle, &script).unwrap().outcome).unwrap());
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap().value, 2.into());
    scene.disk.release();
}

#[test]
fn who_changes_something_or_looks_outside_is_told_of_when_all_of_it_is_on_disk() {
    for script in [
        "kv::increment(\"old\")",
        "kv::put(\"new\", 1); kv::remove(\"new\")",
        "file::read_text(\"inbox/a.txt\")",
        "try { file::read_text(\"inbox/none.txt\") } catch { 7 }",
        "const PLAYBOOK = #{ on_failure: \"incident\" }; throw \"no\"",
    ] {
        let mut scene = Scene::new();
        scene.begin(script);
        scene.disk.hold();
        let run = scene.start(script);
        scene.disk.wait_for_sync();
        assert_eq!(
            run.ended.recv_timeout(MOMENT),
            Err(RecvTimeoutError::Timeout),
            "{script}"
        );
        scene.disk.release();
        run.ended.recv_timeout(PATIENCE).expect(script);
        assert!(scene.is_on_disk(run.id), "{script}");
    }
}

/// While it looks outside nobody else gets at its tape: it could not be told of in time if it were not on record before.
#[test]
fn who_looks_outside_is_on_record_from_then_on() {
    let mut scene = Scene::new();
    let script = "file::read_text(\"inbox/a.txt\"); while kv::get(\"old\") == 1 {} 7";
    let run = scene.start(script);
    scene.when("the step after that", || run.handle.tape().step() > 1);
    let record = scene.record(run.id);
    assert_eq!(record.map(|record| record.status), Some(Status::Running));
    scene.change(Durability::Now, |tx| kv::put(tx, "old", &2.into(), None));
    assert_eq!(run.ended.recv_timeout(PATIENCE).unwrap().value, 7.into());
}

#[test]
fn a_run_whose_end_starts_another_is_told_of_when_that_is_on_disk() {
    let mut scene = Scene::new();
    let mut batch = Batch::new();
    let after = follow::Follower {
        playbook: "after".to_owned(),
        status: None,
    };
    follow::follow(&mut batch, "test", &[after]);
    scene.store().commit(batch, Durability::Now).unwrap();
    scene.begin("7");
    scene.disk.hold();
    assert_eq!(scene.waits("7").value, 7.into());
    let ground = scene.after_crash();
    let mut tx = Tx::new(&ground, Realm::Dry, 0);
    assert_eq!(follow::notes(&mut tx, "after", 9).unwrap().len(), 1);
}

#[test]
fn a_run_that_is_told_of_before_it_is_over_is_on_disk_then() {
    let mut scene = Scene::new();
    let run = scene.start("kv::get(\"old\"); let n = 0; while kv::get(\"old\") == 1 { n += 1; } n");
    scene.when("its first step", || run.handle.tape().step() > 0);
    let gate = scene.host.gate();
    run.handle.tape().put_on_disk(&gate).unwrap();
    assert_eq!(run.ended.try_recv(), Err(TryRecvError::Empty));
    let ground = scene.after_crash();
    assert_eq!(RunRecord::get(&*ground.store, run.id).unwrap().status, Status::Running);
    assert!(ground.store.get(&keys::open(run.id)).unwrap().is_some());
    scene.change(Durability::Now, |tx| kv::put(tx, "old", &2.into(), None));
    assert_eq!(run.ended.recv_timeout(PATIENCE).unwrap().status, Status::Succeeded);
    // It had been told of, so its end was waited for as that of any other.
    let ground = scene.after_crash();
    assert!(ground.store.get(&keys::open(run.id)).unwrap().is_none());
    let record = RunRecord::get(&*ground.store, run.id).unwrap();
    assert_eq!(record.status, Status::Succeeded);
}
