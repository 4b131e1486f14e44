//! Runs that are old enough to go, and which of them something keeps.
//!
//! A store may hold more runs than memory should: of those that are not old enough, only what they keep is remembered, and
//! of those that are, the first so many. The next retention goes on.

use std::collections::{BTreeMap, BTreeSet};

use super::Swept;
use crate::id::RunId;
use crate::journal::{RunRecord, Status};
use crate::store::{CommitNo, Store, StoreError, keys};
use crate::upkeep::settings::Limits;

/// Old runs that one retention looks at, the first that were born: some thirty megabytes.
const OLD_MAX: usize = 1 << 19;

/// How far the parents of a run are looked at; each was born after its own.
const PARENTS_MAX: usize = 1024;

/// A run that is over, and old enough.
pub(super) struct Over {
    pub run: RunId,
    ended_ms: i64,
    pub version: CommitNo,
    pub bytes: u64,
}

/// What was found of all runs.
pub(super) struct Runs {
    old_max: usize,
    /// In the order of their ids.
    old: Vec<Over>,
    /// Of these, those that another run has started, and which.
    parents: BTreeMap<RunId, RunId>,
    /// Those that something names, or that have started one that is not over.
    named: BTreeSet<RunId>,
    /// Those that have started one that is over and not old enough.
    with_young: BTreeSet<RunId>,
    /// How many there are in all.
    count: u64,
    /// Whether there are more old ones than are looked at.
    pub is_cut: bool,
}

/// A run that goes, by its place, and whether it is the first of its family.
pub(super) type Goes = (bool, usize);

impl Default for Runs {
    fn default() -> Runs {
        Runs {
            old_max: OLD_MAX,
            old: Vec::new(),
            parents: BTreeMap::new(),
            named: BTreeSet::new(),
            with_young: BTreeSet::new(),
            count: 0,
            is_cut: false,
        }
    }
}

impl Runs {
    /// A run's row; in the order of their ids. What cannot be read stays, like what is not over.
    pub fn see(
        &mut self,
        run: RunId,
        record: Option<&RunRecord>,
        (version, bytes): (CommitNo, u64),
        is_old: impl Fn(i64) -> bool,
    ) {
        self.count += 1;
        let parent = record.and_then(|record| record.parent).map(|parent| parent.run);
        let ended_ms = record
            .filter(|record| is_done(record.status))
            .map(|record| record.ended_ms.unwrap_or(record.begun_ms));
        // A parent that sorts after its child, because a clock was set back, is not known yet.
        let keeps = parent.filter(|parent| *parent > run || self.has(*parent));
        match ended_ms {
            None => self.named.extend(keeps),
            Some(ended_ms) if !is_old(ended_ms) => self.with_young.extend(keeps),
            Some(_) if self.old.len() >= self.old_max => {
                self.is_cut = true;
                self.with_young.extend(keeps);
            }
            Some(ended_ms) => {
                self.old.push(Over {
                    run,
                    ended_ms,
                    version,
                    bytes,
                });
                self.parents.extend(parent.map(|parent| (run, parent)));
            }
        }
    }

    fn at(&self, run: RunId) -> Option<usize> {
        self.old.binary_search_by_key(&run, |over| over.run).ok()
    }

    fn has(&self, run: RunId) -> bool {
        self.at(run).is_some()
    }

    /// A row of the journal of `run`.
    pub fn see_journal(&mut self, run: RunId, bytes: u64) {
        if let Some(at) = self.at(run) {
            self.old[at].bytes += bytes;
        }
    }

    /// Something names `run`.
    pub fn name(&mut self, run: RunId) {
        if self.has(run) {
            self.named.insert(run);
        }
    }

    pub fn over(&self, at: usize) -> (&Over, Option<RunId>) {
        let over = &self.old[at];
        (over, self.parents.get(&over.run).copied())
    }

    /// The run among the old ones that started `run`, and all that it started.
    fn root_of(&self, run: RunId) -> RunId {
        let mut root = run;
        for _ in 0..PARENTS_MAX {
            match self.parents.get(&root).filter(|parent| self.has(**parent)) {
                Some(parent) => root = *parent,
                None => return root,
            }
        }
        root
    }

    /// The families that have several runs, each by the first and in order.
    fn families(&self) -> BTreeMap<RunId, Vec<usize>> {
        let mut families: BTreeMap<RunId, Vec<usize>> = BTreeMap::new();
        for run in self.parents.keys() {
            let root = self.root_of(*run);
            let family = families.entry(root).or_default();
            if family.is_empty() && root != *run {
                family.extend(self.at(root));
            }
            family.extend(self.at(*run));
        }
        for family in families.values_mut() {
            family.sort_unstable();
            family.dedup();
        }
        families
    }

    /// Those that go, each family together and in the order in which its runs were born: by age, and then the oldest until
    /// what is left is within its budget. `part` of it is a run's at least: texts and files are shared, and no more are to go
    /// than must.
    pub fn choose(
        &self,
        store: &dyn Store,
        limits: &Limits,
        (mut left, shared): (u64, u64),
        now_ms: i64,
        swept: &mut Swept,
    ) -> Result<Vec<Goes>, StoreError> {
        let families = self.families();
        let roots = |runs: &BTreeSet<RunId>| -> BTreeSet<RunId> { runs.iter().map(|run| self.root_of(*run)).collect() };
        let (kept, with_young) = (roots(&self.named), roots(&self.with_young));
        let mut by_age: Vec<(i64, usize)> = Vec::with_capacity(self.old.len());
        for (at, over) in self.old.iter().enumerate() {
            match families.get(&over.run) {
                Some(family) => {
                    let ended_ms = family.iter().map(|at| self.old[*at].ended_ms).max();
                    by_age.push((ended_ms.unwrap_or(over.ended_ms), at));
                }
                None if self.root_of(over.run) == over.run => by_age.push((over.ended_ms, at)),
                None => {}
            }
        }
        by_age.sort_unstable();
        let part = shared / self.count.max(1);
        let mut going = Vec::new();
        for (ended_ms, at) in by_age {
            let is_old = limits.runs_ms.is_some_and(|age_ms| ended_ms < now_ms - age_ms);
            let is_too_much = limits.bytes.is_some_and(|bytes| left > bytes);
            if !is_old && !is_too_much {
                break;
            }
            let root = self.old[at].run;
            let own = [at];
            let family: &[usize] = families.get(&root).map_or(&own, Vec::as_slice);
            if with_young.contains(&root) {
                continue;
            }
            // One whose parent is there still, and is not old enough, stays with it.
            let has_parent = match self.parents.get(&root) {
                Some(parent) => store.get(&keys::run(*parent))?.is_some(),
                None => false,
            };
            if has_parent || kept.contains(&root) {
                swept.kept += family.len() as u64;
                continue;
            }
            swept.oldest_ms = swept.oldest_ms.or(Some(ended_ms));
            swept.latest_ms = Some(ended_ms);
            for (place, at) in family.iter().enumerate() {
                left = left.saturating_sub(self.old[*at].bytes.max(part));
                going.push((place == 0, *at));
            }
        }
        Ok(going)
    }
}

/// Whether nobody has anything to do with such a run any more.
fn is_done(status: Status) -> bool {
    status.is_over() && status != Status::NeedsAttention
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Parent;
    use crate::store::engine::Engine;
    use crate::store::{Batch, Durability};
    use crate::testing::TestHost;
    use crate::upkeep::settings::YOUNG_MS;

    const NOW_MS: i64 = 1_763_683_200_000;

    fn run(number: i64) -> RunId {
        RunId::new(NOW_MS - 1_000_000 + number, 7)
    }

    /// Runs that were born one after the other, each with its parent and whether it is old; and what is there of them.
    fn seen(old_max: usize, runs: &[(i64, Option<i64>, bool)]) -> (Runs, Engine) {
        let store = Engine::in_memory().unwrap();
        let template = {
            let host = TestHost::default();
            RunRecord::get(&*host.ground.store, host.run("1").id()).unwrap()
        };
        let mut found = Runs {
            old_max,
            ..Runs::default()
        };
        for (number, parent, is_old) in runs {
            let record = RunRecord {
                run: run(*number),
                parent: parent.map(|parent| Parent {
                    run: run(parent),
                    step: 1,
                }),
                ended_ms: Some(NOW_MS - if *is_old { 100 } else { 1 } * YOUNG_MS),
                ..template.clone()
            };
            found.see(record.run, Some(&record), (CommitNo(1), 10), |ended_ms| {
                ended_ms < NOW_MS - 10 * YOUNG_MS
            });
            let mut batch = Batch::new();
            batch.put(keys::run(record.run), record.encode());
            store.commit(batch, Durability::Soon).unwrap();
        }
        (found, store)
    }

    fn chosen(found: &Runs, store: &dyn Store) -> Vec<i64> {
        let limits = Limits {
            runs_ms: Some(10 * YOUNG_MS),
            ..Limits::default()
        };
        let going = found
            .choose(store, &limits, (0, 0), NOW_MS, &mut Swept::default())
            .unwrap();
        let number = |(_, at): &Goes| found.over(*at).0.run.born_ms() - run(0).born_ms();
        let mut chosen: Vec<i64> = going.iter().map(number).collect();
        chosen.sort();
        chosen
    }

    #[test]
    fn of_more_old_runs_than_are_looked_at_the_first_go_and_never_one_without_its_family() {
        let all = [
            (1, None, true),
            (2, None, true),
            (3, Some(2), true),
            (4, None, true),
            (5, Some(1), true),
            (6, None, true),
        ];
        let (found, store) = seen(4, &all);
        assert!(found.is_cut);
        assert_eq!(chosen(&found, &store), [2, 3, 4], "what 1 started was not looked at");
        let (found, store) = seen(6, &all);
        assert!(!found.is_cut);
        assert_eq!(chosen(&found, &store), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_clock_that_was_set_back_tears_no_family_apart() {
        // A child that sorts before the run that started it; among the old ones, young, or beyond those that are looked at.
        let (found, store) = seen(9, &[(1, Some(3), true), (2, None, true), (3, None, true)]);
        assert_eq!(chosen(&found, &store), [1, 2, 3]);
        let (found, store) = seen(9, &[(1, Some(3), false), (2, None, true), (3, None, true)]);
        assert_eq!(chosen(&found, &store), [2]);
        let (found, store) = seen(9, &[(1, Some(3), true), (2, None, true), (3, None, false)]);
        assert_eq!(chosen(&found, &store), [2]);
        let (found, store) = seen(2, &[(1, Some(3), true), (2, None, true), (3, None, true)]);
        assert_eq!(chosen(&found, &store), [2]);
    }

    #[test]
    fn a_run_whose_parent_is_gone_goes_by_itself_and_a_grandchild_keeps_all_above_it() {
        let (found, store) = seen(9, &[(1, Some(0), true), (2, None, true)]);
        assert_eq!(chosen(&found, &store), [1, 2]);
        let family = [
            (1, None, true),
            (2, Some(1), true),
            (3, Some(2), true),
            (4, Some(3), false),
        ];
        let (found, store) = seen(9, &family);
        assert!(chosen(&found, &store).is_empty());
        let family = [(1, None, true), (2, Some(1), false), (3, Some(2), true)];
        let (found, store) = seen(9, &family);
        assert!(chosen(&found, &store).is_empty(), "one in the middle");
        let mut found = seen(9, &[(1, None, true), (2, Some(1), true), (3, None, true)]);
        found.0.name(run(2));
        assert_eq!(chosen(&found.0, &found.1), [3]);
    }
}
