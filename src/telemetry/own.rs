//! The metrics that playbooks declare in their headers, and those that they record: one family each.
//!
//! What is declared is there from load, at 0 where its series are known. A counter whose name does not end so gets
//! `_total`, as Prometheus wants it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::family::{Family, Kind, Labels, Measure, Point, Spread};
use crate::script::metrics::{DeclaredMetric, RESERVED};
use crate::serve::Edition;
use crate::store::metrics::{self, Metric, Series};
use crate::store::{Realm, Store, StoreError};

/// Series that the page shows; those of declared metrics first.
const SERIES_MAX: usize = 10_000;

/// What becomes of saves.
const STATES: [&str; 3] = ["broken", "held", "live"];
const HELP: &str = "Recorded by playbooks.";

/// The count of saves, as a playbook would declare it.
fn saves() -> DeclaredMetric {
    DeclaredMetric {
        name: crate::serve::figures::SAVES.to_owned(),
        kind: Kind::Counter,
        help: "Saves of the project, by what became of them.".to_owned(),
        labels: BTreeMap::from([("state".to_owned(), STATES.map(str::to_owned).to_vec())]),
        buckets: None,
    }
}

/// The declared metrics of an edition, by name; those that two playbooks declare are the same.
pub fn declared(edition: &Edition) -> BTreeMap<&str, &DeclaredMetric> {
    let all = edition
        .playbooks
        .values()
        .flat_map(|listed| &listed.pinned.header.metrics);
    all.map(|metric| (metric.name.as_str(), metric)).collect()
}

/// Makes what `edition` declares known in the store. Gives what is known as another type already.
pub fn make_known(edition: &Edition, realm: Realm, now_ms: i64) -> Result<Vec<String>, StoreError> {
    let ground = &edition.runner.gate.ground;
    crate::script::metrics::make_known(ground, realm, now_ms, declared(edition).into_values())
}

/// One family for each metric that is declared or recorded; `None` when what was recorded cannot be read.
pub(super) fn families(edition: &Edition, store: &dyn Store, realm: Realm) -> Option<Vec<Family>> {
    let saves = saves();
    let mut declared = declared(edition);
    declared.insert(&saves.name, &saves);
    let is_declared = |name: &str| declared.contains_key(name);
    let mut recorded = match metrics::read_every(store, realm, SERIES_MAX, &is_declared) {
        Ok(read) => read,
        Err(error) => {
            tracing::error!(%error, code = error.code(), "the metrics of playbooks cannot be read");
            return None;
        }
    };
    let help = "Series of playbooks' metrics that are not shown: there are too many.";
    let left_out: u64 = recorded.values().map(|metric| metric.left_out).sum();
    let mut families = vec![Family::gauge("host_series_left_out", help).is(left_out as f64)];
    for metric in declared.into_values() {
        families.push(family(&metric.name, recorded.remove(&metric.name), Some(metric)));
    }
    for (name, metric) in recorded {
        let is_reserved = RESERVED.iter().any(|reserved| name.starts_with(reserved));
        if !is_reserved {
            families.push(family(&name, Some(metric), None));
        }
    }
    Some(families)
}

fn family(name: &str, recorded: Option<Metric>, declared: Option<&DeclaredMetric>) -> Family {
    let kind = match (&recorded, declared) {
        (Some(metric), _) => metric.kind,
        (None, Some(declared)) => declared.kind,
        (None, None) => Kind::Gauge,
    };
    let bounds = match (&recorded, declared) {
        (Some(metric), _) => metric.bounds.clone(),
        (None, declared) => declared.map(DeclaredMetric::bounds).unwrap_or_default(),
    };
    let help = match declared {
        Some(declared) => declared.help.clone(),
        None => HELP.to_owned(),
    };
    let name = match kind {
        Kind::Counter if !name.ends_with("_total") => format!("{name}_total"),
        _ => name.to_owned(),
    };
    // What of a metric was not read is not at 0 for that.
    let is_whole = recorded.as_ref().is_none_or(|metric| metric.left_out == 0);
    let declared = declared.filter(|_| is_whole);
    let series = recorded.map(|metric| metric.series).unwrap_or_default();
    let mut points: Vec<Point> = series.iter().map(|series| point(kind, &bounds, series)).collect();
    for labels in declared.map(DeclaredMetric::known_series).unwrap_or_default() {
        if !series.iter().any(|series| series.labels == labels) {
            let untouched = Series {
                labels,
                value: 0.0,
                count: 0,
                buckets: vec![0; bounds.len()],
                at_ms: 0,
            };
            points.push(point(kind, &bounds, &untouched));
        }
    }
    Family {
        name: Cow::Owned(name),
        kind,
        help: Cow::Owned(help),
        points,
        is_kept: true,
    }
}

fn point(kind: Kind, bounds: &[f64], series: &Series) -> Point {
    let labels = series.labels.iter();
    let labels: Labels = labels
        .map(|(name, value)| (Cow::Owned(name.clone()), value.clone()))
        .collect();
    let measure = match kind {
        Kind::Counter | Kind::Gauge => Measure::Number(series.value),
        Kind::Histogram => Measure::Spread(Spread {
            bounds: Cow::Owned(bounds.to_vec()),
            within: series.buckets.clone(),
            sum: series.value,
            count: series.count,
        }),
    };
    Point { labels, measure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_that_were_left_out_are_not_at_0_for_that() {
        let declared = saves();
        let recorded = |left_out| Metric {
            kind: Kind::Counter,
            bounds: Vec::new(),
            series: Vec::new(),
            left_out,
        };
        let points = |left_out| {
            family("saves_total", Some(recorded(left_out)), Some(&declared))
                .points
                .len()
        };
        assert_eq!((points(0), points(1)), (STATES.len(), 0));
    }
}
