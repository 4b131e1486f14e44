//! A year in the life of a host, by a seed: reloads, kills at any commit, sleeps, pauses and clocks that are set.
//!
//! At the end every tick that was to be expected has exactly one fate, every job one end, and nothing was started twice.
//! `HOST_YEAR_SEEDS` says how many years are lived through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use host::id::RunId;
use host::journal::{Cause, Recorded, RunRecord};
use host::script::schedule::Schedule;
use host::store::queue::{self, State};
use host::store::ticks::tick::{Fate, latest, with_ticks};
use host::store::ticks::{Pause, Resumed, ScheduleId, pause, schedules};
use host::store::{Batch, Durability, Realm, Store, Tx};
use host::triggers;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::forgetful::Forgetful;
use crate::world::World;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAYS: u32 = 366;

/// Playbooks whose schedules stay as they are, so that their ticks can be foretold.
const STEADY: [(&str, &str, &str, &str); 5] = [
    (
        "often",
        "5 */4 * * *",
        "America/New_York",
        "missed: \"all\", overlap: \"allow\"",
    ),
    (
        "nightly",
        "30 2 * * *",
        "America/New_York",
        "missed: \"latest\", overlap: \"skip\"",
    ),
    (
        "weekly",
        "0 9 * * mon",
        "Europe/Berlin",
        "missed: \"none\", overlap: \"queue\"",
    ),
    (
        "office",
        "*/20 9-11 * * tue",
        "Australia/Lord_Howe",
        "missed: \"all\", horizon: \"3h\", overlap: \"queue\"",
    ),
    (
        "long",
        "0 */8 1-20 * *",
        "UTC",
        "missed: \"all\", overlap: \"cancel_previous\"",
    ),
];

const EDITED: [&str; 3] = ["15 6 * * *", "10 */5 * * *", "45 */6 * * *"];

/// By the moment for which it was planned: its fate, the last moment that shares it, and its run.
type Fates = BTreeMap<i64, (Fate, i64, Option<RunId>)>;

struct Year {
    world: World,
    store: Arc<Forgetful>,
    random: StdRng,
    begun_ms: i64,
    saves: u32,
    kills: u32,
    steps: u32,
}

fn header(line: &str, zone: &str, rest: &str) -> String {
    format!("const PLAYBOOK = #{{ schedule: {line:?}, timezone: {zone:?}, {rest} }};\n")
}

fn body(name: &str, save: u32) -> String {
    match name {
        // Each run leaves a job, and counts that it did.
        "often" => format!(
            "let n = kv::increment(\"pushed\"); queue::push(\"work\", #{{ n: n }}, #{{ attempts: 3, backoff: \"10m\" }}); // {save}"
        ),
        "long" => format!("run::sleep(\"9h\"); kv::increment(\"long\"); // {save}"),
        "office" => format!("run::sleep(\"25m\"); kv::increment(\"office\"); // {save}"),
        _ => format!("kv::increment({name:?}); // {save}"),
    }
}

/// Does jobs: one of eleven fails at an effect each time, one of thirteen by the script.
const WORKER: &str = r#"
const PLAYBOOK = #{ queue: #{ name: "work", concurrency: 3 }, inputs: #{ n: #{ type: "int", required: true } } };
if input.n % 11 == 0 { file::read_json("inbox/none.json"); }
if input.n % 13 == 0 { throw "poison"; }
kv::increment(`done/${input.n}`);
"#;

impl Year {
    fn new(seed: u64) -> Year {
        let mut world = World::new(triggers::all);
        let store = Arc::new(Forgetful::default());
        world.host.ground.store = store.clone();
        let mut year = Year {
            begun_ms: world.now_ms(),
            world,
            store,
            random: StdRng::seed_from_u64(seed),
            saves: 0,
            kills: 0,
            steps: 0,
        };
        for (name, ..) in STEADY {
            year.save(name);
        }
        year.world.save("worker", WORKER);
        year.edit();
        year.world.start();
        // What is planned is on the disk: before that nobody can expect a tick.
        year.pass(MINUTE_MS);
        year
    }

    fn save(&mut self, name: &str) {
        let (_, line, zone, rest) = STEADY.iter().find(|(known, ..)| *known == name).expect("a name");
        self.saves += 1;
        let text = header(line, zone, rest) + body(name, self.saves).as_str();
        self.world.save(name, &text);
    }

    fn edit(&mut self) {
        self.saves += 1;
        let line = EDITED[self.random.random_range(0..EDITED.len())];
        let text = header(line, "UTC", "missed: \"latest\"") + body("edited", self.saves).as_str();
        self.world.save("edited", &text);
    }

    /// Turns until nothing moves, or the process dies. Gives when something is due next.
    fn settle(&mut self) -> Option<i64> {
        for _ in 0..100_000 {
            let now_ms = self.world.now_ms();
            let core = self.world.core();
            let moved = core.turn(now_ms);
            while !self.store.is_dead() && core.crew().step() {}
            if self.store.is_dead() {
                return None;
            }
            assert!(moved.failed.is_empty(), "{:?}", moved.failed);
            let seen = core.stirs();
            let is_due = moved.next_ms.is_some_and(|at_ms| at_ms <= now_ms);
            if moved.started == 0 && !is_due && seen == self.world.live().runner.gate.ready.stirs() {
                return moved.next_ms;
            }
        }
        panic!("the host does not come to rest");
    }

    fn pass(&mut self, ms: i64) {
        let mut left_ms = ms;
        loop {
            let next_ms = self.settle();
            if self.store.is_dead() {
                self.die();
                continue;
            }
            if left_ms <= 0 {
                return;
            }
            self.store.settle();
            let ahead_ms = next_ms.map_or(left_ms, |next_ms| (next_ms - self.world.now_ms()).max(1));
            let ahead_ms = ahead_ms.min(left_ms);
            self.world.host.clock.advance(Duration::from_millis(ahead_ms as u64));
            left_ms -= ahead_ms;
        }
    }

    /// The process is gone; after a while another is started.
    fn die(&mut self) {
        self.kills += 1;
        self.world.kill();
        let keep = *[0, 300, 700, 1000]
            .get(self.random.random_range(0..4_usize))
            .expect("four");
        self.store.begin_anew(keep);
        if self.random.random_bool(0.3) {
            let hours = self.random.random_range(1..60);
            self.world.host.clock.advance(Duration::from_secs(hours * 3600));
        }
        self.world.start();
    }

    fn day(&mut self) {
        // Who reads a new set from the disk is not killed meanwhile: that is for the tests of reloading.
        self.store.live_on();
        match self.random.random_range(0..20) {
            0..=3 => self.store.die_after(self.random.random_range(1..200)),
            4..=5 => {
                let name = STEADY[self.random.random_range(0..STEADY.len())].0;
                self.save(name);
                self.world.reload();
            }
            6 => {
                self.edit();
                self.world.reload();
            }
            7..=8 => {
                self.steps += 1;
                let by_ms = self.random.random_range(-5 * HOUR_MS..5 * HOUR_MS);
                let to_ms = self.world.now_ms() + by_ms;
                self.world.host.clock.set(to_ms);
            }
            9 => self.pause(),
            _ => {}
        }
        let minutes = self.random.random_range(20 * 60..28 * 60);
        self.pass(minutes * MINUTE_MS);
    }

    /// A playbook, or everything, stands still for some hours.
    fn pause(&mut self) {
        let name = ["*", "often", "nightly"][self.random.random_range(0..3)];
        let how = [Resumed::All, Resumed::Latest, Resumed::None][self.random.random_range(0..3)];
        let mut batch = Batch::new();
        let since_ms = self.world.now_ms();
        pause::pause(
            &mut batch,
            name,
            &Pause {
                since_ms,
                by: None,
                why: String::new(),
            },
        );
        self.tell(batch);
        let hours = self.random.random_range(1..12);
        self.pass(hours * HOUR_MS);
        let mut batch = Batch::new();
        pause::resume(&mut batch, name, self.world.now_ms(), how);
        self.tell(batch);
    }

    fn tell(&mut self, batch: Batch) {
        while self.store.commit(batch.clone(), Durability::Now).is_err() {
            self.die();
        }
        self.world.live().runner.gate.ready.stir();
    }

    fn finish(&mut self) {
        // Whatever still waits has time to end.
        for _ in 0..6 {
            self.pass(24 * HOUR_MS);
        }
    }

    /// Of each schedule: what its ticks came to, by the moment for which they were planned.
    fn fates(&self) -> BTreeMap<String, Fates> {
        let mut fates = BTreeMap::new();
        for id in with_ticks(&*self.store, None).expect("readable") {
            let ticks = latest(&*self.store, &id, i64::MAX, 1_000_000).expect("readable");
            let fate = |(planned_ms, tick): (i64, host::store::ticks::Tick)| {
                let until_ms = tick.many.map_or(planned_ms, |many| many.until_ms);
                (planned_ms, (tick.fate, until_ms, tick.run))
            };
            fates.insert(id.playbook, ticks.into_iter().map(fate).collect());
        }
        fates
    }

    fn check(&self, seed: u64) {
        let fates = self.fates();
        let mut started: BTreeMap<RunId, String> = BTreeMap::new();
        for (playbook, ticks) in &fates {
            let mut covered_ms = i64::MIN;
            for (planned_ms, (fate, until_ms, run)) in ticks {
                assert!(
                    *planned_ms > covered_ms,
                    "seed {seed}: {playbook} at {planned_ms} has two fates"
                );
                assert!(
                    *fate != Fate::Waiting,
                    "seed {seed}: {playbook} at {planned_ms} still waits"
                );
                covered_ms = *until_ms;
                let Some(run) = run.filter(|_| matches!(fate, Fate::Ran | Fate::Late | Fate::CaughtUp)) else {
                    continue;
                };
                let other = started.insert(run, playbook.clone());
                assert_eq!(other, None, "seed {seed}: one run for two ticks");
                let recorded = Recorded::load(&self.world.host.ground, run).expect("a run with a journal");
                let cause = Some(Cause::Tick {
                    schedule: "1".to_owned(),
                    planned_ms: *planned_ms,
                });
                assert_eq!(recorded.begun.cause, cause, "seed {seed}");
                // The last ones may be asleep.
                let is_old = *planned_ms < self.world.now_ms() - 12 * HOUR_MS;
                assert!(
                    recorded.ended.is_some() || !is_old,
                    "seed {seed}: run {run} of {playbook} has no end: {:?}",
                    RunRecord::get(&*self.store, run)
                );
            }
        }
        let mut expected = 0;
        for (name, line, zone, _) in STEADY {
            let (schedule, zone) = (
                Schedule::parse(line).expect("a line"),
                zone.parse::<Tz>().expect("a zone"),
            );
            let ticks = &fates[name];
            let last_ms = last_planned(&*self.store, name);
            let mut at_ms = self.begun_ms;
            while let Some(next) = schedule.next_after(at_ms, zone).filter(|next| next.at_ms <= last_ms) {
                at_ms = next.at_ms;
                expected += 1;
                let row = ticks.range(..=at_ms).next_back();
                let is_covered = row.is_some_and(|(_, (_, until_ms, _))| at_ms <= *until_ms);
                assert!(is_covered, "seed {seed}: {name} at {at_ms} has no fate");
            }
            let is_foretold = |planned_ms: &i64| {
                schedule.next_after(planned_ms - 1, zone).map(|next| next.at_ms) == Some(*planned_ms)
            };
            assert!(
                ticks.keys().all(is_foretold),
                "seed {seed}: {name} has ticks that nobody expected"
            );
            assert!(
                last_ms > self.world.now_ms() - 9 * 24 * HOUR_MS,
                "seed {seed}: {name} has stopped"
            );
        }
        assert!(expected > 2_000, "seed {seed}: {expected}");
        self.check_jobs(seed);
    }

    fn check_jobs(&self, seed: u64) {
        let pushed = self.world.host.run("kv::get(\"pushed\")").value().to_string();
        let pushed: i64 = pushed.parse().expect("a number");
        assert!(pushed > 1_000, "seed {seed}: {pushed}");
        let mut by_job: BTreeMap<u64, u32> = BTreeMap::new();
        for record in self.runs_of("worker") {
            let begun = Recorded::load(&self.world.host.ground, record.run)
                .expect("a journal")
                .begun;
            let Some(Cause::Job { job, .. }) = begun.cause else {
                panic!("seed {seed}: {record:?} has no job");
            };
            *by_job.entry(job).or_default() += 1;
        }
        assert_eq!(by_job.len() as i64, pushed, "seed {seed}: every job had a run");
        assert!(
            by_job.values().all(|runs| *runs == 1),
            "seed {seed}: a job had two runs"
        );
        let now_ms = self.world.now_ms();
        let mut tx = Tx::new(&self.world.host.ground, Realm::Dry, now_ms);
        let left = queue::list(&mut tx, "work", None, 1000).expect("a queue");
        assert!(
            left.iter().all(|taken| taken.job.state(now_ms as u64) == State::Dead),
            "seed {seed}"
        );
        let dead = (1..=pushed).filter(|n| n % 11 == 0 || n % 13 == 0).count();
        assert_eq!(left.len(), dead, "seed {seed}: those that cannot be done are dead");
        let done = self.world.host.run(&format!(
            "let once = 0; for n in 1..{} {{ if kv::get(`done/${{n}}`) == 1 {{ once += 1; }} }} once",
            pushed + 1
        ));
        assert_eq!(
            done.value().to_string(),
            (pushed - dead as i64).to_string(),
            "seed {seed}: each once"
        );
    }

    fn runs_of(&self, playbook: &str) -> Vec<RunRecord> {
        let last = RunId::from_bytes([0xFF; 16]);
        let mut runs = RunRecord::latest(&*self.store, last, 1_000_000).expect("readable");
        runs.retain(|record| record.playbook == playbook);
        runs
    }
}

/// The last tick of a steady schedule that has had its turn.
fn last_planned(store: &dyn Store, playbook: &str) -> i64 {
    let of: Vec<_> = schedules(store, Some(playbook)).expect("readable");
    let [(ScheduleId { .. }, ledger, _)] = of.as_slice() else {
        panic!("{playbook} has one schedule")
    };
    ledger.last_ms.expect("it has fired")
}

#[test]
fn a_year_of_kills_sleeps_saves_and_clock_steps_leaves_one_fate_for_each_tick() {
    let seeds = std::env::var("HOST_YEAR_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 1..=seeds.unwrap_or(1_u64) {
        let mut year = Year::new(seed);
        for _ in 0..DAYS {
            year.day();
        }
        year.finish();
        year.check(seed);
        assert!(year.kills > 20 && year.steps > 10, "seed {seed}: it was an easy year");
        println!(
            "seed {seed}: {} kills, {} clock steps, {} saves",
            year.kills, year.steps, year.saves
        );
    }
}
