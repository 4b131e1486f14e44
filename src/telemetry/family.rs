//! Metrics as data: what the page shows, monitors look at and traces' collector is sent are the same families.

use std::borrow::Cow;

pub use crate::store::metrics::Kind;

/// Names and values that tell the points of a family apart.
pub type Labels = Vec<(Cow<'static, str>, String)>;

/// A metric with all its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// A sentence for people.
    pub help: Cow<'static, str>,
    pub points: Vec<Point>,
    /// It lies in the store, and counts since before this process was started.
    pub is_kept: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub labels: Labels,
    pub measure: Measure,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    Number(f64),
    Spread(Spread),
}

/// How observations are spread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Upper bounds, ascending, without the infinite one.
    pub bounds: Cow<'static, [f64]>,
    /// How many lie at or below each bound.
    pub within: Vec<u64>,
    pub sum: f64,
    pub count: u64,
}

impl Spread {
    pub fn new(bounds: &'static [f64]) -> Spread {
        Spread {
            bounds: Cow::Borrowed(bounds),
            within: vec![0; bounds.len()],
            sum: 0.0,
            count: 0,
        }
    }

    pub fn observe(&mut self, value: f64) {
        for (bound, count) in self.bounds.iter().zip(&mut self.within) {
            *count += u64::from(value <= *bound);
        }
        self.sum += value;
        self.count += 1;
    }
}

impl Family {
    fn new(name: &'static str, kind: Kind, help: &'static str) -> Family {
        Family {
            name: Cow::Borrowed(name),
            kind,
            help: Cow::Borrowed(help),
            points: Vec::new(),
            is_kept: false,
        }
    }

    pub fn counter(name: &'static str, help: &'static str) -> Family {
        Family::new(name, Kind::Counter, help)
    }

    pub fn gauge(name: &'static str, help: &'static str) -> Family {
        Family::new(name, Kind::Gauge, help)
    }

    pub fn histogram(name: &'static str, help: &'static str) -> Family {
        Family::new(name, Kind::Histogram, help)
    }

    /// Adds a point without labels.
    pub fn is(self, value: f64) -> Family {
        self.with([], value)
    }

    /// Adds a point with these labels.
    pub fn with<const N: usize>(mut self, labels: [(&'static str, &str); N], value: f64) -> Family {
        self.add(labels, value);
        self
    }

    pub fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        self.put(labels, Measure::Number(value));
    }

    pub fn put<const N: usize>(&mut self, labels: [(&'static str, &str); N], measure: Measure) {
        let labels = labels.map(|(name, value)| (Cow::Borrowed(name), value.to_owned()));
        self.points.push(Point {
            labels: labels.into(),
            measure,
        });
    }
}
