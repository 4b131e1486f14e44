//! Keys about runs beside their rows and journals: who is at work, who waits for what, and which are held.

use std::ops::Bound;

use super::{Parts, Space, prefix_range, version};
use crate::id::{ContentHash, IncidentId, RunId};
use crate::store::KeyRange;

/// Whether a row under `key` may start runs: a job, or an event.
pub fn starts_runs(key: &[u8]) -> bool {
    [Space::Queue, Space::Event]
        .iter()
        .any(|space| key.first() == Some(&space.byte()))
}

/// Says that a run has a thread or waits for one.
pub fn open(run: RunId) -> Vec<u8> {
    Parts::of(Space::Open).raw(&run.to_bytes()).0
}

/// All of [`open`].
pub fn all_open() -> KeyRange {
    prefix_range(Parts::of(Space::Open).0)
}

/// Says that a run wakes at `at_ms`, in Unix milliseconds.
pub fn wake(at_ms: i64, run: RunId) -> Vec<u8> {
    Parts::of(Space::Wake)
        .raw(&at_ms.max(0).to_be_bytes())
        .raw(&run.to_bytes())
        .0
}

/// All of [`wake`] up to `last_ms`, that moment included.
pub fn wakes_until(last_ms: i64) -> KeyRange {
    let first = Parts::of(Space::Wake).0;
    let after = Parts::of(Space::Wake)
        .raw(&last_ms.max(0).saturating_add(1).to_be_bytes())
        .0;
    (Bound::Included(first), Bound::Excluded(after))
}

/// Where the rows of [`wake`] begin that are later than `last_ms`.
pub fn wakes_after(last_ms: i64) -> Bound<Vec<u8>> {
    match wakes_until(last_ms).1 {
        Bound::Excluded(next) => Bound::Included(next),
        other => other,
    }
}

/// Says that `parent` started `child`.
pub fn child(parent: RunId, child: RunId) -> Vec<u8> {
    Parts::of(Space::Child).raw(&parent.to_bytes()).raw(&child.to_bytes()).0
}

/// All of [`child`] of one parent.
pub fn children(parent: RunId) -> KeyRange {
    prefix_range(Parts::of(Space::Child).raw(&parent.to_bytes()).0)
}

/// What a run asks at a step.
pub fn question(run: RunId, step: u32) -> Vec<u8> {
    Parts::of(Space::Question)
        .raw(&run.to_bytes())
        .raw(&step.to_be_bytes())
        .0
}

/// All of [`question`].
pub fn questions() -> KeyRange {
    prefix_range(Parts::of(Space::Question).0)
}

/// The contents whose hash begins with these hexadecimal digits; `None` when they are none.
pub fn versions_of(digits: &str) -> Option<KeyRange> {
    let rest = 64_usize.checked_sub(digits.len())?;
    let bound = |digit: &str| format!("{digits}{}", digit.repeat(rest)).parse::<ContentHash>().ok();
    let (low, high) = (bound("0")?, bound("f")?);
    Some((Bound::Included(version(&low)), Bound::Included(version(&high))))
}

/// The row of an incident.
pub fn incident(id: IncidentId) -> Vec<u8> {
    Parts::of(Space::Incident).raw(&id.to_bytes()).0
}

/// The rows of all incidents between two ids, both included.
pub fn incidents(first: IncidentId, last: IncidentId) -> KeyRange {
    (Bound::Included(incident(first)), Bound::Included(incident(last)))
}

/// The row that says that `incident` holds `run`.
pub fn pin(run: RunId, incident: IncidentId) -> Vec<u8> {
    Parts::of(Space::Pin).raw(&run.to_bytes()).raw(&incident.to_bytes()).0
}

/// All incidents that hold `run`.
pub fn pins_of(run: RunId) -> KeyRange {
    prefix_range(Parts::of(Space::Pin).raw(&run.to_bytes()).0)
}
