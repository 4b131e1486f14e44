//! What a chart shows, read from a playbook's map and checked. Pure.

use crate::effect::Failure;
use crate::namespaces::options::Options;
use crate::value::{Map, Value};

/// The most rows of numbers in one chart: more cannot be told apart.
const SERIES_MAX: usize = 8;
/// The most points in a row.
const POINTS_MAX: usize = 2_000;
/// Longer names and titles are cut.
const TEXT_CHARS_MAX: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Line,
    Area,
    Bar,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    /// `None` leaves a gap.
    pub values: Vec<Option<f64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    pub kind: Kind,
    pub title: String,
    /// What the numbers are.
    pub unit: String,
    pub labels: Vec<String>,
    pub series: Vec<Series>,
    pub width: u32,
    pub height: u32,
}

impl Chart {
    /// From a map of options.
    pub fn read(function: &'static str, given: Map) -> Result<Chart, Failure> {
        let mut options = Options::of(function, given);
        let kinds = [("line", Kind::Line), ("area", Kind::Area), ("bar", Kind::Bar)];
        let kind = options.choice("kind", &kinds)?.unwrap_or(Kind::Line);
        let title = options.string("title")?.unwrap_or_default();
        let unit = options.string("unit")?.unwrap_or_default();
        let labels = options.list("labels")?;
        let series = match (options.list("values")?, options.value("series")) {
            (Some(values), None) => vec![series(&options, "values", String::new(), &values)?],
            (None, Some(given)) => many(function, &options, &given)?,
            (Some(_), Some(_)) => return Err(options.conflict("give either `values` or `series`").into()),
            (None, None) => {
                return Err(options
                    .missing("values", "an array of numbers, or `series` for several")
                    .into());
            }
        };
        let width = options.int("width", 200..=2000)?.unwrap_or(800);
        let height = options.int("height", 120..=2000)?.unwrap_or(400);
        let points = series.first().map_or(0, |first| first.values.len());
        let uneven = series.iter().find(|series| series.values.len() != points);
        if let Some(other) = uneven {
            let (name, count) = (&other.name, other.values.len());
            return Err(invalid(format!(
                "the series {name:?} has {count} values, and the first has {points}"
            )));
        }
        if points == 0 || points > POINTS_MAX {
            return Err(invalid(format!(
                "a chart shows 1 to {POINTS_MAX} points, and this has {points}"
            )));
        }
        let labels = match labels {
            None => (1..=points).map(|number| number.to_string()).collect(),
            Some(labels) if labels.len() == points => labels.iter().map(label).collect(),
            Some(labels) => {
                let count = labels.len();
                return Err(invalid(format!(
                    "there are {count} labels for {points} points; each point has one"
                )));
            }
        };
        options.finish()?;
        Ok(Chart {
            kind,
            title: short(&title),
            unit: short(&unit),
            labels,
            series,
            width: width as u32,
            height: height as u32,
        })
    }
}

fn invalid(message: String) -> Failure {
    Failure::new("CHART_INVALID", message)
}

fn label(value: &Value) -> String {
    short(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// On one line, and not longer than a chart is wide.
fn short(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    line.chars().take(TEXT_CHARS_MAX).collect()
}

/// `series`: an array of `#{ name, values }`.
fn many(function: &'static str, options: &Options, given: &Value) -> Result<Vec<Series>, Failure> {
    let wanted = || {
        options.kind(
            "series",
            given,
            format!("an array of 1 to {SERIES_MAX} maps `#{{ name, values }}`"),
        )
    };
    let list = given
        .as_list()
        .filter(|list| (1..=SERIES_MAX).contains(&list.len()))
        .ok_or_else(wanted)?;
    let each = |one: &Value| {
        let map = one.as_map().ok_or_else(wanted)?;
        let mut fields = Options::of(format!("{function}: series"), map.clone());
        let name = fields.string("name")?.unwrap_or_default();
        let values = fields.list("values")?.ok_or_else(wanted)?;
        let read = series(options, "series", short(&name), &values)?;
        fields.finish()?;
        Ok(read)
    };
    list.iter().map(each).collect()
}

fn series(options: &Options, option: &'static str, name: String, values: &[Value]) -> Result<Series, Failure> {
    let number = |(index, value): (usize, &Value)| match value {
        Value::Unit => Ok(None),
        value => value
            .as_float()
            .filter(|number| number.is_finite())
            .map(Some)
            .ok_or_else(|| options.kind(option, value, format!("a number or () as item {index}"))),
    };
    let values = values
        .iter()
        .enumerate()
        .map(number)
        .collect::<Result<_, crate::namespaces::options::BadOption>>()?;
    Ok(Series { name, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Chart, String> {
        let Value::Map(map) = Value::from_json(json) else {
            panic!("a map")
        };
        Chart::read("report::chart", map).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_chart_needs_numbers_and_a_label_for_each() {
        use serde_json::json;
        let chart = read(json!({"values": [1, null, 2.5], "labels": ["a", 2, "c\nd"]})).expect("a chart");
        assert_eq!(chart.labels, ["a", "2", "c d"]);
        assert_eq!(chart.series[0].values, [Some(1.0), None, Some(2.5)]);
        for (given, wanted) in [
            (json!({}), "MISSING_OPTION: `report::chart` needs the option `values`"),
            (
                json!({"values": []}),
                "CHART_INVALID: a chart shows 1 to 2000 points, and this has 0",
            ),
            (
                json!({"values": [1], "labels": []}),
                "CHART_INVALID: there are 0 labels for 1 points",
            ),
            (json!({"values": ["x"]}), "BAD_OPTION: the option `values`"),
            (json!({"values": [1], "series": []}), "BAD_OPTION: the options"),
            (
                json!({"series": [{"values": [1]}, {"name": "b", "values": []}]}),
                "CHART_INVALID: the series \"b\" has 0 values",
            ),
            (json!({"series": [{"value": [1]}]}), "BAD_OPTION: the option `series`"),
            (json!({"values": [1], "kind": "lines"}), "BAD_OPTION: the option `kind`"),
            (json!({"values": [1], "width": 9000}), "BAD_OPTION: the option `width`"),
        ] {
            let said = read(given).expect_err(wanted);
            assert!(said.starts_with(wanted), "{said}");
        }
    }
}
