//! Whether store and journals agree: the store must hold exactly what the journals, read in order, say was done.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use host::id::RunId;
use host::journal::{Answer, Recorded, RunRecord, Status};
use host::store::keys::{self, Place};
use host::store::tx::Ground;
use host::store::{Realm, Tx, documents, kv};
use host::value::Value;

/// Everything that playbooks keep, by name.
#[derive(Debug, Default, PartialEq)]
pub struct Kept {
    pub pairs: BTreeMap<String, Value>,
    /// Version and data by collection and id.
    pub documents: BTreeMap<(String, String), (u64, Value)>,
}

impl Kept {
    /// Does what `answer` says was done.
    fn apply(&mut self, answer: &Answer) {
        if answer.error.is_some() {
            return;
        }
        let args = &answer.asked.args;
        let text = |name: &str| args.get(name).and_then(Value::as_str).expect("a text").to_owned();
        let document = || (text("collection"), text("id"));
        let arg = |name: &str| args.get(name).cloned().unwrap_or_default();
        match answer.asked.name.as_str() {
            "kv.put" => drop(self.pairs.insert(text("key"), arg("value"))),
            "kv.remove" => drop(self.pairs.remove(&text("key"))),
            "kv.increment" => {
                let before = self.pairs.get(&text("key")).and_then(Value::as_int).unwrap_or(0);
                let sum = before + arg("by").as_int().expect("a number");
                assert_eq!(answer.value, Value::Int(sum), "each increment counts once: {answer:?}");
                self.pairs.insert(text("key"), answer.value.clone());
            }
            "store.put" => {
                let version = answer.value.as_int().expect("a version") as u64;
                let before = self.documents.insert(document(), (version, arg("data")));
                assert_eq!(version, before.map_or(1, |(version, _)| version + 1), "{answer:?}");
            }
            "store.delete" => drop(self.documents.remove(&document())),
            _ => {}
        }
    }
}

/// What is in the store, read row by row.
fn kept(ground: &Ground) -> Kept {
    let mut tx = Tx::new(ground, Realm::Dry, 0);
    let mut kept = Kept::default();
    for (key, _) in all_rows(ground) {
        match keys::parse(&key).expect("the host knows every key") {
            Place::Kv { key, .. } => {
                let value = kv::get(&mut tx, &key).expect("it is readable").expect("it is there");
                kept.pairs.insert(key, value);
            }
            Place::Document { collection, id, .. } => {
                let found = documents::get(&mut tx, &collection, &id).expect("it is readable");
                let found = found.expect("it is there");
                kept.documents
                    .insert((collection, id), (found.version, found.data.into()));
            }
            _ => {}
        }
    }
    kept
}

fn all_rows(ground: &Ground) -> Vec<(Vec<u8>, host::store::Row)> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    ground
        .store
        .scan(all, usize::MAX, false)
        .expect("the store is readable")
}

/// Checks that every journal is whole, that each run's row tells what its journal does, and that the store holds what
/// the journals say was done. Returns the runs, oldest first.
#[track_caller]
pub fn audit(ground: &Ground) -> Vec<Recorded> {
    let (mut listed, mut journaled) = (BTreeSet::new(), BTreeSet::new());
    for (key, _) in all_rows(ground) {
        match keys::parse(&key) {
            Some(Place::Run(run)) => drop(listed.insert(run)),
            Some(Place::Journal { run, .. }) => drop(journaled.insert(run)),
            _ => {}
        }
    }
    assert_eq!(listed, journaled, "a run is listed when it has a journal");
    let mut said = Kept::default();
    let load = |run: RunId| Recorded::load(ground, run).unwrap_or_else(|error| panic!("run {run}: {error}"));
    let runs: Vec<Recorded> = listed.into_iter().map(load).collect();
    for run in &runs {
        let record = RunRecord::find(&*ground.store, &run.begun.run.to_string()).expect("it is listed");
        let status = run.ended.as_ref().map_or(Status::Running, |ended| ended.status);
        assert_eq!(
            record.status, status,
            "the row of {} tells what its journal does",
            record.run
        );
        let steps: Vec<_> = run.steps.keys().copied().collect();
        assert_eq!(
            steps,
            (1..=steps.len() as u32).collect::<Vec<_>>(),
            "no step is missing"
        );
        for answer in run.steps.values().filter_map(|step| step.answer.as_ref()) {
            said.apply(answer);
        }
    }
    assert_eq!(kept(ground), said, "the store holds what the journals say was done");
    runs
}

/// Every run of the store, oldest first.
pub fn load_all(ground: &Ground) -> Vec<Recorded> {
    let runs = all_rows(ground)
        .into_iter()
        .filter_map(|(key, _)| match keys::parse(&key) {
            Some(Place::Run(run)) => Some(run),
            _ => None,
        });
    runs.map(|run| Recorded::load(ground, run).unwrap_or_else(|error| panic!("run {run}: {error}")))
        .collect()
}
