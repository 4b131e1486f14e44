//! Families as Prometheus reads them: its text format, version 0.0.4.
//!
//! Written here and not by the crate `prometheus-client`: that one writes OpenMetrics, whose counters `promtool check
//! metrics` takes for untyped, and wants every metric to live in a registry of its own, while most of these are read
//! from the store.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::family::{Family, Kind, Labels, Measure};

/// What the page is, for whoever asks for it.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes `families`, each once.
pub fn write(families: &[Family]) -> String {
    let mut text = String::with_capacity(64 * 1024);
    let mut known = BTreeSet::new();
    for family in families.iter().filter(|family| is_new(&mut known, family)) {
        write_family(&mut text, family);
    }
    text
}

/// `families` without those whose samples would bear the names of an earlier one's.
pub fn distinct(mut families: Vec<Family>) -> Vec<Family> {
    let mut known = BTreeSet::new();
    families.retain(|family| is_new(&mut known, family));
    families
}

fn is_new(known: &mut BTreeSet<String>, family: &Family) -> bool {
    let names = sample_names(family);
    let is_new = !names.iter().any(|name| known.contains(name));
    if is_new {
        known.extend(names);
    }
    is_new
}

/// Every name that samples of `family` may bear.
pub fn sample_names(family: &Family) -> Vec<String> {
    let name = &family.name;
    match family.kind {
        Kind::Counter | Kind::Gauge => vec![name.to_string()],
        Kind::Histogram => {
            let parts = ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"));
            std::iter::once(name.to_string()).chain(parts).collect()
        }
    }
}

fn write_family(text: &mut String, family: &Family) {
    let (name, kind) = (&family.name, family.kind.as_str());
    text.push_str("# HELP ");
    text.push_str(name);
    text.push(' ');
    for letter in family.help.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\0' => text.push(char::REPLACEMENT_CHARACTER),
            other => text.push(other),
        }
    }
    writeln!(text, "\n# TYPE {name} {kind}").expect("a string takes every text");
    for point in &family.points {
        match &point.measure {
            Measure::Number(value) => sample(text, name, "", &point.labels, None, *value),
            Measure::Spread(spread) => {
                for (bound, count) in spread.bounds.iter().zip(&spread.within) {
                    sample(text, name, "_bucket", &point.labels, Some(*bound), *count as f64);
                }
                let count = spread.count as f64;
                sample(text, name, "_bucket", &point.labels, Some(f64::INFINITY), count);
                sample(text, name, "_sum", &point.labels, None, spread.sum);
                sample(text, name, "_count", &point.labels, None, count);
            }
        }
    }
}

fn sample(text: &mut String, name: &str, part: &str, labels: &Labels, bound: Option<f64>, value: f64) {
    text.push_str(name);
    text.push_str(part);
    let mut opened = false;
    let mut open = |text: &mut String| {
        text.push(if opened { ',' } else { '{' });
        opened = true;
    };
    for (label, value) in labels {
        open(text);
        text.push_str(label);
        text.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                // Where one stands Prometheus' reader ends, and takes nothing of the page.
                '\0' => text.push(char::REPLACEMENT_CHARACTER),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if let Some(bound) = bound {
        open(text);
        text.push_str("le=\"");
        number(text, bound);
        text.push('"');
    }
    if opened {
        text.push('}');
    }
    text.push(' ');
    number(text, value);
    text.push('\n');
}

fn number(text: &mut String, value: f64) {
    if value.is_finite() {
        write!(text, "{value}").expect("a string takes every text");
    } else if value.is_nan() {
        text.push_str("NaN");
    } else {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::Spread;
    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut seconds = Family::histogram("job_seconds", "how long\na job \\ took");
        let mut spread = Spread::new(&[0.5, 1.0]);
        [0.5, 0.75, 7.0].into_iter().for_each(|value| spread.observe(value));
        seconds.put([("queue", "a\"b\\c\nd")], Measure::Spread(spread));
        let families = [Family::gauge("up", "whether it is").is(1.0), seconds];
        assert_eq!(
            write(&families),
            "# HELP up whether it is\n# TYPE up gauge\nup 1\n\
             # HELP job_seconds how long\\na job \\\\ took\n# TYPE job_seconds histogram\n\
             job_seconds_bucket{queue=\"a\\\"b\\\\c\\nd\",le=\"0.5\"} 1\n\
             job_seconds_bucket{queue=\"a\\\"b\\\\c\\nd\",le=\"1\"} 2\n\
             job_seconds_bucket{queue=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 3\n\
             job_seconds_sum{queue=\"a\\\"b\\\\c\\nd\"} 8.25\n\
             job_seconds_count{queue=\"a\\\"b\\\\c\\nd\"} 3\n"
        );
    }

    /// Prometheus' reader takes the byte for the end of the page: one label of one script would hide all figures.
    #[test]
    fn no_label_and_no_help_ends_the_page() {
        let family = Family::gauge("up", "a\0b").with([("queue", "c\0d")], 1.0);
        let text = write(&[family]);
        assert!(!text.contains('\0'), "{text:?}");
        assert!(text.ends_with("up{queue=\"c\u{fffd}d\"} 1\n"), "{text:?}");
    }

    #[test]
    fn a_name_is_written_once_whoever_takes_it_a_second_time() {
        let first = Family::histogram("job", "the first");
        let second = Family::gauge("job_count", "of another kind").is(7.0);
        let text = write(&[first, second.clone()]);
        assert!(!text.contains("another kind"), "{text}");
        assert!(write(&[second]).contains("job_count 7\n"));
    }
}
