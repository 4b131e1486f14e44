//! Every family of a server: counts of this process, and what the store, the crew and the system say now.
//!
//! Names and units are as Prometheus has them: base units, `_total` for what only grows. Labels have few values; where
//! playbooks, queues or people choose them, there is a limit, and what is beyond it is left out or counted together. What
//! cannot be read is left out, too: a 0 in its place would be a figure.

use super::Telemetry;
use super::family::{Family, Measure, Spread};
use super::kept::{Due, Found};
use super::{own, text};
use crate::app::STORE_FILE;
use crate::gate::circuit::{self, Circuit};
use crate::gate::state;
use crate::serve::status::Status;
use crate::store::Store;
use crate::store::effort::{BOUNDS_MICROS, Effort};

impl Telemetry {
    /// Every family, as it is now.
    pub fn families(&self) -> Vec<Family> {
        let edition = self.live.current();
        let gate = &edition.runner.gate;
        let store = &*gate.ground.store;
        let (status, realm) = (self.board.status(), self.realm());
        let now_ms = self.clock.unix_ms();
        let found = self.kept.found(store, realm, &*self.clock);
        let providers = edition.app.providers.iter().map(|spec| spec.name.as_str());
        let circuits = circuits(store, providers, now_ms);
        let recorded = own::families(&edition, store, realm);
        let is_whole = !found.failed && circuits.is_some() && recorded.is_some();
        let mut families = self.host(&status, is_whole, now_ms);
        families.extend(self.figures.families(edition.playbooks.keys().map(String::as_str)));
        families.extend(self.runs(&found, now_ms));
        families.extend(queues(&found));
        families.extend(circuits.into_iter().flatten());
        families.extend(self.store(store, &edition.app.config.data()));
        families.extend(process(status.since_ms));
        families.extend(self.exporter.iter().flat_map(|exporter| exporter.families()));
        families.extend(self.beside.get().map(|beside| beside()).unwrap_or_default());
        families.extend(recorded.unwrap_or_default());
        text::distinct(families)
    }

    fn host(&self, status: &Status, is_whole: bool, now_ms: i64) -> Vec<Family> {
        let seconds = |unix_ms: i64| unix_ms as f64 / 1000.0;
        let age = self.beat.age(self.clock.monotonic()).as_secs_f64();
        let mut families = vec![
            Family::gauge("host_build_info", "The version of host that runs.")
                .with([("version", env!("CARGO_PKG_VERSION"))], 1.0),
            Family::gauge("host_live", "Whether DRY_RUN is off: 1 when providers may be live.").is(truth(status.live)),
            Family::gauge("host_store_readable", "Whether all that is shown here could be read.").is(truth(is_whole)),
            Family::gauge("host_edition_number", "The set of playbooks that is live, counted.")
                .is(status.edition as f64),
            Family::gauge(
                "host_edition_timestamp_seconds",
                "When the set went live, in Unix time.",
            )
            .is(seconds(status.edition_since_ms)),
            Family::gauge("host_playbooks", "Playbooks of the set.").is(status.playbooks as f64),
            Family::gauge("host_alarms", "Alarms of the watchdog that are not over.").is(status.alarms.len() as f64),
            Family::gauge("host_loop_age_seconds", "How long ago the host's loop turned last.").is(age),
        ];
        if let Some(heard_ms) = self.beat.heard_ms() {
            let help = "How long ago the heartbeat's address answered last.";
            families.push(Family::gauge("host_heartbeat_age_seconds", help).is(seconds(now_ms - heard_ms)));
        }
        families
    }

    fn runs(&self, found: &Found, now_ms: i64) -> Vec<Family> {
        let at_work = self.crew.at_work() as f64;
        let queued = self.crew.waiting() as f64;
        let overdue = |due: Due| due.next_ms.map_or(0, |due_ms| (now_ms - due_ms).max(0)) as f64 / 1000.0;
        let count = |count: Option<u64>| count.map(|count| count as f64);
        let read = [
            (
                "host_runs_waiting",
                "Runs that wait for a time, an event, a person or another run.",
                count(found.suspended),
            ),
            (
                "host_runs_in_doubt",
                "Runs with a write of which nobody knows whether it landed.",
                count(found.in_doubt),
            ),
            (
                "host_questions_open",
                "Questions of runs that nobody has answered.",
                count(found.questions),
            ),
            (
                "host_incidents_open",
                "Incidents that are not closed.",
                count(found.open_incidents),
            ),
            (
                "host_tick_overdue_seconds",
                "How long the tick has been due that has been due longest.",
                found.due.map(overdue),
            ),
        ];
        let mut families = vec![
            Family::gauge("host_runs_at_work", "Runs that have a thread.").is(at_work),
            Family::gauge("host_runs_queued", "Runs that wait for a thread.").is(queued),
        ];
        let read = read.into_iter();
        families.extend(read.filter_map(|(name, help, value)| Some(Family::gauge(name, help).is(value?))));
        families.extend([
            Family::gauge("host_pool_threads", "Threads that a pool may have at the same time.")
                .with([("pool", "runs")], self.crew.threads_max as f64),
            Family::gauge("host_pool_busy_threads", "Threads of a pool that are at work.")
                .with([("pool", "runs")], at_work),
            Family::gauge("host_pool_waiting_jobs", "What waits for a thread of a pool.")
                .with([("pool", "runs")], queued),
        ]);
        families
    }

    fn store(&self, store: &dyn Store, data: &std::path::Path) -> Vec<Family> {
        let (stats, effort) = (store.stats(), store.effort());
        let mut families = vec![
            Family::counter("host_store_commits_total", "Batches that were committed to the store.")
                .is(stats.batches as f64),
            Family::counter(
                "host_store_conflicts_total",
                "Batches refused because somebody else was quicker.",
            )
            .is(effort.conflicts as f64),
            sync(&effort),
        ];
        if let Some(bytes) = crate::io::process::file_bytes(&data.join(STORE_FILE)) {
            families.push(Family::gauge("host_store_size_bytes", "The size of the store's file.").is(bytes as f64));
        }
        if let Some((free, all)) = crate::io::disk::space(data) {
            let help = "The free bytes of the disk that the store lies on.";
            families.push(Family::gauge("host_disk_free_bytes", help).is(free as f64));
            families.push(Family::gauge("host_disk_size_bytes", "All bytes of that disk.").is(all as f64));
        }
        families
    }
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

fn sync(effort: &Effort) -> Family {
    let help = "How long commits took from memory to the disk; many share one.";
    let mut family = Family::histogram("host_store_sync_duration_seconds", help);
    let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6);
    let spread = Spread {
        bounds: bounds.collect::<Vec<f64>>().into(),
        within: effort.within.to_vec(),
        sum: effort.micros as f64 / 1e6,
        count: effort.syncs,
    };
    family.put([], Measure::Spread(spread));
    family
}

fn queues(found: &Found) -> Vec<Family> {
    let mut ready = Family::gauge("host_queue_ready_jobs", "Jobs that can be taken now.");
    let mut later = Family::gauge(
        "host_queue_later_jobs",
        "Jobs whose turn comes later: delayed, or tried before.",
    );
    let mut at_work = Family::gauge("host_queue_held_jobs", "Jobs in the hands of runs.");
    let mut dead = Family::gauge("host_queue_dead_jobs", "Jobs that nobody tries again.");
    let help = "How long the job has been due that has been due longest.";
    let mut age = Family::gauge("host_queue_oldest_age_seconds", help);
    for (queue, stats) in &found.queues {
        let labels = [("queue", queue.as_str())];
        ready.add(labels, stats.ready as f64);
        later.add(labels, stats.later as f64);
        at_work.add(labels, stats.held as f64);
        dead.add(labels, stats.dead as f64);
        age.add(labels, stats.waits_ms as f64 / 1000.0);
    }
    vec![ready, later, at_work, dead, age]
}

/// `None` when one of them cannot be read.
fn circuits<'a>(store: &dyn Store, providers: impl Iterator<Item = &'a str>, now_ms: i64) -> Option<[Family; 2]> {
    let mut open = Family::gauge(
        "host_circuit_open",
        "Whether a provider is left alone: 1 open, 0.5 being tried.",
    );
    let mut failures = Family::gauge("host_circuit_failures", "Failures of a provider in a row.");
    for provider in providers {
        let circuit = state::read::<Circuit>(store, &circuit::key(provider)).ok()?;
        let is_open = match circuit.state(now_ms) {
            "closed" => 0.0,
            "open" => 1.0,
            _ => 0.5,
        };
        open.add([("provider", provider)], is_open);
        failures.add([("provider", provider)], f64::from(circuit.failures));
    }
    Some([open, failures])
}

fn process(since_ms: i64) -> Vec<Family> {
    let process = crate::io::process::look();
    let gauge = |name, help, value: Option<u64>| Some(Family::gauge(name, help).is(value? as f64));
    let cpu = process.processor_seconds.map(|seconds| {
        let help = "Time on the processors, in user and system mode.";
        Family::counter("process_cpu_seconds_total", help).is(seconds)
    });
    let families = [
        gauge(
            "process_resident_memory_bytes",
            "Memory that is really there.",
            process.resident_bytes,
        ),
        gauge(
            "process_virtual_memory_bytes",
            "Memory that was asked for.",
            process.virtual_bytes,
        ),
        gauge("process_open_fds", "Open files and connections.", process.open_files),
        gauge(
            "process_max_fds",
            "Files and connections that may be open.",
            process.open_files_max,
        ),
        gauge("process_threads", "Threads of the process.", process.threads),
        cpu,
    ];
    let start = Family::gauge(
        "process_start_time_seconds",
        "When the server was started, in Unix time.",
    );
    let start = start.is(since_ms as f64 / 1000.0);
    families.into_iter().flatten().chain([start]).collect()
}
