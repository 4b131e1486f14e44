//! The metrics that playbooks declare in their headers, and those that they record: one family each.
//!
//! What is declared is there from load, at 0 where its series are known. A counter whose name does not end so gets
//! `_total`, as Prometheus wants it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::family::{Family, Kind, Labels, Measure, Point, Spread};
use crate::script::metrics::DeclaredMetric;
use crate::serve::Edition;
use crate::store::metrics::{self, Metric, Series};
use crate::store::{Realm, Store, StoreError};

/// Series that the page shows.
const SERIES_MAX: usize = 10_000;

/// What begins so is the host's own, but for its count of saves, which it keeps like a playbook.
const RESERVED: [&str; 2] = ["host_", "process_"];

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

/// One family for each metric that is declared or recorded.
pub(super) fn families(edition: &Edition, store: &dyn Store, realm: Realm) -> Vec<Family> {
    let saves = saves();
    let mut declared = declared(edition);
    declared.insert(&saves.name, &saves);
    let (mut recorded, left_out) = match metrics::read_every(store, realm, SERIES_MAX) {
        Ok(read) => read,
        Err(error) => {
            tracing::error!(%error, code = error.code(), "the metrics of playbooks cannot be read");
            Default::default()
        }
    };
    let help = "Series of playbooks' metrics that are not shown: there are too many.";
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
    families
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
