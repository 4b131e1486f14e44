//! The engine, the overlay and the store of a server against a plain map.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::engine::{Engine, EngineOptions};
use super::overlay::Overlay;
use super::remote::RemoteStore;
use super::remote::remote_tests::serve;
use super::test_disk::TestDisk;
use super::{Batch, CommitNo, Durability, KeyRange, Precondition, Row, Store};

#[derive(Clone, Debug)]
enum Step {
    Commit {
        puts: Vec<(u8, u8)>,
        deletes: Vec<u8>,
        checks: Vec<(u8, Check)>,
        now: bool,
    },
    Get(u8),
    Scan {
        low: (u8, u8),
        high: (u8, u8),
        limit: usize,
        reverse: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Check {
    /// As the model has it, so it holds.
    AsIs,
    Absent,
    At(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let check = prop_oneof![4 => Just(Check::AsIs), 1 => Just(Check::Absent), 1 => (1..20u64).prop_map(Check::At)];
    let key = 0..12u8;
    prop_oneof![
        3 => (
            proptest::collection::vec((key.clone(), any::<u8>()), 0..4),
            proptest::collection::vec(key.clone(), 0..3),
            proptest::collection::vec((key.clone(), check), 0..3),
            any::<bool>(),
        ).prop_map(|(puts, deletes, checks, now)| Step::Commit { puts, deletes, checks, now }),
        1 => key.clone().prop_map(Step::Get),
        2 => ((0..3u8, key.clone()), (0..3u8, key), 0..6usize, any::<bool>())
            .prop_map(|(low, high, limit, reverse)| Step::Scan { low, high, limit, reverse }),
    ]
}

fn name(key: u8) -> Vec<u8> {
    vec![b'k', key]
}

fn bound((kind, key): (u8, u8)) -> Bound<Vec<u8>> {
    match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(name(key)),
        _ => Bound::Excluded(name(key)),
    }
}

#[derive(Default)]
struct Model(BTreeMap<Vec<u8>, Row>);

impl Model {
    fn scan(&self, range: &KeyRange, limit: usize, reverse: bool) -> Vec<(Vec<u8>, Row)> {
        // Not by the map's own range, which panics over the empty ranges that stores must answer.
        let mut rows: Vec<_> = self
            .0
            .clone()
            .into_iter()
            .filter(|(key, _)| range.contains(key))
            .collect();
        if reverse {
            rows.reverse();
        }
        rows.truncate(limit);
        rows
    }

    fn check(&self, store: &dyn Store, step: Step) -> Result<Option<(Batch, CommitNo)>, TestCaseError> {
        match step {
            Step::Get(key) => prop_assert_eq!(store.get(&name(key)).unwrap(), self.0.get(&name(key)).cloned()),
            Step::Scan {
                low,
                high,
                limit,
                reverse,
            } => {
                let range = (bound(low), bound(high));
                let rows = store.scan(range.clone(), limit, reverse).unwrap();
                prop_assert_eq!(rows, self.scan(&range, limit, reverse));
            }
            Step::Commit {
                puts,
                deletes,
                checks,
                now,
            } => {
                let mut batch = Batch::new();
                for key in deletes {
                    batch.delete(name(key));
                }
                for (key, value) in puts {
                    batch.put(name(key), vec![value]);
                }
                let mut holds = true;
                for (key, check) in checks {
                    let found = self.0.get(&name(key)).map(|row| row.version);
                    let precondition = match check {
                        Check::AsIs => found.map_or(Precondition::Absent, Precondition::At),
                        Check::Absent => Precondition::Absent,
                        Check::At(version) => Precondition::At(CommitNo(version)),
                    };
                    holds &= match precondition {
                        Precondition::Absent => found.is_none(),
                        Precondition::At(version) => found == Some(version),
                    };
                    batch.require(name(key), precondition);
                }
                let durability = if now { Durability::Now } else { Durability::Soon };
                match store.commit(batch.clone(), durability) {
                    Ok(version) => {
                        prop_assert!(holds);
                        return Ok(Some((batch, version)));
                    }
                    Err(error) => {
                        prop_assert_eq!(error.code(), "STORE_CONFLICT");
                        prop_assert!(!holds);
                    }
                }
            }
        }
        Ok(None)
    }

    fn run(&mut self, store: &dyn Store, steps: Vec<Step>) -> Result<(), TestCaseError> {
        for step in steps {
            if let Some((batch, version)) = self.check(store, step)? {
                for key in batch.deletes {
                    self.0.remove(&key);
                }
                self.0
                    .extend(batch.puts.into_iter().map(|(key, value)| (key, Row { value, version })));
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_engine_behaves_as_a_map(steps in proptest::collection::vec(step(), 1..40)) {
        Model::default().run(&Engine::in_memory().unwrap(), steps)?;
    }

    #[test]
    fn the_engine_behaves_as_a_map_while_commits_go_to_the_disk(steps in proptest::collection::vec(step(), 20..60)) {
        let engine = Engine::with_backend(
            TestDisk::with_slow_sync(Duration::from_micros(20)),
            EngineOptions::default(),
        ).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    engine.wait_durable(CommitNo(u64::MAX)).unwrap();
                }
            });
            let result = Model::default().run(&engine, steps);
            done.store(true, Ordering::Relaxed);
            result
        })?;
    }

    #[test]
    fn the_store_of_a_server_behaves_as_a_map(steps in proptest::collection::vec(step(), 1..40)) {
        let folder = tempfile::TempDir::new().unwrap();
        let serving = serve(folder.path(), Arc::new(Engine::in_memory().unwrap()), 1);
        let remote = RemoteStore::connect(folder.path()).unwrap().unwrap();
        let result = Model::default().run(&remote, steps);
        drop(remote);
        serving.join().unwrap();
        result?;
    }

    #[test]
    fn an_overlay_behaves_as_a_map_and_leaves_its_base_alone(
        below in proptest::collection::vec(step(), 0..20),
        steps in proptest::collection::vec(step(), 1..40),
        more in proptest::collection::vec(step(), 0..20),
    ) {
        let mut model = Model::default();
        let base = Arc::new(Engine::in_memory().unwrap());
        model.run(&*base, below)?;
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let untouched = model.scan(&everything, usize::MAX, false);

        let overlay = Arc::new(Overlay::over(base.clone()));
        model.run(&*overlay, steps)?;
        prop_assert_eq!(&base.scan(everything.clone(), usize::MAX, false).unwrap(), &untouched);

        // What the overlay says it changed leads from the base to what it shows.
        let mut values: BTreeMap<_, _> = untouched.into_iter().map(|(key, row)| (key, row.value)).collect();
        let changes = overlay.changes();
        prop_assert!(changes.is_sorted_by(|a, b| a.key < b.key));
        for change in changes {
            prop_assert_eq!(values.get(&change.key), change.before.as_ref().map(|row| &row.value));
            match change.after {
                Some(value) => drop(values.insert(change.key, value)),
                None => drop(values.remove(&change.key)),
            }
        }
        let shown: BTreeMap<_, _> = model.0.iter().map(|(key, row)| (key.clone(), row.value.clone())).collect();
        prop_assert_eq!(values, shown);

        model.run(&Overlay::over(overlay), more)?;
    }
}
