//! Counters, gauges and histograms that playbooks keep.
//!
//! A metric has a kind and, for each set of labels, a *series*: its present value, and what came within each of the last
//! 1,440 minutes and 720 hours. Those places are used again in turn, so a series never takes more room than that.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::keys::{self, MetricRow, Place};
use super::large::damaged;
use super::{Realm, Row, Store, StoreError, Tx};

/// The longest name, and the longest value of a label, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
pub const LABEL_BYTES_MAX: usize = 128;

/// The most labels of a series, series of a metric, and metrics.
pub const LABELS_MAX: usize = 8;
pub const SERIES_MAX: u64 = 1000;
pub const METRICS_MAX: usize = 1000;

/// The upper bounds of a histogram of which nothing is said, as Prometheus has them.
pub const BUCKETS_DEFAULT: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The most bounds of a histogram.
pub const BUCKETS_MAX: usize = 30;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One thing to be noted.
#[derive(Clone, Debug)]
pub enum Note {
    /// Adds to a counter.
    Add(f64),
    /// Sets a gauge.
    Set(f64),
    /// Takes a value into a histogram, with these bounds if it is the first.
    Observe(f64, Option<Vec<f64>>),
}

/// Labels in the order of their names.
pub type Labels = BTreeMap<String, String>;

/// Series over time: how long a place lasts, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    Minutes,
    Hours,
}

impl Ring {
    pub const ALL: [Ring; 2] = [Ring::Minutes, Ring::Hours];

    fn byte(self) -> u8 {
        match self {
            Ring::Minutes => 1,
            Ring::Hours => 2,
        }
    }

    pub fn step_ms(self) -> i64 {
        match self {
            Ring::Minutes => 60_000,
            Ring::Hours => 3_600_000,
        }
    }

    pub fn places(self) -> i64 {
        match self {
            Ring::Minutes => 1440,
            Ring::Hours => 720,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    kind: Kind,
    series: u64,
    buckets: Vec<f64>,
}

/// The present value of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub labels: Labels,
    /// The sum of a counter or of what was observed; what a gauge was set to last.
    pub value: f64,
    pub count: u64,
    /// How many observations lie at or below each bound.
    pub buckets: Vec<u64>,
    pub at_ms: i64,
}

/// What came within one minute or hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When it begins.
    pub at_ms: i64,
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub last: f64,
}

/// A metric as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub kind: Kind,
    /// The upper bounds of a histogram.
    pub bounds: Vec<f64>,
    pub series: Vec<Series>,
    /// Series that were not read, since there are too many.
    pub left_out: u64,
}

/// Notes something of the metric `name`; returns the value of its series.
pub fn note(tx: &mut Tx<'_>, name: &str, labels: &Labels, note: &Note) -> Result<f64, StoreError> {
    check_name("metric", name)?;
    check_labels(labels)?;
    let (kind, value) = check_note(name, note)?;
    let label_text = canonical(labels);
    let head_key = keys::metric(tx.realm, name, &MetricRow::Head);
    let head_row = tx.get(&head_key)?;
    let mut head = match &head_row {
        Some(row) => read::<Head>(&head_key, row)?,
        None => begin(tx, kind, bounds_of(note))?,
    };
    if head.kind != kind {
        let is = head.kind.as_str();
        return Err(invalid(format!(
            "{name:?} is a {is}, and this is done with a {}; give it another name",
            kind.as_str()
        )));
    }
    let key = keys::metric(tx.realm, name, &MetricRow::Series(label_text.clone()));
    let row = tx.get(&key)?;
    let mut series = match &row {
        Some(row) => read::<Series>(&key, row)?,
        None => {
            if head.series >= SERIES_MAX {
                return Err(limit(format!(
                    "{name:?} has {SERIES_MAX} sets of labels already; labels with many values, such as ids, are none"
                )));
            }
            head.series += 1;
            tx.unchanged(&head_key, head_row.as_ref());
            tx.batch.put(head_key, write(&head));
            Series {
                labels: labels.clone(),
                value: 0.0,
                count: 0,
                buckets: vec![0; head.buckets.len()],
                at_ms: 0,
            }
        }
    };
    tx.unchanged(&key, row.as_ref());
    series.value = if kind == Kind::Gauge {
        value
    } else {
        series.value + value
    };
    series.count += 1;
    series.at_ms = tx.now_ms;
    for (bound, count) in head.buckets.iter().zip(&mut series.buckets) {
        *count += u64::from(value <= *bound);
    }
    tx.batch.put(key, write(&series));
    for ring in Ring::ALL {
        add_point(tx, name, &label_text, ring, value)?;
    }
    Ok(series.value)
}

/// The bounds of a metric that begins with `note`.
fn bounds_of(note: &Note) -> Vec<f64> {
    match note {
        Note::Observe(_, Some(bounds)) => bounds.clone(),
        Note::Observe(_, None) => BUCKETS_DEFAULT.to_vec(),
        _ => Vec::new(),
    }
}

fn begin(tx: &mut Tx<'_>, kind: Kind, buckets: Vec<f64>) -> Result<Head, StoreError> {
    let known = tx.scan(keys::metric_heads(tx.realm), METRICS_MAX, false)?.len();
    if known >= METRICS_MAX {
        return Err(limit(format!(
            "there are {METRICS_MAX} metrics already; put what differs into labels"
        )));
    }
    Ok(Head {
        kind,
        series: 0,
        buckets,
    })
}

fn add_point(tx: &mut Tx<'_>, name: &str, labels: &str, ring: Ring, value: f64) -> Result<(), StoreError> {
    let begins = tx.now_ms.div_euclid(ring.step_ms());
    let row = MetricRow::Point {
        labels: labels.to_owned(),
        ring: ring.byte(),
        place: begins.rem_euclid(ring.places()) as u16,
    };
    let key = keys::metric(tx.realm, name, &row);
    let at_ms = begins * ring.step_ms();
    let before = tx.get(&key)?;
    let before = before.map(|row| read::<Point>(&key, &row)).transpose()?;
    let point = match before.filter(|before| before.at_ms == at_ms) {
        Some(before) => Point {
            count: before.count + 1,
            sum: before.sum + value,
            min: before.min.min(value),
            max: before.max.max(value),
            last: value,
            at_ms,
        },
        None => Point {
            count: 1,
            sum: value,
            min: value,
            max: value,
            last: value,
            at_ms,
        },
    };
    // The series' own row is demanded unchanged, and every change of a point changes that, too.
    tx.batch.put(key, write(&point));
    Ok(())
}

/// The metric `name` with all its series, in the order of their labels.
pub fn read_all(tx: &mut Tx<'_>, name: &str) -> Result<Option<Metric>, StoreError> {
    check_name("metric", name)?;
    let key = keys::metric(tx.realm, name, &MetricRow::Head);
    let Some(row) = tx.get(&key)? else { return Ok(None) };
    let head: Head = read(&key, &row)?;
    let rows = tx.scan(keys::metric_series(tx.realm, name), SERIES_MAX as usize, false)?;
    let series = rows.iter().map(|(key, row)| read::<Series>(key, row));
    Ok(Some(Metric {
        kind: head.kind,
        bounds: head.buckets,
        series: series.collect::<Result<_, _>>()?,
        left_out: 0,
    }))
}

/// All metrics of `realm` as they stand, with up to `series_max` series in all. Where there are more, metrics that come
/// `first` have theirs before others.
pub fn read_every(
    store: &dyn Store,
    realm: Realm,
    series_max: usize,
    first: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, Metric>, StoreError> {
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    for (key, row) in store.scan(keys::metric_heads(realm), METRICS_MAX, false)? {
        let head: Head = read(&key, &row)?;
        if let Some(Place::Metric { metric, .. }) = keys::parse(&key) {
            let metric_is = Metric {
                kind: head.kind,
                bounds: head.buckets,
                series: Vec::new(),
                left_out: head.series,
            };
            found.insert(metric, metric_is);
        }
    }
    let all: u64 = found.values().map(|metric| metric.left_out).sum();
    if all <= series_max as u64 {
        read_series(store, realm, &mut found)?;
    } else {
        // One metric after another: a walk over all of them would take as long as there are series.
        let mut room = series_max;
        let (before, after): (Vec<_>, Vec<_>) = found.iter_mut().partition(|(name, _)| first(name));
        for (name, metric) in before.into_iter().chain(after) {
            let rows = store.scan(keys::metric_series(realm, name), room.min(SERIES_MAX as usize), false)?;
            room -= rows.len();
            let series = rows.iter().map(|(key, row)| read::<Series>(key, row));
            metric.series = series.collect::<Result<_, _>>()?;
        }
    }
    for metric in found.values_mut() {
        metric.left_out = metric.left_out.saturating_sub(metric.series.len() as u64);
    }
    Ok(found)
}

/// Reads the series of all metrics in one walk.
fn read_series(store: &dyn Store, realm: Realm, found: &mut BTreeMap<String, Metric>) -> Result<(), StoreError> {
    let mut failed = None;
    store.visit(keys::metric_series_of_all(realm), &mut |key, value, _| {
        let Some(Place::Metric { metric, .. }) = keys::parse(key) else {
            return ControlFlow::Continue(());
        };
        match (found.get_mut(&metric), rmp_serde::from_slice::<Series>(value)) {
            (Some(metric), Ok(series)) => {
                metric.series.push(series);
                ControlFlow::Continue(())
            }
            // Its head came after the heads were read.
            (None, Ok(_)) => ControlFlow::Continue(()),
            (_, Err(error)) => {
                failed = Some(damaged(keys::describe(key), &error.to_string()));
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Makes the metric `name` known before anything is noted of it; `false` when it is known as another kind. Bounds count
/// only for one that is new.
pub fn declare(tx: &mut Tx<'_>, name: &str, kind: Kind, bounds: &[f64]) -> Result<bool, StoreError> {
    check_name("metric", name)?;
    let key = keys::metric(tx.realm, name, &MetricRow::Head);
    if let Some(row) = tx.get(&key)? {
        return Ok(read::<Head>(&key, &row)?.kind == kind);
    }
    let head = begin(tx, kind, bounds.to_vec())?;
    tx.unchanged(&key, None);
    tx.batch.put(key, write(&head));
    Ok(true)
}

/// What came of a series since `since_ms`, place by place; places in which nothing came are left out.
pub fn points(
    tx: &mut Tx<'_>,
    name: &str,
    labels: &Labels,
    ring: Ring,
    since_ms: i64,
) -> Result<Vec<Point>, StoreError> {
    let range = keys::metric_points(tx.realm, name, &canonical(labels), ring.byte());
    let oldest = (tx.now_ms.div_euclid(ring.step_ms()) - ring.places() + 1) * ring.step_ms();
    let rows = tx.scan(range, ring.places() as usize, false)?;
    let mut points = rows
        .iter()
        .map(|(key, row)| read::<Point>(key, row))
        .collect::<Result<Vec<_>, _>>()?;
    points.retain(|point| point.at_ms >= oldest && point.at_ms + ring.step_ms() > since_ms);
    points.sort_by_key(|point| point.at_ms);
    Ok(points)
}

/// The names of all metrics, in order.
pub fn names(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let rows = tx.scan(keys::metric_heads(tx.realm), METRICS_MAX, false)?;
    let name = |key: &[u8]| match keys::parse(key) {
        Some(Place::Metric { metric, .. }) => Ok(metric),
        _ => Err(damaged(keys::describe(key), "its key is unknown")),
    };
    rows.iter().map(|(key, _)| name(key)).collect()
}

fn check_note(name: &str, note: &Note) -> Result<(Kind, f64), StoreError> {
    let (kind, value) = match note {
        Note::Add(by) => (Kind::Counter, *by),
        Note::Set(value) => (Kind::Gauge, *value),
        Note::Observe(value, _) => (Kind::Histogram, *value),
    };
    if !value.is_finite() {
        return Err(invalid(format!(
            "{value} cannot be noted of {name:?}; a finite number can"
        )));
    }
    if kind == Kind::Counter && value < 0.0 {
        return Err(invalid(format!(
            "the counter {name:?} cannot go down by {}; what goes up and down is a gauge: metrics::set",
            -value
        )));
    }
    if let Note::Observe(_, Some(bounds)) = note {
        let ascends = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let allowed = (1..=BUCKETS_MAX).contains(&bounds.len()) && bounds.iter().all(|bound| bound.is_finite());
        if !ascends || !allowed {
            return Err(invalid(format!(
                "the buckets of {name:?} must be 1 to {BUCKETS_MAX} finite numbers, each greater than the one before"
            )));
        }
    }
    Ok((kind, value))
}

fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && what == "metric");
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(invalid(format!(
        "{shown:?} is no name of a {what}: it needs 1 to {NAME_BYTES_MAX} letters, digits or \"_\", no digit first"
    )))
}

fn check_labels(labels: &Labels) -> Result<(), StoreError> {
    if labels.len() > LABELS_MAX {
        let found = labels.len();
        return Err(invalid(format!(
            "there are {found} labels; at most {LABELS_MAX} are allowed"
        )));
    }
    for (name, value) in labels {
        check_name("label", name)?;
        if name.starts_with("__") || name == "le" {
            return Err(invalid(format!(
                "the label {name:?} belongs to Prometheus; take another name"
            )));
        }
        StoreError::check_size(&format!("the label {name:?}"), value.len(), LABEL_BYTES_MAX)?;
    }
    Ok(())
}

/// Labels as one text: the same for the same labels, another for others.
fn canonical(labels: &Labels) -> String {
    serde_json::to_string(labels).expect("texts are JSON")
}

fn invalid(reason: String) -> StoreError {
    StoreError::Refused {
        code: "METRIC_INVALID",
        reason,
    }
}

fn limit(reason: String) -> StoreError {
    StoreError::Refused {
        code: "METRIC_LIMIT",
        reason,
    }
}

fn write(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

fn read<T: serde::de::DeserializeOwned>(key: &[u8], row: &Row) -> Result<T, StoreError> {
    rmp_serde::from_slice(&row.value).map_err(|error| damaged(keys::describe(key), &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_ground::{ground, transact};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_series_keeps_its_value_and_the_last_day_minute_by_minute() {
        let ground = ground(&[]);
        let platform = labels(&[("platform", "tiktok")]);
        let minute = 60_000;
        for at in [0, 10, minute, 3 * minute, 1441 * minute] {
            transact(&ground, at, |tx| note(tx, "posts_total", &platform, &Note::Add(2.0))).unwrap();
        }
        let at = 1441 * minute;
        let metric = transact(&ground, at, |tx| read_all(tx, "posts_total"))
            .unwrap()
            .unwrap();
        assert_eq!((metric.series[0].value, metric.series[0].count), (10.0, 5));
        let of = |ring, since| transact(&ground, at, |tx| points(tx, "posts_total", &platform, ring, since)).unwrap();
        let minutes: Vec<(i64, u64)> = of(Ring::Minutes, 0)
            .iter()
            .map(|p| (p.at_ms / minute, p.count))
            .collect();
        assert_eq!(
            minutes,
            [(3, 1), (1441, 1)],
            "minute 1's place was used again, minute 0 is too old"
        );
        let hours: Vec<(i64, f64)> = of(Ring::Hours, 0)
            .iter()
            .map(|p| (p.at_ms / minute / 60, p.sum))
            .collect();
        assert_eq!(hours, [(0, 8.0), (24, 2.0)]);
        assert_eq!(of(Ring::Minutes, 1441 * minute).len(), 1);
    }

    #[test]
    fn a_histogram_counts_what_lies_at_or_below_each_bound() {
        let ground = ground(&[]);
        for value in [0.5, 1.0, 7.0] {
            let observed = Note::Observe(value, Some(vec![0.5, 1.0, 5.0]));
            transact(&ground, 0, |tx| note(tx, "seconds", &Labels::new(), &observed)).unwrap();
        }
        let metric = transact(&ground, 0, |tx| read_all(tx, "seconds")).unwrap().unwrap();
        assert_eq!(metric.bounds, [0.5, 1.0, 5.0]);
        assert_eq!(
            (metric.series[0].buckets.clone(), metric.series[0].value),
            (vec![1, 2, 2], 8.5)
        );
    }

    #[test]
    fn labels_with_too_many_values_are_refused_and_the_others_go_on() {
        let ground = ground(&[]);
        let add = |n: u64| {
            let id = labels(&[("id", &n.to_string())]);
            transact(&ground, 0, |tx| note(tx, "posts_total", &id, &Note::Add(1.0)))
        };
        for n in 0..SERIES_MAX {
            add(n).unwrap();
        }
        assert_eq!(add(SERIES_MAX).unwrap_err().code(), "METRIC_LIMIT");
        assert_eq!(add(7).unwrap(), 2.0);
    }

    #[test]
    fn where_there_are_too_many_series_those_that_come_first_are_read_and_others_told_of() {
        let ground = ground(&[]);
        for (name, count) in [("a_total", 5), ("b_total", 1), ("z_total", 2)] {
            for n in 0..count {
                let id = labels(&[("id", &n.to_string())]);
                transact(&ground, 0, |tx| note(tx, name, &id, &Note::Add(1.0))).unwrap();
            }
        }
        let read = |most| {
            let found = read_every(&*ground.store, Realm::Live, most, &|name| name == "z_total").unwrap();
            let counts = found.values().map(|metric| (metric.series.len(), metric.left_out));
            counts.collect::<Vec<_>>()
        };
        assert_eq!(read(8), [(5, 0), (1, 0), (2, 0)]);
        assert_eq!(read(4), [(2, 3), (0, 1), (2, 0)]);
        assert_eq!(read(0), [(0, 5), (0, 1), (0, 2)]);
    }

    #[test]
    fn what_cannot_be_a_metric_is_refused() {
        let ground = ground(&[]);
        let told = |name: &str, labels: &Labels, noted: Note| {
            transact(&ground, 0, |tx| note(tx, name, labels, &noted))
                .unwrap_err()
                .code()
        };
        let none = Labels::new();
        for (name, labels, noted) in [
            ("1st", &none, Note::Add(1.0)),
            ("a b", &none, Note::Add(1.0)),
            ("a", &none, Note::Add(-1.0)),
            ("a", &none, Note::Set(f64::NAN)),
            ("a", &labels(&[("le", "1")]), Note::Add(1.0)),
            ("a", &labels(&[("b-c", "1")]), Note::Add(1.0)),
            ("a", &none, Note::Observe(1.0, Some(vec![2.0, 1.0]))),
            ("a", &none, Note::Observe(1.0, Some(vec![]))),
        ] {
            assert_eq!(told(name, labels, noted), "METRIC_INVALID", "{name} {labels:?}");
        }
        transact(&ground, 0, |tx| note(tx, "a", &none, &Note::Add(1.0))).unwrap();
        assert_eq!(told("a", &none, Note::Set(1.0)), "METRIC_INVALID");
    }

    #[test]
    fn there_are_no_more_metrics_than_a_thousand_and_those_that_are_there_go_on() {
        let ground = ground(&[]);
        let declared = |name: &str| transact(&ground, 0, |tx| declare(tx, name, Kind::Gauge, &[]));
        for n in 0..METRICS_MAX {
            declared(&format!("m{n}")).unwrap();
        }
        assert_eq!(declared("one_more").unwrap_err().code(), "METRIC_LIMIT");
        let none = Labels::new();
        let set = |name: &str| transact(&ground, 0, |tx| note(tx, name, &none, &Note::Set(1.0)));
        assert_eq!(set("one_more").unwrap_err().code(), "METRIC_LIMIT");
        assert_eq!(set("m7").unwrap(), 1.0);
    }
}
