//! A tick's fate, and why.

use std::fmt;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{ScheduleId, decode, encode};
use crate::id::RunId;
use crate::store::keys::{self, Place};
use crate::store::{Batch, Store, StoreError};

/// What became of the tick planned for a moment; of all those up to another, where many share a fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub fate: Fate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When it was due, its jitter included.
    pub due_ms: i64,
    /// When its fate was decided.
    pub at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub many: Option<Many>,
}

/// Ticks that share a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Many {
    /// The last of them is planned for no later than this.
    pub until_ms: i64,
    pub count: u64,
    /// Whether there are exactly so many; else there are more, and nobody has counted them.
    pub is_exact: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Ran,
    /// It ran, later than it should.
    Late,
    /// It was missed, and ran when somebody could start it.
    CaughtUp,
    Skipped,
    FailedToStart,
    /// The schedule was edited before it came.
    Superseded,
    /// Not yet decided: an earlier run is not over.
    Waiting,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// This run was not over.
    Overlap {
        run: RunId,
    },
    /// It waited for this run.
    Waited {
        run: RunId,
    },
    /// So many ticks waited already.
    Full {
        limit: u32,
    },
    /// Nobody was there to start it, and the header says to leave it.
    Missed,
    /// It was missed too long ago.
    Horizon,
    /// More were missed than are caught up.
    TooMany {
        limit: u32,
    },
    /// A later tick ran in its place.
    Later,
    /// The playbook, or everything, was paused.
    Paused,
    /// There is no such playbook any more, or it does not compile.
    Gone,
    Failed {
        code: String,
        message: String,
    },
    /// What the schedule says now; nothing when it was taken away.
    Superseded {
        by: Option<String>,
    },
}

impl Tick {
    /// From its row; `None` when it cannot be read.
    pub fn decode(row: &[u8]) -> Option<Tick> {
        decode(row, String::new).ok()
    }
}

impl Fate {
    pub const ALL: [Fate; 7] = [
        Fate::Ran,
        Fate::Late,
        Fate::CaughtUp,
        Fate::Skipped,
        Fate::FailedToStart,
        Fate::Superseded,
        Fate::Waiting,
    ];

    /// As JSON and flags name it.
    pub fn code(self) -> &'static str {
        match self {
            Fate::Ran => "ran",
            Fate::Late => "late",
            Fate::CaughtUp => "caught_up",
            Fate::Skipped => "skipped",
            Fate::FailedToStart => "failed_to_start",
            Fate::Superseded => "superseded",
            Fate::Waiting => "waiting",
        }
    }
}

/// In words, for people.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fate::CaughtUp => "caught up",
            Fate::FailedToStart => "failed to start",
            other => other.code(),
        })
    }
}

impl Why {
    /// As JSON names it.
    pub fn code(&self) -> &'static str {
        match self {
            Why::Overlap { .. } => "overlap",
            Why::Waited { .. } => "waited",
            Why::Full { .. } => "full",
            Why::Missed => "missed",
            Why::Horizon => "horizon",
            Why::TooMany { .. } => "too_many",
            Why::Later => "later",
            Why::Paused => "paused",
            Why::Gone => "gone",
            Why::Failed { .. } => "failed",
            Why::Superseded { .. } => "superseded",
        }
    }
}

/// In words, for people.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Overlap { run } => write!(f, "run {} was not over", run.short()),
            Why::Waited { run } => write!(f, "it waited for run {}", run.short()),
            Why::Full { limit } => write!(f, "{limit} ticks waited already"),
            Why::Missed => f.write_str("nobody was there to start it"),
            Why::Horizon => f.write_str("missed longer ago than the horizon"),
            Why::TooMany { limit } => write!(f, "more than {limit} were missed"),
            Why::Later => f.write_str("missed, and a later one ran"),
            Why::Paused => f.write_str("paused"),
            Why::Gone => f.write_str("the playbook is gone, or does not compile"),
            Why::Failed { code, message } => write!(f, "{code}: {message}"),
            Why::Superseded { by: Some(by) } => write!(f, "the schedule was changed to {by}"),
            Why::Superseded { by: None } => f.write_str("the schedule was taken away"),
        }
    }
}

impl Tick {
    pub fn put(&self, batch: &mut Batch, id: &ScheduleId, planned_ms: i64) {
        batch.put(keys::tick(&id.playbook, &id.schedule, planned_ms), encode(self));
    }

    /// What became of the tick planned for that moment.
    pub fn get(store: &dyn Store, id: &ScheduleId, planned_ms: i64) -> Result<Option<Tick>, StoreError> {
        let row = store.get(&keys::tick(&id.playbook, &id.schedule, planned_ms))?;
        row.map(|row| decode(&row.value, || format!("tick of {}", id.playbook)))
            .transpose()
    }

    /// How much later than due it started, if it did.
    pub fn late_ms(&self) -> Option<i64> {
        matches!(self.fate, Fate::Ran | Fate::Late | Fate::CaughtUp).then(|| (self.at_ms - self.due_ms).max(0))
    }
}

/// At most `limit` ticks of a schedule that are planned before `before_ms`, the latest first.
pub fn latest(
    store: &dyn Store,
    id: &ScheduleId,
    before_ms: i64,
    limit: usize,
) -> Result<Vec<(i64, Tick)>, StoreError> {
    let (low, high) = keys::ticks(&id.playbook, &id.schedule, 0, before_ms.max(0));
    let high = match high {
        Bound::Included(key) => Bound::Excluded(key),
        other => other,
    };
    let rows = store.scan((low, high), limit, true)?;
    let mut found = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        if let Some(Place::Tick { planned_ms, .. }) = keys::parse(&key) {
            found.push((planned_ms, decode(&row.value, || format!("tick of {}", id.playbook))?));
        }
    }
    Ok(found)
}

/// The ticks of a schedule that were superseded, planned for after `from_ms` until `until_ms`.
pub fn superseded(store: &dyn Store, id: &ScheduleId, from_ms: i64, until_ms: i64) -> Result<Vec<i64>, StoreError> {
    const ROWS_MAX: usize = 10_000;
    let range = keys::ticks(&id.playbook, &id.schedule, from_ms.saturating_add(1), until_ms);
    let mut found = Vec::new();
    for (key, row) in store.scan(range, ROWS_MAX, false)? {
        let tick: Tick = decode(&row.value, || format!("tick of {}", id.playbook))?;
        if let (Fate::Superseded, Some(Place::Tick { planned_ms, .. })) = (tick.fate, keys::parse(&key)) {
            found.push(planned_ms);
        }
    }
    Ok(found)
}

/// The schedules that have ticks, those of one playbook alone when there is one.
pub fn with_ticks(store: &dyn Store, playbook: Option<&str>) -> Result<Vec<ScheduleId>, StoreError> {
    let mut found = Vec::new();
    let mut range = keys::all_ticks();
    if let Some(playbook) = playbook {
        range.0 = Bound::Included(keys::tick(playbook, "", 0));
    }
    while let Some((key, _)) = store.scan(range.clone(), 1, false)?.first() {
        let Some(Place::Tick {
            playbook: of, schedule, ..
        }) = keys::parse(key)
        else {
            break;
        };
        if playbook.is_some_and(|playbook| playbook != of) {
            break;
        }
        range.0 = Bound::Excluded(keys::tick(&of, &schedule, i64::MAX));
        found.push(ScheduleId { playbook: of, schedule });
    }
    Ok(found)
}
