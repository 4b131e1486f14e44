//! Keys of queues and of metrics: one head row by name, and rows below it.
//!
//! The kind of row comes before the name, so that the heads of a realm lie side by side and list its queues.

use std::fmt;
use std::ops::Bound;

use super::{Parts, Place, Realm, Space, prefix_range, read_array, read_realm, read_text};
use crate::store::KeyRange;

const HEAD: u8 = 1;
const JOB: u8 = 2;
const DUE: u8 = 3;
const DEAD: u8 = 4;
const DEDUPE: u8 = 5;
const HELD: u8 = 6;
const LEFT: u8 = 7;
const PAUSED: u8 = 8;

const SERIES: u8 = 2;
const POINT: u8 = 3;

/// What a row of a queue is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueRow {
    /// Its counters.
    Head,
    Job(u64),
    /// When a job may be taken: sorted by priority, the greatest first, then by time, then by number.
    Due {
        priority: u8,
        due_ms: u64,
        job: u64,
    },
    /// A job that nobody will take any more.
    Dead {
        died_ms: u64,
        job: u64,
    },
    /// The key by which a second job like it is recognised.
    Dedupe(String),
    /// A job in the hands of a run.
    Held(u64),
    /// How many jobs have left, of those whose number is this one's modulo the number of such rows.
    Left(u8),
    /// Who has paused it.
    Paused,
}

/// What a row of a metric is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricRow {
    Head,
    /// One set of labels.
    Series(String),
    /// What came within one minute, or hour, of a series; the places are used again in turn.
    Point {
        labels: String,
        ring: u8,
        place: u16,
    },
}

impl fmt::Display for QueueRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueRow::Head => f.write_str("head"),
            QueueRow::Job(job) => write!(f, "job {job}"),
            QueueRow::Due { job, .. } => write!(f, "turn of job {job}"),
            QueueRow::Dead { job, .. } => write!(f, "end of job {job}"),
            QueueRow::Dedupe(key) => write!(f, "key {}", key.escape_debug()),
            QueueRow::Held(job) => write!(f, "hold of job {job}"),
            QueueRow::Left(part) => write!(f, "part {part} of the tally"),
            QueueRow::Paused => f.write_str("pause"),
        }
    }
}

impl fmt::Display for MetricRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricRow::Head => f.write_str("head"),
            MetricRow::Series(labels) => write!(f, "series {}", labels.escape_debug()),
            MetricRow::Point { labels, .. } => write!(f, "point of series {}", labels.escape_debug()),
        }
    }
}

fn of(space: Space, realm: Realm, kind: u8, name: &str) -> Parts {
    Parts::of(space).realm(realm).raw(&[kind]).text(name)
}

/// A row of a queue.
pub fn queue(realm: Realm, queue: &str, row: &QueueRow) -> Vec<u8> {
    let of = |kind| of(Space::Queue, realm, kind, queue);
    match row {
        QueueRow::Head => of(HEAD),
        QueueRow::Job(job) => of(JOB).raw(&job.to_be_bytes()),
        QueueRow::Due { priority, due_ms, job } => of(DUE)
            .raw(&[!priority])
            .raw(&due_ms.to_be_bytes())
            .raw(&job.to_be_bytes()),
        QueueRow::Dead { died_ms, job } => of(DEAD).raw(&died_ms.to_be_bytes()).raw(&job.to_be_bytes()),
        QueueRow::Dedupe(key) => of(DEDUPE).text(key),
        QueueRow::Held(job) => of(HELD).raw(&job.to_be_bytes()),
        QueueRow::Left(part) => of(LEFT).raw(&[*part]),
        QueueRow::Paused => of(PAUSED),
    }
    .0
}

/// The heads of all queues of a realm.
pub fn queue_heads(realm: Realm) -> KeyRange {
    prefix_range(Parts::of(Space::Queue).realm(realm).raw(&[HEAD]).0)
}

/// The turns of all jobs of a queue, those of one priority alone when there is one.
pub fn queue_turns(realm: Realm, queue: &str, priority: Option<u8>) -> KeyRange {
    let turns = of(Space::Queue, realm, DUE, queue);
    prefix_range(match priority {
        Some(priority) => turns.raw(&[!priority]).0,
        None => turns.0,
    })
}

/// All jobs of a queue, by number; those behind the job `after` when there is one.
pub fn queue_jobs(realm: Realm, name: &str, after: Option<u64>) -> KeyRange {
    let (low, high) = prefix_range(of(Space::Queue, realm, JOB, name).0);
    match after {
        Some(after) => (Bound::Excluded(queue(realm, name, &QueueRow::Job(after))), high),
        None => (low, high),
    }
}

/// The dead jobs of a queue, those that died first coming first.
pub fn queue_dead(realm: Realm, queue: &str) -> KeyRange {
    prefix_range(of(Space::Queue, realm, DEAD, queue).0)
}

/// The jobs of a queue that are in the hands of runs.
pub fn queue_held(realm: Realm, queue: &str) -> KeyRange {
    prefix_range(of(Space::Queue, realm, HELD, queue).0)
}

/// All of [`QueueRow::Dedupe`] of a queue.
pub fn queue_dedupe(realm: Realm, queue: &str) -> KeyRange {
    prefix_range(of(Space::Queue, realm, DEDUPE, queue).0)
}

/// All of [`QueueRow::Left`] of a queue.
pub fn queue_left(realm: Realm, queue: &str) -> KeyRange {
    prefix_range(of(Space::Queue, realm, LEFT, queue).0)
}

/// A row of a metric.
pub fn metric(realm: Realm, metric: &str, row: &MetricRow) -> Vec<u8> {
    let of = |kind| of(Space::Metric, realm, kind, metric);
    match row {
        MetricRow::Head => of(HEAD),
        MetricRow::Series(labels) => of(SERIES).text(labels),
        MetricRow::Point { labels, ring, place } => of(POINT).text(labels).raw(&[*ring]).raw(&place.to_be_bytes()),
    }
    .0
}

/// The heads of all metrics of a realm.
pub fn metric_heads(realm: Realm) -> KeyRange {
    prefix_range(Parts::of(Space::Metric).realm(realm).raw(&[HEAD]).0)
}

/// All series of a metric.
pub fn metric_series(realm: Realm, metric: &str) -> KeyRange {
    prefix_range(of(Space::Metric, realm, SERIES, metric).0)
}

/// All points of all series of a metric.
pub fn metric_all_points(realm: Realm, metric: &str) -> KeyRange {
    prefix_range(of(Space::Metric, realm, POINT, metric).0)
}

/// All points of a series in one ring.
pub fn metric_points(realm: Realm, metric: &str, labels: &str, ring: u8) -> KeyRange {
    prefix_range(of(Space::Metric, realm, POINT, metric).text(labels).raw(&[ring]).0)
}

pub(super) fn read_queue(rest: &mut &[u8]) -> Option<Place> {
    let (realm, [kind], queue) = (read_realm(rest)?, read_array(rest)?, read_text(rest)?);
    let row = match kind {
        HEAD => QueueRow::Head,
        JOB => QueueRow::Job(u64::from_be_bytes(read_array(rest)?)),
        DUE => {
            let [priority] = read_array(rest)?;
            QueueRow::Due {
                priority: !priority,
                due_ms: u64::from_be_bytes(read_array(rest)?),
                job: u64::from_be_bytes(read_array(rest)?),
            }
        }
        DEAD => QueueRow::Dead {
            died_ms: u64::from_be_bytes(read_array(rest)?),
            job: u64::from_be_bytes(read_array(rest)?),
        },
        DEDUPE => QueueRow::Dedupe(read_text(rest)?),
        HELD => QueueRow::Held(u64::from_be_bytes(read_array(rest)?)),
        LEFT => QueueRow::Left(u8::from_be_bytes(read_array(rest)?)),
        PAUSED => QueueRow::Paused,
        _ => return None,
    };
    Some(Place::Queue { realm, queue, row })
}

pub(super) fn read_metric(rest: &mut &[u8]) -> Option<Place> {
    let (realm, [kind], metric) = (read_realm(rest)?, read_array(rest)?, read_text(rest)?);
    let row = match kind {
        HEAD => MetricRow::Head,
        SERIES => MetricRow::Series(read_text(rest)?),
        POINT => {
            let labels = read_text(rest)?;
            let [ring] = read_array(rest)?;
            MetricRow::Point {
                labels,
                ring,
                place: u16::from_be_bytes(read_array(rest)?),
            }
        }
        _ => return None,
    };
    Some(Place::Metric { realm, metric, row })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    proptest! {
        #[test]
        fn turns_sort_by_priority_then_time_then_number(a in any::<(u8, u64, u64)>(), b in any::<(u8, u64, u64)>()) {
            let key = |(priority, due_ms, job)| queue(Realm::Live, "q", &QueueRow::Due { priority, due_ms, job });
            let order = |(priority, due_ms, job): (u8, u64, u64)| (std::cmp::Reverse(priority), due_ms, job);
            prop_assert_eq!(key(a).cmp(&key(b)), order(a).cmp(&order(b)));
        }

        #[test]
        fn keys_of_queues_and_metrics_say_what_they_name(name in "[a\u{0}\u{1}]{0,3}", text in "[a\u{0}]{0,3}", n: u64, byte: u8, place: u16) {
            let rows = [
                QueueRow::Head, QueueRow::Job(n), QueueRow::Due { priority: byte, due_ms: n, job: n },
                QueueRow::Dead { died_ms: n, job: n }, QueueRow::Dedupe(text.clone()),
                QueueRow::Held(n), QueueRow::Left(byte), QueueRow::Paused,
            ];
            for row in rows {
                let key = queue(Realm::Dry, &name, &row);
                prop_assert_eq!(parse(&key), Some(Place::Queue { realm: Realm::Dry, queue: name.clone(), row }));
            }
            let rows = [
                MetricRow::Head, MetricRow::Series(text.clone()), MetricRow::Point { labels: text, ring: byte, place },
            ];
            for row in rows {
                let key = metric(Realm::Live, &name, &row);
                prop_assert_eq!(parse(&key), Some(Place::Metric { realm: Realm::Live, metric: name.clone(), row }));
            }
        }
    }
}
