//! Random reloads, crashes at any commit, sleeps, pauses and clocks that are set: each expected tick has exactly one fate.
#![expect(
    clippy::disallowed_methods,
    reason = "the chance of these tests comes from their seeds"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::tests::{HOUR, MINUTE, START, World, id, listed};
use super::{LiveNow, Ticks};
use crate::id::RunId;
use crate::journal::RunRecord;
use crate::script::triggers::Scheduled;
use crate::store::ticks::{Fate, Resumed, ScheduleId};
use crate::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats};

/// A store whose process dies at a commit: before it, or right after.
struct Dying {
    store: Arc<dyn Store>,
    /// Commits until then; negative: never.
    left: AtomicI64,
    is_after: bool,
}

fn died() -> StoreError {
    StoreError::Refused {
        code: "DIED",
        reason: "the process died".to_owned(),
    }
}

impl Store for Dying {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.store.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            0 if self.is_after => self.store.commit(batch, durability).and_then(|_| Err(died())),
            0 => Err(died()),
            _ => self.store.commit(batch, durability),
        }
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.store.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.store.stats()
    }
}

const LINES: [&str; 5] = [
    "*/7 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "*/13 1-5 * * *",
    "*/10 * * * * *",
];
const MISSED: [&str; 3] = ["all", "latest", "none"];
const OVERLAPS: [&str; 4] = ["skip", "queue", "allow", "cancel_previous"];

/// What one schedule says for a time: its ticks after `from_ms` until `until_ms` are expected.
struct Era {
    scheduled: Scheduled,
    anchor_ms: i64,
    from_ms: i64,
    until_ms: i64,
}

struct Model {
    world: World,
    random: StdRng,
    now_ms: i64,
    eras: BTreeMap<String, Vec<Era>>,
    started: BTreeSet<RunId>,
}

impl Model {
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.random_range(0..of.len())]
    }

    fn header(&mut self) -> serde_json::Value {
        let (line, missed, overlap) = (self.pick(&LINES), self.pick(&MISSED), self.pick(&OVERLAPS));
        let jitter = self.pick(&["0s", "2m"]);
        let zone = self.pick(&["UTC", "America/New_York"]);
        serde_json::json!({
            "schedule": line, "missed": missed, "overlap": overlap, "jitter": jitter, "horizon": "6h", "timezone": zone,
        })
    }

    /// Looks until all is done; dies on the way now and then.
    fn look(&mut self) {
        loop {
            let left = match self.random.random_range(0..3) {
                0 => self.random.random_range(0..4),
                _ => -1,
            };
            let mut gate = self.world.host.gate();
            let is_after = self.random.random_bool(0.5);
            let dying = Dying {
                store: self.world.host.ground.store.clone(),
                left: AtomicI64::new(left),
                is_after,
            };
            Arc::get_mut(&mut gate).expect("it is new").ground.store = Arc::new(dying);
            let mode = self.world.mode.clone();
            let live = LiveNow {
                number: self.world.number,
                playbooks: &self.world.playbooks,
                gate: &gate,
                mode: &|_| mode.clone(),
            };
            let room = self.random.random_range(0..40);
            let before: BTreeMap<String, _> = self
                .eras
                .keys()
                .map(|name| (name.clone(), self.world.ledger(&id(name))))
                .collect();
            let looked = self.world.ticks.look(&live, self.now_ms, room);
            self.note_eras(&before);
            match looked {
                Ok(turn) => {
                    for started in &turn.runs {
                        assert!(self.started.insert(started.run), "{} started twice", started.run);
                    }
                    if !turn.has_more {
                        return;
                    }
                }
                Err(_) => self.world.ticks = Ticks::default(),
            }
        }
    }

    /// A new era begins where the text in the ledger has become another.
    fn note_eras(&mut self, before: &BTreeMap<String, Option<crate::store::ticks::Ledger>>) {
        for (name, before) in before {
            let Some(ledger) = self.world.ledger(&id(name)) else {
                continue;
            };
            let is_new = before
                .as_ref()
                .is_none_or(|before| (&before.written, &before.zone) != (&ledger.written, &ledger.zone));
            if !is_new {
                continue;
            }
            let scheduled = self.world.playbooks[name].triggers.schedules[0].clone();
            let last_ms = before.as_ref().map(|before| before.last_ms.unwrap_or(before.anchor_ms));
            let outstanding = before
                .as_ref()
                .and_then(|before| before.next)
                .is_some_and(|next| next.due_ms <= self.now_ms);
            let from_ms = match last_ms {
                None => self.now_ms,
                Some(last_ms) if outstanding => last_ms,
                Some(last_ms) => last_ms.max(self.now_ms),
            };
            let eras = self.eras.get_mut(name).expect("it is known");
            if let (Some(era), Some(last_ms)) = (eras.last_mut(), last_ms) {
                era.until_ms = last_ms;
            }
            eras.push(Era {
                scheduled,
                anchor_ms: ledger.anchor_ms,
                from_ms,
                until_ms: i64::MAX,
            });
        }
    }

    fn act(&mut self) {
        match self.random.random_range(0..20) {
            0..=8 => self.now_ms += self.random.random_range(0..20 * MINUTE),
            9 => self.now_ms += self.random.random_range(0..30 * HOUR),
            10 => self.now_ms -= self.random.random_range(0..3 * HOUR),
            11 => self.world.restart(),
            12 => {
                // As written, and spread otherwise.
                let name = self.pick(&["a", "b", "c"]).to_owned();
                let mut listed = (*self.world.playbooks[&name]).clone();
                let seconds = self.random.random_range(0..200);
                listed.triggers.schedules[0].jitter = std::time::Duration::from_secs(seconds);
                self.world.playbooks.insert(name, Arc::new(listed));
                self.world.number += 1;
            }
            13 => {
                let name = self.pick(&["a", "b", "c"]).to_owned();
                let header = self.header();
                self.world
                    .playbooks
                    .insert(name.clone(), Arc::new(listed(&name, header)));
                self.world.number += 1;
            }
            14 => {
                let playbook = ["a", "b", ""][self.random.random_range(0..3)];
                let playbook = Some(playbook).filter(|playbook| !playbook.is_empty());
                self.world.pause(playbook, self.now_ms, None);
            }
            15 | 16 => {
                let missed = [Resumed::All, Resumed::Latest, Resumed::None][self.random.random_range(0..3)];
                let pauses = crate::store::ticks::Pauses::load(self.world.store()).unwrap();
                for name in pauses.on.keys() {
                    self.world.pause(Some(name), 0, Some((self.now_ms, missed)));
                }
            }
            _ => self.end_runs(),
        }
    }

    fn end_runs(&mut self) {
        let latest = RunRecord::latest(self.world.store(), RunId::from_bytes([0xff; 16]), 200).unwrap();
        for record in latest.iter().filter(|record| !record.status.is_over()) {
            self.world.end(record.run);
        }
    }

    fn check(&self) {
        let mut runs = BTreeSet::new();
        for (name, eras) in &self.eras {
            let id: ScheduleId = id(name);
            let ledger = self.world.ledger(&id).unwrap();
            let history = self.world.history(&id);
            let mut covered: Vec<(i64, i64, bool)> = Vec::new();
            let mut superseded = BTreeSet::new();
            for (planned_ms, tick) in &history {
                if tick.fate == Fate::Superseded {
                    superseded.insert(*planned_ms);
                    continue;
                }
                let until_ms = tick.many.map_or(*planned_ms, |many| many.until_ms);
                assert!(
                    covered.last().is_none_or(|(_, last, _)| last < planned_ms),
                    "two fates: {name} {planned_ms}"
                );
                covered.push((*planned_ms, until_ms, false));
                if let Some(run) = tick.run {
                    assert!(runs.insert(run));
                    assert_eq!(run, RunId::of_tick(name, "1", *planned_ms));
                }
                if tick.fate == Fate::Waiting {
                    assert!(ledger.next.is_some_and(|next| next.planned_ms == *planned_ms));
                }
            }
            for era in eras {
                let until_ms = era.until_ms.min(ledger.last_ms.unwrap_or(era.anchor_ms));
                let mut at = era.from_ms;
                while let Some(next) = era
                    .scheduled
                    .next_after(at, era.anchor_ms)
                    .filter(|next| next.at_ms <= until_ms)
                {
                    at = next.at_ms;
                    assert!(
                        !superseded.contains(&at),
                        "planned again, and still superseded: {name} {at}"
                    );
                    let place = covered.partition_point(|(from, ..)| *from <= at);
                    let found = place.checked_sub(1).map(|place| &mut covered[place]);
                    let found = found.filter(|(_, until, _)| at <= *until);
                    found.unwrap_or_else(|| panic!("no fate: {name} {at}")).2 = true;
                }
            }
            let waiting = history
                .iter()
                .find(|(_, tick)| tick.fate == Fate::Waiting)
                .map(|(at, _)| *at);
            for (planned_ms, _, is_expected) in covered {
                assert!(
                    is_expected || waiting == Some(planned_ms),
                    "nobody expected {name} {planned_ms}"
                );
            }
        }
        // Every run has its tick; each that was told of is there.
        let all = RunRecord::latest(self.world.store(), RunId::from_bytes([0xff; 16]), 1_000_000).unwrap();
        let all: BTreeSet<RunId> = all.into_iter().map(|record| record.run).collect();
        assert_eq!(all, runs);
        assert!(self.started.is_subset(&all));
    }
}

#[test]
fn whatever_happens_each_expected_tick_has_exactly_one_fate() {
    let mut total = 0;
    for seed in 0..25 {
        let mut model = Model {
            world: World::new(),
            random: StdRng::seed_from_u64(seed),
            now_ms: START,
            eras: BTreeMap::new(),
            started: BTreeSet::new(),
        };
        for name in ["a", "b", "c"] {
            let header = model.header();
            model.world.save(name, header);
            model.eras.insert(name.to_owned(), Vec::new());
        }
        for _ in 0..60 {
            model.act();
            model.look();
        }
        model.check();
        total += model.started.len();
    }
    assert!(total > 1000, "{total}");
}
