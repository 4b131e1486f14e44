//! What goes and what stays, against a model that follows names by itself.
#![expect(clippy::disallowed_methods, reason = "a test puts a file aside")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use super::chore::Place;
use super::retention::{Swept, retain};
use super::settings::Limits;
use crate::id::{ContentHash, IncidentId, RunId};
use crate::io::chance::SeededChance;
use crate::io::clock::Clock;
use crate::journal::incident::{self, HOST, Incident, OpenedBy};
use crate::journal::{Entry, Parent, Recorded, RunRecord, Status};
use crate::store::content::FileContent;
use crate::store::keys::{self, Place as Key};
use crate::store::ticks::{Fate, ScheduleId, Tick};
use crate::store::{Batch, Durability, Store};
use crate::testing::TestHost;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const DAY_MS: i64 = 86_400_000;

/// A text that is too long for a row.
const LARGE: &str = "let text = \"x\"; for i in 0..17 { text += text; }";

pub(super) struct Kept {
    pub host: TestHost,
    pub folder: tempfile::TempDir,
}

impl Kept {
    pub fn new() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let mut host = TestHost::default();
        host.ground.content = Arc::new(FileContent::new(folder.path().join("content")));
        Kept { host, folder }
    }

    pub fn retain(&self, limits: Limits, preview: bool) -> Swept {
        self.retain_telling(limits, preview, &mut |_| {})
    }

    pub fn retain_telling(&self, limits: Limits, preview: bool, tell: &mut dyn FnMut(&str)) -> Swept {
        let place = Place {
            ground: self.host.ground.clone(),
            data: self.folder.path().to_owned(),
            node: "local".to_owned(),
            needs: Vec::new(),
            variable: Box::new(|_| None),
            limits,
            clock: self.host.clock.clone(),
            chance: Arc::new(SeededChance::new(1)),
        };
        let tell: &mut super::Tell<'_> = &mut |what, _| {
            tell(what);
            ControlFlow::Continue(())
        };
        retain(&place, preview, tell).unwrap()
    }

    pub fn runs(&self) -> BTreeSet<RunId> {
        rows(&*self.host.ground.store)
            .keys()
            .filter_map(|key| match keys::parse(key) {
                Some(Key::Run(run)) => Some(run),
                _ => None,
            })
            .collect()
    }
}

pub(super) fn rows(store: &dyn Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let rows = store
        .scan((Bound::Unbounded, Bound::Unbounded), usize::MAX, false)
        .unwrap();
    rows.into_iter().map(|(key, row)| (key, row.value)).collect()
}

pub(super) fn by_age(days: i64) -> Limits {
    Limits {
        runs_ms: Some(days * DAY_MS),
        ticks_ms: Some(days * DAY_MS),
        events_ms: None,
        bytes: None,
    }
}

fn hold(kept: &Kept, run: RunId) {
    let store = &*kept.host.ground.store;
    let now_ms = kept.host.clock.unix_ms();
    let mut incident = Incident::open(IncidentId::new(now_ms, 3), "look at it", OpenedBy::Hand, HOST, now_ms).unwrap();
    incident.runs.insert(run);
    let mut batch = Batch::new();
    incident::save_in(&mut batch, store, None, &incident).unwrap();
    store.commit(batch, Durability::Now).unwrap();
}

/// The model: every run that must stay, found by following records alone.
fn must_stay(kept: &Kept, age_ms: i64) -> BTreeSet<RunId> {
    let store = &*kept.host.ground.store;
    let now_ms = kept.host.clock.unix_ms();
    let mut records = BTreeMap::new();
    let mut stays = BTreeSet::new();
    for (key, value) in rows(store) {
        match keys::parse(&key) {
            Some(Key::Run(run)) => {
                let record = RunRecord::decode(run, &value).unwrap();
                let waits = !record.status.is_over() || record.status == Status::NeedsAttention;
                if waits || record.ended_ms.is_none_or(|ended_ms| ended_ms >= now_ms - age_ms) {
                    stays.insert(run);
                }
                records.insert(run, record);
            }
            Some(Key::Pin { run, .. }) => drop(stays.insert(run)),
            _ => {}
        }
    }
    loop {
        let before = stays.len();
        for (run, record) in &records {
            if let Some(parent) = record.parent.map(|parent| parent.run)
                && (stays.contains(run) || stays.contains(&parent))
            {
                stays.extend([*run, parent]);
            }
        }
        stays.retain(|run| records.contains_key(run));
        if stays.len() == before {
            return stays;
        }
    }
}

/// Every run that is left can be read whole, with its text and its files.
fn check_whole(kept: &Kept) {
    let store = &*kept.host.ground.store;
    for run in kept.runs() {
        let recorded = Recorded::load(&kept.host.ground, run).unwrap();
        assert!(
            store.get(&keys::version(&recorded.begun.version)).unwrap().is_some(),
            "{run}"
        );
    }
    for key in rows(store).keys() {
        if let Some(Key::Journal { run, .. } | Key::Question { run, .. }) = keys::parse(key) {
            assert!(
                kept.runs().contains(&run),
                "{} is left of a run that is gone",
                keys::describe(key)
            );
        }
    }
}

#[test]
fn what_goes_is_what_the_model_says_and_the_rest_is_whole() {
    let kept = Kept::new();
    let host = &kept.host;
    let old: Vec<RunId> = (0..6)
        .map(|number| {
            host.run(&format!(
                "{LARGE} text += \"{number}\"; kv::put(\"k{number}\", text); text"
            ))
            .id()
        })
        .collect();
    let waits = host.start("run::sleep(\"300d\")").id();
    hold(&kept, old[0]);
    host.clock.advance(DAY * 40);
    let young: Vec<RunId> = (0..3).map(|number| host.run(&format!("{number}")).id()).collect();
    host.clock.advance(DAY);
    let stays = must_stay(&kept, 30 * DAY_MS);
    assert_eq!(stays, [old[0], waits].into_iter().chain(young).collect());

    let before = (rows(&*host.ground.store), host.ground.content.list().unwrap());
    let preview = kept.retain(by_age(30), true);
    assert_eq!(
        (rows(&*host.ground.store), host.ground.content.list().unwrap()),
        before,
        "a preview changes nothing"
    );
    let swept = kept.retain(by_age(30), false);
    assert_eq!((preview.runs, swept.runs, swept.kept), (5, 5, 1));
    assert_eq!(preview.texts, swept.texts);
    assert_eq!(kept.runs(), stays);
    check_whole(&kept);
    assert_eq!(
        host.run("kv::get(\"k3\").len()").value(),
        &crate::value::Value::from((1 << 17) + 1),
        "what playbooks keep stays"
    );
    assert_eq!(kept.retain(by_age(30), false).runs, 0, "nothing is left to do");
}

/// Files: the clock of the test stands in the past of the disk's, so their age is told by moving it far ahead.
#[test]
fn a_file_goes_when_the_last_row_that_names_it_is_gone_and_no_sooner() {
    let kept = Kept::new();
    let host = &kept.host;
    let content = host.ground.content.clone();
    host.run(&format!("{LARGE} kv::put(\"shared\", text); text"));
    host.run(&format!("{LARGE} text + \"own\""));
    let named_in_text = content.put(&[5; 70_000]).unwrap();
    host.run(&format!(
        "store::put(\"clips\", \"a\", #{{ file: \"{named_in_text}\" }})"
    ));
    let files = content.list().unwrap();
    assert!(files.len() >= 3, "{files:?}");
    // Beyond the moment at which the disk says that they were written.
    host.clock.advance(DAY * 365 * 60);
    let swept = kept.retain(by_age(30), false);
    assert_eq!(swept.runs, 3);
    assert_eq!(
        host.run("kv::get(\"shared\").len()").value(),
        &crate::value::Value::from(1 << 17)
    );
    let left: BTreeSet<ContentHash> = content.list().unwrap().into_iter().collect();
    assert!(left.contains(&named_in_text), "a document names it in words");
    assert!(left.len() < files.len(), "that of the run alone is gone");
    assert!(swept.file_bytes > 100_000);

    std::fs::File::create(kept.folder.path().join("store.redb.before-restore-x")).unwrap();
    host.run("kv::remove(\"shared\"); store::delete(\"clips\", \"a\")");
    host.clock.advance(DAY * 60);
    let swept = kept.retain(by_age(30), false);
    assert!(
        swept.has_aside && swept.files == 0,
        "a store that lies aside may name them"
    );
    std::fs::remove_file(kept.folder.path().join("store.redb.before-restore-x")).unwrap();
    assert!(kept.retain(by_age(30), false).files >= 2);
    assert!(content.list().unwrap().is_empty());
}

fn change(kept: &Kept, run: RunId, with: impl Fn(&mut RunRecord)) {
    let store = &*kept.host.ground.store;
    let mut record = RunRecord::get(store, run).unwrap();
    with(&mut record);
    let mut batch = Batch::new();
    if let Some(parent) = record.parent {
        batch.put(keys::child(parent.run, run), Vec::new());
    }
    batch.put(keys::run(run), record.encode());
    store.commit(batch, Durability::Now).unwrap();
}

#[test]
fn a_run_that_waits_for_a_person_and_the_parent_of_one_that_is_not_over_stay_however_old_they_are() {
    let kept = Kept::new();
    let host = &kept.host;
    let (doubtful, parent, other) = (host.run("1").id(), host.run("2").id(), host.run("3").id());
    let child = host.start("run::sleep(\"3000d\")").id();
    change(&kept, doubtful, |record| record.status = Status::NeedsAttention);
    change(&kept, child, |record| {
        record.parent = Some(Parent { run: parent, step: 1 })
    });
    host.clock.advance(DAY * 400);
    assert_eq!(must_stay(&kept, 30 * DAY_MS), BTreeSet::from([doubtful, parent, child]));
    kept.retain(by_age(30), false);
    assert_eq!(kept.runs(), BTreeSet::from([doubtful, parent, child]));
    assert!(!kept.runs().contains(&other));
}

/// Whoever goes on with a run while others are removed keeps all that it needs.
#[test]
fn a_run_that_is_taken_up_or_held_meanwhile_stays_with_its_text_its_files_and_its_children() {
    let kept = Kept::new();
    let host = &kept.host;
    let reopened = host.run(&format!("{LARGE} text + \"reopened\"")).id();
    host.clock.advance(Duration::from_secs(1));
    let child = host.run("5").id();
    change(&kept, child, |record| {
        record.parent = Some(Parent { run: reopened, step: 1 })
    });
    let pinned = host.run(&format!("{LARGE} text + \"pinned\"")).id();
    let goes = host.run(&format!("{LARGE} text + \"goes\"")).id();
    host.clock.advance(DAY * 365 * 60);
    let mut is_done = false;
    let swept = kept.retain_telling(by_age(30), false, &mut |what| {
        if what == "removing runs" && !is_done {
            change(&kept, reopened, |record| {
                record.ended_ms = record.ended_ms.map(|at| at + 1)
            });
            hold(&kept, pinned);
            is_done = true;
        }
    });
    assert_eq!(swept.runs, 1);
    assert_eq!(kept.runs(), BTreeSet::from([reopened, child, pinned]));
    assert!(!kept.runs().contains(&goes));
    check_whole(&kept);
    for run in [reopened, pinned] {
        let recorded = Recorded::load(&host.ground, run).unwrap();
        let file = recorded
            .ended
            .and_then(|ended| ended.file)
            .expect("it is too large for the journal");
        assert!(host.ground.content.get(&file).unwrap().is_some(), "its file is there");
    }
}

#[test]
fn a_preview_tells_exactly_what_is_then_removed() {
    let kept = Kept::new();
    let host = &kept.host;
    for number in 0..4 {
        host.run(&format!(
            "{LARGE} text += \"{number}\"; kv::put(\"k{number}\", text, #{{ ttl: \"1h\" }}); text"
        ));
    }
    host.run(&format!("{LARGE} kv::put(\"stays\", text + \"stays\")"));
    let runs = kept.folder.path().join("runs");
    for born_ms in [host.clock.unix_ms(), host.clock.unix_ms() + 1] {
        std::fs::create_dir_all(runs.join(RunId::new(born_ms, 9).to_string())).unwrap();
    }
    std::fs::create_dir_all(runs.join("mine")).unwrap();
    let left = kept.folder.path().join("content/00/.00.new-1-0");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, b"left by one that was killed").unwrap();
    host.clock.advance(DAY * 365 * 60);
    let preview = kept.retain(by_age(30), true);
    assert_eq!(preview.pairs, 4);
    assert!(preview.files >= 4 && preview.folders == 2, "{preview:?}");
    assert!(left.exists());
    let swept = kept.retain(by_age(30), false);
    assert_eq!(
        Swept {
            preview: true,
            ..swept.clone()
        },
        preview
    );
    let (rows, row_bytes) = kept_bytes(&kept);
    let file_bytes: u64 = host
        .ground
        .content
        .list()
        .unwrap()
        .iter()
        .map(|hash| host.ground.content.path(hash).unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(swept.bytes_left, row_bytes + file_bytes, "{rows} rows are left");
    assert!(runs.join("mine").is_dir() && !left.exists());
    let again = kept.retain(by_age(30), true);
    assert_eq!((again.runs, again.pairs, again.files, again.folders), (0, 0, 0, 0));
}

fn kept_bytes(kept: &Kept) -> (usize, u64) {
    let rows = rows(&*kept.host.ground.store);
    let bytes = rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    (rows.len(), bytes)
}

#[test]
fn a_family_goes_together_or_stays_together() {
    let kept = Kept::new();
    let host = &kept.host;
    let store = &*host.ground.store;
    let (parent, child, other) = (host.run("1").id(), host.run("2").id(), host.run("3").id());
    let adopt = |child: RunId, parent: RunId| {
        let mut record = RunRecord::get(store, child).unwrap();
        record.parent = Some(crate::journal::Parent { run: parent, step: 1 });
        let mut batch = Batch::new();
        batch.put(keys::run(child), record.encode());
        batch.put(keys::child(parent, child), Vec::new());
        store.commit(batch, Durability::Now).unwrap();
    };
    adopt(child, parent);
    hold(&kept, child);
    host.clock.advance(DAY * 100);
    kept.retain(by_age(30), false);
    assert_eq!(kept.runs(), BTreeSet::from([parent, child]));
    assert!(!kept.runs().contains(&other));
}

#[test]
fn a_budget_takes_the_oldest_and_never_what_ended_within_three_days() {
    let kept = Kept::new();
    let host = &kept.host;
    let mut runs = Vec::new();
    for number in 0..10 {
        runs.push(
            host.run(&format!("log::info(\"{number} {}\")", "y".repeat(20_000)))
                .id(),
        );
        host.clock.advance(DAY);
    }
    let size = |bytes| Limits {
        bytes: Some(bytes),
        ..Limits::default()
    };
    assert_eq!(kept.retain(size(1 << 40), false).runs, 0);
    let all = kept.retain(size(1 << 40), true).bytes_left;
    let swept = kept.retain(size(all * 3 / 4), false);
    assert!((1..6).contains(&swept.runs), "{swept:?}");
    let left = kept.runs();
    let gone = runs.iter().take_while(|run| !left.contains(run)).count();
    assert_eq!(gone as u64, swept.runs, "the oldest");
    let swept = kept.retain(size(1), false);
    assert!(swept.runs > 0);
    let young = must_stay(&kept, 3 * DAY_MS);
    assert!(young.len() >= 2);
    assert_eq!(kept.runs(), young, "72 hours");
}

#[test]
fn old_ticks_go_but_for_the_last_of_their_schedule_and_expired_pairs_go() {
    let kept = Kept::new();
    let host = &kept.host;
    let store = &*host.ground.store;
    let id = ScheduleId {
        playbook: "daily".to_owned(),
        schedule: "0".to_owned(),
    };
    let mut batch = Batch::new();
    let now_ms = host.clock.unix_ms();
    for number in 0..200 {
        let at_ms = now_ms + number * 1000;
        let tick = Tick {
            fate: Fate::Ran,
            why: None,
            run: None,
            due_ms: at_ms,
            at_ms,
            many: None,
        };
        tick.put(&mut batch, &id, at_ms);
    }
    store.commit(batch, Durability::Now).unwrap();
    host.run("kv::put(\"short\", 1, #{ ttl: \"1h\" }); kv::put(\"long\", 1)");
    host.clock.advance(DAY * 40);
    let swept = kept.retain(by_age(30), false);
    assert_eq!((swept.ticks, swept.pairs), (136, 1));
    assert_eq!(host.run("kv::get(\"long\")").value(), &crate::value::Value::from(1));
}

#[test]
fn without_limits_nothing_of_the_record_goes() {
    let kept = Kept::new();
    let run = kept.host.run("1").id();
    kept.host.clock.advance(DAY * 4000);
    let swept = kept.retain(Limits::default(), false);
    assert_eq!((swept.runs, swept.ticks), (0, 0));
    assert_eq!(kept.runs(), BTreeSet::from([run]));
    let entries = Recorded::entries_of(&kept.host.ground, run).unwrap();
    assert!(matches!(entries.last(), Some(Entry::Ended(_))));
}
