//! Queues and their jobs as JSON: what `host queue --json` and the API give.

use serde_json::json;

use crate::store::queue::pause::{self, Paused};
use crate::store::queue::{self, Stats, Taken};
use crate::store::{StoreError, Tx};

/// A queue, with what is in it.
pub struct Row {
    pub name: String,
    pub stats: Stats,
    pub paused: Option<Paused>,
}

/// The queue called `name` as it is now.
pub fn row(tx: &mut Tx<'_>, name: String) -> Result<Row, StoreError> {
    Ok(Row {
        stats: queue::stats(tx, &name)?,
        paused: pause::get(tx, &name)?,
        name,
    })
}

/// Every queue of a realm, by name.
pub fn rows(tx: &mut Tx<'_>) -> Result<Vec<Row>, StoreError> {
    let names = queue::names(tx)?;
    names.into_iter().map(|name| row(tx, name)).collect()
}

/// One queue.
pub fn stats_json(name: &str, stats: &Stats, paused: Option<&Paused>) -> serde_json::Value {
    json!({
        "queue": name,
        "ready": stats.ready,
        "later": stats.later,
        "held": stats.held,
        "dead": stats.dead,
        "oldest_waits_ms": stats.waits_ms,
        "paused": paused,
    })
}

/// One job.
pub fn job_json(taken: &Taken, now_ms: i64) -> serde_json::Value {
    let job = &taken.job;
    json!({
        "id": taken.number,
        "state": job.state(now_ms as u64).as_str(),
        "priority": job.priority,
        "attempts": job.attempts,
        "attempts_max": job.attempts_max,
        "backoff_ms": job.backoff_ms,
        "pushed_ms": job.pushed_ms,
        "due_ms": job.due_ms,
        "died_ms": job.died_ms,
        "key": job.key,
        "run": job.run.map(|run| run.to_string()),
        "reason": job.reason,
        "payload": taken.payload.to_json(),
    })
}
