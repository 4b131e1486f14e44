//! `stats::` — numbers over whole collections. Pure: nothing is journaled.
//!
//! Every formula is stated with its function. Sums are compensated and the transcendental functions are libm's, so the
//! same numbers give the same bits everywhere. A number that is none (NaN, an infinity) is an error that names its
//! place: it would spoil every figure without a word.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`figures`], [`judging`] | the functions |
//! | [`describe`] | one array: mean, percentiles, spread, histogram |
//! | [`series`] | numbers in order: moving averages, trend, correlation |
//! | [`interval`] | how sure one can be of a mean or a share |
//! | [`anomaly`] | whether a number is unusual after those before it |

pub mod anomaly;
pub mod describe;
pub mod figures;
pub mod interval;
pub mod judging;
pub mod series;

use rhai::Array;
use rhai::plugin::*;

use self::anomaly::Expectation;
use crate::effect::Failure;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    let mut module = exported_module!(figures::functions);
    combine_with_exported_module!(&mut module, "judging", judging::functions);
    module
}

/// The level of intervals when nothing is said.
pub(crate) const LEVEL: f64 = 0.95;

pub(crate) fn confident(ctx: &NativeCallContext<'_>, values: &Array, level: f64) -> ScriptResult {
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

pub(crate) fn share(ctx: &NativeCallContext<'_>, successes: i64, trials: i64, level: f64) -> ScriptResult {
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

pub(crate) fn unusual(
    ctx: &NativeCallContext<'_>,
    value: &Dynamic,
    history: &Array,
    expectation: &Expectation,
) -> ScriptResult {
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

pub(crate) fn fields<const N: usize>(fields: [(&str, Dynamic); N]) -> Dynamic {
    Dynamic::from_map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

pub(crate) fn floats(numbers: Vec<f64>) -> Dynamic {
    Dynamic::from_array(numbers.into_iter().map(Dynamic::from).collect())
}

/// One number of a script.
pub(crate) fn number(value: &Dynamic, what: impl Fn() -> String, kind: impl Fn() -> String) -> Result<f64, Failure> {
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
pub(crate) fn numbers(
    ctx: &NativeCallContext<'_>,
    function: &str,
    values: &Array,
    least: usize,
) -> Result<Vec<f64>, Failure> {
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

pub(crate) fn pairs(
    ctx: &NativeCallContext<'_>,
    function: &str,
    a: &Array,
    b: &Array,
) -> Result<(Vec<f64>, Vec<f64>), Failure> {
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

pub(crate) fn within(
    ctx: &NativeCallContext<'_>,
    what: &str,
    value: &Dynamic,
    low: f64,
    high: f64,
) -> Result<f64, Failure> {
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
