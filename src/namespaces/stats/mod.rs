//! `stats::` — numbers over whole collections. Pure: nothing is journaled.
//!
//! Every formula is stated with its function. Sums are compensated and the transcendental functions are libm's, so the
//! same numbers give the same bits everywhere. A number that is none (NaN, an infinity) is an error that names its
//! place: it would spoil every figure without a word.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`describe`] | one array: mean, percentiles, spread, histogram |
//! | [`series`] | numbers in order: moving averages, trend, correlation |
//! | [`interval`] | how sure one can be of a mean or a share |
//! | [`anomaly`] | whether a number is unusual after those before it |

pub mod anomaly;
pub mod describe;
pub mod interval;
pub mod series;

use rhai::plugin::*;
use rhai::{Array, Map};

use self::anomaly::{Direction, Expectation};
use super::options::Options;
use crate::effect::Failure;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    exported_module!(functions)
}

/// The level of intervals when nothing is said.
const LEVEL: f64 = 0.95;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the numbers in one field of an array of maps, for the other functions. Rows without it are left out.
    ///
    /// - `rows`: an array of maps, such as `csv::parse` and `store::query` give.
    /// - `field`: the name of the field. `()` counts as not there.
    ///
    /// Errors: `STATS_NOT_A_NUMBER` with the row, `TYPE` for a row that is no map.
    ///
    /// ```rhai
    /// let posts = [#{ views: 120 }, #{ title: "draft" }, #{ views: 80.5 }];
    /// let views = stats::column(posts, "views"); // => [120, 80.5]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn column(ctx: NativeCallContext, rows: Array, field: &str) -> ScriptResult {
        let mut numbers = Array::new();
        for (index, row) in rows.iter().enumerate() {
            let kind = |value: &Dynamic| ctx.engine().map_type_name(value.type_name()).to_owned();
            let map = row.as_map_ref();
            let wrong = || Failure::new("TYPE", format!("row {index} is no map but {}", kind(row)));
            let map = ctx.check(map.map_err(|_| wrong()))?;
            let Some(value) = map.get(field).filter(|value| !value.is_unit()) else {
                continue;
            };
            let what = || format!("`{field}` of row {index}");
            ctx.check(number(value, what, || kind(value)))?;
            numbers.push(value.clone());
        }
        Ok(Dynamic::from_array(numbers))
    }

    /// Returns the sum of an array of numbers: whole when all are whole and it fits into 64 bits. 0 for an empty array.
    ///
    /// Formula: compensated summation (Neumaier 1974), so small numbers are not lost beside large ones.
    ///
    /// Errors: `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let views = stats::sum([120, 80, 100]); // => 300
    /// let seconds = stats::sum([0.1, 0.2, 0.3]); // => 0.6
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sum(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let whole = values
            .iter()
            .try_fold(0_i64, |sum, value| sum.checked_add(value.as_int().ok()?));
        if let Some(whole) = whole {
            return Ok(whole.into());
        }
        let numbers = ctx.check(numbers(&ctx, "sum", &values, 0))?;
        Ok(describe::sum(&numbers).into())
    }

    /// Returns the arithmetic mean: sum ÷ count.
    ///
    /// - `values`: at least one number.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let mean = stats::mean([120, 80, 100]); // => 100.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn mean(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "mean", &values, 1))?;
        Ok(describe::mean(&numbers).into())
    }

    /// Returns the number in the middle: as many lie below it as above. Of an even count, the mean of the two in the
    /// middle.
    ///
    /// - `values`: at least one number.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let middle = stats::median([3, 1000, 1, 2]); // => 2.5
    /// ```
    #[rhai_fn(return_raw)]
    pub fn median(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "median", &values, 1))?;
        Ok(describe::percentile(&describe::sorted(numbers), 50.0).into())
    }

    /// Returns the number below which `percent` of all lie.
    ///
    /// Formula: linear between neighbours, at place (n − 1) × percent ÷ 100 of the sorted numbers (type 7 of Hyndman & Fan
    /// 1996, the preset of NumPy, R and spreadsheets).
    ///
    /// - `values`: at least one number.
    /// - `percent`: 0 to 100.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`, `STATS_RANGE` for another `percent`.
    ///
    /// ```rhai
    /// let most = stats::percentile([10, 20, 30, 40, 50], 90); // => 46.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn percentile(ctx: NativeCallContext, values: Array, percent: Dynamic) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "percentile", &values, 1))?;
        let percent = ctx.check(within(&ctx, "percent", &percent, 0.0, 100.0))?;
        Ok(describe::percentile(&describe::sorted(numbers), percent).into())
    }

    /// Returns several percentiles at once, in the order asked for; sorted only once.
    ///
    /// - `values`: at least one number.
    /// - `percents`: an array of numbers from 0 to 100; see `percentile`.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let quarters = stats::percentiles([10, 20, 30, 40, 50], [25, 50, 75]); // => [20.0, 30.0, 40.0]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn percentiles(ctx: NativeCallContext, values: Array, percents: Array) -> ScriptResult {
        let sorted = describe::sorted(ctx.check(numbers(&ctx, "percentiles", &values, 1))?);
        let mut found = Array::with_capacity(percents.len());
        for percent in &percents {
            let percent = ctx.check(within(&ctx, "percent", percent, 0.0, 100.0))?;
            found.push(describe::percentile(&sorted, percent).into());
        }
        Ok(Dynamic::from_array(found))
    }

    /// Returns the standard deviation of a sample: how far numbers usually lie from their mean.
    ///
    /// Formula: √(Σ(x − mean)² ÷ (n − 1)), in two passes.
    ///
    /// - `values`: at least two numbers.
    ///
    /// Errors: `STATS_TOO_FEW`, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let spread = stats::stddev([2, 4, 6]); // => 2.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn stddev(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "stddev", &values, 2))?;
        Ok(describe::stddev(&numbers).into())
    }

    /// Returns the least of an array of numbers, as it stands there.
    ///
    /// - `values`: at least one number.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let least = stats::min([120, 80.5, 100]); // => 80.5
    /// ```
    #[rhai_fn(return_raw)]
    pub fn min(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "min", &values, 1))?;
        Ok(values[describe::place_of(&numbers, |a, b| a < b)].clone())
    }

    /// Returns the greatest of an array of numbers, as it stands there.
    ///
    /// - `values`: at least one number.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let most = stats::max([120, 80.5, 100]); // => 120
    /// ```
    #[rhai_fn(return_raw)]
    pub fn max(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "max", &values, 1))?;
        Ok(values[describe::place_of(&numbers, |a, b| a > b)].clone())
    }

    /// Returns what one looks at first: `#{ count, sum, mean, stddev, min, p25, median, p75, p90, max }`.
    ///
    /// `stddev` is `()` for a single number. See `sum`, `stddev` and `percentile` for the formulas.
    ///
    /// - `values`: at least one number.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let views = stats::summary([100, 200, 300]);
    /// views.median // => 200.0
    /// views.p75 // => 250.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn summary(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "summary", &values, 1))?;
        let sorted = describe::sorted(numbers.clone());
        let percentile = |percent| Dynamic::from(describe::percentile(&sorted, percent));
        let stddev = (numbers.len() > 1).then(|| describe::stddev(&numbers));
        Ok(fields([
            ("count", (numbers.len() as i64).into()),
            ("sum", describe::sum(&numbers).into()),
            ("mean", describe::mean(&numbers).into()),
            ("stddev", stddev.map_or(Dynamic::UNIT, Dynamic::from)),
            ("min", percentile(0.0)),
            ("p25", percentile(25.0)),
            ("median", percentile(50.0)),
            ("p75", percentile(75.0)),
            ("p90", percentile(90.0)),
            ("max", percentile(100.0)),
        ]))
    }

    /// Returns how many numbers lie in each of `bins` ranges of equal width, from the least to the greatest:
    /// an array of `#{ from, to, count }`. A number on an edge counts in the range that begins there, the greatest in the
    /// last. When all are the same, there is one range.
    ///
    /// - `values`: at least one number.
    /// - `bins`: 1 to 1,000.
    ///
    /// Errors: `STATS_TOO_FEW` for an empty array, `STATS_NOT_A_NUMBER`, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let ranges = stats::histogram([1, 2, 2, 3, 9], 2);
    /// ranges // => [#{ from: 1.0, to: 5.0, count: 4 }, #{ from: 5.0, to: 9.0, count: 1 }]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn histogram(ctx: NativeCallContext, values: Array, bins: i64) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "histogram", &values, 1))?;
        let bins = ctx.check(within(&ctx, "bins", &bins.into(), 1.0, 1000.0))?;
        let bins = describe::histogram(&numbers, bins as usize);
        let bin = |bin: describe::Bin| {
            fields([
                ("from", bin.from.into()),
                ("to", bin.to.into()),
                ("count", (bin.count as i64).into()),
            ])
        };
        Ok(Dynamic::from_array(bins.into_iter().map(bin).collect()))
    }

    /// Returns the mean of each number and those before it, `window` in all, as an array of the same length. The first
    /// have fewer before them, and are the mean of those there are.
    ///
    /// - `values`: numbers in order.
    /// - `window`: 1 to 10,000.
    ///
    /// Errors: `STATS_NOT_A_NUMBER`, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let smooth = stats::moving_average([2, 4, 6, 8], 2); // => [2.0, 3.0, 5.0, 7.0]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn moving_average(ctx: NativeCallContext, values: Array, window: i64) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "moving_average", &values, 0))?;
        let window = ctx.check(within(&ctx, "window", &window.into(), 1.0, 10_000.0))?;
        Ok(floats(series::moving_average(&numbers, window as usize)))
    }

    /// Returns the exponential moving average at each number, as an array of the same length: the last ones count most.
    ///
    /// Formula: e₀ = x₀, eₜ = α × xₜ + (1 − α) × eₜ₋₁ with α = 2 ÷ (span + 1).
    ///
    /// - `values`: numbers in order.
    /// - `span`: about how many numbers count, 1 to 10,000.
    ///
    /// Errors: `STATS_NOT_A_NUMBER`, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let smooth = stats::ema([10, 20, 20], 3); // => [10.0, 15.0, 17.5]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ema(ctx: NativeCallContext, values: Array, span: i64) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "ema", &values, 0))?;
        let span = ctx.check(within(&ctx, "span", &span.into(), 1.0, 10_000.0))?;
        Ok(floats(series::ema(&numbers, 2.0 / (span + 1.0))))
    }

    /// Returns how two rows of numbers move together: from −1.0 (opposite) over 0.0 (not at all) to 1.0; `()` when one of
    /// them does not move.
    ///
    /// Formula: Pearson's coefficient.
    ///
    /// - `a`, `b`: of the same length, at least two numbers each.
    ///
    /// Errors: `STATS_TOO_FEW`, `STATS_LENGTHS` when they differ in length, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let together = stats::correlation([1, 2, 3], [20, 40, 60]); // => 1.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn correlation(ctx: NativeCallContext, a: Array, b: Array) -> ScriptResult {
        let (a, b) = ctx.check(pairs(&ctx, "correlation", &a, &b))?;
        Ok(series::correlation(&a, &b).map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// Returns the straight line that fits numbers in order best: `#{ slope, intercept, r2, next }`.
    ///
    /// `slope` is the change per step, `intercept` the line's value at the first number, `next` at the one after the last;
    /// `r2` says how much of the movement the line explains, from 0.0 to 1.0 (1.0 also when nothing moves).
    ///
    /// Formula: least squares over the places 0, 1, 2, …
    ///
    /// - `values`: at least two numbers.
    ///
    /// Errors: `STATS_TOO_FEW`, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let line = stats::trend([10, 20, 30]); // => #{ slope: 10.0, intercept: 10.0, r2: 1.0, next: 40.0 }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn trend(ctx: NativeCallContext, values: Array) -> ScriptResult {
        let numbers = ctx.check(numbers(&ctx, "trend", &values, 2))?;
        let line = series::trend(&numbers);
        Ok(fields([
            ("slope", line.slope.into()),
            ("intercept", line.intercept.into()),
            ("r2", line.r2.into()),
            ("next", line.at(numbers.len() as f64).into()),
        ]))
    }

    /// Returns the range in which the mean of what was sampled lies with 95 % confidence: `#{ mean, low, high, level }`.
    ///
    /// Formula: mean ± t × stddev ÷ √n with Student's t of n − 1 degrees of freedom. It supposes independent numbers, and
    /// for few of them that they are spread like a bell.
    ///
    /// - `values`: at least two numbers.
    ///
    /// Errors: `STATS_TOO_FEW`, `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let mean = stats::confidence([9, 10, 11, 10, 10]);
    /// log::info(`between ${mean.low} and ${mean.high}`);
    /// mean.mean // => 10.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn confidence(ctx: NativeCallContext, values: Array) -> ScriptResult {
        confident(&ctx, &values, LEVEL)
    }

    /// Returns the range in which the mean of what was sampled lies with a chosen confidence.
    ///
    /// - `values`: at least two numbers; see `confidence` without a level.
    /// - `level`: 0.5 to 0.9999.
    ///
    /// Errors: `STATS_TOO_FEW`, `STATS_NOT_A_NUMBER`, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let mean = stats::confidence([9, 10, 11, 10, 10], 0.99);
    /// mean.level // => 0.99
    /// ```
    #[rhai_fn(name = "confidence", return_raw)]
    pub fn confidence_at(ctx: NativeCallContext, values: Array, level: f64) -> ScriptResult {
        confident(&ctx, &values, level)
    }

    /// Returns the range in which a share lies with 95 % confidence, such as that of viewers who clicked:
    /// `#{ share, low, high, level }`.
    ///
    /// Formula: Wilson's score interval (1927), which also holds for few trials and for shares near 0 and 1.
    ///
    /// - `successes`, `trials`: whole numbers, of which `successes` is not the greater; at least one trial.
    ///
    /// Errors: `STATS_TOO_FEW` without a trial, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let clicks = stats::proportion(0, 10);
    /// if clicks.high < 0.5 { log::info("fewer than half click"); }
    /// clicks.low // => 0.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn proportion(ctx: NativeCallContext, successes: i64, trials: i64) -> ScriptResult {
        share(&ctx, successes, trials, LEVEL)
    }

    /// Returns the range in which a share lies with a chosen confidence.
    ///
    /// - `successes`, `trials`: see `proportion` without a level.
    /// - `level`: 0.5 to 0.9999.
    ///
    /// Errors: `STATS_TOO_FEW` without a trial, `STATS_RANGE`.
    ///
    /// ```rhai
    /// let clicks = stats::proportion(12, 40, 0.9);
    /// clicks.share // => 0.3
    /// ```
    #[rhai_fn(name = "proportion", return_raw)]
    pub fn proportion_at(ctx: NativeCallContext, successes: i64, trials: i64, level: f64) -> ScriptResult {
        share(&ctx, successes, trials, level)
    }

    /// Returns the change from one number to another in percent: above 0.0 when `to` is the greater; `()` when `from` is 0,
    /// of which nothing is a percentage.
    ///
    /// Formula: (to − from) ÷ |from| × 100.
    ///
    /// Errors: `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let growth = stats::change(80, 100); // => 25.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn change(ctx: NativeCallContext, from: Dynamic, to: Dynamic) -> ScriptResult {
        let kind = |value: &Dynamic| ctx.engine().map_type_name(value.type_name()).to_owned();
        let from = ctx.check(number(&from, || "`from`".to_owned(), || kind(&from)))?;
        let to = ctx.check(number(&to, || "`to`".to_owned(), || kind(&to)))?;
        Ok(series::change(from, to).map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// Returns whether a number is unusual after those before it:
    /// `#{ is_anomaly, score, expected, low, high, why }`.
    ///
    /// `expected` is the median of the history; `low` and `high` bound what is usual; `score` says how far the number lies
    /// from the median, in usual distances, above 0 when it is greater; `why` says it in words. With fewer than 5 numbers of
    /// history nothing is unusual, and all but `is_anomaly` and `why` are `()`.
    ///
    /// Formula: modified z-score 0.6745 × (x − median) ÷ MAD, unusual beyond 3.5 (Iglewicz & Hoaglin 1993); MAD is the
    /// median distance from the median. Where that is 0, the mean distance × 1.2533 takes the place of MAD ÷ 0.6745; where
    /// all of the history is the same, every other number is unusual, and the score infinite. Single outliers in the
    /// history change little.
    ///
    /// - `value`: a number.
    /// - `history`: the numbers before it.
    ///
    /// Errors: `STATS_NOT_A_NUMBER`.
    ///
    /// ```rhai
    /// let views = [510, 480, 530, 495, 505, 520, 490];
    /// let today = stats::anomaly(120, views);
    /// if today.is_anomaly { log::warn(today.why); }
    /// today.expected // => 505.0
    /// ```
    #[rhai_fn(return_raw)]
    pub fn anomaly(ctx: NativeCallContext, value: Dynamic, history: Array) -> ScriptResult {
        unusual(&ctx, &value, &history, &Expectation::default())
    }

    /// Returns whether a number is unusual after those before it, with options.
    ///
    /// - `value`, `history`: see `anomaly` without options.
    /// - `options`: `threshold`, the score beyond which it is, 0.5 to 100 (preset 3.5); `direction`, what counts: `"both"`
    ///   (preset), `"above"` or `"below"`; `least`, how many numbers of history are needed, 3 to 10,000 (preset 5).
    ///
    /// Errors: `STATS_NOT_A_NUMBER`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let views = [510, 480, 530, 495, 505, 520, 490];
    /// let today = stats::anomaly(9000, views, #{ direction: "below" });
    /// today.is_anomaly // => false
    /// ```
    #[rhai_fn(name = "anomaly", return_raw)]
    pub fn anomaly_with(ctx: NativeCallContext, value: Dynamic, history: Array, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("stats::anomaly", &options))?;
        let preset = Expectation::default();
        let expectation = Expectation {
            threshold: ctx
                .check(options.float("threshold", 0.5..=100.0))?
                .unwrap_or(preset.threshold),
            direction: ctx
                .check(options.choice("direction", &Direction::CHOICES))?
                .unwrap_or(preset.direction),
            least: ctx
                .check(options.int("least", 3..=10_000))?
                .map_or(preset.least, |least| least as usize),
        };
        ctx.check(options.finish())?;
        unusual(&ctx, &value, &history, &expectation)
    }
}

fn confident(ctx: &NativeCallContext<'_>, values: &Array, level: f64) -> ScriptResult {
    let numbers = ctx.check(numbers(ctx, "confidence", values, 2))?;
    let level = ctx.check(checked_level(level))?;
    let (low, high) = interval::of_mean(&numbers, level);
    Ok(fields([
        ("mean", describe::mean(&numbers).into()),
        ("low", low.into()),
        ("high", high.into()),
        ("level", level.into()),
    ]))
}

fn share(ctx: &NativeCallContext<'_>, successes: i64, trials: i64, level: f64) -> ScriptResult {
    let level = ctx.check(checked_level(level))?;
    let range = |message: String| Err::<(), _>(Failure::new("STATS_RANGE", message));
    if trials == 0 {
        let message = "`stats::proportion` needs at least 1 trial, and there was none";
        return ctx.check(Err(Failure::new("STATS_TOO_FEW", message)));
    }
    if trials < 0 || !(0..=trials).contains(&successes) {
        ctx.check(range(format!(
            "{successes} of {trials} is no share; from 0 to all of the trials can succeed"
        )))?;
    }
    let (low, high) = interval::of_share(successes as f64, trials as f64, level);
    Ok(fields([
        ("share", (successes as f64 / trials as f64).into()),
        ("low", low.into()),
        ("high", high.into()),
        ("level", level.into()),
    ]))
}

fn checked_level(level: f64) -> Result<f64, Failure> {
    if (0.5..=0.9999).contains(&level) {
        return Ok(level);
    }
    let message = format!("the level is {level}; it must be from 0.5 to 0.9999, as 0.95 for 95 %");
    Err(Failure::new("STATS_RANGE", message))
}

fn unusual(ctx: &NativeCallContext<'_>, value: &Dynamic, history: &Array, expectation: &Expectation) -> ScriptResult {
    let kind = || ctx.engine().map_type_name(value.type_name()).to_owned();
    let value = ctx.check(number(value, || "`value`".to_owned(), kind))?;
    let history = ctx.check(numbers(ctx, "anomaly", history, 0))?;
    let found = anomaly::judge(value, history, expectation);
    let optional = |number: Option<f64>| number.map_or(Dynamic::UNIT, Dynamic::from);
    Ok(fields([
        ("is_anomaly", found.is_anomaly.into()),
        ("score", optional(found.usual.map(|usual| usual.score))),
        ("expected", optional(found.usual.map(|usual| usual.expected))),
        ("low", optional(found.usual.map(|usual| usual.low))),
        ("high", optional(found.usual.map(|usual| usual.high))),
        ("why", found.why.into()),
    ]))
}

fn fields<const N: usize>(fields: [(&str, Dynamic); N]) -> Dynamic {
    Dynamic::from_map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn floats(numbers: Vec<f64>) -> Dynamic {
    Dynamic::from_array(numbers.into_iter().map(Dynamic::from).collect())
}

/// One number of a script.
fn number(value: &Dynamic, what: impl Fn() -> String, kind: impl Fn() -> String) -> Result<f64, Failure> {
    let wrong = |is: String| Failure::new("STATS_NOT_A_NUMBER", format!("{} is {is}; a number is needed", what()));
    if let Ok(number) = value.as_int() {
        return Ok(number as f64);
    }
    match value.as_float() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(number) => Err(wrong(number.to_string())),
        Err(_) => Err(wrong(kind())),
    }
}

/// The numbers of an array, of which there must be some.
fn numbers(ctx: &NativeCallContext<'_>, function: &str, values: &Array, least: usize) -> Result<Vec<f64>, Failure> {
    if values.len() < least {
        let message = format!(
            "`stats::{function}` needs at least {least} {}, and the array has {}",
            if least == 1 { "number" } else { "numbers" },
            values.len()
        );
        return Err(Failure::new("STATS_TOO_FEW", message));
    }
    let kind = |value: &Dynamic| ctx.engine().map_type_name(value.type_name()).to_owned();
    let each = |(index, value): (usize, &Dynamic)| {
        number(
            value,
            || format!("item {index} given to `stats::{function}`"),
            || kind(value),
        )
    };
    values.iter().enumerate().map(each).collect()
}

fn pairs(ctx: &NativeCallContext<'_>, function: &str, a: &Array, b: &Array) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    if a.len() != b.len() {
        let message = format!(
            "`stats::{function}` takes arrays of the same length, and these have {} and {} items",
            a.len(),
            b.len()
        );
        return Err(Failure::new("STATS_LENGTHS", message));
    }
    Ok((numbers(ctx, function, a, 2)?, numbers(ctx, function, b, 2)?))
}

fn within(ctx: &NativeCallContext<'_>, what: &str, value: &Dynamic, low: f64, high: f64) -> Result<f64, Failure> {
    let kind = || ctx.engine().map_type_name(value.type_name()).to_owned();
    let number = number(value, || format!("`{what}`"), kind)?;
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    let message = format!("`{what}` is {number}; it must be from {low} to {high}");
    Err(Failure::new("STATS_RANGE", message))
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn refusals_name_the_function_the_place_and_what_stands_there() {
        let host = TestHost::default();
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal("stats::mean([])"),
            "STATS_TOO_FEW: `stats::mean` needs at least 1 number, and the array has 0"
        );
        assert_eq!(
            refusal("stats::median([1, 0.0 / 0.0])"),
            "STATS_NOT_A_NUMBER: item 1 given to `stats::median` is NaN; a number is needed"
        );
        assert_eq!(
            refusal(r#"stats::sum([1, "2"])"#),
            "STATS_NOT_A_NUMBER: item 1 given to `stats::sum` is string; a number is needed"
        );
        assert_eq!(
            refusal("stats::percentile([1], 101)"),
            "STATS_RANGE: `percent` is 101; it must be from 0 to 100"
        );
        assert_eq!(
            refusal("stats::correlation([1, 2], [1])"),
            "STATS_LENGTHS: `stats::correlation` takes arrays of the same length, and these have 2 and 1 items"
        );
        assert!(refusal("stats::proportion(3, 2)").starts_with("STATS_RANGE: 3 of 2 is no share"));
        assert!(refusal("stats::confidence([1, 2], 95.0)").starts_with("STATS_RANGE: the level is 95"));
        assert!(refusal(r#"stats::column([#{ a: "x" }], "a")"#).contains("`a` of row 0 is string"));
        let run = host.run("[stats::sum([]), stats::sum([9223372036854775807, 1]), stats::ema([], 3)]");
        assert_eq!(run.value().to_string(), "[0,9.223372036854776e+18,[]]");
        assert_eq!(run.journal(), "");
    }
}
