//! Playbooks that answer requests: those whose header has `http`.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`index`] | which playbook has which path |
//! | [`input`] | what was sent, as the playbook's inputs |
//! | [`once`] | requests that are carried out once, however often they come |
//! | [`waiting`] | those who wait for a run |
//! | [`answering`] | what came of a run, as an answer |
//! | [`described`] | for the OpenAPI document |
//!
//! Each request that is let in makes a run of its own, which the host's crew carries out within its limits and in turn with
//! all others. Nobody is told of a run (`202`) before it is on disk, or of its end before that is. Who asked may go away: the
//! run goes on.

mod answering;
mod described;
mod index;
mod input;
mod once;
mod waiting;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

pub use waiting::Waiting;

use self::index::{Door, Index};
use self::once::Once;
use super::answer::{Answer, Refusal};
use super::caller::Role;
use super::hooks::tally::Tally;
use super::request::Request;
use super::routes::{Doors, Found, Handler, Needs, Takes};
use super::server::Server;
use crate::id::RunId;
use crate::identity::quota::Quota;
use crate::journal::{Cause, Outcome, Recorded, RunRecord, Status};
use crate::runs::conductor::{Crew, Offer, What};
use crate::runs::creation::Creation;
use crate::script::triggers::{Policy, http};
use crate::serve::core::OPEN_MAX;
use crate::serve::edition::Listed;
use crate::store::ticks::Pauses;
use crate::store::{Batch, CommitNo, Durability, StoreError};
use crate::triggers::overlap::Guard;
use crate::value::Map as Fields;

/// What is left of the time of a request to say that its run is not over.
const TELL_TIME: Duration = Duration::from_millis(200);

/// How often a run is made anew because somebody else was quicker.
const CONFLICTS_MAX: u32 = 16;

/// The routes of the playbooks that are live.
pub struct Playbooks {
    inner: Arc<Inner>,
    tally: Arc<Tally>,
    index: Mutex<Arc<Index>>,
}

struct Inner {
    crew: Arc<Crew>,
    waiting: Arc<Waiting>,
}

impl Playbooks {
    /// Runs are carried out by `crew`, which `waiting` hears of.
    pub fn new(crew: Arc<Crew>, waiting: Arc<Waiting>) -> Playbooks {
        Playbooks {
            inner: Arc::new(Inner { crew, waiting }),
            tally: Arc::default(),
            index: Mutex::default(),
        }
    }

    fn index(&self, server: &Server) -> Arc<Index> {
        let edition = server.edition();
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.edition != Some(edition.number) {
            *index = Arc::new(Index::of(&edition));
        }
        index.clone()
    }
}

impl Doors for Playbooks {
    fn at(&self, server: &Server, path: &str) -> Vec<(Method, Found)> {
        let index = self.index(server);
        let found = index.at(path).into_iter().map(|(door, params)| {
            let (inner, door) = (self.inner.clone(), door.clone());
            let method = door.method.clone();
            let found = Found {
                name: door.name.clone(),
                needs: match door.route.role {
                    http::Role::Anybody => Needs::Nobody,
                    http::Role::Viewer => Needs::Role(Role::Viewer),
                    http::Role::Operator => Needs::Role(Role::Operator),
                    http::Role::Admin => Needs::Role(Role::Admin),
                },
                query: None,
                body: match takes_body(&method) {
                    true => Takes::Bytes(None),
                    false => Takes::Nothing,
                },
                params,
                quota: door.route.limit.map(|limit| Quota {
                    per_user: limit.per_user,
                    per_org: limit.per_org,
                    window_ms: limit.window.as_millis() as i64,
                }),
                playbook: Some(Arc::from(door.playbook.as_str())),
                handle: Handler::Made(Arc::new(move |server, request| inner.answer(server, &door, request))),
            };
            (method, found)
        });
        let mut all: Vec<(Method, Found)> = found.collect();
        // No two are live that want the same.
        if let Some(hooked) = index.hooks.get(path) {
            all.extend(super::hooks::doors(hooked, &self.tally, server.limits.body_bytes_max));
        }
        all
    }

    fn deliveries(&self) -> Option<&Tally> {
        Some(&self.tally)
    }

    fn paths(&self, server: &Server) -> Map<String, Json> {
        described::paths(&self.index(server), &server.edition())
    }
}

fn takes_body(method: &Method) -> bool {
    *method != Method::GET && *method != Method::DELETE
}

/// A run that somebody asked for.
struct Asked {
    run: RunId,
    /// The commit that made it, where it was made just now.
    made: Option<CommitNo>,
}

impl Inner {
    fn answer(&self, server: &Server, door: &Door, request: &Request) -> Result<Answer, Refusal> {
        let begun = server.app.clock.monotonic();
        let edition = server.edition();
        // A save may have come between the look at the path and this.
        let listed = edition.playbooks.get(&door.playbook);
        let listed = listed.filter(|listed| listed.triggers.http.as_deref() == Some(&door.route));
        let listed = listed.ok_or_else(|| Refusal::not_found("there is nothing under this path"))?;
        let input = input::of(request, &listed.pinned.header)?;
        let once = Once::of(door, request)?;
        let asked = self.asked(server, door, request, listed, &input, once.as_ref())?;
        let run = asked.run;
        let within = door
            .route
            .timeout
            .min(server.limits.request_timeout.saturating_sub(TELL_TIME));
        let left = || within.saturating_sub(server.app.clock.monotonic().saturating_sub(begun));
        let place = self.waiting.place(run);
        if asked.made.is_some() {
            self.crew.offer([Offer {
                run,
                playbook: door.playbook.clone(),
                what: What::GoOn,
            }]);
        }
        if door.route.mode == http::Mode::Async {
            return accepted(server, &asked);
        }
        if asked.made.is_none()
            && let Some(outcome) = over(server, run)?
        {
            return answering::of(run, outcome);
        }
        match place.wait(left, || self.crew.is_closed()) {
            Some(Ok(outcome)) if outcome.status.is_over() => answering::of(run, outcome),
            Some(Err(code)) => Err(answering::lost(run, &code)),
            _ => accepted(server, &asked),
        }
    }

    /// The run of this request: a new one, or that of an earlier request with the same key.
    fn asked(
        &self,
        server: &Server,
        door: &Door,
        request: &Request,
        listed: &Listed,
        input: &Fields,
        once: Option<&Once>,
    ) -> Result<Asked, Refusal> {
        let edition = server.edition();
        let gate = &edition.runner.gate;
        let mut conflicts = 0;
        loop {
            let now_ms = server.now_ms();
            let mut batch = Batch::new();
            let id = RunId::new(now_ms, server.app.chance.wide_bits());
            if let Some(once) = once
                && let Some(run) = once.look(&*server.store, &mut batch, id, now_ms)?
            {
                return Ok(Asked { run, made: None });
            }
            self.check_room(server, door)?;
            let guard = match listed.triggers.is_any() || has_order(listed) {
                true => Guard::of(
                    &*server.store,
                    &door.playbook,
                    &listed.pinned.header,
                    &listed.triggers.overlap,
                    input,
                )?,
                false => None,
            };
            if has_order(listed)
                && let Some(earlier) = guard.as_ref().and_then(|guard| guard.busy)
            {
                let message = format!(
                    "the run {} of this playbook is not over, and its runs do not overlap",
                    earlier.short()
                );
                let refusal = Refusal::new(409, "RUN_OVERLAPS", message).header("retry-after", "1");
                return Err(refusal.details(json!({ "run_id": earlier.to_string() })));
            }
            let creation = Creation {
                run: id,
                pinned: &listed.pinned,
                input: input.clone(),
                mode: edition.mode(listed)?,
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
            };
            let made = creation.batch(gate).map_err(|failure| {
                let failure = gate.clean(failure);
                Refusal::new(400, failure.code, failure.message)
            })?;
            batch.append(made);
            if let Some(guard) = guard {
                guard.pass(&mut batch, id);
            }
            match server.store.commit(batch, Durability::Soon) {
                Ok(made) => {
                    return Ok(Asked {
                        run: id,
                        made: Some(made),
                    });
                }
                Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn check_room(&self, server: &Server, door: &Door) -> Result<(), Refusal> {
        let busy = |message: String| Refusal::new(503, "SERVER_BUSY", message).header("retry-after", "1");
        if self.crew.is_closed() {
            return Err(busy("the host stops, and begins nothing more".to_owned()));
        }
        if self.crew.open() >= OPEN_MAX {
            return Err(busy(format!(
                "{OPEN_MAX} runs wait for a thread already, which is the most"
            )));
        }
        if Pauses::load(&*server.store)?.of(&door.playbook).is_some() {
            let message = "this is paused; try again later";
            return Err(Refusal::new(503, "PLAYBOOK_PAUSED", message).header("retry-after", "60"));
        }
        Ok(())
    }
}

/// Whether runs of the playbook wait for each other: who asks is told so, and does not wait.
fn has_order(listed: &Listed) -> bool {
    matches!(listed.triggers.overlap.policy, Policy::Queue | Policy::CancelPrevious)
}

/// Says that there is a run, once it is on disk.
fn accepted(server: &Server, asked: &Asked) -> Result<Answer, Refusal> {
    // Everything up to there is, also where it was made by somebody else.
    let commit = match asked.made {
        Some(commit) => commit,
        None => match server.store.get(&crate::store::keys::run(asked.run))? {
            Some(row) => row.version,
            None => return Err(once::gone()),
        },
    };
    server.store.wait_durable(commit)?;
    let run = asked.run.to_string();
    let status = RunRecord::get(&*server.store, asked.run)?.status;
    let location = format!("/api/v1/runs/{run}");
    Ok(Answer::data(json!({ "run_id": run, "status": status.code() }))
        .status(202)
        .header("location", &location))
}

/// What came of `run`, if it is over.
fn over(server: &Server, run: RunId) -> Result<Option<Outcome>, Refusal> {
    let record = match RunRecord::get(&*server.store, run) {
        Err(crate::journal::JournalError::NoSuchRun(_)) => return Err(once::gone()),
        record => record?,
    };
    if !record.status.is_over() {
        return Ok(None);
    }
    if let Some(row) = server.store.get(&crate::store::keys::run(run))? {
        server.store.wait_durable(row.version)?;
    }
    let value = match record.status {
        Status::Succeeded => Recorded::load(&server.ground(), run)?.ended.map(|ended| ended.value),
        _ => None,
    };
    Ok(Some(Outcome {
        status: record.status,
        value: value.unwrap_or_default(),
        error: record.error,
    }))
}
