//! The difference between what a run asked for and what an edited script asks for.
//!
//! Steps that asked the same are pairs. Between two pairs that stand in the same order, what is left on both sides is
//! compared by name: the same function with other arguments was changed; the rest is new, or gone.

use std::collections::BTreeMap;

use super::subsequence::{common, rising};
use crate::effect::Class;
use crate::gate::Given;
use crate::id::StepNo;
use crate::journal::{Answer, Asked, Recorded, Step};

/// What became of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Asked the same, and answered the same.
    Kept,
    /// Asked with other arguments; or asked the same, and answered otherwise because of what was changed before.
    Changed,
    /// Nothing on record asked this.
    New,
    /// The edited script does not ask this any more.
    Gone,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Kept => "kept",
            Verdict::Changed => "changed",
            Verdict::New => "new",
            Verdict::Gone => "gone",
        }
    }
}

/// Whether a recorded write is out in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It is no write, or was never sent.
    Nothing,
    /// It was simulated.
    Simulated,
    Landed,
    NotLanded,
    /// It was sent, and nobody knows.
    InDoubt,
}

impl Landing {
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Landing::Nothing => None,
            Landing::Simulated => Some("simulated"),
            Landing::Landed => Some("landed"),
            Landing::NotLanded => Some("not landed"),
            Landing::InDoubt => Some("in doubt"),
        }
    }

    /// Whether it cannot be taken back, as far as anybody knows.
    pub fn is_out(self) -> bool {
        matches!(self, Landing::Landed | Landing::InDoubt)
    }

    fn of(step: &Step) -> Landing {
        if step.is_in_doubt() {
            return Landing::InDoubt;
        }
        match (&step.answer, step.intents.is_empty()) {
            (None, _) => Landing::Nothing,
            (Some(answer), _) if answer.asked.class != Class::Write => Landing::Nothing,
            (Some(answer), _) if answer.simulated.is_some() => Landing::Simulated,
            (Some(answer), nothing_sent) => match &answer.error {
                None => Landing::Landed,
                Some(failure) => match failure.landed {
                    Some(true) => Landing::Landed,
                    Some(false) => Landing::NotLanded,
                    None if nothing_sent => Landing::NotLanded,
                    None => Landing::InDoubt,
                },
            },
        }
    }
}

/// A step of the recorded run.
#[derive(Clone, Debug)]
pub struct Before {
    pub asked: Asked,
    /// `None` when the run was stopped before its answer.
    pub answer: Option<Answer>,
    pub landing: Landing,
}

/// One effect, then and now.
#[derive(Clone, Debug)]
pub struct Diff {
    pub verdict: Verdict,
    /// It comes before or after others than on record.
    pub reordered: bool,
    /// On record; `None` for what is new.
    pub before: Option<Before>,
    /// In the what-if; `None` for what is gone.
    pub now: Option<Given>,
}

impl Diff {
    pub fn old_step(&self) -> Option<StepNo> {
        Some(self.before.as_ref()?.asked.step)
    }

    pub fn new_step(&self) -> Option<StepNo> {
        Some(self.now.as_ref()?.answer.asked.step)
    }

    /// What is asked for: now, or of what is gone then.
    pub fn asked(&self) -> &Asked {
        match (&self.now, &self.before) {
            (Some(now), _) => &now.answer.asked,
            (None, Some(before)) => &before.asked,
            (None, None) => unreachable!("a difference has at least one side"),
        }
    }

    /// Whether both sides have the same arguments.
    pub fn asks_the_same(&self) -> bool {
        match (&self.before, &self.now) {
            (Some(before), Some(now)) => before.asked.args == now.answer.asked.args,
            _ => false,
        }
    }

    pub fn landing(&self) -> Landing {
        self.before.as_ref().map_or(Landing::Nothing, |before| before.landing)
    }

    /// Whether a write that is out, or may be, would not be asked for as it was: what `host resume RUN --with` must
    /// not pass over.
    pub fn touches_what_is_out(&self) -> bool {
        self.landing().is_out() && (self.reordered || self.verdict != Verdict::Kept)
    }

    pub fn is_difference(&self) -> bool {
        self.reordered || self.verdict != Verdict::Kept
    }

    pub fn is_unrecorded(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.origin.is_unrecorded())
    }
}

/// Compares `recorded` with what was `given` in a what-if, in an order that reads like both.
pub(super) fn compare(recorded: &Recorded, mut given: Vec<Given>) -> Vec<Diff> {
    adopt_reads(&mut given);
    let old: Vec<Before> = recorded.steps.values().filter_map(before).collect();
    let place_of: BTreeMap<StepNo, usize> = old.iter().enumerate().map(|(at, old)| (old.asked.step, at)).collect();
    let pairs: Vec<(usize, usize)> = given
        .iter()
        .enumerate()
        .filter_map(|(at, given)| Some((*place_of.get(&given.recorded?)?, at)))
        .collect();
    let olds: Vec<u32> = pairs.iter().map(|(old, _)| *old as u32).collect();
    let anchors: Vec<(usize, usize)> = rising(&olds).into_iter().map(|at| pairs[at]).collect();
    let paired: BTreeMap<usize, usize> = pairs.iter().map(|(old, now)| (*now, *old)).collect();
    let taken: BTreeMap<usize, usize> = pairs.into_iter().collect();

    let mut diffs = Vec::with_capacity(given.len());
    let (mut from_old, mut from_now) = (0, 0);
    let ends = anchors.iter().map(|pair| (*pair, true));
    for ((to_old, to_now), is_anchor) in ends.chain([((old.len(), given.len()), false)]) {
        let left: Vec<usize> = (from_old..to_old).filter(|at| !taken.contains_key(at)).collect();
        gap(&old, &left, &given, from_now..to_now, &paired, &mut diffs);
        if is_anchor {
            diffs.push(pair(&old[to_old], &given[to_now], false));
        }
        (from_old, from_now) = (to_old + 1, to_now + 1);
    }
    diffs
}

/// A read that was shown again, though nobody asked for it at its own place, has only moved.
fn adopt_reads(given: &mut [Given]) {
    use crate::gate::Origin;
    let mut taken: std::collections::BTreeSet<StepNo> = given.iter().filter_map(|given| given.recorded).collect();
    for given in given {
        if let Origin::Again(step) = given.origin
            && taken.insert(step)
        {
            given.recorded = Some(step);
            given.origin = Origin::Record;
        }
    }
}

fn before(step: &Step) -> Option<Before> {
    Some(Before {
        asked: step.asked()?.clone(),
        answer: step.answer.clone(),
        landing: Landing::of(step),
    })
}

/// What lies between two pairs: `left` of the recorded steps, and `now` of the given ones, of which some have a pair
/// elsewhere.
fn gap(
    old: &[Before],
    left: &[usize],
    given: &[Given],
    now: std::ops::Range<usize>,
    paired: &BTreeMap<usize, usize>,
    diffs: &mut Vec<Diff>,
) {
    let single: Vec<usize> = now.clone().filter(|at| !paired.contains_key(at)).collect();
    let old_names: Vec<&str> = left.iter().map(|at| old[*at].asked.name.as_str()).collect();
    let new_names: Vec<&str> = single.iter().map(|at| given[*at].answer.asked.name.as_str()).collect();
    let changed: BTreeMap<usize, usize> = common(&old_names, &new_names)
        .into_iter()
        .map(|(old, now)| (single[now], old))
        .collect();
    let mut shown = 0;
    let gone = |upto: usize, shown: &mut usize, diffs: &mut Vec<Diff>| {
        for at in &left[*shown..upto.max(*shown)] {
            diffs.push(Diff {
                verdict: Verdict::Gone,
                reordered: false,
                before: Some(old[*at].clone()),
                now: None,
            });
        }
        *shown = upto.max(*shown);
    };
    for at in now {
        if let Some(old_at) = paired.get(&at) {
            diffs.push(pair(&old[*old_at], &given[at], true));
        } else if let Some(left_at) = changed.get(&at) {
            gone(*left_at, &mut shown, diffs);
            diffs.push(pair(&old[left[*left_at]], &given[at], false));
            shown = left_at + 1;
        } else {
            diffs.push(Diff {
                verdict: Verdict::New,
                reordered: false,
                before: None,
                now: Some(given[at].clone()),
            });
        }
    }
    gone(left.len(), &mut shown, diffs);
}

fn pair(before: &Before, now: &Given, reordered: bool) -> Diff {
    let same_args = before.asked.args == now.answer.asked.args;
    let same_answer = match &before.answer {
        Some(answer) => answer.value == now.answer.value && answer.error == now.answer.error,
        // Nobody knows what it would have been.
        None => true,
    };
    Diff {
        verdict: if same_args && same_answer {
            Verdict::Kept
        } else {
            Verdict::Changed
        },
        reordered,
        before: Some(before.clone()),
        now: Some(now.clone()),
    }
}
