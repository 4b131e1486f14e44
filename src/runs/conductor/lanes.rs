//! Who is next: runs that wait for a thread, a lane for each playbook, served in turn.
//!
//! A lane whose playbook has as many runs at work as it may have is closed until one of them comes to rest; the others
//! do not wait for it. Pure: nothing here starts anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::id::RunId;

/// A run that is to have a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub run: RunId,
    pub playbook: String,
    pub what: What,
}

/// What is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Gone on with, if it is not over.
    GoOn,
    /// Reopened, if it is over.
    Reopen,
    /// Ended where it stands.
    Cancel,
}

/// Runs that wait for a thread, and those that have one.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<String, Lane>,
    /// The playbooks whose lanes are open and not empty; the next one first.
    turn: VecDeque<String>,
    waiting: BTreeMap<RunId, What>,
    /// How many of those wait in open lanes.
    open: usize,
    active: BTreeMap<RunId, Active>,
    /// Runs at work at once, by playbook.
    limits: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<RunId>,
    at_work: usize,
    is_in_turn: bool,
}

/// A run at work.
#[derive(Default)]
struct Active {
    playbook: String,
    /// Stops it, once there is something to stop.
    flag: Option<Arc<AtomicBool>>,
    is_cancelled: bool,
    /// It was said meanwhile that it can go on.
    again: bool,
}

impl Lanes {
    /// Runs of one playbook that may be at work at once; playbooks that are not named have no limit of their own.
    pub fn set_limits(&mut self, limits: BTreeMap<String, usize>) {
        self.limits = limits;
        for playbook in self.lanes.keys().cloned().collect::<Vec<_>>() {
            self.open_or_close(&playbook);
        }
    }

    /// Puts a run at the end of its lane; what waits or is at work already is only told.
    pub fn push(&mut self, offer: Offer) {
        let Offer { run, playbook, what } = offer;
        if let Some(active) = self.active.get_mut(&run) {
            match what {
                What::Cancel => active.cancel(),
                What::GoOn | What::Reopen => active.again = true,
            }
            return;
        }
        if let Some(waits) = self.waiting.get_mut(&run) {
            *waits = (*waits).max(what);
            return;
        }
        self.waiting.insert(run, what);
        let lane = self.lanes.entry(playbook.clone()).or_default();
        lane.waiting.push_back(run);
        self.open += usize::from(lane.is_in_turn);
        self.open_or_close(&playbook);
    }

    /// The next run to be at work.
    pub fn next(&mut self) -> Option<Offer> {
        let playbook = self.turn.pop_front()?;
        let lane = self.lanes.get_mut(&playbook).expect("a lane whose turn it is");
        let run = lane.waiting.pop_front().expect("a lane in turn is not empty");
        // Back to the end, if it stays open.
        self.open -= lane.waiting.len() + 1;
        lane.is_in_turn = false;
        lane.at_work += 1;
        self.open_or_close(&playbook);
        let what = self.waiting.remove(&run).expect("it waited");
        let active = Active {
            playbook: playbook.clone(),
            ..Active::default()
        };
        self.active.insert(run, active);
        Some(Offer { run, playbook, what })
    }

    /// Has a run that does not wait be at work at once; `false` where its playbook has as many at work as it may have, others
    /// of it wait, or it is known already.
    pub fn begin(&mut self, offer: &Offer) -> bool {
        let lane = self.lanes.get(&offer.playbook);
        let limit = self.limits.get(&offer.playbook).copied().unwrap_or(usize::MAX);
        let is_free = lane.is_none_or(|lane| lane.waiting.is_empty()) && lane.map_or(0, |lane| lane.at_work) < limit;
        if !is_free || self.active.contains_key(&offer.run) || self.waiting.contains_key(&offer.run) {
            return false;
        }
        self.lanes.entry(offer.playbook.clone()).or_default().at_work += 1;
        let active = Active {
            playbook: offer.playbook.clone(),
            ..Active::default()
        };
        self.active.insert(offer.run, active);
        true
    }

    /// Takes note of what stops `run`; a cancellation that came before is passed on.
    pub fn has_flag(&mut self, run: RunId, flag: Arc<AtomicBool>) {
        if let Some(active) = self.active.get_mut(&run) {
            active.flag = Some(flag);
            if active.is_cancelled {
                active.cancel();
            }
        }
    }

    /// Whether somebody has cancelled `run` while it was at work.
    pub fn is_cancelled(&self, run: RunId) -> bool {
        self.active.get(&run).is_some_and(|active| active.is_cancelled)
    }

    /// Takes note that `run` is at rest; gives whether it was said meanwhile that it can go on.
    pub fn rests(&mut self, run: RunId) -> bool {
        let Some(active) = self.active.remove(&run) else {
            return false;
        };
        if let Some(lane) = self.lanes.get_mut(&active.playbook) {
            lane.at_work -= 1;
        }
        self.open_or_close(&active.playbook);
        active.again
    }

    /// Stops `run` if it is at work; gives whether it is.
    pub fn stop(&mut self, run: RunId) -> bool {
        self.active.get_mut(&run).map(Active::cancel).is_some()
    }

    /// How many could begin at once if there were threads.
    pub fn open(&self) -> usize {
        self.open
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn at_work(&self) -> usize {
        self.active.len()
    }

    pub fn runs_at_work(&self) -> BTreeSet<RunId> {
        self.active.keys().copied().collect()
    }

    fn open_or_close(&mut self, playbook: &str) {
        let Some(lane) = self.lanes.get_mut(playbook) else {
            return;
        };
        let limit = self.limits.get(playbook).copied().unwrap_or(usize::MAX);
        let is_open = !lane.waiting.is_empty() && lane.at_work < limit;
        match (is_open, lane.is_in_turn) {
            (true, false) => {
                lane.is_in_turn = true;
                self.open += lane.waiting.len();
                self.turn.push_back(playbook.to_owned());
            }
            (false, true) => {
                lane.is_in_turn = false;
                self.open -= lane.waiting.len();
                self.turn.retain(|other| other != playbook);
            }
            _ => {}
        }
        if lane.waiting.is_empty() && lane.at_work == 0 {
            self.lanes.remove(playbook);
        }
    }
}

impl Active {
    fn cancel(&mut self) {
        self.is_cancelled = true;
        if let Some(flag) = &self.flag {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u8) -> RunId {
        RunId::from_bytes([number; 16])
    }

    fn offer(number: u8, playbook: &str) -> Offer {
        Offer {
            run: run(number),
            playbook: playbook.to_owned(),
            what: What::GoOn,
        }
    }

    fn begun(lanes: &mut Lanes) -> Vec<u8> {
        std::iter::from_fn(|| lanes.next())
            .map(|offer| offer.run.to_bytes()[0])
            .collect()
    }

    #[test]
    fn playbooks_take_turns_however_many_runs_one_has() {
        let mut lanes = Lanes::default();
        for number in 0..4 {
            lanes.push(offer(number, "many"));
        }
        lanes.push(offer(10, "few"));
        lanes.push(offer(11, "few"));
        assert_eq!(lanes.open(), 6);
        assert_eq!(begun(&mut lanes), [0, 10, 1, 11, 2, 3]);
        assert_eq!((lanes.open(), lanes.waiting(), lanes.at_work()), (0, 0, 6));
    }

    #[test]
    fn a_playbook_at_its_limit_waits_and_no_other_does() {
        let mut lanes = Lanes::default();
        lanes.set_limits([("one".to_owned(), 1)].into());
        for number in 0..3 {
            lanes.push(offer(number, "one"));
        }
        lanes.push(offer(10, "other"));
        assert_eq!(begun(&mut lanes), [0, 10]);
        assert_eq!((lanes.open(), lanes.waiting()), (0, 2));
        lanes.rests(run(0));
        assert_eq!(begun(&mut lanes), [1]);
        lanes.set_limits(BTreeMap::new());
        assert_eq!(lanes.open(), 1);
        assert_eq!(begun(&mut lanes), [2]);
        for number in [1, 2, 10] {
            lanes.rests(run(number));
        }
        assert!(
            lanes.lanes.is_empty() && lanes.turn.is_empty(),
            "nothing is left of what is over"
        );
    }

    #[test]
    fn a_run_begins_at_once_only_where_no_other_of_its_playbook_waits_or_is_one_too_many() {
        let mut lanes = Lanes::default();
        lanes.set_limits([("one".to_owned(), 1)].into());
        assert!(lanes.begin(&offer(1, "one")) && !lanes.begin(&offer(2, "one")));
        assert!(!lanes.begin(&offer(1, "other")), "it is at work");
        lanes.push(offer(2, "one"));
        assert!(!lanes.begin(&offer(2, "one")), "it waits");
        lanes.rests(run(1));
        assert!(!lanes.begin(&offer(3, "one")), "another was there before");
        assert_eq!(begun(&mut lanes), [2]);
        lanes.rests(run(2));
        assert!(lanes.lanes.is_empty() && lanes.begin(&offer(3, "one")));
    }

    #[test]
    fn a_limit_that_is_lowered_closes_a_lane_that_is_open() {
        let mut lanes = Lanes::default();
        for number in 0..4 {
            lanes.push(offer(number, "one"));
        }
        lanes.next();
        lanes.set_limits([("one".to_owned(), 1)].into());
        assert_eq!((lanes.open(), begun(&mut lanes).len()), (0, 0));
    }

    #[test]
    fn a_run_has_one_thread_and_is_looked_at_again() {
        let mut lanes = Lanes::default();
        lanes.push(offer(1, "a"));
        lanes.push(offer(1, "a"));
        assert_eq!(begun(&mut lanes), [1]);
        lanes.push(offer(1, "a"));
        assert_eq!(begun(&mut lanes).len(), 0);
        assert!(lanes.rests(run(1)));
        assert!(!lanes.rests(run(1)));
    }

    #[test]
    fn a_cancellation_reaches_a_run_that_has_no_flag_yet() {
        let mut lanes = Lanes::default();
        lanes.push(offer(1, "a"));
        lanes.next();
        lanes.push(Offer {
            what: What::Cancel,
            ..offer(1, "a")
        });
        let flag = Arc::new(AtomicBool::new(false));
        lanes.has_flag(run(1), flag.clone());
        assert!(flag.load(Ordering::Relaxed));
        lanes.push(offer(2, "a"));
        lanes.push(Offer {
            what: What::Cancel,
            ..offer(2, "a")
        });
        assert_eq!(lanes.next().map(|offer| offer.what), Some(What::Cancel));
    }
}
