//! The difference between two plans of one playbook, before an edit and after it.
//!
//! Unlike a what-if, neither side is a record: effects are paired by what they ask, in order; between two pairs, what
//! is left on both sides is paired by name and was changed. The rest is new, or gone.

use std::collections::BTreeMap;

use super::diff::Verdict;
use super::plan::{Plan, StoreChange};
use super::subsequence::common;
use crate::journal::Answer;
use crate::store::Realm;

/// One effect, in the plan before and in the plan now.
#[derive(Clone, Debug)]
pub struct EffectDiff {
    pub verdict: Verdict,
    /// The playbook that asks, where it is one that this playbook would start.
    pub child: Option<String>,
    pub before: Option<Answer>,
    pub now: Option<Answer>,
}

/// One change of the store, in the plan before and in the plan now.
#[derive(Clone, Debug)]
pub struct StoreDiff {
    pub verdict: Verdict,
    pub before: Option<StoreChange>,
    pub now: Option<StoreChange>,
}

/// What differs between two plans.
#[derive(Clone, Debug)]
pub struct PlanDiff {
    pub effects: Vec<EffectDiff>,
    pub store: Vec<StoreDiff>,
    pub same_outcome: bool,
}

impl PlanDiff {
    pub fn count(&self, verdict: Verdict) -> usize {
        self.effects.iter().filter(|effect| effect.verdict == verdict).count()
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        let kept = |verdict: Verdict| verdict == Verdict::Kept;
        self.same_outcome
            && self.effects.iter().all(|effect| kept(effect.verdict))
            && self.store.iter().all(|store| kept(store.verdict))
    }
}

impl EffectDiff {
    /// The later side: what is asked now, or of what is gone was asked before.
    pub fn answer(&self) -> &Answer {
        let side = self.now.as_ref().or(self.before.as_ref());
        side.expect("a difference has at least one side")
    }
}

impl StoreDiff {
    pub fn change(&self) -> &StoreChange {
        let side = self.now.as_ref().or(self.before.as_ref());
        side.expect("a difference has at least one side")
    }
}

/// Compares `now` with the plan `before` it.
pub fn compare(before: &Plan, now: &Plan) -> PlanDiff {
    let outcomes = [&before.outcome, &now.outcome];
    let [was, is] = outcomes.map(|outcome| {
        (
            outcome.status,
            &outcome.value,
            outcome.error.as_ref().map(|error| &error.failure),
        )
    });
    let waits = |plan: &Plan| plan.waits.as_ref().map(|waits| (waits.step, waits.what.clone()));
    PlanDiff {
        effects: effects(&asked(before), &asked(now)),
        store: store(&before.store_changes, &now.store_changes),
        same_outcome: was == is && waits(before) == waits(now),
    }
}

/// An effect, with the playbook that asks it where that is another.
type Asking<'p> = (Option<&'p str>, &'p Answer);

fn asked(plan: &Plan) -> Vec<Asking<'_>> {
    let own = plan.effects.iter().map(|answer| (None, answer));
    let of_children = plan.children.iter().flat_map(|child| {
        child
            .effects
            .iter()
            .map(|answer| (Some(child.playbook.as_str()), answer))
    });
    own.chain(of_children).collect()
}

fn effects(before: &[Asking<'_>], now: &[Asking<'_>]) -> Vec<EffectDiff> {
    fn key<'p>(asking: &Asking<'p>) -> (Option<&'p str>, &'p str, &'p crate::value::Value) {
        (asking.0, &asking.1.asked.name, &asking.1.asked.args)
    }
    let olds: Vec<_> = before.iter().map(key).collect();
    let news: Vec<_> = now.iter().map(key).collect();
    let mut diffs = Vec::with_capacity(now.len());
    let (mut old_at, mut new_at) = (0, 0);
    let end = (before.len(), now.len());
    for (old, new) in common(&olds, &news).into_iter().chain([end]) {
        between(&before[old_at..old], &now[new_at..new], &mut diffs);
        if let (Some(old), Some(new)) = (before.get(old), now.get(new)) {
            diffs.push(diff(Some(old), Some(new)));
        }
        (old_at, new_at) = (old + 1, new + 1);
    }
    diffs
}

/// What asks otherwise: by name, in order.
fn between(before: &[Asking<'_>], now: &[Asking<'_>], diffs: &mut Vec<EffectDiff>) {
    fn name<'p>(asking: &Asking<'p>) -> (Option<&'p str>, &'p str) {
        (asking.0, &asking.1.asked.name)
    }
    let olds: Vec<_> = before.iter().map(name).collect();
    let news: Vec<_> = now.iter().map(name).collect();
    let (mut old_at, mut new_at) = (0, 0);
    let end = (before.len(), now.len());
    for (old, new) in common(&olds, &news).into_iter().chain([end]) {
        diffs.extend(before[old_at..old].iter().map(|gone| diff(Some(gone), None)));
        diffs.extend(now[new_at..new].iter().map(|new| diff(None, Some(new))));
        if let (Some(old), Some(new)) = (before.get(old), now.get(new)) {
            diffs.push(diff(Some(old), Some(new)));
        }
        (old_at, new_at) = (old + 1, new + 1);
    }
}

fn diff(before: Option<&Asking<'_>>, now: Option<&Asking<'_>>) -> EffectDiff {
    let verdict = match (before, now) {
        (Some((_, before)), Some((_, now))) if is_same(before, now) => Verdict::Kept,
        (Some(_), Some(_)) => Verdict::Changed,
        (None, _) => Verdict::New,
        (Some(_), None) => Verdict::Gone,
    };
    let child = now.or(before).and_then(|(child, _)| child.map(str::to_owned));
    EffectDiff {
        verdict,
        child,
        before: before.map(|(_, answer)| (*answer).clone()),
        now: now.map(|(_, answer)| (*answer).clone()),
    }
}

/// Asked the same and answered the same, by the same decision. When, and under which number, makes no difference.
fn is_same(before: &Answer, now: &Answer) -> bool {
    before.asked.args == now.asked.args
        && before.value == now.value
        && before.file == now.file
        && before.error == now.error
        && before.simulated == now.simulated
        && before.decision == now.decision
}

fn store(before: &[StoreChange], now: &[StoreChange]) -> Vec<StoreDiff> {
    type Name<'p> = (Realm, &'static str, &'p str);
    fn by_name(changes: &[StoreChange]) -> BTreeMap<Name<'_>, &StoreChange> {
        changes
            .iter()
            .map(|change| ((change.realm, change.kind, change.name.as_str()), change))
            .collect()
    }
    let (olds, news) = (by_name(before), by_name(now));
    let mut names: Vec<Name<'_>> = olds.keys().chain(news.keys()).copied().collect();
    names.sort();
    names.dedup();
    let diff = |name: Name<'_>| {
        let (before, now) = (olds.get(&name), news.get(&name));
        let verdict = match (before, now) {
            (Some(before), Some(now)) if before.after == now.after => Verdict::Kept,
            (Some(_), Some(_)) => Verdict::Changed,
            (None, _) => Verdict::New,
            (Some(_), None) => Verdict::Gone,
        };
        StoreDiff {
            verdict,
            before: before.map(|change| (*change).clone()),
            now: now.map(|change| (*change).clone()),
        }
    };
    names.into_iter().map(diff).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Asked, Outcome, Status};
    use crate::value::Value;

    fn answer(step: u32, name: &str, about: &str, value: i64) -> Answer {
        Answer {
            asked: Asked {
                step,
                name: name.to_owned(),
                args: Value::from([("key", about.into())]),
                ..Asked::default()
            },
            value: value.into(),
            ..Answer::default()
        }
    }

    fn plan(effects: Vec<Answer>) -> Plan {
        Plan {
            effects,
            children: Vec::new(),
            outcome: Outcome {
                status: Status::Succeeded,
                value: Value::Unit,
                error: None,
            },
            waits: None,
            store_changes: Vec::new(),
        }
    }

    fn told(before: Vec<Answer>, now: Vec<Answer>) -> Vec<String> {
        let compared = compare(&plan(before), &plan(now));
        let line = |diff: &EffectDiff| {
            let step = |answer: &Option<Answer>| answer.as_ref().map_or(0, |answer| answer.asked.step);
            let name = &diff.answer().asked.name;
            format!(
                "{} {} {name} {}",
                step(&diff.before),
                step(&diff.now),
                diff.verdict.as_str()
            )
        };
        compared.effects.iter().map(line).collect()
    }

    #[test]
    fn an_effect_put_in_between_leaves_the_others_kept_under_other_numbers() {
        let before = vec![answer(1, "kv.get", "a", 1), answer(2, "kv.put", "b", 1)];
        let now = vec![
            answer(1, "kv.get", "a", 1),
            answer(2, "log", "x", 1),
            answer(3, "kv.put", "b", 1),
        ];
        assert_eq!(told(before, now), ["1 1 kv.get kept", "0 2 log new", "2 3 kv.put kept"]);
    }

    #[test]
    fn other_arguments_and_other_answers_are_changes_and_the_rest_is_gone() {
        let before = vec![
            answer(1, "kv.get", "a", 1),
            answer(2, "kv.put", "b", 1),
            answer(3, "slack.post", "c", 1),
        ];
        let now = vec![answer(1, "kv.get", "a", 2), answer(2, "kv.put", "other", 1)];
        assert_eq!(
            told(before, now),
            ["1 1 kv.get changed", "2 2 kv.put changed", "3 0 slack.post gone"]
        );
    }

    #[test]
    fn the_same_plan_twice_has_no_difference_whenever_it_was_made() {
        let mut later = answer(1, "kv.get", "a", 1);
        later.at_ms = 77;
        later.took_ms = 5;
        let (before, now) = (plan(vec![answer(1, "kv.get", "a", 1)]), plan(vec![later]));
        assert!(compare(&before, &now).is_empty());
        let failed = Plan {
            outcome: Outcome {
                status: Status::Failed,
                ..before.outcome.clone()
            },
            ..before.clone()
        };
        assert!(!compare(&before, &failed).is_empty());
    }
}
