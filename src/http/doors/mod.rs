//! Playbooks that answer requests: those whose header has `http`.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`index`] | which playbook has which path |
//! | [`asked`] | the run that a request asks for |
//! | [`input`] | what was sent, as the playbook's inputs |
//! | [`once`] | requests that are carried out once, however often they come |
//! | [`waiting`] | those who wait for a run |
//! | [`answering`] | what came of a run, as an answer |
//! | [`described`] | for the OpenAPI document |
//!
//! Each request that is let in makes a run of its own, which the host's crew carries out within its limits and in turn with
//! all others. Nobody is told of a run (`202`) before it is on disk, or of its end before that is; but what a run gives that
//! wrote nothing is told as soon as all that it has read is on disk. Who asked may go away: the run goes on.

mod answering;
mod asked;
mod described;
mod index;
mod input;
mod once;
mod waiting;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Map, Value as Json};

pub use waiting::Waiting;

use self::asked::{Asked, Wish};
use self::index::{Door, Index};
use self::once::Once;
use self::waiting::Rested;
use super::answer::{Answer, Refusal};
use super::caller::Role;
use super::hooks::tally::Tally;
use super::request::Request;
use super::routes::{Doors, Found, Handler, Needs, Runs, Takes};
use super::server::Server;
use crate::id::RunId;
use crate::identity::quota::Quota;
use crate::journal::{Outcome, Recorded, RunRecord, Status};
use crate::runs::conductor::{Crew, Offer, What};
use crate::script::triggers::http;
use crate::store::tx::Ground;

/// What is left of the time of a request to say that its run is not over.
const TELL_TIME: Duration = Duration::from_millis(200);

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
                handle: Handler::Run(Arc::new(Visit {
                    inner,
                    door,
                    asked: OnceLock::new(),
                })),
            };
            (method, found)
        });
        let mut all = match index.hooks.get(path) {
            Some(hooked) => super::hooks::doors(hooked, &self.tally, server.limits.body_bytes_max),
            None => Vec::new(),
        };
        // A webhook's path is words alone, which go before parameters; no two are live that want the same.
        let own: Vec<Method> = all.iter().map(|(method, _)| method.clone()).collect();
        all.extend(found.filter(|(method, _)| !own.contains(method)));
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

/// One request.
struct Visit {
    inner: Arc<Inner>,
    door: Arc<Door>,
    /// The run that it asks for, once there is one.
    asked: OnceLock<Asked>,
}

impl Runs for Visit {
    fn answer(&self, server: &Server, request: &Request) -> Result<Answer, Refusal> {
        let (door, crew) = (&*self.door, &self.inner.crew);
        let edition = server.edition();
        // A save may have come between the look at the path and this.
        let listed = edition.playbooks.get(&door.playbook);
        let listed = listed.filter(|listed| listed.triggers.http.as_deref() == Some(&door.route));
        let listed = listed.ok_or_else(|| Refusal::not_found("there is nothing under this path"))?;
        let input = input::of(request, &listed.pinned.header)?;
        let once = Once::of(door, request)?;
        let wish = Wish {
            server,
            edition: &edition,
            door,
            listed,
            request,
            input: &input,
        };
        let asked = wish.run(crew, once.as_ref())?;
        let asked = self.asked.get_or_init(|| asked);
        let offer = Offer {
            run: asked.run(),
            playbook: door.playbook.clone(),
            what: What::GoOn,
        };
        if door.route.mode == http::Mode::Async {
            if asked.is_new() {
                crew.offer([offer]);
            }
            return accepted(server, asked);
        }
        let rested = match asked.is_new() {
            true => crew.carry_here(&offer, asked.begun()),
            false => None,
        };
        match rested.and_then(waiting::rested) {
            Some(rested) => told(server, asked, Some(rested)),
            None => self.wait(server, asked, offer),
        }
    }

    fn within(&self, server: &Server) -> Duration {
        let most = server.limits.request_timeout.saturating_sub(TELL_TIME);
        self.door.route.timeout.min(most)
    }

    fn has_begun(&self) -> bool {
        self.asked.get().is_some()
    }

    fn late(&self, server: &Server) -> Result<Answer, Refusal> {
        let asked = self.asked.get().expect("it is asked when there is a run");
        accepted(server, asked)
    }
}

impl Visit {
    /// Waits for a run that others carry out.
    fn wait(&self, server: &Server, asked: &Asked, offer: Offer) -> Result<Answer, Refusal> {
        let crew = &self.inner.crew;
        let place = self.inner.waiting.place(offer.run);
        match asked.begun() {
            Some((runner, handle, script)) => crew.adopt(runner, handle, script),
            None => {
                if let Some(outcome) = over(&server.ground(), offer.run)? {
                    return answering::of(offer.run, outcome);
                }
                if asked.is_new() {
                    crew.offer([offer]);
                }
            }
        }
        // Who asked is told of it by then, by another.
        let give_up_at = server.app.clock.monotonic() + self.within(server);
        let left = || give_up_at.saturating_sub(server.app.clock.monotonic());
        told(server, asked, place.wait(left, || crew.is_closed()))
    }
}

/// Says that there is a run, once it is on disk.
fn accepted(server: &Server, asked: &Asked) -> Result<Answer, Refusal> {
    asked.accepted(&*server.store, &*server.app.clock)
}

/// What is told of a run that is at rest, or is waited for no longer.
fn told(server: &Server, asked: &Asked, rested: Option<Rested>) -> Result<Answer, Refusal> {
    match rested {
        Some(Ok(outcome)) if outcome.status.is_over() => answering::of(asked.run(), outcome),
        Some(Err(code)) => Err(answering::lost(asked.run(), &code)),
        _ => accepted(server, asked),
    }
}

/// What came of `run`, if it is over.
fn over(ground: &Ground, run: RunId) -> Result<Option<Outcome>, Refusal> {
    let record = match RunRecord::get(&*ground.store, run) {
        Err(crate::journal::JournalError::NoSuchRun(_)) => return Err(once::gone()),
        record => record?,
    };
    if !record.status.is_over() {
        return Ok(None);
    }
    if let Some(row) = ground.store.get(&crate::store::keys::run(run))? {
        ground.store.wait_durable(row.version)?;
    }
    let value = match record.status {
        Status::Succeeded => Recorded::load(ground, run)?.ended.map(|ended| ended.value),
        _ => None,
    };
    Ok(Some(Outcome {
        status: record.status,
        value: value.unwrap_or_default(),
        error: record.error,
    }))
}
