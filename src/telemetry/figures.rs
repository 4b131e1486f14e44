//! What this process has done since it was started: counted from what observers are told, and lost when it ends, as
//! Prometheus expects of counters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::family::{Family, Measure, Spread};
use crate::effect::Class;
use crate::gate::{Notice, Observer};
use crate::journal::{RunRecord, Status};
use crate::store::ticks::Fate;
use crate::triggers::Fated;

/// Playbooks, and providers, that have figures of their own; those beyond are counted together.
const PLAYBOOKS_MAX: usize = 2_000;
const PROVIDERS_MAX: usize = 200;

/// Whoever has no figures of their own.
const OTHERS: &str = "(others)";

/// Runs take from a blink to days.
const RUN_SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0];
const EFFECT_SECONDS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];
const LATE_SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 86_400.0];

/// How a run can end.
const OUTCOMES: [Status; 4] = [
    Status::Succeeded,
    Status::Failed,
    Status::Cancelled,
    Status::NeedsAttention,
];

const CLASSES: [Class; 3] = [Class::Local, Class::Read, Class::Write];

/// What can come of an effect.
const ANSWERS: [&str; 4] = ["ok", "failed", "simulated", "in_doubt"];

/// Counts of this process.
#[derive(Default)]
pub struct Figures {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    runs: BTreeMap<String, Runs>,
    effects: BTreeMap<String, Effects>,
    suspended: u64,
    ticks: [u64; Fate::ALL.len()],
    lateness: Option<Spread>,
}

struct Runs {
    ended: [u64; OUTCOMES.len()],
    seconds: Spread,
}

struct Effects {
    /// By class and answer.
    answers: [[u64; ANSWERS.len()]; CLASSES.len()],
    attempts: [u64; CLASSES.len()],
    /// Of those that went outside.
    seconds: Spread,
}

impl Figures {
    /// Takes note of what became of ticks.
    pub fn fated(&self, fates: &[Fated]) {
        if fates.is_empty() {
            return;
        }
        let mut counted = self.lock();
        for fated in fates {
            let place = Fate::ALL.iter().position(|fate| *fate == fated.fate);
            counted.ticks[place.expect("every fate is in the list")] += fated.count;
            if let Some(late_ms) = fated.late_ms {
                let lateness = counted.lateness.get_or_insert_with(|| Spread::new(&LATE_SECONDS));
                lateness.observe(late_ms as f64 / 1000.0);
            }
        }
    }

    fn rested(&self, record: &RunRecord) {
        let Some(outcome) = OUTCOMES.iter().position(|status| *status == record.status) else {
            if record.status == Status::Suspended {
                self.lock().suspended += 1;
            }
            return;
        };
        let seconds = (record.ended_ms.unwrap_or(record.begun_ms) - record.begun_ms).max(0) as f64 / 1000.0;
        let mut counted = self.lock();
        let runs = own(&mut counted.runs, &record.playbook, PLAYBOOKS_MAX, || Runs {
            ended: [0; OUTCOMES.len()],
            seconds: Spread::new(&RUN_SECONDS),
        });
        runs.ended[outcome] += 1;
        runs.seconds.observe(seconds);
    }

    fn effect(&self, name: &str, count: impl FnOnce(&mut Effects)) {
        let provider = name.split('.').next().unwrap_or(name);
        let mut counted = self.lock();
        count(own(&mut counted.effects, provider, PROVIDERS_MAX, || Effects {
            answers: [[0; ANSWERS.len()]; CLASSES.len()],
            attempts: [0; CLASSES.len()],
            seconds: Spread::new(&EFFECT_SECONDS),
        }));
    }

    /// The families of what was counted; each of `playbooks` is there from the beginning.
    pub fn families<'a>(&self, playbooks: impl Iterator<Item = &'a str>) -> Vec<Family> {
        let counted = self.lock();
        let mut ended = Family::counter("host_runs_ended_total", "Runs that ended, by playbook and outcome.");
        let mut took = Family::histogram(
            "host_run_duration_seconds",
            "How long runs took from their beginning to their end, waits included.",
        );
        for playbook in playbooks
            .filter(|name| !counted.runs.contains_key(*name))
            .take(PLAYBOOKS_MAX.saturating_sub(counted.runs.len()))
        {
            for status in OUTCOMES {
                ended.add([("playbook", playbook), ("outcome", status.code())], 0.0);
            }
        }
        for (playbook, runs) in &counted.runs {
            for (status, count) in OUTCOMES.iter().zip(runs.ended) {
                ended.add([("playbook", playbook), ("outcome", status.code())], count as f64);
            }
            took.put([("playbook", playbook)], Measure::Spread(runs.seconds.clone()));
        }
        let waits = "How often runs gave up their thread to wait for a time, an event, a person or another run.";
        let suspended = Family::counter("host_run_suspensions_total", waits).is(counted.suspended as f64);
        let mut families = vec![ended, took, suspended];
        families.extend(effects(&counted));
        let mut ticks = Family::counter("host_ticks_total", "Ticks of schedules, by what became of them.");
        for (fate, count) in Fate::ALL.iter().zip(counted.ticks) {
            ticks.add([("fate", fate.code())], count as f64);
        }
        let mut late = Family::histogram("host_tick_lateness_seconds", "How long after they were due ticks ran.");
        let lateness = counted.lateness.clone();
        let lateness = lateness.unwrap_or_else(|| Spread::new(&LATE_SECONDS));
        late.put([], Measure::Spread(lateness));
        families.extend([ticks, late]);
        families
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn effects(counted: &Counted) -> [Family; 3] {
    let mut answers = Family::counter(
        "host_effects_total",
        "Effects that runs asked for, by provider or namespace, class and outcome.",
    );
    let mut attempts = Family::counter(
        "host_effect_attempts_total",
        "Attempts at effects that leave the host, by provider and class.",
    );
    let mut seconds = Family::histogram(
        "host_effect_duration_seconds",
        "How long effects that leave the host took, attempts and pauses included.",
    );
    for (provider, effects) in &counted.effects {
        for (at, class) in CLASSES.iter().enumerate() {
            for (answer, count) in ANSWERS.iter().zip(effects.answers[at]) {
                let labels = [
                    ("provider", provider.as_str()),
                    ("class", class.as_str()),
                    ("outcome", *answer),
                ];
                // What can be is there from the first effect of a class.
                if effects.answers[at].iter().any(|count| *count > 0) {
                    answers.add(labels, count as f64);
                }
            }
            if effects.attempts[at] > 0 {
                attempts.add(
                    [("provider", provider), ("class", class.as_str())],
                    effects.attempts[at] as f64,
                );
            }
        }
        if effects.seconds.count > 0 {
            seconds.put([("provider", provider)], Measure::Spread(effects.seconds.clone()));
        }
    }
    [answers, attempts, seconds]
}

/// The figures of `name`, or those of all who came too late to have their own.
fn own<'a, T>(all: &'a mut BTreeMap<String, T>, name: &str, max: usize, new: impl FnOnce() -> T) -> &'a mut T {
    let name = if all.contains_key(name) || all.len() < max {
        name
    } else {
        OTHERS
    };
    if !all.contains_key(name) {
        all.insert(name.to_owned(), new());
    }
    all.get_mut(name).expect("it was just added")
}

impl Figures {
    /// Counts what a run does, and tells `beside`.
    pub fn watch(self: &Arc<Figures>, beside: Arc<dyn Observer>) -> Arc<dyn Observer> {
        Arc::new(Counting {
            figures: self.clone(),
            beside,
        })
    }
}

/// Counts what one run does, and hands everything on.
struct Counting {
    figures: Arc<Figures>,
    beside: Arc<dyn Observer>,
}

fn place_of(class: Class) -> usize {
    let place = CLASSES.iter().position(|one| *one == class);
    place.expect("every class is in the list")
}

impl Observer for Counting {
    fn notice(&self, notice: Notice<'_>) {
        match &notice {
            Notice::Attempted { asked, .. } => {
                let at = place_of(asked.class);
                self.figures.effect(&asked.name, |effects| effects.attempts[at] += 1);
            }
            Notice::Answered { answer } => {
                let class = answer.asked.class;
                let at = place_of(class);
                let came = match &answer.error {
                    _ if answer.simulated.is_some() => 2,
                    Some(_) if answer.in_doubt => 3,
                    Some(_) => 1,
                    None => 0,
                };
                self.figures.effect(&answer.asked.name, |effects| {
                    effects.answers[at][came] += 1;
                    if class != Class::Local && answer.simulated.is_none() {
                        effects.attempts[at] += 1;
                        effects.seconds.observe(answer.took_ms as f64 / 1000.0);
                    }
                });
            }
            Notice::Rested { record } => self.figures.rested(record),
            _ => {}
        }
        self.beside.notice(notice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_when_all_places_are_taken_is_counted_with_the_others() {
        let mut all: BTreeMap<String, u32> = BTreeMap::new();
        for name in ["a", "b", "c", "d", "a", "c"] {
            *own(&mut all, name, 2, || 0) += 1;
        }
        let counts: Vec<(&str, u32)> = all.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(counts, [(OTHERS, 3), ("a", 2), ("b", 1)]);
    }
}
