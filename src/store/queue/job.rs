//! A job, and the rules of its life. Pure.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::store::keys::QueueRow;

/// The greatest priority; the smallest is 0.
pub const PRIORITY_MAX: u8 = 9;

/// The priority of a job of which nothing is said.
pub const PRIORITY_DEFAULT: u8 = 5;

/// How often a job is tried when nothing is said.
pub const ATTEMPTS_DEFAULT: u32 = 5;

/// The first wait after a failure when nothing is said.
pub const BACKOFF_DEFAULT_MS: u64 = 30_000;

/// The longest wait after a failure.
pub const BACKOFF_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// What a job is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub priority: u8,
    pub delay_ms: u64,
    /// By which a second job like it is recognised.
    pub key: Option<String>,
    /// How long the key is remembered once the job is done.
    pub remember_ms: u64,
    pub attempts_max: u32,
    pub backoff_ms: u64,
    /// What the run that does it is followed by: the correlation id of whoever pushes it.
    pub corr: Option<String>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            priority: PRIORITY_DEFAULT,
            delay_ms: 0,
            key: None,
            remember_ms: 0,
            attempts_max: ATTEMPTS_DEFAULT,
            backoff_ms: BACKOFF_DEFAULT_MS,
            corr: None,
        }
    }
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// As [`store_bytes`](crate::store::large::store_bytes) holds it.
    #[serde(with = "serde_bytes_vec")]
    pub payload: Vec<u8>,
    pub priority: u8,
    pub pushed_ms: u64,
    /// When it may be taken, or taken again.
    pub due_ms: u64,
    /// How often it was taken.
    pub attempts: u32,
    pub attempts_max: u32,
    pub backoff_ms: u64,
    pub key: Option<String>,
    pub remember_ms: u64,
    /// Whether it is in somebody's hands, until it is due.
    pub leased: bool,
    /// Why it was given back last, or why it is dead.
    pub reason: Option<String>,
    pub died_ms: Option<u64>,
    /// The run that does it, or did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Whether it is in the hands of that run: as long as the run is not over, however long that is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held: bool,
    /// How many runs were made for it. One, unless it was brought back and its run could not go on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub runs: u32,
    /// The correlation id of whoever pushed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corr: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Job {
    /// From its row.
    pub fn decode(row: &[u8]) -> Result<Job, rmp_serde::decode::Error> {
        rmp_serde::from_slice(row)
    }
}

/// What can be said of a job at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ready,
    Delayed,
    /// In the hands of somebody who took it, until his lease ends.
    Leased,
    /// In the hands of a run, until that is over.
    Held,
    Dead,
}

impl State {
    pub const ALL: [State; 5] = [State::Ready, State::Delayed, State::Leased, State::Held, State::Dead];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Delayed => "delayed",
            State::Leased => "leased",
            State::Held => "held",
            State::Dead => "dead",
        }
    }
}

impl Job {
    pub fn new(wanted: &Wanted, payload: Vec<u8>, now_ms: u64) -> Job {
        Job {
            payload,
            priority: wanted.priority.min(PRIORITY_MAX),
            pushed_ms: now_ms,
            due_ms: now_ms.saturating_add(wanted.delay_ms),
            attempts: 0,
            attempts_max: wanted.attempts_max.max(1),
            backoff_ms: wanted.backoff_ms,
            key: wanted.key.clone(),
            remember_ms: wanted.remember_ms,
            leased: false,
            reason: None,
            died_ms: None,
            run: None,
            held: false,
            runs: 0,
            corr: wanted.corr.clone(),
        }
    }

    pub fn state(&self, now_ms: u64) -> State {
        match () {
            () if self.died_ms.is_some() => State::Dead,
            () if self.held => State::Held,
            () if self.due_ms <= now_ms => State::Ready,
            () if self.leased => State::Leased,
            () => State::Delayed,
        }
    }

    /// Where it stands in its queue.
    pub(super) fn turn(&self, number: u64) -> QueueRow {
        match self.died_ms {
            Some(died_ms) => QueueRow::Dead { died_ms, job: number },
            None if self.held => QueueRow::Held(number),
            None => QueueRow::Due {
                priority: self.priority,
                due_ms: self.due_ms,
                job: number,
            },
        }
    }

    /// Taken until so much later; dead instead when it has been taken as often as it may: then its last taker was lost.
    pub(super) fn taken(&self, lease_ms: u64, now_ms: u64) -> Job {
        if self.attempts >= self.attempts_max {
            let reason = format!("nobody said what came of attempt {}", self.attempts);
            return self.dead(reason, now_ms);
        }
        Job {
            leased: true,
            attempts: self.attempts + 1,
            due_ms: now_ms.saturating_add(lease_ms.max(1)),
            ..self.clone()
        }
    }

    /// In the hands of `run`, which is to do it, since `now_ms`.
    pub(super) fn given_to(&self, run: RunId, now_ms: u64) -> Job {
        Job {
            leased: false,
            held: true,
            attempts: self.attempts + 1,
            due_ms: now_ms,
            runs: self.runs + u32::from(self.run != Some(run)),
            run: Some(run),
            ..self.clone()
        }
    }

    /// In the hands of its run again, which somebody else has made go on.
    pub(super) fn rejoined(&self) -> Job {
        Job {
            leased: false,
            held: true,
            died_ms: None,
            ..self.clone()
        }
    }

    /// Given back: to be tried again after its backoff or `after_ms`, or dead when it has been tried as often as it may.
    pub(super) fn failed(&self, reason: String, after_ms: Option<u64>, is_final: bool, now_ms: u64) -> Job {
        if is_final || self.attempts >= self.attempts_max {
            return self.dead(reason, now_ms);
        }
        Job {
            leased: false,
            held: false,
            due_ms: now_ms.saturating_add(after_ms.unwrap_or_else(|| self.backoff())),
            reason: Some(reason),
            ..self.clone()
        }
    }

    /// As new, but for what it is.
    pub(super) fn revived(&self, now_ms: u64) -> Job {
        Job {
            died_ms: None,
            leased: false,
            attempts: 0,
            due_ms: now_ms,
            ..self.clone()
        }
    }

    pub(super) fn dead(&self, reason: String, now_ms: u64) -> Job {
        Job {
            leased: false,
            held: false,
            reason: Some(reason),
            died_ms: Some(now_ms),
            ..self.clone()
        }
    }

    /// Twice as long after each attempt.
    fn backoff(&self) -> u64 {
        let doublings = self.attempts.saturating_sub(1).min(40);
        self.backoff_ms.saturating_mul(1 << doublings).min(BACKOFF_MAX_MS)
    }
}

/// Bytes as bytes: MessagePack would else hold a number for each.
mod serde_bytes_vec {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::value::Value;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Blob(bytes) => Ok(bytes),
            other => Err(serde::de::Error::custom(format!("{} instead of bytes", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_with_each_failure_up_to_a_day() {
        let wanted = Wanted {
            backoff_ms: 1000,
            attempts_max: 100,
            ..Wanted::default()
        };
        let mut job = Job::new(&wanted, Vec::new(), 0);
        let mut waits = Vec::new();
        for _ in 0..30 {
            job = job.taken(10, 0);
            job = job.failed("why".to_owned(), None, false, 0);
            waits.push(job.due_ms);
        }
        assert_eq!(waits[..5], [1000, 2000, 4000, 8000, 16000]);
        assert_eq!(waits[29], BACKOFF_MAX_MS);
    }

    #[test]
    fn a_job_survives_the_way_to_disk_and_back() {
        let job = Job::new(&Wanted::default(), vec![0, 255, 7], 5).taken(10, 5);
        let bytes = rmp_serde::to_vec_named(&job).unwrap();
        assert_eq!(rmp_serde::from_slice::<Job>(&bytes).unwrap(), job);
    }
}
