//! The run that a request asks for.
//!
//! Most are begun in memory, and the store hears of them when they change something, reach outside, take long, or end. Those
//! of which something must be remembered whatever becomes of them are made in the store first: one whose answer is only
//! that it is there, one with an `Idempotency-Key`, one that others must not overlap.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::index::Door;
use super::once::{self, Once};
use crate::http::answer::{Answer, Refusal};
use crate::http::request::Request;
use crate::http::server::Server;
use crate::id::RunId;
use crate::io::clock::Clock;
use crate::journal::{Cause, RunRecord, Status};
use crate::runs::Runner;
use crate::runs::conductor::{Crew, Offer, What};
use crate::runs::creation::Creation;
use crate::script::triggers::{Policy, http};
use crate::script::{RunHandle, Script};
use crate::serve::Edition;
use crate::serve::core::OPEN_MAX;
use crate::serve::edition::Listed;
use crate::store::ticks::Pauses;
use crate::store::{Batch, CommitNo, Durability, Store, StoreError, keys};
use crate::triggers::overlap::Guard;
use crate::value::Map as Fields;

/// How often a run is made anew because somebody else was quicker.
const CONFLICTS_MAX: u32 = 16;

/// How soon it is tried again to put a run on disk that is at a step.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// The run of a request.
pub(super) enum Asked {
    /// It is in the store: since just now, with the commit that made it, or since an earlier request with the same key.
    Made { run: RunId, commit: Option<CommitNo> },
    /// It is in memory, and has not taken its first step.
    Begun(Begun),
}

pub(super) struct Begun {
    run: RunId,
    runner: Runner,
    handle: RunHandle,
    script: Arc<Script>,
}

/// What is asked of which playbook.
pub(super) struct Wish<'a> {
    pub server: &'a Server,
    pub edition: &'a Edition,
    pub door: &'a Door,
    pub listed: &'a Listed,
    pub request: &'a Request,
    pub input: &'a Fields,
}

impl Asked {
    pub fn run(&self) -> RunId {
        match self {
            Asked::Made { run, .. } => *run,
            Asked::Begun(begun) => begun.run,
        }
    }

    /// What the crew takes over of a run that is in memory.
    pub fn begun(&self) -> Option<(Runner, RunHandle, Arc<Script>)> {
        match self {
            Asked::Made { .. } => None,
            Asked::Begun(begun) => Some((begun.runner.clone(), begun.handle.clone(), begun.script.clone())),
        }
    }

    /// Whether it was asked for by this request, and not by an earlier one.
    pub fn is_new(&self) -> bool {
        !matches!(self, Asked::Made { commit: None, .. })
    }

    /// Says that there is a run, once it is on disk.
    pub fn accepted(&self, store: &dyn Store, clock: &dyn Clock) -> Result<Answer, Refusal> {
        match self {
            Asked::Made {
                commit: Some(commit), ..
            } => store.wait_durable(*commit)?,
            // Everything up to there is on disk then, also where it was made by somebody else.
            Asked::Made { run, commit: None } => match store.get(&keys::run(*run))? {
                Some(row) => store.wait_durable(row.version)?,
                None => return Err(once::gone()),
            },
            Asked::Begun(begun) => begun.put_on_disk(store, clock)?,
        }
        let run = self.run();
        let status = told_status(store, run)?;
        let location = format!("/api/v1/runs/{run}");
        Ok(
            Answer::data(json!({ "run_id": run.to_string(), "status": status.code() }))
                .status(202)
                .header("location", &location),
        )
    }
}

/// How `run`, which is on disk, may be told to be. What it has come to since then is told when that is there, too: a crash
/// would undo it, and the run might end otherwise.
fn told_status(store: &dyn Store, run: RunId) -> Result<Status, Refusal> {
    let row = store.get(&keys::run(run))?.ok_or_else(once::gone)?;
    let status = RunRecord::decode(run, &row.value)?.status;
    if status != Status::Running {
        store.wait_durable(row.version)?;
    }
    Ok(status)
}

impl Begun {
    fn put_on_disk(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), Refusal> {
        let gate = self.handle.gate();
        let run = keys::run(self.run);
        loop {
            if let Some(row) = store.get(&run)? {
                return Ok(store.wait_durable(row.version)?);
            }
            // At a step that takes long it was put on record before.
            match self.handle.try_tape() {
                Some(mut tape) => return Ok(tape.put_on_disk(gate)?),
                None => clock.sleep(AGAIN_AFTER),
            }
        }
    }
}

impl Wish<'_> {
    /// The run of this request: a new one, or that of an earlier request with the same key.
    pub fn run(self, crew: &Crew, once: Option<&Once>) -> Result<Asked, Refusal> {
        let Wish { server, door, .. } = self;
        let gate = &self.edition.runner.gate;
        let mut conflicts = 0;
        loop {
            let now_ms = server.now_ms();
            let mut batch = Batch::new();
            let run = RunId::new(now_ms, server.app.chance.wide_bits());
            if let Some(once) = once
                && let Some(run) = once.look(&*server.store, &mut batch, run, now_ms, conflicts == 0)?
            {
                return Ok(Asked::Made { run, commit: None });
            }
            self.check_room(crew)?;
            let guard = self.guard()?;
            let creation = self.creation(run, now_ms)?;
            let refused = |failure| {
                let failure = gate.clean(failure);
                Refusal::new(400, failure.code, failure.message)
            };
            if once.is_none() && guard.is_none() && door.route.mode == http::Mode::Sync {
                return self.begin(creation, crew, refused);
            }
            batch.append(creation.batch(gate).map_err(refused)?);
            if let Some(guard) = guard {
                guard.pass(&mut batch, run);
            }
            match server.store.commit(batch, Durability::Soon) {
                Ok(commit) => {
                    let commit = Some(commit);
                    return Ok(Asked::Made { run, commit });
                }
                Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn begin(
        &self,
        creation: Creation<'_>,
        crew: &Crew,
        refused: impl Fn(crate::effect::Failure) -> Refusal,
    ) -> Result<Asked, Refusal> {
        let runner = self.edition.runner.clone();
        let begun = creation.begun(&runner.gate).map_err(refused)?;
        let library = &self.edition.app.library;
        let script = library.pinned(&*self.server.store, &begun).map_err(|error| {
            tracing::error!(playbook = begun.playbook, %error, code = error.code(), "what is live cannot be run");
            Refusal::internal()
        })?;
        let offer = Offer {
            run: begun.run,
            playbook: begun.playbook.clone(),
            what: What::GoOn,
        };
        let handle = runner.begin_answering(begun, (crew.observe)(&offer));
        Ok(Asked::Begun(Begun {
            run: offer.run,
            runner,
            handle,
            script,
        }))
    }

    fn creation(&self, run: RunId, now_ms: i64) -> Result<Creation<'_>, Refusal> {
        let Wish {
            door, listed, request, ..
        } = *self;
        Ok(Creation {
            run,
            pinned: &listed.pinned,
            input: self.input.clone(),
            mode: self.edition.mode(listed)?,
            trigger: format!(
                "over HTTP, {} {}, request {}",
                door.method, door.route.path, request.corr
            ),
            cause: Some(Cause::Request {
                method: door.method.to_string(),
                path: door.route.path.clone(),
                corr: request.corr.clone(),
            }),
            by: (!request.caller.user.is_empty()).then(|| request.caller.user.clone()),
            retry_of: None,
            corr: Some(request.corr.clone()),
            at_ms: now_ms,
        })
    }

    /// The place among those that must not overlap, where there is such a thing. Who would have to wait for it is told so.
    fn guard(&self) -> Result<Option<Guard>, Refusal> {
        let Listed { pinned, triggers } = self.listed;
        let has_order = matches!(triggers.overlap.policy, Policy::Queue | Policy::CancelPrevious);
        if !triggers.is_any() && !has_order {
            return Ok(None);
        }
        let (store, playbook) = (&*self.server.store, &self.door.playbook);
        let guard = Guard::of(store, playbook, &pinned.header, &triggers.overlap, self.input)?;
        match guard.as_ref().and_then(|guard| guard.busy) {
            Some(earlier) if has_order => {
                let message = format!(
                    "the run {} of this playbook is not over, and its runs do not overlap",
                    earlier.short()
                );
                let refusal = Refusal::new(409, "RUN_OVERLAPS", message).header("retry-after", "1");
                Err(refusal.details(json!({ "run_id": earlier.to_string() })))
            }
            _ => Ok(guard),
        }
    }

    fn check_room(&self, crew: &Crew) -> Result<(), Refusal> {
        let busy = |message: String| Refusal::new(503, "SERVER_BUSY", message).header("retry-after", "1");
        if crew.is_closed() {
            return Err(busy("the host stops, and begins nothing more".to_owned()));
        }
        if crew.open() >= OPEN_MAX {
            return Err(busy(format!(
                "{OPEN_MAX} runs wait for a thread already, which is the most"
            )));
        }
        if Pauses::load(&*self.server.store)?.of(&self.door.playbook).is_some() {
            let message = "this is paused; try again later";
            return Err(Refusal::new(503, "PLAYBOOK_PAUSED", message).header("retry-after", "60"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};

    use super::super::over;
    use super::*;
    use crate::gate::Silent;
    use crate::io::clock::SystemClock;
    use crate::journal::Outcome;
    use crate::runs::creation::Pinned;
    use crate::store::engine::{Engine, EngineOptions};
    use crate::store::test_disk::TestDisk;
    use crate::store::tx::Ground;
    use crate::testing::TestHost;

    struct Scene {
        host: TestHost,
        disk: TestDisk,
    }

    impl Scene {
        fn new() -> Scene {
            let (mut host, disk) = (TestHost::default(), TestDisk::default());
            let options = EngineOptions { cache_bytes: 1 << 20 };
            host.ground.store = Arc::new(Engine::with_backend(disk.clone(), options).expect("a store"));
            Scene { host, disk }
        }

        fn write(&self, batch: Batch) -> CommitNo {
            let written = self.host.ground.store.commit(batch, Durability::Soon);
            written.expect("a commit")
        }

        fn record(&self, record: &RunRecord) {
            let mut batch = Batch::new();
            batch.put(keys::run(record.run), record.encode());
            self.write(batch);
        }

        fn creation<'a>(&self, pinned: &'a Pinned) -> Creation<'a> {
            Creation {
                run: RunId::new(1, 1),
                pinned,
                input: Fields::new(),
                mode: self.host.mode.clone(),
                trigger: "a test".to_owned(),
                cause: None,
                by: None,
                retry_of: None,
                corr: None,
                at_ms: 1,
            }
        }

        /// What `asks` gives, once the disk goes on: it fails when it is given before that.
        fn waits<T: Send + 'static>(&self, asks: impl FnOnce(&Ground) -> T + Send + 'static) -> T {
            let (sender, told) = channel();
            let ground = self.host.ground.clone();
            std::thread::spawn(move || sender.send(asks(&ground)).unwrap_or_default());
            let early = told.recv_timeout(Duration::from_millis(50)).map(drop);
            self.disk.release();
            assert_eq!(
                early,
                Err(RecvTimeoutError::Timeout),
                "it was told before it was on disk"
            );
            told.recv().expect("it is told")
        }

        fn is_on_disk(&self, run: RunId) -> bool {
            let disk = self.disk.after_power_cut(|| false);
            let engine = Engine::with_backend(disk, EngineOptions::default()).expect("a store");
            RunRecord::get(&engine, run).is_ok()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            self.disk.release();
        }
    }

    fn status(asked: &Asked, ground: &Ground) -> u16 {
        let told = asked.accepted(&*ground.store, &SystemClock::new());
        told.expect("it is there").status
    }

    #[test]
    fn nobody_is_told_that_there_is_a_run_before_it_is_on_disk() {
        for at in 0..3 {
            let scene = Scene::new();
            let script = scene.host.compile("7");
            let (pinned, runner) = (Pinned::of(&script), scene.host.runner());
            let run = RunId::new(1, 1);
            scene.disk.hold();
            let asked = match at {
                2 => Asked::Begun(Begun {
                    run,
                    handle: runner.begin_answering(
                        scene.creation(&pinned).begun(&runner.gate).expect("a run"),
                        Arc::new(Silent),
                    ),
                    runner,
                    script,
                }),
                _ => {
                    let commit = scene.write(scene.creation(&pinned).batch(&runner.gate).expect("a run"));
                    let commit = (at == 0).then_some(commit);
                    // Somebody has taken it up already.
                    let made = RunRecord::get(&*scene.host.ground.store, run).expect("a record");
                    scene.record(&RunRecord {
                        status: Status::Running,
                        ..made
                    });
                    Asked::Made { run, commit }
                }
            };
            assert!(!scene.is_on_disk(run), "{at}");
            assert_eq!(scene.waits(move |ground| status(&asked, ground)), 202, "{at}");
            assert!(scene.is_on_disk(run), "{at}");
        }
    }

    /// A run that was told of with `202 succeeded`, and whose end a crash had undone, could fail afterwards.
    #[test]
    fn that_a_run_is_over_is_told_when_its_end_is_on_disk_and_that_it_runs_at_once() {
        let scene = Scene::new();
        let ended = scene.host.run("7").finished.record;
        let run = ended.run;
        let running = RunRecord {
            status: Status::Running,
            ended_ms: None,
            ..ended.clone()
        };
        scene.disk.hold();
        scene.record(&running);
        assert_eq!(told_status(&*scene.host.ground.store, run), Ok(Status::Running));
        assert_eq!(over(&scene.host.ground, run), Ok(None));
        scene.record(&ended);
        let told = scene.waits(move |ground| told_status(&*ground.store, run));
        assert_eq!(told, Ok(Status::Succeeded));
        scene.disk.hold();
        scene.record(&ended);
        let told = scene.waits(move |ground| over(ground, run));
        let is_seven = |outcome: &Outcome| outcome.value == 7.into();
        assert!(told.is_ok_and(|outcome| outcome.as_ref().is_some_and(is_seven)));
        let none = told_status(&*scene.host.ground.store, RunId::new(1, 1));
        assert_eq!(none.expect_err("none").code, "IDEMPOTENCY_GONE");
    }
}
