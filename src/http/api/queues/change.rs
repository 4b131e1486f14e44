//! Puts jobs into queues, brings dead ones back, takes some out, pauses.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::look::{find, number, shown};
use super::{known, realm};
use crate::http::answer::{Answer, Refusal};
use crate::http::api::person;
use crate::http::request::Request;
use crate::http::server::Server;
use crate::report::queues::job_json;
use crate::store::queue::job::{ATTEMPTS_DEFAULT, BACKOFF_DEFAULT_MS, PRIORITY_DEFAULT};
use crate::store::queue::pause::Paused;
use crate::store::queue::{self, State, Wanted, hold};
use crate::value::Value;

/// Jobs that are changed with one commit.
const AT_ONCE: usize = 1000;

#[derive(Deserialize)]
struct Push {
    payload: Json,
    priority: Option<u8>,
    delay_ms: Option<u64>,
    key: Option<String>,
    remember_ms: Option<u64>,
    attempts: Option<u32>,
    backoff_ms: Option<u64>,
}

pub(super) fn push(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let asked: Push = request.body()?;
    let (realm, name) = (realm(server, request), request.param("queue"));
    let payload = server.masks().mask(Value::from_json(asked.payload));
    let wanted = Wanted {
        priority: asked.priority.unwrap_or(PRIORITY_DEFAULT),
        delay_ms: asked.delay_ms.unwrap_or(0),
        key: asked.key,
        remember_ms: asked.remember_ms.unwrap_or(0),
        attempts_max: asked.attempts.unwrap_or(ATTEMPTS_DEFAULT),
        backoff_ms: asked.backoff_ms.unwrap_or(BACKOFF_DEFAULT_MS),
        corr: Some(request.corr.clone()),
    };
    let pushed = server.change(realm, |tx| queue::push(tx, name, &payload, &wanted))?;
    Ok(Answer::data(json!({
        "queue": name, "realm": realm.to_string(), "id": pushed.job, "is_new": pushed.is_new,
    }))
    .status(201))
}

pub(super) fn retry(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    let (before, number) = (find(server, request, realm, &name)?, number(request));
    if !server.change(realm, |tx| queue::requeue(tx, &name, number))? {
        let state = before.job.state(server.now_ms() as u64).as_str();
        let message = format!("job {number} of {name} is {state}, and only dead ones are brought back");
        return Err(Refusal::new(409, "JOB_NOT_DEAD", message));
    }
    let now = server.look(realm, |tx| hold::get(tx, &name, number))?.unwrap_or(before);
    Ok(Answer::data(job_json(&now, server.now_ms())))
}

pub(super) fn remove(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    let before = find(server, request, realm, &name)?;
    server.change(realm, |tx| queue::remove(tx, &name, before.number))?;
    Ok(Answer::data(job_json(&before, server.now_ms())))
}

pub(super) fn retry_dead(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    // Those that die again meanwhile are for the next time.
    let begun_ms = server.now_ms() as u64;
    let mut count = 0;
    loop {
        let (found, back) = server.change(realm, |tx| {
            let dead = queue::list(tx, &name, Some(State::Dead), AT_ONCE)?;
            let mut back = 0;
            for job in dead
                .iter()
                .filter(|job| job.job.died_ms.is_some_and(|died_ms| died_ms <= begun_ms))
            {
                back += u64::from(queue::requeue(tx, &name, job.number)?);
            }
            Ok((dead.len(), back))
        })?;
        count += back;
        if found < AT_ONCE || back == 0 {
            break;
        }
    }
    Ok(Answer::data(
        json!({"queue": name, "realm": realm.to_string(), "retried": count}),
    ))
}

#[derive(Deserialize)]
struct Drain {
    #[serde(default)]
    dead: bool,
}

pub(super) fn drain(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Drain { dead } = request.body()?;
    let (realm, name) = known(server, request)?;
    let states: &[State] = match dead {
        true => &[State::Dead],
        false => &[State::Ready, State::Delayed],
    };
    let mut count = 0;
    for state in states {
        loop {
            let removed = server.change(realm, |tx| {
                let jobs = queue::list(tx, &name, Some(*state), AT_ONCE)?;
                for job in &jobs {
                    queue::remove(tx, &name, job.number)?;
                }
                Ok(jobs.len())
            })?;
            count += removed;
            if removed < AT_ONCE {
                break;
            }
        }
    }
    Ok(Answer::data(
        json!({"queue": name, "realm": realm.to_string(), "removed": count}),
    ))
}

#[derive(Deserialize)]
struct Why {
    #[serde(default)]
    why: String,
}

pub(super) fn pause(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Why { why } = request.body()?;
    let (realm, name) = known(server, request)?;
    let paused = Paused {
        since_ms: server.now_ms(),
        by: person(request),
        why: server.masks().mask_text(why),
    };
    server.change(realm, |tx| queue::pause::put(tx, &name, Some(&paused)))?;
    shown(server, realm, &name)
}

pub(super) fn resume(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    server.change(realm, |tx| queue::pause::put(tx, &name, None))?;
    shown(server, realm, &name)
}
