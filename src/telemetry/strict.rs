//! Reads a page as strictly as Prometheus' own linter does, for tests.

use std::collections::{BTreeMap, BTreeSet};

/// A page that was read: the samples by name and labels.
#[derive(Debug, Default)]
pub struct Page {
    pub kinds: BTreeMap<String, String>,
    pub samples: BTreeMap<String, f64>,
}

/// Units that are no base units, as words of names.
const SMALL_UNITS: [&str; 8] = [
    "milliseconds",
    "ms",
    "micros",
    "minutes",
    "hours",
    "kilobytes",
    "mib",
    "percent",
];

/// Reads `text`; panics with the line that is wrong.
pub fn read(text: &str) -> Page {
    let mut page = Page::default();
    let (mut helped, mut closed) = (BTreeSet::new(), BTreeSet::new());
    let mut family = String::new();
    assert!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
            assert!(!help.trim().is_empty(), "no help: {line}");
            assert!(helped.insert(name.to_owned()), "helped twice: {line}");
            if !family.is_empty() {
                closed.insert(std::mem::replace(&mut family, name.to_owned()));
            }
            family = name.to_owned();
            assert!(!closed.contains(name), "its samples are not together: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
            assert_eq!(name, family, "its help does not stand before it: {line}");
            check_name(name, kind);
            assert!(
                page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "typed twice: {line}"
            );
        } else {
            sample(line, &family, &mut page);
        }
    }
    check_histograms(&page);
    page
}

fn check_name(name: &str, kind: &str) {
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{name} is a {kind}");
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    assert!(
        name.bytes().all(letters) && !name.starts_with(|first: char| first.is_ascii_digit()),
        "{name}"
    );
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    assert!(
        name.split('_').all(|word| !SMALL_UNITS.contains(&word)),
        "{name} is in no base unit"
    );
    for part in ["_bucket", "_sum", "_count"] {
        assert!(!name.ends_with(part), "{name} ends as a part of a histogram does");
    }
}

fn sample(line: &str, family: &str, page: &mut Page) {
    let (named, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let (name, labels) = named.split_once('{').map_or((named, ""), |(name, rest)| {
        (
            name,
            rest.strip_suffix('}')
                .unwrap_or_else(|| panic!("labels do not end: {line}")),
        )
    });
    let kind = page
        .kinds
        .get(family)
        .unwrap_or_else(|| panic!("no type stands before {line}"));
    let parts: &[&str] = match kind.as_str() {
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    assert!(
        parts.iter().any(|part| name == format!("{family}{part}")),
        "not of {family}: {line}"
    );
    let mut known = BTreeSet::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(
            label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "{line}"
        );
        assert!(known.insert(label), "a label twice: {line}");
        let mut escaped = false;
        let end = after.char_indices().find(|(_, letter)| {
            let ends = *letter == '"' && !escaped;
            escaped = *letter == '\\' && !escaped;
            ends
        });
        let (end, _) = end.unwrap_or_else(|| panic!("a label does not end: {line}"));
        rest = &after[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None => {
                assert!(rest.is_empty(), "{line}");
                rest
            }
        };
    }
    assert_eq!(
        name.ends_with("_bucket") && kind == "histogram",
        known.contains("le"),
        "{line}"
    );
    let value: f64 = match value {
        "+Inf" => f64::INFINITY,
        value => value.parse().unwrap_or_else(|_| panic!("no number: {line}")),
    };
    assert!(kind != "counter" || value >= 0.0, "a counter below 0: {line}");
    assert!(
        page.samples.insert(named.to_owned(), value).is_none(),
        "a sample twice: {line}"
    );
}

/// Buckets grow, and the last is the count.
fn check_histograms(page: &Page) {
    let without_bound = |named: &str| {
        let (name, labels) = named.split_once('{').expect("a bucket has a bound");
        let labels = labels.strip_suffix('}').expect("it was read");
        let (rest, bound) = labels.rsplit_once("le=\"").expect("a bucket has a bound");
        let rest = rest.trim_end_matches(',');
        let series = if rest.is_empty() {
            String::new()
        } else {
            format!("{{{rest}}}")
        };
        let bound = bound.trim_end_matches('"');
        let bound: f64 = if bound == "+Inf" {
            f64::INFINITY
        } else {
            bound.parse().expect("a number")
        };
        (name.trim_end_matches("_bucket").to_owned(), series, bound)
    };
    let mut series: BTreeMap<(String, String), Vec<(f64, f64)>> = BTreeMap::new();
    for (named, value) in page.samples.iter().filter(|(named, _)| named.contains("le=\"")) {
        let (name, labels, bound) = without_bound(named);
        series.entry((name, labels)).or_default().push((bound, *value));
    }
    for ((name, labels), mut buckets) in series {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1),
            "{name}{labels} falls"
        );
        let (last, count) = buckets.last().expect("one at least");
        assert_eq!(*last, f64::INFINITY, "{name}{labels} has no last bucket");
        assert_eq!(
            Some(count),
            page.samples.get(&format!("{name}_count{labels}")),
            "{name}{labels}"
        );
        assert!(
            page.samples.contains_key(&format!("{name}_sum{labels}")),
            "{name}{labels}"
        );
    }
}
