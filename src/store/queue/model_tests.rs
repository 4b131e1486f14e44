//! Queues against a list of jobs that does the same by the plainest way there is.

use proptest::prelude::*;

use super::hold::{self, Settled, Verdict};
use super::*;
use crate::id::RunId;
use crate::store::test_ground::{ground, transact};
use crate::value::Value;

#[derive(Clone, Debug)]
enum Move {
    Push {
        priority: u8,
        delay_ms: u64,
        key: Option<u8>,
        remember_ms: u64,
        attempts: u32,
    },
    Take {
        lease_ms: u64,
    },
    Done {
        which: usize,
    },
    Fail {
        which: usize,
        after_ms: Option<u64>,
        is_final: bool,
    },
    Extend {
        which: usize,
        lease_ms: u64,
    },
    Remove {
        number: u64,
    },
    Requeue {
        number: u64,
    },
    /// The first job that is due is given to a run, that of its last attempt if there was one.
    Give,
    EndRun {
        which: usize,
        verdict: u8,
    },
    Wait {
        ms: u64,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0u8..3, 0u64..3, proptest::option::of(0u8..3), 0u64..3, 1u32..3).prop_map(
            |(priority, delay, key, remember, attempts)| Move::Push {
                priority, delay_ms: delay * 50, key, remember_ms: remember * 60, attempts,
            }
        ),
        4 => (1u64..4).prop_map(|n| Move::Take { lease_ms: n * 40 }),
        2 => (0usize..8).prop_map(|which| Move::Done { which }),
        2 => (0usize..8, proptest::option::of(0u64..80), any::<bool>())
            .prop_map(|(which, after_ms, is_final)| Move::Fail { which, after_ms, is_final }),
        1 => (0usize..8, 1u64..100).prop_map(|(which, lease_ms)| Move::Extend { which, lease_ms }),
        1 => (0u64..6).prop_map(|number| Move::Remove { number }),
        1 => (0u64..6).prop_map(|number| Move::Requeue { number }),
        3 => Just(Move::Give),
        3 => (0usize..6, 0u8..4).prop_map(|(which, verdict)| Move::EndRun { which, verdict }),
        3 => (1u64..90).prop_map(|ms| Move::Wait { ms }),
    ];
    proptest::collection::vec(one, 0..60)
}

#[derive(Clone, Debug)]
struct Known {
    number: u64,
    priority: u8,
    due: u64,
    leased: bool,
    attempts: u32,
    most: u32,
    key: Option<u8>,
    remember: u64,
    dead: bool,
    held: bool,
    waits: bool,
    run: Option<RunId>,
}

#[derive(Default)]
struct Model {
    jobs: Vec<Known>,
    next: u64,
    now: u64,
    /// Keys of jobs that are done, and until when they are remembered.
    remembered: Vec<(u8, u64)>,
}

impl Model {
    fn push(&mut self, priority: u8, delay: u64, key: Option<u8>, remember: u64, most: u32) -> Option<u64> {
        let is_held = key.is_some_and(|key| {
            self.jobs.iter().any(|job| job.key == Some(key))
                || self
                    .remembered
                    .iter()
                    .any(|(held, until)| *held == key && *until > self.now)
        });
        if is_held {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.remembered.retain(|(held, _)| Some(*held) != key);
        let due = self.now + delay;
        let job = Known {
            number,
            priority,
            due,
            leased: false,
            attempts: 0,
            most,
            key,
            remember,
            dead: false,
            held: false,
            waits: false,
            run: None,
        };
        self.jobs.push(job);
        Some(number)
    }

    fn take(&mut self, lease: u64) -> Option<(u64, u32)> {
        let now = self.now;
        for job in self
            .jobs
            .iter_mut()
            .filter(|job| !job.dead && !job.held && job.due <= now && job.attempts == job.most)
        {
            // Only those that come before the one that is taken; which they are is checked by the order below.
            job.leased = false;
        }
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|at| {
            let job = &self.jobs[*at];
            (std::cmp::Reverse(job.priority), job.due, job.number)
        });
        for at in order {
            let job = &mut self.jobs[at];
            if job.dead || job.held || job.due > now {
                continue;
            }
            if job.attempts == job.most {
                job.dead = true;
                continue;
            }
            job.attempts += 1;
            job.leased = true;
            job.due = now + lease;
            return Some((job.number, job.attempts));
        }
        None
    }

    fn held(&mut self, number: u64, attempt: u32) -> Option<&mut Known> {
        let now = self.now;
        let mut jobs = self.jobs.iter_mut();
        jobs.find(|job| {
            job.number == number && !job.dead && !job.held && job.leased && job.due > now && job.attempts == attempt
        })
    }

    fn first_due(&mut self) -> Option<&mut Known> {
        let now = self.now;
        let due = self
            .jobs
            .iter_mut()
            .filter(|job| !job.dead && !job.held && job.due <= now);
        due.min_by_key(|job| (std::cmp::Reverse(job.priority), job.due, job.number))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_queue_does_what_a_list_would_do(moves in moves()) {
        let ground = ground(&[]);
        let mut model = Model { now: 1000, ..Model::default() };
        let mut hands: Vec<(u64, u32)> = Vec::new();
        let mut runs: Vec<(u64, RunId)> = Vec::new();
        for one in moves {
            let now = model.now as i64;
            match one {
                Move::Push { priority, delay_ms, key, remember_ms, attempts } => {
                    let wanted = Wanted {
                        priority, delay_ms, key: key.map(|key| key.to_string()), remember_ms,
                        attempts_max: attempts, backoff_ms: 70,
                        corr: None,
                    };
                    let pushed = transact(&ground, now, |tx| push(tx, "q", &Value::Int(7), &wanted)).unwrap();
                    let expected = model.push(priority, delay_ms, key, remember_ms, attempts);
                    prop_assert_eq!(pushed.is_new.then_some(pushed.job), expected);
                }
                Move::Take { lease_ms } => {
                    let taken = transact(&ground, now, |tx| take(tx, "q", lease_ms)).unwrap();
                    let taken = taken.map(|taken| (taken.number, taken.job.attempts));
                    prop_assert_eq!(taken, model.take(lease_ms));
                    hands.extend(taken);
                }
                Move::Done { which } => {
                    let Some((number, attempt)) = hands.get(which).copied() else { continue };
                    let ended = transact(&ground, now, |tx| done(tx, "q", number, attempt));
                    let held = model.held(number, attempt).cloned();
                    prop_assert_eq!(ended.is_ok(), held.is_some(), "{:?}", ended);
                    if let Some(job) = held {
                        model.jobs.retain(|job| job.number != number);
                        let until = model.now + job.remember;
                        model.remembered.extend(job.key.filter(|_| job.remember > 0).map(|key| (key, until)));
                    }
                }
                Move::Fail { which, after_ms, is_final } => {
                    let Some((number, attempt)) = hands.get(which).copied() else { continue };
                    let ended = transact(&ground, now, |tx| fail(tx, "q", number, attempt, "why", after_ms, is_final));
                    let at = model.now;
                    match model.held(number, attempt) {
                        None => prop_assert!(ended.is_err()),
                        Some(job) => {
                            job.leased = false;
                            job.dead = is_final || job.attempts == job.most;
                            let wait = after_ms.unwrap_or(70 << job.attempts.saturating_sub(1));
                            if !job.dead {
                                job.due = at + wait;
                            }
                            let expected = if job.dead { Failed::Dead } else { Failed::Again { due_ms: job.due } };
                            prop_assert_eq!(ended.unwrap(), expected);
                        }
                    }
                }
                Move::Extend { which, lease_ms } => {
                    let Some((number, attempt)) = hands.get(which).copied() else { continue };
                    let extended = transact(&ground, now, |tx| extend(tx, "q", number, attempt, lease_ms));
                    let at = model.now;
                    match model.held(number, attempt) {
                        None => prop_assert!(extended.is_err()),
                        Some(job) => {
                            job.due = at + lease_ms;
                            prop_assert_eq!(extended.unwrap(), job.due);
                        }
                    }
                }
                Move::Remove { number } => {
                    let removed = transact(&ground, now, |tx| remove(tx, "q", number)).unwrap();
                    let before = model.jobs.len();
                    model.jobs.retain(|job| job.number != number);
                    prop_assert_eq!(removed, model.jobs.len() < before);
                }
                Move::Requeue { number } => {
                    let again = transact(&ground, now, |tx| requeue(tx, "q", number)).unwrap();
                    let at = model.now;
                    let found = model.jobs.iter_mut().find(|job| job.number == number && job.dead);
                    prop_assert_eq!(again, found.is_some());
                    if let Some(job) = found {
                        (job.dead, job.leased, job.attempts, job.due) = (false, false, 0, at);
                    }
                }
                Move::Give => {
                    let found = transact(&ground, now, |tx| hold::due(tx, "q", 1)).unwrap();
                    let at = model.now;
                    let Some(job) = model.first_due() else {
                        prop_assert!(found.is_empty());
                        continue;
                    };
                    prop_assert_eq!(found[0].number, job.number);
                    if job.attempts == job.most {
                        job.dead = true;
                        transact(&ground, now, |tx| { hold::bury(tx, "q", &found[0], "lost"); Ok(()) }).unwrap();
                        continue;
                    }
                    let run = job.run.unwrap_or_else(|| RunId::new(now, runs.len() as u128));
                    transact(&ground, now, |tx| { hold::give(tx, "q", &found[0], run); Ok(()) }).unwrap();
                    (job.attempts, job.held, job.leased, job.run, job.due) = (job.attempts + 1, true, false, Some(run), at);
                    runs.push((job.number, run));
                }
                Move::EndRun { which, verdict } => {
                    let Some((number, run)) = runs.get(which).copied() else { continue };
                    let verdict = match verdict {
                        0 => Verdict::Done,
                        1 => Verdict::Again("why".to_owned()),
                        2 => Verdict::Dead("why".to_owned()),
                        _ => Verdict::Waits,
                    };
                    let settled = transact(&ground, now, |tx| hold::settle(tx, "q", number, run, &verdict)).unwrap();
                    let at = model.now;
                    let Some(job) = model.jobs.iter_mut().find(|job| job.number == number && job.run == Some(run)) else {
                        prop_assert_eq!(settled, None);
                        continue;
                    };
                    let was_dead = job.dead;
                    (job.held, job.leased, job.dead, job.waits) = (false, false, false, false);
                    let expected = match verdict {
                        Verdict::Done => {
                            let (key, until) = (job.key, at + job.remember);
                            model.remembered.extend(key.filter(|_| until > at).map(|key| (key, until)));
                            model.jobs.retain(|job| job.number != number);
                            Settled::Done
                        }
                        Verdict::Again(_) if !was_dead && job.attempts < job.most => {
                            job.due = at + (70 << job.attempts.saturating_sub(1));
                            Settled::Again { due_ms: job.due }
                        }
                        Verdict::Again(_) | Verdict::Dead(_) => {
                            job.dead = true;
                            Settled::Dead
                        }
                        Verdict::Waits => {
                            (job.held, job.waits) = (true, true);
                            Settled::Waits
                        }
                    };
                    prop_assert_eq!(settled, Some(expected));
                }
                Move::Wait { ms } => model.now += ms,
            }
            let found = transact(&ground, model.now as i64, |tx| stats(tx, "q")).unwrap();
            let count = |fits: &dyn Fn(&Known) -> bool| model.jobs.iter().filter(|job| fits(job)).count() as u64;
            prop_assert_eq!(found.ready, count(&|job| !job.dead && !job.held && job.due <= model.now));
            prop_assert_eq!(found.later, count(&|job| !job.dead && !job.held && job.due > model.now));
            prop_assert_eq!(found.held, count(&|job| job.held));
            let under_way = transact(&ground, model.now as i64, |tx| hold::under_way(tx, "q")).unwrap();
            prop_assert_eq!(under_way, count(&|job| job.held && !job.waits));
            let next_ms = transact(&ground, model.now as i64, |tx| hold::next_due_ms(tx, "q")).unwrap();
            let waiting = model.jobs.iter().filter(|job| !job.dead && !job.held && job.due > model.now);
            prop_assert_eq!(next_ms, waiting.map(|job| job.due).min());
            prop_assert_eq!(found.dead, count(&|job| job.dead));
            let listed = transact(&ground, model.now as i64, |tx| list(tx, "q", None, 1000)).unwrap();
            prop_assert_eq!(listed.len(), model.jobs.len());
        }
    }
}

#[test]
fn what_is_too_large_or_misnamed_is_refused() {
    let ground = ground(&[]);
    let wanted = Wanted::default();
    let large = Value::Blob(vec![0; push::PAYLOAD_BYTES_MAX + 1]);
    let told = |queue: &str, payload: &Value, wanted: &Wanted| {
        transact(&ground, 0, |tx| push(tx, queue, payload, wanted)).unwrap_err()
    };
    assert_eq!(told("q", &large, &wanted).code(), "STORE_TOO_LARGE");
    assert_eq!(told("a b", &Value::Unit, &wanted).code(), "QUEUE_INVALID");
    let keyless = Wanted {
        key: Some(String::new()),
        ..Wanted::default()
    };
    assert_eq!(told("q", &Value::Unit, &keyless).code(), "QUEUE_INVALID");
    let error = transact(&ground, 0, |tx| done(tx, "q", 0, 1)).unwrap_err();
    assert_eq!(error.code(), "QUEUE_LEASE_LOST");
}

#[test]
fn a_large_payload_is_filed_and_comes_back() {
    let ground = ground(&[]);
    let large = Value::from("x".repeat(100_000));
    transact(&ground, 0, |tx| push(tx, "q", &large, &Wanted::default())).unwrap();
    let taken = transact(&ground, 0, |tx| take(tx, "q", 10)).unwrap().unwrap();
    assert_eq!(taken.payload, large);
}

/// A job that was taken between the look at its turn and the look at the job was taken twice, its lease cut short.
#[test]
fn many_who_take_at_the_same_time_never_take_the_same_job() {
    const JOBS: u64 = 2000;
    let store = crate::store::engine::Engine::in_memory().unwrap();
    let ground = crate::store::test_ground::ground_on(std::sync::Arc::new(store), &[]);
    for _ in 0..JOBS {
        transact(&ground, 0, |tx| push(tx, "q", &Value::Int(7), &Wanted::default())).unwrap();
    }
    let conflicts = |error: &StoreError| matches!(error, StoreError::Conflict { .. });
    let again = |work: &dyn Fn() -> Result<Option<Taken>, StoreError>| {
        loop {
            match work() {
                Err(error) if conflicts(&error) => {}
                answer => break answer.unwrap(),
            }
        }
    };
    let hand = |by_run: bool| {
        let mut mine = Vec::new();
        loop {
            let taken = match by_run {
                false => again(&|| transact(&ground, 0, |tx| take(tx, "q", 1000))),
                true => again(&|| {
                    transact(&ground, 0, |tx| {
                        let Some(first) = hold::due(tx, "q", 1)?.pop() else {
                            return Ok(None);
                        };
                        hold::give(tx, "q", &first, RunId::new(0, u128::from(first.number)));
                        hold::get(tx, "q", first.number)
                    })
                }),
            };
            let Some(taken) = taken else {
                let stats = transact(&ground, 0, |tx| stats(tx, "q")).unwrap();
                if stats.ready == 0 { break mine } else { continue }
            };
            let number = taken.number;
            again(&|| {
                transact(&ground, 0, |tx| match by_run {
                    false => done(tx, "q", number, 1).map(|()| None),
                    true => {
                        let run = RunId::new(0, u128::from(number));
                        assert_eq!(hold::settle(tx, "q", number, run, &Verdict::Done)?, Some(Settled::Done));
                        Ok(None)
                    }
                })
            });
            mine.push(number);
        }
    };
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..4).map(|n| scope.spawn(move || hand(n % 2 == 0))).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert_eq!(all, (0..JOBS).collect::<Vec<_>>());
    assert_eq!(transact(&ground, 0, |tx| stats(tx, "q")).unwrap(), Stats::default());
}
