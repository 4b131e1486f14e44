//! Which queues there are, and what is in one.
//!
//! A page of jobs begins behind the row at which the one before ended, so however many there are, each is a short read. Jobs
//! move while somebody turns pages: one that is taken, or dies, meanwhile is found in its other place, or was there already.

use super::{known, realm};
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::server::Server;
use crate::report::queues::{Row, job_json, row as row_of, stats_json};
use crate::store::Realm;
use crate::store::keys::QueueRow;
use crate::store::queue::{self, State, Taken, hold};

/// Rows that are looked through for one page.
const LOOKED_AT_MAX: usize = 10_000;

pub(super) fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let realm = realm(server, request);
    let mut names = server.look(realm, queue::names)?;
    names.retain(|name| after.as_ref().is_none_or(|after| name > after));
    let next = page::cut(&mut names, page::limit(request), String::clone);
    // Counting looks at every job: only what is on the page is counted.
    let found: Vec<Row> = server.look(realm, |tx| names.into_iter().map(|name| row_of(tx, name)).collect())?;
    let items = found
        .iter()
        .map(|row| stats_json(&row.name, &row.stats, row.paused.as_ref()));
    Ok(page::answer(request, items.collect(), next))
}

pub(super) fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    shown(server, realm, &name)
}

/// The queue as it is now.
pub(super) fn shown(server: &Server, realm: Realm, name: &str) -> Result<Answer, Refusal> {
    let (stats, paused) = server.look(realm, |tx| Ok((queue::stats(tx, name)?, queue::pause::get(tx, name)?)))?;
    Ok(Answer::data(stats_json(name, &stats, paused.as_ref())))
}

pub(super) fn jobs(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    let after = page::place(request)?.and_then(|place| row(&place));
    let word = request.query("state");
    let state = State::ALL.into_iter().find(|state| Some(state.as_str()) == word);
    let limit = page::limit(request);
    let found = server.look(realm, |tx| {
        queue::look::page(tx, &name, state, after.as_ref(), limit, LOOKED_AT_MAX)
    })?;
    let now_ms = server.now_ms();
    let items = found.jobs.iter().map(|job| job_json(job, now_ms));
    let next = found.next.and_then(|row| place(&row));
    Ok(page::answer(request, items.collect(), next))
}

pub(super) fn job(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (realm, name) = known(server, request)?;
    let found = find(server, request, realm, &name)?;
    Ok(Answer::data(job_json(&found, server.now_ms())))
}

/// The job that the path names.
pub(super) fn find(server: &Server, request: &Request, realm: Realm, name: &str) -> Result<Taken, Refusal> {
    let number = number(request);
    let found = server.look(realm, |tx| hold::get(tx, name, number))?;
    found.ok_or_else(|| {
        let message = format!("there is no job {number} in the queue {name:?} in the {realm} realm");
        Refusal::new(404, "JOB_NOT_FOUND", message)
    })
}

pub(super) fn number(request: &Request) -> u64 {
    request.param("job").parse().unwrap_or(u64::MAX)
}

/// Where the list goes on, as a cursor keeps it.
fn place(row: &QueueRow) -> Option<String> {
    match row {
        QueueRow::Held(job) => Some(format!("held {job}")),
        QueueRow::Due { priority, due_ms, job } => Some(format!("due {priority} {due_ms} {job}")),
        QueueRow::Dead { died_ms, job } => Some(format!("dead {died_ms} {job}")),
        _ => None,
    }
}

fn row(place: &str) -> Option<QueueRow> {
    let mut words = place.split(' ');
    let kind = words.next()?;
    let numbers: Vec<u64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    match (kind, numbers.as_slice()) {
        ("held", [job]) => Some(QueueRow::Held(*job)),
        ("due", [priority, due_ms, job]) => Some(QueueRow::Due {
            priority: u8::try_from(*priority).ok()?,
            due_ms: *due_ms,
            job: *job,
        }),
        ("dead", [died_ms, job]) => Some(QueueRow::Dead {
            died_ms: *died_ms,
            job: *job,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_is_read_as_it_was_written_and_nothing_else_is() {
        let due = QueueRow::Due {
            priority: 9,
            due_ms: 12,
            job: u64::MAX,
        };
        for there in [QueueRow::Held(3), due, QueueRow::Dead { died_ms: 7, job: 1 }] {
            assert_eq!(place(&there).and_then(|place| row(&place)), Some(there));
        }
        for bad in ["", "held", "held x", "held 1 2", "due 256 1 1", "job 1", "dead 1"] {
            assert_eq!(row(bad), None, "{bad}");
        }
    }
}
