//! Figures of one array. The doc comments are the playbook reference.

use rhai::Array;
use rhai::plugin::*;

use super::{describe, fields, number, numbers, within};
use crate::effect::Failure;
use crate::script::{ContextExt, ScriptResult};

// Rhai's macro needs the bodies inline.
#[export_module]
pub mod functions {
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
    /// views.median; // => 200.0
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
}
