//! `metrics::` — counters, gauges and histograms of a playbook's own.
//!
//! Each note is one batch with its journal entry: what a run has noted counts once, however often the run is resumed or
//! replayed, and a simulated run notes beside the live figures, never among them.

use rhai::Map;
use rhai::plugin::*;

use super::options::Options;
use crate::effect::{Declaration, Failure};
use crate::script::metrics::RESERVED;
use crate::script::{ContextExt, ScriptResult};
use crate::store::StoreError;
use crate::store::metrics::{self, BUCKETS_MAX, Kind, Labels, Metric, Note, Ring, Series};
use crate::store::tx::Tx;
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

// Not recomputed: a record does not show what others have noted.
static INCREMENT: Declaration = Declaration::local("metrics.increment");
static SET: Declaration = Declaration::local("metrics.set");
static OBSERVE: Declaration = Declaration::local("metrics.observe");
static READ: Declaration = Declaration::local("metrics.read");
static NAMES: Declaration = Declaration::local("metrics.names");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Adds 1 to a counter; returns its value, a float.
    ///
    /// - `name`: 1 to 100 letters, digits, `_` or `:`, such as `posts_total`; `host_…` and `process_…` are the host's own. At
    ///   most 1,000 metrics are kept.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`.
    ///
    /// ```rhai
    /// metrics::increment("posts_total") // => 1.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn increment(ctx: NativeCallContext, name: &str) -> ScriptResult {
        noted(&ctx, &INCREMENT, name, Note::Add(1.0), &Map::new())
    }

    /// Adds 1 to the counter with these labels; returns its value, a float.
    ///
    /// - `name`: as in `increment` without labels.
    /// - `labels`: strings, numbers or bools by name, at most 8, each up to 128 bytes. A metric keeps at most 1,000
    ///   different sets of them, so take a platform or an outcome and never an id.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`, `STORE_TOO_LARGE` for a long label.
    ///
    /// ```rhai
    /// metrics::increment("posts_total", #{ platform: "tiktok" }) // => 1.0
    /// ```
    #[rhai_fn(name = "increment", return_raw)]
    pub fn increment_with(ctx: NativeCallContext, name: &str, labels: Map) -> ScriptResult {
        noted(&ctx, &INCREMENT, name, Note::Add(1.0), &labels)
    }

    /// Adds `by` to the counter with these labels; returns its value, a float.
    ///
    /// - `name`, `labels`: as in `increment` without `by`; `#{}` for none.
    /// - `by`: a number, at least 0.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`, `STORE_TOO_LARGE` for a long label.
    ///
    /// ```rhai
    /// metrics::increment("seconds_rendered_total", #{ platform: "tiktok" }, 42.5) // => 42.5
    /// ```
    #[rhai_fn(name = "increment", return_raw)]
    pub fn increment_by(ctx: NativeCallContext, name: &str, labels: Map, by: Dynamic) -> ScriptResult {
        let by = ctx.check(figure(&by))?;
        noted(&ctx, &INCREMENT, name, Note::Add(by), &labels)
    }

    /// Sets a gauge to `value`, which it returns as a float.
    ///
    /// - `name`: 1 to 100 letters, digits, `_` or `:`.
    /// - `value`: a finite number.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`.
    ///
    /// ```rhai
    /// metrics::set("followers", 1200) // => 1200.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn set(ctx: NativeCallContext, name: &str, value: Dynamic) -> ScriptResult {
        let value = ctx.check(figure(&value))?;
        noted(&ctx, &SET, name, Note::Set(value), &Map::new())
    }

    /// Sets the gauge with these labels to `value`, which it returns as a float.
    ///
    /// - `name`, `value`: as in `set` without labels.
    /// - `labels`: as in `increment`.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`, `STORE_TOO_LARGE` for a long label.
    ///
    /// ```rhai
    /// metrics::set("followers", 1200, #{ account: "main" }) // => 1200.0
    /// ```
    #[rhai_fn(name = "set", return_raw)]
    pub fn set_with(ctx: NativeCallContext, name: &str, value: Dynamic, labels: Map) -> ScriptResult {
        let value = ctx.check(figure(&value))?;
        noted(&ctx, &SET, name, Note::Set(value), &labels)
    }

    /// Takes `value` into a histogram; returns the sum of all it has taken in.
    ///
    /// - `name`: 1 to 100 letters, digits, `_` or `:`. Its bounds are those of Prometheus, 0.005 to 10, good for seconds.
    /// - `value`: a finite number.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`.
    ///
    /// ```rhai
    /// metrics::observe("render_seconds", 4.2) // => 4.2
    /// ```
    #[rhai_fn(return_raw)]
    pub fn observe(ctx: NativeCallContext, name: &str, value: Dynamic) -> ScriptResult {
        observed(&ctx, name, &value, &Map::new())
    }

    /// Takes `value` into a histogram; returns the sum of all it has taken in.
    ///
    /// - `name`, `value`: as in `observe` without options.
    /// - `options`: `labels`, as in `increment`; `buckets`, 1 to 30 ascending numbers, which count when the metric is made
    ///   and never again.
    ///
    /// Errors: `METRIC_INVALID`, `METRIC_LIMIT`, `STORE_TOO_LARGE` for a long label, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// metrics::observe("clip_seconds", 42, #{ labels: #{ platform: "tiktok" }, buckets: [15, 30, 60] }) // => 42.0
    /// ```
    #[rhai_fn(name = "observe", return_raw)]
    pub fn observe_with(ctx: NativeCallContext, name: &str, value: Dynamic, options: Map) -> ScriptResult {
        observed(&ctx, name, &value, &options)
    }

    /// Returns a metric as `#{ kind, buckets, series }`, or `()` when there is none of that name.
    ///
    /// Each series is `#{ labels, value, count, buckets, at }`: `value` is a gauge's last value and else a sum, `count`
    /// how often something was noted, `buckets` how many observations lie at or below each bound, `at` when something
    /// was noted last, in milliseconds since 1970 UTC.
    ///
    /// - `name`: 1 to 100 letters, digits, `_` or `:`.
    ///
    /// Errors: `METRIC_INVALID`.
    ///
    /// ```rhai
    /// metrics::increment("posts_total", #{ platform: "tiktok" });
    /// metrics::increment("posts_total", #{ platform: "tiktok" });
    /// metrics::read("posts_total").series[0].value // => 2.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(ctx: NativeCallContext, name: &str) -> ScriptResult {
        read_metric(&ctx, name, &Map::new())
    }

    /// Returns a metric as `read` does, each series with its `points`: what came, minute by minute or hour by hour.
    ///
    /// A point is `#{ at, count, sum, min, max, last }`; `at` is when it begins, in milliseconds since 1970 UTC. Minutes in
    /// which nothing came are left out.
    ///
    /// - `name`: 1 to 100 letters, digits, `_` or `:`.
    /// - `options`: `step`, `"minute"` (up to 24 hours back) or `"hour"` (up to 30 days back); `since`, how far back, such
    ///   as `"2h"`, as far as there is when nothing is said; `labels`, to give only series that have all of these.
    ///
    /// Errors: `METRIC_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// metrics::set("followers", 1200, #{ account: "main" });
    /// let metric = metrics::read("followers", #{ step: "hour", since: "7d", labels: #{ account: "main" } });
    /// metric.series[0].points[0].last // => 1200.0
    /// ```
    #[rhai_fn(name = "read", return_raw)]
    pub fn read_with(ctx: NativeCallContext, name: &str, options: Map) -> ScriptResult {
        read_metric(&ctx, name, &options)
    }

    /// Returns the names of all metrics, in order.
    ///
    /// Errors: none of its own.
    ///
    /// ```rhai
    /// metrics::increment("posts_total");
    /// metrics::names() // => ["posts_total"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn names(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&NAMES, Value::Unit, |local| {
            let names = metrics::names(&mut local.tx)?;
            Ok(names.into_iter().map(Value::from).collect::<Vec<_>>().into())
        })
    }
}

fn invalid(message: String) -> Failure {
    Failure::new("METRIC_INVALID", message)
}

fn figure(value: &Dynamic) -> Result<f64, Failure> {
    match (value.as_float(), value.as_int()) {
        (Ok(value), _) => Ok(value),
        (_, Ok(value)) => Ok(value as f64),
        _ => Err(invalid(format!("{} cannot be noted; a number can", value.type_name()))),
    }
}

fn labels_of(ctx: &NativeCallContext<'_>, labels: &Map) -> ScriptResult<(Labels, Value)> {
    let given = ctx.value(&labels.clone().into())?;
    // They stand on pages that others read.
    let given = ctx.run()?.gate().masks.mask(given);
    let labels = ctx.check(read_labels(&given))?;
    Ok((labels, given))
}

fn read_labels(given: &Value) -> Result<Labels, Failure> {
    let label = |(name, value): (&String, &Value)| match value {
        Value::Text(text) => Ok((name.clone(), text.clone())),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Ok((name.clone(), value.to_string())),
        other => {
            let kind = other.kind();
            Err(invalid(format!(
                "the label {name:?} is {kind}; a string, a number or a bool can be one"
            )))
        }
    };
    let given = given.as_map().into_iter().flatten();
    given.map(label).collect()
}

fn noted(ctx: &NativeCallContext<'_>, declaration: &Declaration, name: &str, note: Note, labels: &Map) -> ScriptResult {
    let (labels, given) = labels_of(ctx, labels)?;
    let value = match &note {
        Note::Add(value) | Note::Set(value) | Note::Observe(value, _) => *value,
    };
    let args = [("name", name.into()), ("value", value.into()), ("labels", given)];
    ctx.local(declaration, args, |local| {
        check_own(name)?;
        metrics::note(&mut local.tx, name, &labels, &note).map(Value::from)
    })
}

/// Refuses names of the host's own metrics: what stands under them is what the host says.
fn check_own(name: &str) -> Result<(), StoreError> {
    match RESERVED.iter().find(|reserved| name.starts_with(**reserved)) {
        None => Ok(()),
        Some(reserved) => Err(StoreError::Refused {
            code: "METRIC_INVALID",
            reason: format!("{name:?} begins with {reserved:?}, as the host's own metrics do; give it another name"),
        }),
    }
}

fn observed(ctx: &NativeCallContext<'_>, name: &str, value: &Dynamic, options: &Map) -> ScriptResult {
    let value = ctx.check(figure(value))?;
    let mut taken = ctx.check(Options::new("metrics::observe", options))?;
    let buckets = ctx.check(taken.list("buckets"))?;
    ctx.check(taken.map("labels"))?;
    ctx.check(taken.finish())?;
    let bound = |bound: Value| {
        bound.as_float().ok_or_else(|| {
            invalid(format!(
                "`buckets` holds {}; 1 to {BUCKETS_MAX} numbers are expected",
                bound.kind()
            ))
        })
    };
    let buckets = buckets.map(|buckets| buckets.into_iter().map(bound).collect::<Result<Vec<f64>, _>>());
    let buckets = ctx.check(buckets.transpose())?;
    let labels = options
        .get("labels")
        .and_then(|labels| labels.read_lock::<Map>().map(|labels| labels.clone()));
    noted(
        ctx,
        &OBSERVE,
        name,
        Note::Observe(value, buckets),
        &labels.unwrap_or_default(),
    )
}

fn read_metric(ctx: &NativeCallContext<'_>, name: &str, options: &Map) -> ScriptResult {
    let mut options = ctx.check(Options::new("metrics::read", options))?;
    let given = options.to_value();
    let step = ctx.check(options.choice("step", &[("minute", Ring::Minutes), ("hour", Ring::Hours)]))?;
    let since = ctx.check(options.duration("since"))?;
    let labels = ctx.check(options.map("labels"))?;
    ctx.check(options.finish())?;
    let wanted = ctx.check(read_labels(&labels.map(Value::Map).unwrap_or_default()))?;
    ctx.local(&READ, [("name", name.into()), ("options", given)], |local| {
        let tx = &mut local.tx;
        let Some(metric) = metrics::read_all(tx, name)? else {
            return Ok(Value::Unit);
        };
        let since_ms = since.map_or(i64::MIN, |since| tx.now_ms.saturating_sub(since.as_millis() as i64));
        shown(tx, name, metric, &wanted, step, since_ms)
    })
}

fn shown(
    tx: &mut Tx<'_>,
    name: &str,
    metric: Metric,
    wanted: &Labels,
    step: Option<Ring>,
    since_ms: i64,
) -> Result<Value, StoreError> {
    let mut series = Vec::new();
    for one in metric.series {
        if !wanted.iter().all(|(name, value)| one.labels.get(name) == Some(value)) {
            continue;
        }
        let points = match step {
            Some(ring) => Some(metrics::points(tx, name, &one.labels, ring, since_ms)?),
            None => None,
        };
        series.push(shown_series(one, metric.kind, points));
    }
    let bounds = metric.bounds.into_iter().map(Value::from).collect::<Vec<_>>();
    Ok(Value::from([
        ("kind", metric.kind.as_str().into()),
        ("buckets", bounds.into()),
        ("series", series.into()),
    ]))
}

fn shown_series(series: Series, kind: Kind, points: Option<Vec<metrics::Point>>) -> Value {
    let whole = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let labels = series.labels.into_iter().map(|(name, value)| (name, value.into()));
    let mut shown = crate::value::Map::from([
        ("labels".to_owned(), Value::Map(labels.collect())),
        ("value".to_owned(), series.value.into()),
        ("count".to_owned(), whole(series.count)),
        ("at".to_owned(), series.at_ms.into()),
    ]);
    if kind == Kind::Histogram {
        let buckets = series.buckets.into_iter().map(whole);
        shown.insert("buckets".to_owned(), Value::List(buckets.collect()));
    }
    if let Some(points) = points {
        let point = |point: metrics::Point| {
            Value::from([
                ("at", point.at_ms.into()),
                ("count", whole(point.count)),
                ("sum", point.sum.into()),
                ("min", point.min.into()),
                ("max", point.max.into()),
                ("last", point.last.into()),
            ])
        };
        shown.insert(
            "points".to_owned(),
            Value::List(points.into_iter().map(point).collect()),
        );
    }
    Value::Map(shown)
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn figures_are_noted_once_and_read_back_with_their_course() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            metrics::increment("posts_total", #{ platform: "tiktok" }, 3);
            metrics::increment("posts_total", #{ platform: "instagram", paid: true });
            run::sleep("2m");
            metrics::increment("posts_total", #{ platform: "tiktok" });
            metrics::observe("seconds", 3, #{ buckets: [1, 5] });
            let posts = metrics::read("posts_total", #{ step: "minute", labels: #{ platform: "tiktok" } });
            [posts.kind, posts.series.len(), posts.series[0].value, posts.series[0].points.map(|p| p.sum),
             metrics::read("seconds").series[0].buckets, metrics::read("nothing"), metrics::names()]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"["counter",1,4.0,[3.0,1.0],[0,1],null,["posts_total","seconds"]]"#
        );
        host.replay(run.id());
        assert_eq!(
            host.run(r#"metrics::read("seconds").series[0].count"#)
                .value()
                .to_string(),
            "1"
        );
    }

    #[test]
    fn simulated_runs_note_beside_the_live_figures() {
        let mut host = TestHost::default();
        host.run(r#"metrics::increment("posts_total")"#);
        host.mode.live = true;
        assert_eq!(
            host.run(r#"metrics::increment("posts_total")"#).value().to_string(),
            "1.0"
        );
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        let host = TestHost::default();
        let told = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            told(r#"metrics::increment("a", #{}, -2)"#),
            r#"METRIC_INVALID: the counter "a" cannot go down by 2; what goes up and down is a gauge: metrics::set"#
        );
        for name in ["host_saves_total", "process_open_fds"] {
            assert!(told(&format!("metrics::increment(\"{name}\")")).starts_with("METRIC_INVALID"));
            assert!(told(&format!("metrics::observe(\"{name}\", 1)")).contains("as the host's own metrics do"));
        }
        assert!(told(r#"metrics::set("a", "1")"#).starts_with("METRIC_INVALID: string cannot be noted"));
        assert!(told(r#"metrics::increment("a", #{ b: [] })"#).contains("the label \"b\" is array"));
        let both = told(r#"metrics::set("a", 1); metrics::increment("a")"#);
        assert_eq!(
            both,
            r#"METRIC_INVALID: "a" is a gauge, and this is done with a counter; give it another name"#
        );
    }
}
