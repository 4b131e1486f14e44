//! Numbers in order, and what can be concluded from them. The doc comments are the playbook reference.

use rhai::plugin::*;
use rhai::{Array, Map};

use super::anomaly::{Direction, Expectation};
use super::{LEVEL, confident, fields, floats, number, numbers, pairs, series, share, unusual, within};
use crate::namespaces::options::Options;
use crate::script::{ContextExt, ScriptResult};

// Rhai's macro needs the bodies inline.
#[export_module]
pub mod functions {
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
