//! `metrics` in a header: what can be said against one declaration, and against two of the same metric.

use std::collections::BTreeMap;

use super::header::{HeaderView, literal};
use super::sheet::Sheet;
use crate::script::findings::{Finding, Region, Related};
use crate::script::metrics::{self, DeclaredMetric};
use crate::script::syntax::{Expr, Lines, Span, Tree};

/// What can be said against the metrics of one header.
pub fn check(value: &Expr, sheet: &mut Sheet<'_>) {
    // What is not written out is told elsewhere.
    let Some(written) = literal(value) else { return };
    let (_, wrong) = metrics::read(&written);
    for wrong in wrong {
        let span = span_of(value, &wrong.path);
        sheet.say("HEADER", span, wrong.message).help_if(wrong.help);
    }
}

/// The value to which `path` leads, as near as it can be told.
fn span_of(value: &Expr, path: &[String]) -> Span {
    let (mut at, mut span) = (value, value.span);
    for key in path {
        let entry = at
            .as_map()
            .and_then(|entries| entries.iter().find(|entry| entry.key.text == *key));
        let Some(entry) = entry else { break };
        (at, span) = (&entry.value, entry.key.span);
    }
    span
}

/// A metric that a playbook declares, with its place.
#[derive(Clone, Debug)]
pub struct Placed {
    pub file: String,
    pub region: Region,
    pub metric: DeclaredMetric,
}

/// The metrics of a text, those that can be read.
pub fn of(file: &str, text: &str, tree: &Tree) -> Vec<Placed> {
    let Some(entry) = HeaderView::of(tree).and_then(|header| header.get("metrics")) else {
        return Vec::new();
    };
    let written = literal(&entry.value).unwrap_or_default();
    let (found, _) = metrics::read(&written);
    let lines = Lines::of(text);
    let placed = |metric: DeclaredMetric| Placed {
        file: file.to_owned(),
        region: Region::of(text, &lines, span_of(&entry.value, std::slice::from_ref(&metric.name))),
        metric,
    };
    found.into_iter().map(placed).collect()
}

/// Metrics that two playbooks declare, each in another way.
pub fn conflicts<'p>(placed: impl IntoIterator<Item = &'p Placed>) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Placed> = BTreeMap::new();
    let mut found = Vec::new();
    for one in placed {
        // On the page a counter's name ends so, whether it is written or not.
        let name = one.metric.name.trim_end_matches("_total");
        let Some(other) = first.get(name) else {
            first.insert(name, one);
            continue;
        };
        let Some(what) = difference(&other.metric, &one.metric) else {
            continue;
        };
        let message = format!("`{}` is declared by {} already, {what}", one.metric.name, other.file);
        let mut finding = Finding::new("METRIC_CONFLICT", one.file.as_str(), message)
            .at(one.region)
            .help("declare it the same in both, or give one of them another name");
        finding.related.push(Related {
            file: other.file.clone(),
            region: other.region,
            message: "the other one".to_owned(),
        });
        found.push(finding);
    }
    found
}

/// What the first declaration says otherwise than the second.
fn difference(first: &DeclaredMetric, second: &DeclaredMetric) -> Option<String> {
    if first.name != second.name {
        return Some(format!("as `{}`, which is the same name to Prometheus", first.name));
    }
    if first.kind != second.kind {
        return Some(format!("as a {}, not a {}", first.kind.as_str(), second.kind.as_str()));
    }
    if !first.labels.keys().eq(second.labels.keys()) {
        return Some("with other labels".to_owned());
    }
    if first.labels != second.labels {
        return Some("with other values of its labels".to_owned());
    }
    if first.bounds() != second.bounds() {
        return Some("with other buckets".to_owned());
    }
    (first.help != second.help).then(|| "with another help".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::syntax;

    fn placed(file: &str, spec: &str) -> Vec<Placed> {
        let text = format!("const PLAYBOOK = #{{ metrics: #{{ {spec} }} }};\n");
        of(file, &text, &syntax::parse(&text))
    }

    #[test]
    fn two_playbooks_may_declare_a_metric_the_same_and_in_no_other_way() {
        let one = "posts_total: #{ type: \"counter\", help: \"Posts.\", labels: [\"platform\"] }";
        let first = placed("a.rhai", one);
        assert_eq!(first.len(), 1);
        let told = |other: &str| {
            let second = placed("b.rhai", other);
            assert_eq!(second.len(), 1, "{other}");
            let found = conflicts(first.iter().chain(&second));
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(told(one), Vec::<String>::new());
        for (other, what) in [
            (
                "posts_total: #{ type: \"gauge\", help: \"Posts.\", labels: [\"platform\"] }",
                "as a counter, not a gauge",
            ),
            (
                "posts_total: #{ type: \"counter\", help: \"Posts.\" }",
                "with other labels",
            ),
            (
                "posts_total: #{ type: \"counter\", help: \"Other.\", labels: [\"platform\"] }",
                "with another help",
            ),
            (
                "posts: #{ type: \"gauge\", help: \"Posts.\", labels: [\"platform\"] }",
                "the same name to Prometheus",
            ),
        ] {
            let messages = told(other);
            assert_eq!(messages.len(), 1, "{other}");
            assert!(messages[0].contains("declared by a.rhai already"), "{messages:?}");
            assert!(messages[0].contains(what), "{messages:?}");
        }
    }
}
