//! What becomes of ticks, in a host in memory whose clock stands in the test's hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LiveNow, Ticks};
use crate::effect::{Failure, RunMode};
use crate::gate::Gate;
use crate::id::{ContentHash, RunId};
use crate::journal::{Cause, Recorded, RunRecord, Status};
use crate::runs::creation::Pinned;
use crate::script::Header;
use crate::script::inputs::{InputSpec, Inputs};
use crate::script::triggers;
use crate::serve::edition::Listed;
use crate::store::ticks::pause::{self, ALL, Pause};
use crate::store::ticks::tick::latest;
use crate::store::ticks::{self, Fate, Ledger, Resumed, ScheduleId, State, Tick, Why, due_until};
use crate::store::{Batch, Durability, Store, keys};
use crate::testing::TestHost;
use crate::triggers::Turn;
use crate::value::Value;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// A Monday, midnight in UTC.
pub(super) const START: i64 = 1_800_230_400_000;

pub(super) struct World {
    pub host: TestHost,
    pub gate: Arc<Gate>,
    pub playbooks: BTreeMap<String, Arc<Listed>>,
    pub number: u64,
    pub ticks: Ticks,
    pub mode: Result<RunMode, Failure>,
}

pub(super) fn listed(name: &str, header: serde_json::Value) -> Listed {
    let header = Value::from_json(header);
    let mut map = header.as_map().unwrap().clone();
    let inputs = map.remove("inputs").unwrap_or_default();
    let inputs: Inputs = inputs
        .as_map()
        .into_iter()
        .flatten()
        .map(|(name, spec)| (name.clone(), Box::new(InputSpec::read(name, spec).unwrap())))
        .collect();
    let (starts, complaints) = triggers::read(&map, Some(&inputs));
    assert!(complaints.iter().all(|complaint| !complaint.is_fatal), "{complaints:?}");
    let header = Header {
        inputs,
        is_present: true,
        ..Header::default()
    };
    let pinned = Pinned {
        playbook: name.to_owned(),
        file: format!("playbooks/{name}.rhai"),
        version: ContentHash::of(name.as_bytes()),
        modules: BTreeMap::new(),
        header,
    };
    Listed {
        pinned,
        triggers: starts,
    }
}

impl World {
    pub fn new() -> World {
        let host = TestHost::default();
        World {
            gate: host.gate(),
            host,
            playbooks: BTreeMap::new(),
            number: 1,
            ticks: Ticks::default(),
            mode: Ok(RunMode::dry()),
        }
    }

    pub fn with(mut self, name: &str, header: serde_json::Value) -> World {
        self.save(name, header);
        self
    }

    pub fn save(&mut self, name: &str, header: serde_json::Value) {
        self.playbooks.insert(name.to_owned(), Arc::new(listed(name, header)));
        self.number += 1;
    }

    pub fn store(&self) -> &dyn Store {
        &*self.host.ground.store
    }

    pub fn look(&mut self, now_ms: i64) -> Turn {
        self.look_with(now_ms, usize::MAX)
    }

    pub fn look_with(&mut self, now_ms: i64, room: usize) -> Turn {
        let mode = self.mode.clone();
        let live = LiveNow {
            number: self.number,
            playbooks: &self.playbooks,
            gate: &self.gate,
            mode: &|_| mode.clone(),
        };
        self.ticks.look(&live, now_ms, room).unwrap()
    }

    /// As another process would go on.
    pub fn restart(&mut self) {
        self.ticks = Ticks::default();
    }

    pub fn ledger(&self, id: &ScheduleId) -> Option<Ledger> {
        let known = ticks::schedules(self.store(), Some(&id.playbook)).unwrap();
        known
            .into_iter()
            .find(|(known, ..)| known == id)
            .map(|(_, ledger, _)| ledger)
    }

    /// The fates of a schedule's ticks, the earliest first.
    pub fn history(&self, id: &ScheduleId) -> Vec<(i64, Tick)> {
        let mut found = latest(self.store(), id, i64::MAX, 1_000_000).unwrap();
        found.reverse();
        found
    }

    /// Minutes after the start, and fates.
    fn fates(&self, playbook: &str) -> Vec<(i64, Fate)> {
        let history = self.history(&id(playbook));
        history
            .iter()
            .map(|(at, tick)| ((at - START) / MINUTE, tick.fate))
            .collect()
    }

    fn whys(&self, playbook: &str) -> Vec<&'static str> {
        let history = self.history(&id(playbook));
        history
            .iter()
            .map(|(_, tick)| tick.why.as_ref().map_or("", Why::code))
            .collect()
    }

    pub fn end(&self, run: RunId) {
        let mut record = RunRecord::get(self.store(), run).unwrap();
        record.status = Status::Succeeded;
        let mut batch = Batch::new();
        batch.put(keys::run(run), record.encode());
        self.store().commit(batch, Durability::Soon).unwrap();
    }

    pub fn pause(&self, playbook: Option<&str>, since_ms: i64, resumed: Option<(i64, Resumed)>) {
        let mut batch = Batch::new();
        let name = playbook.unwrap_or(ALL);
        match resumed {
            Some((at_ms, missed)) => pause::resume(&mut batch, name, at_ms, missed),
            None => {
                let pause = Pause {
                    since_ms,
                    by: None,
                    why: String::new(),
                };
                pause::pause(&mut batch, name, &pause);
            }
        }
        self.store().commit(batch, Durability::Soon).unwrap();
    }
}

pub(super) fn id(playbook: &str) -> ScheduleId {
    ScheduleId {
        playbook: playbook.to_owned(),
        schedule: "1".to_owned(),
    }
}

fn hourly() -> serde_json::Value {
    serde_json::json!({ "schedule": "0 * * * *", "overlap": "allow" })
}

#[test]
fn a_tick_runs_once_when_it_is_due_and_the_next_was_written_before() {
    let mut world = World::new().with("a", hourly());
    let turn = world.look(START);
    assert_eq!((turn.runs.len(), turn.next_ms), (0, Some(START + HOUR)));
    assert_eq!(world.ledger(&id("a")).unwrap().next.unwrap().planned_ms, START + HOUR);
    let turn = world.look(START + HOUR + 5);
    assert_eq!((turn.runs.len(), turn.next_ms), (1, Some(START + 2 * HOUR)));
    assert_eq!(world.look(START + HOUR + 6).runs, []);
    assert_eq!(world.fates("a"), [(60, Fate::Ran)]);
    let run = turn.runs[0].run;
    assert_eq!(run, RunId::of_tick("a", "1", START + HOUR));
    let begun = Recorded::load(&world.host.ground, run).unwrap().begun;
    assert_eq!(begun.trigger, "by schedule, planned for 2027-01-18 01:00 UTC");
    let cause = Cause::Tick {
        schedule: "1".to_owned(),
        planned_ms: START + HOUR,
    };
    assert_eq!(begun.cause, Some(cause));
    assert_eq!(RunRecord::get(world.store(), run).unwrap().status, Status::Queued);
}

#[test]
fn a_tick_within_a_minute_is_late_and_later_it_was_missed() {
    let mut world = World::new().with("a", hourly());
    world.look(START);
    world.look(START + HOUR + 10_001);
    world.look(START + 2 * HOUR + MINUTE);
    let turn = world.look(START + 3 * HOUR + MINUTE + 1);
    assert_eq!(turn.runs.len(), 1, "the latest one missed is caught up");
    assert_eq!(
        world.fates("a"),
        [(60, Fate::Late), (120, Fate::Late), (180, Fate::CaughtUp)]
    );
}

#[test]
fn of_what_was_missed_all_the_latest_or_none_is_caught_up() {
    for (missed, fates) in [
        ("all", [Fate::CaughtUp; 3]),
        ("latest", [Fate::Skipped, Fate::Skipped, Fate::CaughtUp]),
        ("none", [Fate::Skipped; 3]),
    ] {
        let header = serde_json::json!({ "schedule": "0 * * * *", "overlap": "allow", "missed": missed });
        let mut world = World::new().with("a", header);
        world.look(START);
        world.restart();
        world.look(START + 3 * HOUR + 30 * MINUTE);
        let found: Vec<Fate> = world.fates("a").into_iter().map(|(_, fate)| fate).collect();
        assert_eq!(found, fates, "{missed}");
        assert_eq!(world.look(START + 4 * HOUR).runs.len(), 1, "{missed}");
    }
    let header = serde_json::json!({ "schedule": "0 * * * *", "overlap": "allow", "missed": "all", "horizon": "90m" });
    let mut world = World::new().with("a", header);
    world.look(START);
    world.look(START + 3 * HOUR + 10 * MINUTE);
    assert_eq!(world.whys("a"), ["horizon", "", ""]);
}

#[test]
fn a_later_tick_that_is_on_time_stands_for_those_that_were_missed() {
    let mut world = World::new().with("a", hourly());
    world.look(START);
    world.look(START + 3 * HOUR);
    assert_eq!(world.whys("a"), ["later", "later", ""]);
    assert_eq!(world.fates("a").last(), Some(&(180, Fate::Ran)));
}

#[test]
fn ten_thousand_missed_ticks_and_years_of_seconds_are_told_in_a_few_rows() {
    let header = serde_json::json!({ "schedule": "* * * * *", "overlap": "allow", "missed": "all", "horizon": "30d" });
    let mut world = World::new().with("a", header);
    world.look(START);
    let turn = world.look(START + 12_000 * MINUTE + 30_000);
    assert_eq!(turn.runs.len(), 1000);
    let history = world.history(&id("a"));
    let (at, first) = &history[0];
    let many = first.many.unwrap();
    assert_eq!((*at, many.count, many.is_exact), (START + MINUTE, 11_000, true));
    assert_eq!(many.until_ms, START + 11_000 * MINUTE);
    assert_eq!(first.why, Some(Why::TooMany { limit: 1000 }));
    assert_eq!(history.len(), 1001);

    let seconds = serde_json::json!({ "schedule": "* * * * * *", "overlap": "allow" });
    let mut world = World::new().with("a", seconds);
    world.look(START);
    let year = START + 365 * 24 * HOUR;
    assert_eq!(world.look(year).runs.len(), 61, "those of the last minute are late");
    let history = world.history(&id("a"));
    assert!(history.len() < 70, "{}", history.len());
    assert!(!history[0].1.many.unwrap().is_exact);
    assert_eq!(world.ledger(&id("a")).unwrap().last_ms, Some(year));
}

#[test]
fn all_that_was_missed_is_caught_up_one_after_the_other_where_runs_must_not_overlap() {
    let header = serde_json::json!({ "schedule": "* * * * *", "overlap": "queue", "missed": "all", "horizon": "30d" });
    let mut world = World::new().with("a", header);
    world.look(START);
    let begun_ms = START + 500 * MINUTE + 30_000;
    for now_ms in begun_ms..begun_ms + 500 {
        let started = world.look(now_ms).runs;
        assert_eq!(started.len(), 1);
        assert_eq!(world.look(now_ms).runs, [], "one at a time");
        world.end(started[0].run);
    }
    let fates = world.fates("a");
    assert_eq!(fates.len(), 500);
    assert!(
        fates
            .iter()
            .all(|(_, fate)| matches!(fate, Fate::CaughtUp | Fate::Late))
    );
}

#[test]
fn of_those_that_wait_the_last_hundred_run() {
    let mut world = World::new().with("a", serde_json::json!({ "schedule": "* * * * *", "overlap": "queue" }));
    world.look(START);
    let first = world.look(START + MINUTE).runs[0].run;
    world.look(START + 2 * MINUTE);
    world.look(START + 300 * MINUTE);
    world.end(first);
    assert_eq!(world.look(START + 300 * MINUTE + 1).runs.len(), 1);
    let history = world.history(&id("a"));
    let many = history[1].1.many.expect("they share a row");
    assert_eq!((many.count, &history[1].1.why), (199, &Some(Why::Full { limit: 100 })));
    assert_eq!(world.fates("a")[2..], [(201, Fate::Late), (202, Fate::Waiting)]);
}

#[test]
fn a_clock_set_back_fires_nothing_twice() {
    let mut world = World::new().with("a", hourly());
    world.look(START);
    assert_eq!(world.look(START + HOUR).runs.len(), 1);
    world.restart();
    for back in [START + HOUR - 1, START, START + HOUR, START + HOUR + 1] {
        assert_eq!(world.look(back).runs, []);
    }
    assert_eq!(world.look(START + 2 * HOUR).runs.len(), 1);
}

#[test]
fn while_the_run_before_is_not_over_a_tick_is_skipped_or_waits() {
    let with = |policy: &str| {
        let mut world = World::new().with("a", serde_json::json!({ "schedule": "0 * * * *", "overlap": policy }));
        world.look(START);
        let first = world.look(START + HOUR).runs[0].run;
        (world, first)
    };
    let (mut world, first) = with("skip");
    assert_eq!(world.look(START + 2 * HOUR).runs, []);
    let last = world.history(&id("a")).pop().unwrap().1;
    assert_eq!(
        (last.fate, last.why),
        (Fate::Skipped, Some(Why::Overlap { run: first }))
    );
    world.end(first);
    assert_eq!(world.look(START + 3 * HOUR).runs.len(), 1);

    let (mut world, first) = with("queue");
    let turn = world.look(START + 2 * HOUR);
    assert_eq!((turn.runs.len(), turn.has_more), (0, false));
    assert_eq!(world.fates("a"), [(60, Fate::Ran), (120, Fate::Waiting)]);
    assert_eq!(world.ledger(&id("a")).unwrap().state, State::Waiting(first));
    assert_eq!(
        due_until(world.store(), i64::MAX, 10).unwrap(),
        [],
        "what waits is no tick that nobody looked at"
    );
    world.restart();
    world.end(first);
    let second = world.look(START + 5 * HOUR).runs;
    assert_eq!(second.len(), 1, "then it starts, and the next waits for it");
    assert_eq!(world.fates("a")[1..], [(120, Fate::Late), (180, Fate::Waiting)]);
    let waited = world.history(&id("a"))[1].1.why.clone();
    assert_eq!(waited, Some(Why::Waited { run: first }));
    world.end(second[0].run);
    let third = world.look(START + 5 * HOUR + 1).runs;
    world.end(third[0].run);
    world.look(START + 5 * HOUR + 2);
    assert_eq!(world.fates("a")[2..4], [(180, Fate::Late), (240, Fate::Late)]);

    let (mut world, first) = with("cancel_previous");
    let turn = world.look(START + 2 * HOUR);
    assert_eq!((turn.cancel, turn.runs.len()), (vec![first], 0));
    world.look(START + 3 * HOUR);
    world.end(first);
    assert_eq!(world.look(START + 3 * HOUR + 1).runs.len(), 1);
    assert_eq!(
        world.whys("a"),
        ["", "later", "overlap"].map(|why| if why == "overlap" { "waited" } else { why })
    );
}

#[test]
fn runs_that_differ_in_the_input_named_by_overlap_do_not_stand_in_each_others_way() {
    let schedule =
        |account: &str| serde_json::json!({ "cron": "0 * * * *", "name": account, "inputs": { "account": account } });
    let header = serde_json::json!({
        "inputs": { "account": {} }, "overlap": { "policy": "skip", "by": "account" },
        "schedule": [schedule("main"), schedule("other"), { "cron": "0 * * * *", "name": "again", "inputs": { "account": "main" } }],
    });
    let mut world = World::new().with("a", header);
    world.look(START);
    let turn = world.look(START + HOUR);
    assert_eq!(
        turn.runs.len(),
        2,
        "the third has the account of the first, in the same turn"
    );
    assert_eq!(world.look(START + 2 * HOUR).runs.len(), 0);
}

#[test]
fn what_is_paused_is_decided_when_it_is_resumed() {
    for (resumed, fates) in [
        (Resumed::None, [Fate::Skipped, Fate::Skipped]),
        (Resumed::Latest, [Fate::Skipped, Fate::CaughtUp]),
        (Resumed::All, [Fate::CaughtUp, Fate::CaughtUp]),
    ] {
        for playbook in [Some("a"), None] {
            for is_looked_at in [true, false] {
                let mut world = World::new().with("a", hourly());
                world.look(START);
                world.pause(playbook, START + 1, None);
                if is_looked_at {
                    assert_eq!(world.look(START + HOUR).runs, []);
                    world.restart();
                    assert_eq!(world.look(START + 2 * HOUR).runs, []);
                    assert_eq!(due_until(world.store(), i64::MAX, 10).unwrap(), []);
                }
                world.pause(playbook, START + 1, Some((START + 2 * HOUR + 5, resumed)));
                world.restart();
                world.look(START + 2 * HOUR + 10);
                let found: Vec<Fate> = world.fates("a").into_iter().map(|(_, fate)| fate).collect();
                assert_eq!(found, fates, "{resumed:?} {playbook:?} {is_looked_at}");
                assert_eq!(ticks::Pauses::load(world.store()).unwrap(), ticks::Pauses::default());
                assert_eq!(world.look(START + 3 * HOUR).runs.len(), 1);
                assert_eq!(world.fates("a").last(), Some(&(180, Fate::Ran)));
            }
        }
    }
}

#[test]
fn of_two_pauses_that_nobody_looked_at_the_one_resumed_last_decides() {
    for (first, last) in [(Some("a"), None), (None, Some("a"))] {
        for (missed, fate) in [(Resumed::None, Fate::Skipped), (Resumed::All, Fate::CaughtUp)] {
            let other = if missed == Resumed::None {
                Resumed::All
            } else {
                Resumed::None
            };
            let mut world = World::new().with("a", hourly());
            world.look(START);
            world.pause(first, START + 1, None);
            world.pause(last, START + 1, None);
            world.pause(first, START + 1, Some((START + 2 * HOUR + 5, other)));
            world.pause(last, START + 1, Some((START + 4 * HOUR + 5, missed)));
            world.look(START + 4 * HOUR + 10 * MINUTE);
            let fates: Vec<Fate> = world.fates("a").into_iter().map(|(_, fate)| fate).collect();
            assert_eq!(fates, [fate; 4], "{first:?} {missed:?}");
        }
    }
}

#[test]
fn all_ticks_that_were_due_have_a_fate_when_their_playbook_is_gone() {
    let every = serde_json::json!({ "every": "20m", "overlap": "allow" });
    let mut world = World::new().with("a", hourly()).with("b", every);
    world.look(START);
    world.restart();
    world.playbooks.clear();
    world.look(START + 5 * HOUR + MINUTE);
    let many = |of: ScheduleId| {
        let history = world.history(&of);
        assert_eq!(history.len(), 1, "{history:?}");
        let (planned_ms, tick) = history[0].clone();
        assert_eq!((tick.fate, tick.why), (Fate::Skipped, Some(Why::Gone)));
        let many = tick.many.unwrap();
        assert!(many.is_exact);
        (
            (planned_ms - START) / MINUTE,
            (many.until_ms - START) / MINUTE,
            many.count,
        )
    };
    assert_eq!(many(id("a")), (60, 300, 5));
    let every = ScheduleId {
        playbook: "b".to_owned(),
        schedule: "every".to_owned(),
    };
    assert_eq!(many(every), (20, 300, 15));
    // It comes back, and goes on with those to come.
    world.save("a", hourly());
    assert_eq!(world.look(START + 5 * HOUR + 2 * MINUTE).runs, []);
    assert_eq!(world.look(START + 6 * HOUR).runs.len(), 1);
}

#[test]
fn an_edited_schedule_supersedes_what_was_planned_and_goes_on_after_what_fired() {
    let mut world = World::new().with("a", serde_json::json!({ "schedule": "0 12 * * *", "overlap": "allow" }));
    world.look(START);
    world.look(START + 12 * HOUR);
    world.save("a", serde_json::json!({ "schedule": "0 14 * * *", "overlap": "allow" }));
    let turn = world.look(START + 13 * HOUR);
    assert_eq!(turn.next_ms, Some(START + 14 * HOUR));
    assert_eq!(world.fates("a"), [(720, Fate::Ran), (36 * 60, Fate::Superseded)]);
    let why = world.history(&id("a"))[1].1.why.clone().unwrap();
    assert_eq!(why.to_string(), "the schedule was changed to 0 14 * * * UTC");
    world.look(START + 14 * HOUR);
    // Back again: what was superseded is planned once more, and has its own fate in the end.
    world.save("a", serde_json::json!({ "schedule": "0 12 * * *", "overlap": "allow" }));
    world.look(START + 15 * HOUR);
    world.look(START + 36 * HOUR);
    let fates = world.fates("a");
    assert_eq!(fates[..3], [(720, Fate::Ran), (840, Fate::Ran), (36 * 60, Fate::Ran)]);

    // Edited while nobody was there to start it: what was outstanding is outstanding of the new one, too.
    let mut world = World::new().with("a", serde_json::json!({ "schedule": "0 7 * * *" }));
    world.look(START);
    world.restart();
    world.save("a", serde_json::json!({ "schedule": "0 8 * * *" }));
    assert_eq!(world.look(START + 9 * HOUR).runs.len(), 1);
    assert_eq!(world.fates("a"), [(420, Fate::Superseded), (480, Fate::CaughtUp)]);
}

#[test]
fn a_schedule_that_is_taken_away_is_superseded_and_a_playbook_that_is_gone_skipped_when_due() {
    let mut world = World::new().with("a", hourly()).with("b", hourly());
    world.look(START);
    world.save("a", serde_json::json!({}));
    world.playbooks.remove("b");
    world.look(START + 1);
    assert_eq!(
        (world.fates("a"), world.fates("b")),
        (vec![(60, Fate::Superseded)], vec![])
    );
    world.look(START + HOUR);
    assert_eq!(
        (world.fates("b"), world.whys("b")),
        (vec![(60, Fate::Skipped)], vec!["gone"])
    );
    assert_eq!(world.look(START + 9 * HOUR).next_ms, None);
    // Both come back, with the clock set back a little.
    world.save("b", hourly());
    world.save("a", hourly());
    assert_eq!(world.look(START + HOUR - 5).runs, []);
    assert_eq!(
        world.look(START + HOUR).runs.len(),
        1,
        "a has not run at that time, and b has had its fate"
    );
}

#[test]
fn what_cannot_start_says_why() {
    let header = serde_json::json!({ "schedule": "0 * * * *", "inputs": { "topic": { "required": true } } });
    let mut world = World::new().with("a", header).with("b", hourly());
    world.look(START);
    world.mode = Err(Failure::new("CREDENTIALS_MISSING", "SLACK_TOKEN is missing"));
    world.look(START + HOUR);
    world.mode = Ok(RunMode::dry());
    world.look(START + 2 * HOUR);
    let said = |playbook: &str| -> Vec<String> {
        let history = world.history(&id(playbook));
        history
            .iter()
            .map(|(_, tick)| tick.why.as_ref().map(Why::to_string).unwrap_or_default())
            .collect()
    };
    assert!(
        said("a")[1].starts_with("INPUT_MISSING: input `topic` is missing"),
        "{:?}",
        said("a")
    );
    assert_eq!(said("b"), ["CREDENTIALS_MISSING: SLACK_TOKEN is missing", ""]);
    assert_eq!(world.fates("b"), [(60, Fate::FailedToStart), (120, Fate::Ran)]);
}

#[test]
fn jitter_follows_from_the_tick_and_stays_before_the_next() {
    let header = |every: &str| serde_json::json!({ "schedule": every, "overlap": "allow", "jitter": "10m" });
    let mut world = World::new()
        .with("a", header("0 * * * *"))
        .with("b", header("*/5 * * * *"));
    world.look(START);
    let due = world.ledger(&id("a")).unwrap().next.unwrap();
    assert!((START + HOUR..=START + HOUR + 10 * MINUTE).contains(&due.due_ms));
    assert_ne!(due.due_ms, due.planned_ms);
    let mut other = World::new().with("a", header("0 * * * *"));
    other.look(START);
    assert_eq!(
        other.ledger(&id("a")).unwrap().next,
        Some(due),
        "it is the same everywhere"
    );
    // Other playbooks, schedules and ticks are spread otherwise.
    let spread = |playbook: &str, schedule: &str, at: i64| {
        let listed = listed(playbook, header("0 * * * *"));
        let of = ScheduleId {
            playbook: playbook.to_owned(),
            schedule: schedule.to_owned(),
        };
        let planned_ms = START + at * HOUR;
        super::plan::due_ms(&of, &listed.triggers.schedules[0], planned_ms, START) - planned_ms
    };
    let spreads: std::collections::BTreeSet<i64> = [("a", "1", 1), ("b", "1", 1), ("a", "2", 1), ("a", "1", 2)]
        .map(|(playbook, schedule, at)| spread(playbook, schedule, at))
        .into();
    assert_eq!(spreads.len(), 4, "{spreads:?}");
    let mut now = START;
    for _ in 0..200 {
        let next = world.ledger(&id("b")).unwrap().next.unwrap();
        assert!((next.planned_ms..next.planned_ms + 5 * MINUTE).contains(&next.due_ms));
        now = now.max(next.due_ms);
        world.look(now);
    }
    assert!(world.history(&id("b")).iter().all(|(_, tick)| tick.fate == Fate::Ran));
}

#[test]
fn a_jitter_that_is_edited_moves_what_is_not_due_yet_and_holds_nobody_up() {
    let header = |jitter: &str| serde_json::json!({ "schedule": "0 * * * *", "overlap": "allow", "jitter": jitter });
    let mut world = World::new().with("a", header("0s"));
    world.look(START);
    // Saved after the tick had come due and before it was looked at: it is due as it was written down.
    world.save("a", header("50m"));
    assert_eq!(world.look(START + HOUR).runs.len(), 1);
    let planned = world.ledger(&id("a")).unwrap().next.unwrap();
    assert!(planned.due_ms > planned.planned_ms, "{planned:?}");
    world.save("a", header("0s"));
    world.look(START + HOUR + 1);
    let next = world.ledger(&id("a")).unwrap().next.unwrap();
    assert_eq!((next.planned_ms, next.due_ms), (START + 2 * HOUR, START + 2 * HOUR));
    assert_eq!(world.look(START + 2 * HOUR).runs.len(), 1);
    assert_eq!(world.fates("a"), [(60, Fate::Ran), (120, Fate::Ran)]);
}

#[test]
fn only_as_many_start_as_there_is_room_for_and_the_rest_is_started_then() {
    let mut world = World::new();
    for at in 0..10 {
        world.save(&format!("p{at}"), hourly());
    }
    world.look(START);
    let turn = world.look_with(START + HOUR, 4);
    assert_eq!((turn.runs.len(), turn.has_more), (4, true));
    let turn = world.look_with(START + HOUR + 1000, 0);
    assert_eq!((turn.runs.len(), turn.has_more), (0, true));
    let turn = world.look_with(START + HOUR + 2000, 60);
    assert_eq!((turn.runs.len(), turn.has_more), (6, false));
}

#[test]
fn ten_thousand_schedules_due_at_one_moment_are_all_started() {
    let mut world = World::new();
    for at in 0..10_000 {
        let name = format!("p{at:05}");
        let listed = listed(&name, serde_json::json!({ "schedule": "0 * * * *" }));
        world.playbooks.insert(name, Arc::new(listed));
    }
    world.look(START);
    let clock = crate::io::clock::SystemClock::new();
    let begun = crate::io::clock::Clock::monotonic(&clock);
    let turn = world.look(START + HOUR);
    let took = crate::io::clock::Clock::monotonic(&clock) - begun;
    println!("10,000 ticks started in {took:?}");
    assert_eq!(turn.runs.len(), 10_000);
    let distinct: std::collections::BTreeSet<_> = turn.runs.iter().map(|started| started.run).collect();
    assert_eq!(distinct.len(), 10_000);
    world.number += 1;
    assert_eq!(world.look(START + HOUR + 1).runs, []);
}

#[test]
fn a_playbook_on_the_disk_is_started_by_its_header_and_runs_to_its_end() {
    use crate::triggers::edition_tests::{edition, turn};
    let script =
        "const PLAYBOOK = #{ every: \"1m\", inputs: #{ n: #{ type: \"int\", preset: 4 } } };\nkv::put(\"a\", input.n)";
    let host = TestHost::default()
        .file("host.toml", "")
        .file("playbooks/a.rhai", script);
    let edition = edition(&host, &[]);
    let mut ticks = Ticks::default();
    let (first, _) = turn(&host, &edition, &mut ticks, 10);
    assert_eq!(first.runs, []);
    for _ in 0..3 {
        host.clock.advance(std::time::Duration::from_secs(60));
        let (started, driven) = turn(&host, &edition, &mut ticks, 10);
        let run = started.runs[0].run;
        assert_eq!(
            driven.finished[&run].record.status,
            Status::Succeeded,
            "and is over before the next"
        );
    }
    let of = ScheduleId {
        playbook: "a".to_owned(),
        schedule: "every".to_owned(),
    };
    let history = latest(&*host.ground.store, &of, i64::MAX, 10).unwrap();
    assert_eq!(
        history.iter().map(|(_, tick)| tick.fate).collect::<Vec<_>>(),
        [Fate::Ran; 3]
    );
}
