//! What a rule asks of the metrics: `host_queue_dead_jobs{queue="work"} > 0`, `increase(host_runs_ended_total{outcome="failed"}[10m]) >= 3`,
//! `absent(vod_queue_depth)`. Pure: families, what was seen before and a moment in, an answer out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::telemetry::family::{Family, Measure, Point};

const TEXT_BYTES_MAX: usize = 500;
const MATCHES_MAX: usize = 8;

/// The longest window of an increase.
const WINDOW_MS_MAX: i64 = 24 * 3_600_000;

/// Values that are kept of a window, at most; and the parts of a window of each of which one is enough.
const SAMPLES_MAX: usize = 240;
const SAMPLES_WANTED: i64 = 200;

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write `metric{{label=\"value\"}} > 0`, `increase(metric[10m]) >= 3` or `absent(metric)`")]
pub struct BadRule(String);

/// A rule that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    over: Over,
    /// Not of one that asks for absence.
    bound: Option<(Comparison, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Over {
    /// Each series by itself: one is enough.
    Each(Selector),
    /// All series together.
    Sum(Selector),
    /// How much all series together have grown within so many milliseconds.
    Increase(Selector, i64),
    Absent(Selector),
}

#[derive(Clone, Debug, PartialEq)]
struct Selector {
    metric: String,
    labels: Vec<(String, String, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Over,
    AtLeast,
    Under,
    AtMost,
    Is,
    IsNot,
}

const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("==", Comparison::Is),
    ("!=", Comparison::IsNot),
    (">", Comparison::Over),
    ("<", Comparison::Under),
];

impl Comparison {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Comparison::Over => value > bound,
            Comparison::AtLeast => value >= bound,
            Comparison::Under => value < bound,
            Comparison::AtMost => value <= bound,
            Comparison::Is => value == bound,
            Comparison::IsNot => value != bound,
        }
    }
}

/// A value that was seen, for rules that look back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at_ms: i64,
    pub value: f64,
}

/// What a rule came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub holds: bool,
    /// What was found; `None` where there is no such series.
    pub value: Option<f64>,
    /// The series that made it hold: its labels.
    pub series: String,
}

impl Rule {
    pub fn parse(text: &str) -> Result<Rule, BadRule> {
        let bad = |what: &str| BadRule(what.to_owned());
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadRule(format!(
                "the rule has {} bytes; at most {TEXT_BYTES_MAX} are allowed",
                text.len()
            )));
        }
        let text = text.trim();
        let (function, rest) = match text.split_once('(') {
            Some((name, rest)) if !name.contains(['{', ' ', '>', '<', '=']) => (name, rest),
            _ => ("", text),
        };
        let (inner, after) = match function {
            "" => split_selector(text)?,
            _ => rest
                .rsplit_once(')')
                .ok_or_else(|| bad("a parenthesis is not closed"))?,
        };
        let over = match function {
            "" => Over::Each(Selector::parse(inner)?),
            "sum" => Over::Sum(Selector::parse(inner)?),
            "absent" => Over::Absent(Selector::parse(inner)?),
            "increase" => {
                let (selector, window) = inner
                    .trim()
                    .strip_suffix(']')
                    .and_then(|inner| inner.rsplit_once('['))
                    .ok_or_else(|| bad("`increase` needs a length of time in brackets"))?;
                let window = crate::duration::parse(window).map_err(|error| BadRule(error.to_string()))?;
                let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
                if !(60_000..=WINDOW_MS_MAX).contains(&window_ms) {
                    return Err(bad("`increase` looks back from 1 minute to 24 hours"));
                }
                Over::Increase(Selector::parse(selector)?, window_ms)
            }
            other => {
                return Err(BadRule(format!(
                    "there is no function {:?}",
                    other.chars().take(40).collect::<String>()
                )));
            }
        };
        let after = after.trim();
        let bound = match (&over, after) {
            (Over::Absent(_), "") => None,
            (Over::Absent(_), _) => return Err(bad("nothing follows `absent(…)`")),
            (_, "") => return Err(bad("there is nothing to compare with")),
            (_, after) => {
                let compared = COMPARISONS.iter().find_map(|(sign, comparison)| {
                    let number = after.strip_prefix(sign)?;
                    Some((*comparison, number.trim()))
                });
                let (comparison, number) = compared.ok_or_else(|| bad("a comparison is expected: > >= < <= == !="))?;
                let number: f64 = number.parse().map_err(|_| {
                    let shown: String = number.chars().take(40).collect();
                    BadRule(format!("{shown:?} is no number"))
                })?;
                if !number.is_finite() {
                    return Err(bad("the number must be finite"));
                }
                Some((comparison, number))
            }
        };
        Ok(Rule { over, bound })
    }

    /// How far back it looks, where it does.
    pub fn window_ms(&self) -> Option<i64> {
        match self.over {
            Over::Increase(_, window_ms) => Some(window_ms),
            _ => None,
        }
    }

    /// What the rule comes to. `samples` are those that it saw before, and are added to where it looks back.
    pub fn judge(&self, families: &[Family], samples: &mut Vec<Sample>, now_ms: i64) -> Verdict {
        let (Over::Each(selector) | Over::Sum(selector) | Over::Increase(selector, _) | Over::Absent(selector)) =
            &self.over;
        let found = selector.find(families);
        let total = (!found.is_empty()).then(|| found.iter().map(|(_, value)| value).sum::<f64>());
        match (&self.over, self.bound) {
            (Over::Absent(_), _) => Verdict {
                holds: found.is_empty(),
                value: total,
                series: String::new(),
            },
            (Over::Each(_), Some((comparison, bound))) => {
                let holding = found.iter().find(|(_, value)| comparison.holds(*value, bound));
                let shown = holding.or(found.first());
                Verdict {
                    holds: holding.is_some(),
                    value: shown.map(|(_, value)| *value),
                    series: shown.map(|(series, _)| series.clone()).unwrap_or_default(),
                }
            }
            (Over::Increase(_, window_ms), Some((comparison, bound))) => {
                let value = total.map(|total| grown(samples, total, *window_ms, now_ms));
                Verdict {
                    holds: value.is_some_and(|value| comparison.holds(value, bound)),
                    value,
                    series: String::new(),
                }
            }
            (Over::Sum(_), Some((comparison, bound))) => Verdict {
                holds: total.is_some_and(|total| comparison.holds(total, bound)),
                value: total,
                series: String::new(),
            },
            (_, None) => unreachable!("only a rule of absence has no bound"),
        }
    }
}

/// How much a counter has grown within the window. One that has become less was started anew, and counts from 0.
fn grown(samples: &mut Vec<Sample>, value: f64, window_ms: i64, now_ms: i64) -> f64 {
    // What lies in the future was seen before the clock was set back.
    samples.retain(|sample| sample.at_ms > now_ms - window_ms && sample.at_ms <= now_ms);
    let sample = Sample { at_ms: now_ms, value };
    match samples.as_slice() {
        // The last one is not far from the one before, and neither a fall nor what was before one: this one says all.
        [.., before, last]
            if last.at_ms - before.at_ms < window_ms / SAMPLES_WANTED
                && before.value <= last.value
                && last.value <= value =>
        {
            let at = samples.len() - 1;
            samples[at] = sample;
        }
        _ => samples.push(sample),
    }
    // Only of something that is started anew all the time.
    let over = samples.len().saturating_sub(SAMPLES_MAX);
    samples.drain(..over);
    let steps = samples.windows(2);
    steps
        .map(|pair| match pair[1].value - pair[0].value {
            step if step < 0.0 => pair[1].value,
            step => step,
        })
        .sum()
}

/// `metric{…}` and what follows it.
fn split_selector(text: &str) -> Result<(&str, &str), BadRule> {
    if let Some((_, rest)) = text.split_once('{') {
        let mut quoted = false;
        let mut escaped = false;
        for (at, letter) in rest.char_indices() {
            match letter {
                '"' if !escaped => quoted = !quoted,
                '}' if !quoted => {
                    let end = text.len() - rest.len() + at + 1;
                    return Ok((&text[..end], &text[end..]));
                }
                _ => {}
            }
            escaped = letter == '\\' && !escaped;
        }
        return Err(BadRule("a brace is not closed".to_owned()));
    }
    let end = text.find([' ', '>', '<', '=', '!']).unwrap_or(text.len());
    Ok((&text[..end], &text[end..]))
}

impl Selector {
    fn parse(text: &str) -> Result<Selector, BadRule> {
        let text = text.trim();
        let (metric, labels) = match text.split_once('{') {
            Some((metric, labels)) => {
                let labels = labels.trim_end().strip_suffix('}');
                (
                    metric,
                    labels.ok_or_else(|| BadRule("a brace is not closed".to_owned()))?,
                )
            }
            None => (text, ""),
        };
        let metric = metric.trim();
        let is_name = |name: &str| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
            !name.is_empty() && name.bytes().all(letters) && !name.starts_with(|first: char| first.is_ascii_digit())
        };
        if !is_name(metric) {
            let shown: String = metric.chars().take(60).collect();
            return Err(BadRule(format!("{shown:?} is no name of a metric")));
        }
        let mut wanted = Vec::new();
        let mut rest = labels.trim();
        while !rest.is_empty() {
            let (name, after) = rest
                .split_once('=')
                .ok_or_else(|| BadRule("a label has no value".to_owned()))?;
            let (name, is_same) = match name.trim_end().strip_suffix('!') {
                Some(name) => (name.trim(), false),
                None => (name.trim(), true),
            };
            if !is_name(name) {
                return Err(BadRule("a label has no name".to_owned()));
            }
            let text = after.trim_start();
            let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
            let value = stream.next().and_then(Result::ok);
            let value = value.ok_or_else(|| BadRule(format!("the value of `{name}` must be in double quotes")))?;
            rest = text[stream.byte_offset()..].trim_start();
            rest = match rest.strip_prefix(',') {
                Some(rest) => rest.trim_start(),
                None if rest.is_empty() => rest,
                None => return Err(BadRule("a comma is expected between labels".to_owned())),
            };
            wanted.push((name.to_owned(), value, is_same));
            if wanted.len() > MATCHES_MAX {
                return Err(BadRule(format!("more than {MATCHES_MAX} labels are asked for")));
            }
        }
        Ok(Selector {
            metric: metric.to_owned(),
            labels: wanted,
        })
    }

    /// The series that are meant, each with its labels in words and its value; a histogram's is its count.
    fn find(&self, families: &[Family]) -> Vec<(String, f64)> {
        let is_meant = |point: &Point| {
            self.labels.iter().all(|(name, value, is_same)| {
                let found = point.labels.iter().find(|(label, _)| label == name);
                let found = found.map_or("", |(_, value)| value.as_str());
                (found == value) == *is_same
            })
        };
        let (base, is_sum) = match self.metric.strip_suffix("_sum") {
            Some(base) => (base, true),
            None => (self.metric.strip_suffix("_count").unwrap_or(&self.metric), false),
        };
        let mut found = Vec::new();
        for family in families {
            let is_it = family.name == self.metric || family.name == base;
            for point in family.points.iter().filter(|point| is_it && is_meant(point)) {
                let value = match &point.measure {
                    Measure::Number(value) if family.name == self.metric => *value,
                    Measure::Number(_) => continue,
                    Measure::Spread(spread) if is_sum => spread.sum,
                    Measure::Spread(spread) => spread.count as f64,
                };
                let labels = point.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
                found.push((labels.collect::<Vec<_>>().join(", "), value));
            }
        }
        found
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value, self.series.as_str()) {
            (None, _) => f.write_str("no such series"),
            (Some(value), "") => write!(f, "{value}"),
            (Some(value), series) => write!(f, "{value} ({series})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family> {
        let dead = Family::gauge("dead", "d")
            .with([("queue", "work")], 2.0)
            .with([("queue", "a} \"b")], 0.0);
        vec![
            dead,
            Family::counter("ended_total", "e").with([("outcome", "failed")], 5.0),
        ]
    }

    fn holds(rule: &str) -> bool {
        let rule = Rule::parse(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
        rule.judge(&families(), &mut Vec::new(), 0).holds
    }

    #[test]
    fn a_rule_holds_when_one_of_its_series_does() {
        for (rule, wanted) in [
            ("dead > 0", true),
            ("dead{queue=\"work\"} >= 2", true),
            ("dead{queue=\"work\"}>2", false),
            ("dead{queue!=\"work\"} > 0", false),
            (r#"dead{queue="a} \"b"} == 0"#, true),
            ("sum(dead) == 2", true),
            ("dead < -1", false),
            ("nothing > 0", false),
            ("absent(nothing)", true),
            ("absent(dead)", false),
            ("absent(dead{queue=\"other\"})", true),
        ] {
            assert_eq!(holds(rule), wanted, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for rule in [
            "",
            "dead",
            "dead > ",
            "dead > x",
            "dead ? 1",
            "dead{queue=work} > 0",
            "dead{queue=\"x\" > 0",
            "1dead > 0",
            "rate(dead[1m]) > 0",
            "increase(dead) > 0",
            "increase(dead[1s]) > 0",
            "absent(dead) > 0",
            "dead > NaN",
            "sum(dead > 0",
        ] {
            assert!(Rule::parse(rule).is_err(), "{rule}");
        }
    }

    #[test]
    fn an_increase_looks_back_and_a_counter_that_was_started_anew_counts_from_nothing() {
        let rule = Rule::parse("increase(ended_total[10m]) >= 5").unwrap();
        let mut samples = Vec::new();
        let mut at = |minute: i64, value: f64| {
            let family = Family::counter("ended_total", "e").is(value);
            let verdict = rule.judge(&[family], &mut samples, minute * 60_000);
            (verdict.holds, verdict.value.unwrap())
        };
        assert_eq!(at(0, 100.0), (false, 0.0), "what was before nobody saw");
        assert_eq!(at(1, 103.0), (false, 3.0));
        assert_eq!(at(2, 2.0), (true, 5.0), "the host was started anew");
        assert_eq!(at(11, 2.0), (false, 0.0), "what is longer ago than ten minutes is over");
    }

    #[test]
    fn a_long_window_is_looked_at_as_a_whole_with_few_values_and_no_fall_is_lost() {
        let rule = Rule::parse("increase(ended_total[24h]) >= 1").unwrap();
        let mut samples = Vec::new();
        let (mut value, mut grown) = (0.0, 0.0);
        let looks_each_day = 24 * 3600 / 15;
        for look in 0..2 * looks_each_day {
            // A restart now and then, and one failure a minute.
            let step = f64::from(u8::from(look % 4 == 0));
            value = if look % 997 == 996 { step } else { value + step };
            let family = Family::counter("ended_total", "e").is(value);
            let verdict = rule.judge(&[family], &mut samples, i64::from(look) * 15_000);
            assert!(samples.len() <= SAMPLES_MAX, "{}", samples.len());
            grown = verdict.value.unwrap();
        }
        // 1,440 in a day; at its edges, a part of a two-hundredth more or less.
        assert!((1_420.0..=1_441.0).contains(&grown), "{grown}");
    }

    #[test]
    fn what_is_started_anew_all_the_time_keeps_no_more_values_than_others() {
        let rule = Rule::parse("increase(ended_total[24h]) >= 1").unwrap();
        let mut samples = Vec::new();
        for look in 0..3_000_i64 {
            let family = Family::counter("ended_total", "e").is(if look % 2 == 0 { 9.0 } else { 1.0 });
            rule.judge(&[family], &mut samples, look * 15_000);
        }
        assert!(samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn the_sum_and_the_count_of_a_histogram_can_be_asked_for_and_so_can_an_increase_over_a_clock_set_back() {
        use crate::telemetry::family::Spread;
        let mut seconds = Family::histogram("seconds", "s");
        let mut spread = Spread::new(&[1.0]);
        [2.0, 3.0, 4.0].into_iter().for_each(|value| spread.observe(value));
        seconds.put([], Measure::Spread(spread));
        let families = [seconds];
        for (rule, wanted) in [
            ("seconds_sum == 9", true),
            ("seconds_count == 3", true),
            ("seconds == 3", true),
            ("seconds_sum == 3", false),
        ] {
            let rule = Rule::parse(rule).unwrap();
            assert_eq!(rule.judge(&families, &mut Vec::new(), 0).holds, wanted, "{rule:?}");
        }
        let rule = Rule::parse("increase(ended_total[10m]) >= 5").unwrap();
        let mut samples = Vec::new();
        let mut at = |minute: i64, value: f64| {
            let family = Family::counter("ended_total", "e").is(value);
            rule.judge(&[family], &mut samples, minute * 60_000).value
        };
        at(100, 0.0);
        at(101, 50.0);
        assert_eq!(at(5, 51.0), Some(0.0), "what was seen in the future is forgotten");
        assert_eq!(at(6, 52.0), Some(1.0));
    }
}
