//! What is computed of one group: counts, sums, extremes, percentiles.
//!
//! A missing field and `()` are left out of everything but a plain count. Sums of whole numbers are exact; sums with
//! floats among them carry their rounding errors along (Neumaier), so that a million small ones come out as on paper.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::cell::Cell;
use super::field::FieldPath;
use super::filter::closest;
use super::skim::Columns;
use crate::store::StoreError;
use crate::value::{Map, Value};

/// One thing to compute of every group.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) name: String,
    what: What,
    /// The column it is computed of; `None` counts documents.
    pub(super) column: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    First,
    Last,
    /// Between 0 and 100.
    Percentile(f64),
    Distinct,
}

const NAMES: [&str; 10] = [
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "first",
    "last",
    "percentile",
    "median",
    "distinct",
];

impl Aggregate {
    /// From `"count"`, `#{ sum: "views" }`, `#{ percentile: "seconds", p: 95 }`.
    pub(super) fn parse(name: &str, source: &Value, columns: &mut Columns) -> Result<Aggregate, StoreError> {
        let refuse = |reason: String| Err(StoreError::BadQuery { reason });
        let made = |what, column| {
            Ok(Aggregate {
                name: name.to_owned(),
                what,
                column,
            })
        };
        let map = match source {
            Value::Text(word) if word == "count" => return made(What::Count, None),
            Value::Text(word) if NAMES.contains(&word.as_str()) => {
                return refuse(format!(
                    "the aggregate {name:?} needs a field: #{{ {word}: \"views\" }}"
                ));
            }
            Value::Text(word) => return refuse(unknown(name, word)),
            Value::Map(map) => map,
            other => {
                let kind = other.kind();
                return refuse(format!(
                    "the aggregate {name:?} is {kind}; \"count\" or a map such as #{{ sum: \"views\" }} is expected"
                ));
            }
        };
        let p = map.get("p");
        let mut words = map.iter().filter(|(word, _)| *word != "p");
        let (Some((word, field)), None) = (words.next(), words.next()) else {
            return refuse(format!(
                "the aggregate {name:?} needs exactly one of {}",
                NAMES.join(", ")
            ));
        };
        let what = match word.as_str() {
            "count" => What::Count,
            "sum" => What::Sum,
            "mean" => What::Mean,
            "min" => What::Min,
            "max" => What::Max,
            "first" => What::First,
            "last" => What::Last,
            "median" => What::Percentile(50.0),
            "distinct" => What::Distinct,
            "percentile" => match p.and_then(Value::as_float) {
                Some(p @ 0.0..=100.0) => What::Percentile(p),
                _ => {
                    return refuse(format!(
                        "the percentile {name:?} needs `p`, a number from 0 to 100: #{{ percentile: \"seconds\", p: 95 }}"
                    ));
                }
            },
            word => return refuse(unknown(name, word)),
        };
        if p.is_some() && word != "percentile" {
            return refuse(format!("the aggregate {name:?} has `p`, which only `percentile` takes"));
        }
        let Some(path) = field.as_str() else {
            let kind = field.kind();
            return refuse(format!("{word:?} of the aggregate {name:?} needs a field, not {kind}"));
        };
        made(what, Some(columns.column(&FieldPath::parse(path)?)))
    }

    pub(super) fn begin(&self) -> State {
        match self.what {
            What::Count => State::Count(0),
            What::Sum | What::Mean => State::Sum(Sum::default()),
            What::Min | What::Max | What::First | What::Last => State::One(None),
            What::Percentile(_) => State::Numbers(Vec::new()),
            What::Distinct => State::Distinct(HashSet::new()),
        }
    }

    /// Takes one document into `state`; says how many values more it holds, or which kind of value is no number.
    pub(super) fn add(&self, state: &mut State, cell: Option<&Cell<'_>>) -> Result<usize, &'static str> {
        let present = cell.filter(|cell| !matches!(cell, Cell::Unit));
        if let (State::Count(count), None) = (&mut *state, self.column) {
            *count += 1;
            return Ok(0);
        }
        let Some(cell) = present else { return Ok(0) };
        match state {
            State::Count(count) => *count += 1,
            State::Sum(sum) => sum.add(cell)?,
            State::One(kept) => self.choose(kept, cell),
            State::Numbers(numbers) => {
                numbers.push(number(cell)?);
                return Ok(1);
            }
            State::Distinct(values) => {
                let mut bytes = Vec::new();
                cell.write_order(&mut bytes);
                return Ok(usize::from(values.insert(bytes)));
            }
        }
        Ok(0)
    }

    fn choose(&self, kept: &mut Option<Value>, cell: &Cell<'_>) {
        let replaces = match (&*kept, self.what) {
            (None, _) | (_, What::Last) => true,
            (Some(kept), What::Min) => cell.compare(&Cell::of(kept)) == Ordering::Less,
            (Some(kept), What::Max) => cell.compare(&Cell::of(kept)) == Ordering::Greater,
            _ => false,
        };
        if replaces {
            *kept = Some(cell.to_value());
        }
    }

    pub(super) fn end(&self, state: State) -> Result<Value, StoreError> {
        Ok(match (state, self.what) {
            (State::Count(count), _) => int(count as u64),
            (State::Sum(sum), What::Mean) => sum.mean(),
            (State::Sum(sum), _) => match sum.total() {
                Some(total) => total,
                None => {
                    let reason = format!("the sum {:?} goes beyond 64 bits", self.name);
                    return Err(StoreError::BadQuery { reason });
                }
            },
            (State::One(kept), _) => kept.into(),
            (State::Numbers(numbers), What::Percentile(p)) => percentile(numbers, p).into(),
            (State::Numbers(_), _) => Value::Unit,
            (State::Distinct(values), _) => int(values.len() as u64),
        })
    }
}

fn unknown(name: &str, word: &str) -> String {
    match closest(word, NAMES.into_iter()) {
        Some(near) => format!("the aggregate {name:?} has the unknown word {word:?}; did you mean {near:?}?"),
        None => format!(
            "the aggregate {name:?} has the unknown word {word:?}; one of {} is needed",
            NAMES.join(", ")
        ),
    }
}

/// What has been taken in so far.
#[derive(Debug)]
pub(super) enum State {
    Count(usize),
    Sum(Sum),
    One(Option<Value>),
    Numbers(Vec<f64>),
    /// Encoded as they sort, so that 1 and 1.0 are one.
    Distinct(HashSet<Vec<u8>>),
}

#[derive(Debug, Default)]
pub(super) struct Sum {
    count: u64,
    whole: i128,
    float: f64,
    /// What additions to `float` have rounded away.
    lost: f64,
    has_floats: bool,
}

impl Sum {
    fn add(&mut self, cell: &Cell<'_>) -> Result<(), &'static str> {
        match cell {
            Cell::Int(number) => self.whole += i128::from(*number),
            other => {
                let number = number(other)?;
                let sum = self.float + number;
                self.lost += if self.float.abs() >= number.abs() {
                    (self.float - sum) + number
                } else {
                    (number - sum) + self.float
                };
                self.float = sum;
                self.has_floats = true;
            }
        }
        self.count += 1;
        Ok(())
    }

    fn as_float(&self) -> f64 {
        // After an infinity the lost part is no number, and the sum tells all.
        let float = if self.lost.is_finite() {
            self.float + self.lost
        } else {
            self.float
        };
        self.whole as f64 + float
    }

    /// `None` when a whole number does not fit into 64 bits.
    fn total(&self) -> Option<Value> {
        if self.has_floats {
            return Some(self.as_float().into());
        }
        i64::try_from(self.whole).ok().map(Value::Int)
    }

    fn mean(&self) -> Value {
        match self.count {
            0 => Value::Unit,
            count => (self.as_float() / count as f64).into(),
        }
    }
}

fn number(cell: &Cell<'_>) -> Result<f64, &'static str> {
    match cell {
        Cell::Int(number) => Ok(*number as f64),
        Cell::Float(number) => Ok(*number),
        other => Err(other.kind()),
    }
}

/// Between the two values nearest to it, in proportion.
fn percentile(mut numbers: Vec<f64>, p: f64) -> Option<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    let place = p / 100.0 * last as f64;
    let below = place.floor() as usize;
    let (low, high) = (numbers[below], numbers[(below + 1).min(last)]);
    let part = place - below as f64;
    // Two equal infinities have no distance.
    Some(if part == 0.0 || low == high {
        low
    } else {
        low + (high - low) * part
    })
}

pub(super) fn int(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// All aggregates of one question.
pub(super) fn parse_all(source: Option<&Map>, columns: &mut Columns) -> Result<Vec<Aggregate>, StoreError> {
    let Some(source) = source else {
        return Ok(vec![Aggregate::parse("count", &"count".into(), columns)?]);
    };
    source
        .iter()
        .map(|(name, source)| Aggregate::parse(name, source, columns))
        .collect()
}
