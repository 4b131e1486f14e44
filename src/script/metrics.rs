//! `metrics` in a header: the metrics that a playbook records, known before it has recorded anything.
//!
//! ```rhai
//! metrics: #{
//!     vod_clips: #{ type: "counter", help: "Clips that were cut.", labels: #{ outcome: ["ok", "failed"] } },
//!     vod_download_duration_seconds: #{ type: "histogram", help: "How long downloads took.", buckets: [60, 600, 3600] },
//! }
//! ```

use std::collections::BTreeMap;

use super::error::nearest;
use crate::store::metrics::{BUCKETS_DEFAULT, BUCKETS_MAX, Kind, LABEL_BYTES_MAX, LABELS_MAX, Labels, NAME_BYTES_MAX};
use crate::store::tx::Ground;
use crate::store::{self, Durability, Realm, StoreError, Tx};
use crate::value::{Map, Value};

/// Metrics of one header.
pub const METRICS_MAX: usize = 100;

/// Series of one metric that are there from the beginning.
const SERIES_MAX: usize = 100;

const HELP_BYTES_MAX: usize = 500;

const KEYS: [&str; 4] = ["type", "help", "labels", "buckets"];
const KINDS: [(&str, Kind); 3] = [
    ("counter", Kind::Counter),
    ("gauge", Kind::Gauge),
    ("histogram", Kind::Histogram),
];

/// How names of the host's own metrics begin, and how those of parts of a histogram end.
pub const RESERVED: [&str; 2] = ["host_", "process_"];
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// A metric as a header declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredMetric {
    pub name: String,
    pub kind: Kind,
    pub help: String,
    /// The names of its labels, with the values that are known.
    pub labels: BTreeMap<String, Vec<String>>,
    /// The upper bounds of a histogram, where they are said.
    pub buckets: Option<Vec<f64>>,
}

impl DeclaredMetric {
    pub fn bounds(&self) -> Vec<f64> {
        match (self.kind, &self.buckets) {
            (Kind::Histogram, Some(buckets)) => buckets.clone(),
            (Kind::Histogram, None) => BUCKETS_DEFAULT.to_vec(),
            _ => Vec::new(),
        }
    }

    /// The labels of every series that is there before anything is recorded: all that can be made of known values.
    pub fn known_series(&self) -> Vec<Labels> {
        let mut series = vec![Labels::new()];
        for (name, values) in &self.labels {
            let with = |labels: &Labels| -> Vec<Labels> {
                let value = |value: &String| {
                    let mut labels = labels.clone();
                    labels.insert(name.clone(), value.clone());
                    labels
                };
                values.iter().map(value).collect()
            };
            series = series.iter().flat_map(with).collect();
        }
        series
    }
}

/// What is wrong with a declaration, and under which keys below `metrics` it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub path: Vec<String>,
    pub message: String,
    pub help: Option<String>,
}

/// The metrics that `value`, which stands under `metrics`, declares, and all that is wrong with it.
pub fn read(value: &Value) -> (Vec<DeclaredMetric>, Vec<Wrong>) {
    let mut wrong = Vec::new();
    let Some(all) = value.as_map() else {
        let message = format!(
            "`metrics` must be a map of metrics by name, and this is {}",
            value.kind()
        );
        wrong.push(Wrong {
            path: Vec::new(),
            message,
            help: Some("write `metrics: #{ posts_total: #{ type: \"counter\", help: \"…\" } }`".to_owned()),
        });
        return (Vec::new(), wrong);
    };
    if all.len() > METRICS_MAX {
        wrong.push(Wrong {
            path: Vec::new(),
            message: format!("there are {} metrics; at most {METRICS_MAX} are allowed", all.len()),
            help: None,
        });
    }
    let mut found = Vec::new();
    for (name, spec) in all.iter().take(METRICS_MAX) {
        let mut say = |keys: &[&str], message: String, help: Option<&str>| {
            let path = std::iter::once(name.as_str()).chain(keys.iter().copied());
            wrong.push(Wrong {
                path: path.map(str::to_owned).collect(),
                message,
                help: help.map(str::to_owned),
            });
        };
        found.extend(one(name, spec, &mut say));
    }
    (found, wrong)
}

type Say<'a> = dyn FnMut(&[&str], String, Option<&str>) + 'a;

fn one(name: &str, spec: &Value, say: &mut Say<'_>) -> Option<DeclaredMetric> {
    if let Err(reason) = check_name(name) {
        say(&[], reason, None);
        return None;
    }
    let Some(spec) = spec.as_map() else {
        let help = "write `#{ type: \"counter\", help: \"…\" }`";
        say(
            &[],
            format!("the metric `{name}` must be a map, and this is {}", spec.kind()),
            Some(help),
        );
        return None;
    };
    for key in spec.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let near = nearest(key, KEYS.into_iter());
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let message = format!("the metric `{name}` has no key `{key}`{hint}");
        say(&[key], message, Some("it may say type, help, labels, buckets"));
    }
    let kind = kind(name, spec, say)?;
    let help = match spec.get("help") {
        Some(Value::Text(text)) if !text.trim().is_empty() && text.len() <= HELP_BYTES_MAX => text.trim().to_owned(),
        Some(Value::Text(_)) => {
            say(
                &["help"],
                format!("the help of `{name}` must have 1 to {HELP_BYTES_MAX} bytes"),
                None,
            );
            return None;
        }
        Some(other) => {
            say(
                &["help"],
                format!("the help of `{name}` must be a string, and this is {}", other.kind()),
                None,
            );
            return None;
        }
        None => {
            let help = "add `help: \"…\"`: whoever sees the figure wants to know what it counts";
            say(&[], format!("the metric `{name}` has no `help`"), Some(help));
            return None;
        }
    };
    let labels = labels(name, spec.get("labels"), say)?;
    let buckets = match spec.get("buckets") {
        None => None,
        Some(_) if kind != Kind::Histogram => {
            say(
                &["buckets"],
                format!("`{name}` is a {}, and only a histogram has buckets", kind.as_str()),
                None,
            );
            return None;
        }
        Some(value) => Some(buckets(name, value, say)?),
    };
    Some(DeclaredMetric {
        name: name.to_owned(),
        kind,
        help,
        labels,
        buckets,
    })
}

fn kind(name: &str, spec: &Map, say: &mut Say<'_>) -> Option<Kind> {
    let all = "\"counter\", \"gauge\" or \"histogram\"";
    match spec.get("type") {
        Some(Value::Text(text)) => {
            let found = KINDS.iter().find(|(word, _)| word == text);
            if found.is_none() {
                let near = nearest(text, KINDS.iter().map(|(word, _)| *word));
                let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                let shown: String = text.chars().take(40).collect();
                say(
                    &["type"],
                    format!("the type of `{name}` is {all}, not {shown:?}{hint}"),
                    None,
                );
            }
            found.map(|(_, kind)| *kind)
        }
        Some(other) => {
            say(
                &["type"],
                format!("the type of `{name}` is {all}, and this is {}", other.kind()),
                None,
            );
            None
        }
        None => {
            say(&[], format!("the metric `{name}` has no `type`: {all}"), None);
            None
        }
    }
}

/// From `["platform"]`, or `#{ platform: ["tiktok", "instagram"] }` where the values are known.
fn labels(name: &str, given: Option<&Value>, say: &mut Say<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let wanted = "an array of names, or a map of names with their known values";
    let mut labels = BTreeMap::new();
    match given {
        None => {}
        Some(Value::List(names)) => {
            for label in names {
                let Some(label) = label.as_str() else {
                    say(&["labels"], format!("the labels of `{name}` are {wanted}"), None);
                    return None;
                };
                labels.insert(label.to_owned(), Vec::new());
            }
        }
        Some(Value::Map(map)) => {
            for (label, values) in map {
                let values = values
                    .as_list()
                    .map(|values| values.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
                let Some(Some(values)) = values else {
                    say(
                        &["labels", label],
                        format!("the values of the label `{label}` are an array of strings"),
                        None,
                    );
                    return None;
                };
                let mut values: Vec<String> = values.into_iter().map(str::to_owned).collect();
                values.sort();
                values.dedup();
                if let Some(long) = values.iter().find(|value| value.len() > LABEL_BYTES_MAX) {
                    let bytes = long.len();
                    let message = format!(
                        "a value of the label `{label}` has {bytes} bytes; at most {LABEL_BYTES_MAX} are allowed"
                    );
                    say(&["labels", label], message, None);
                    return None;
                }
                labels.insert(label.clone(), values);
            }
        }
        Some(other) => {
            say(
                &["labels"],
                format!("the labels of `{name}` are {wanted}, and this is {}", other.kind()),
                None,
            );
            return None;
        }
    }
    if labels.len() > LABELS_MAX {
        let found = labels.len();
        say(
            &["labels"],
            format!("`{name}` has {found} labels; at most {LABELS_MAX} are allowed"),
            None,
        );
        return None;
    }
    for label in labels.keys() {
        let is_plain = check_chars(label, false);
        if !is_plain || label.starts_with("__") || label == "le" {
            let shown: String = label.chars().take(60).collect();
            let rule = "letters, digits and `_`, no digit first, and neither `le` nor `__…`, which are Prometheus'";
            say(
                &["labels"],
                format!("{shown:?} cannot be a label of `{name}`: {rule}"),
                None,
            );
            return None;
        }
    }
    let series = labels
        .values()
        .map(|values| values.len().max(1))
        .try_fold(1_usize, usize::checked_mul);
    if series.is_none_or(|series| series > SERIES_MAX) {
        let message =
            format!("the known labels of `{name}` make more than {SERIES_MAX} series; leave out the values of some");
        say(&["labels"], message, None);
        return None;
    }
    Some(labels)
}

fn buckets(name: &str, value: &Value, say: &mut Say<'_>) -> Option<Vec<f64>> {
    let numbers = value
        .as_list()
        .and_then(|list| list.iter().map(Value::as_float).collect::<Option<Vec<f64>>>());
    let is_allowed = |bounds: &Vec<f64>| {
        let ascends = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        ascends && (1..=BUCKETS_MAX).contains(&bounds.len()) && bounds.iter().all(|bound| bound.is_finite())
    };
    let numbers = numbers.filter(is_allowed);
    if numbers.is_none() {
        let rule = format!("1 to {BUCKETS_MAX} numbers, each greater than the one before");
        say(&["buckets"], format!("the buckets of `{name}` are {rule}"), None);
    }
    numbers
}

fn check_chars(name: &str, is_metric: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && is_metric);
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

fn check_name(name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(60).collect();
    if !check_chars(name, true) {
        return Err(format!(
            "{shown:?} is no name of a metric: it needs 1 to {NAME_BYTES_MAX} letters, digits or `_`, no digit first"
        ));
    }
    if let Some(reserved) = RESERVED.iter().find(|reserved| name.starts_with(**reserved)) {
        return Err(format!(
            "{shown:?} begins with `{reserved}`, as the host's own metrics do; give it another name"
        ));
    }
    if let Some(part) = PARTS.iter().find(|part| name.ends_with(**part)) {
        return Err(format!(
            "{shown:?} ends with `{part}`, as parts of a histogram do; give it another name"
        ));
    }
    Ok(())
}

/// Makes metrics known in the store, so that functions note them as they are declared. Gives the names of those that are
/// known as another type already, or are too many.
pub fn make_known<'m>(
    ground: &Ground,
    realm: Realm,
    now_ms: i64,
    metrics: impl IntoIterator<Item = &'m DeclaredMetric>,
) -> Result<Vec<String>, StoreError> {
    let mut refused = Vec::new();
    for metric in metrics {
        let mut tx = Tx::new(ground, realm, now_ms);
        match store::metrics::declare(&mut tx, &metric.name, metric.kind, &metric.bounds()) {
            Ok(true) if tx.batch.is_empty() => {}
            Ok(true) => match ground.store.commit(tx.batch, Durability::Soon) {
                // Somebody has noted it in between.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            },
            Ok(false) => refused.push(metric.name.clone()),
            Err(error) if error.is_callers() => refused.push(metric.name.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> (Vec<DeclaredMetric>, Vec<Wrong>) {
        read(&Value::from_json(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn a_metric_is_there_once_for_each_set_of_known_labels() {
        let (found, wrong) = of(
            r#"{ "clips": { "type": "counter", "help": "Clips.", "labels": { "kind": ["b", "a"], "ok": ["yes", "no"] } },
                 "posts": { "type": "gauge", "help": "Posts.", "labels": ["platform"] },
                 "cycles": { "type": "histogram", "help": "Cycles.", "buckets": [1, 2.5] } }"#,
        );
        assert_eq!(wrong, []);
        let series: Vec<usize> = found.iter().map(|metric| metric.known_series().len()).collect();
        assert_eq!(series, [4, 1, 0], "clips, cycles, posts: whose platforms nobody knows");
        assert_eq!(found[1].bounds(), [1.0, 2.5]);
    }

    #[test]
    fn what_cannot_be_a_metric_is_told_with_its_place() {
        for (json, path, said) in [
            ("7", vec![], "must be a map of metrics"),
            (r#"{ "a b": {} }"#, vec!["a b"], "no name of a metric"),
            (r#"{ "host_x": {} }"#, vec!["host_x"], "host's own"),
            (r#"{ "x_sum": {} }"#, vec!["x_sum"], "parts of a histogram"),
            (r#"{ "x": 1 }"#, vec!["x"], "must be a map"),
            (r#"{ "x": { "help": "h" } }"#, vec!["x"], "no `type`"),
            (
                r#"{ "x": { "type": "conter", "help": "h" } }"#,
                vec!["x", "type"],
                "did you mean \"counter\"",
            ),
            (r#"{ "x": { "type": "gauge" } }"#, vec!["x"], "no `help`"),
            (
                r#"{ "x": { "type": "gauge", "help": "h", "bucket": [1] } }"#,
                vec!["x", "bucket"],
                "did you mean `buckets`",
            ),
            (
                r#"{ "x": { "type": "gauge", "help": "h", "buckets": [1] } }"#,
                vec!["x", "buckets"],
                "only a histogram",
            ),
            (
                r#"{ "x": { "type": "histogram", "help": "h", "buckets": [2, 1] } }"#,
                vec!["x", "buckets"],
                "greater than",
            ),
            (
                r#"{ "x": { "type": "gauge", "help": "h", "labels": ["le"] } }"#,
                vec!["x", "labels"],
                "cannot be a label",
            ),
            (
                r#"{ "x": { "type": "gauge", "help": "h", "labels": { "a": [1] } } }"#,
                vec!["x", "labels", "a"],
                "array of strings",
            ),
        ] {
            let (_, wrong) = of(json);
            assert_eq!(wrong.len(), 1, "{json}: {wrong:?}");
            assert_eq!(wrong[0].path, path, "{json}");
            assert!(wrong[0].message.contains(said), "{json}: {}", wrong[0].message);
        }
    }
}
