//! The scale beside a chart: round numbers that hold all of its values. Pure.

/// From `low` to `high` in equal steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    pub step: f64,
}

impl Scale {
    /// A scale of about `ticks` steps; from zero where lengths are compared, or where zero is near.
    pub fn of(values: impl Iterator<Item = f64>, from_zero: bool, ticks: usize) -> Scale {
        // Beyond, differences between numbers are no numbers.
        const MOST: f64 = 1e300;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value.clamp(-MOST, MOST)), high.max(value.clamp(-MOST, MOST)));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let is_near = |near: f64, far: f64| near > 0.0 && near < far * 0.6;
        if from_zero || is_near(low, high) || is_near(-high, -low) {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high - low <= high.abs().max(low.abs()) * 1e-12 {
            let around = if high == 0.0 { 1.0 } else { high.abs() * 0.5 };
            (low, high) = (low - around, high + around);
        }
        let step = round_up((high - low) / ticks as f64);
        Scale {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    pub fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round().clamp(1.0, 50.0) as i32;
        // By multiplication: sums would drift from the round numbers.
        let first = (self.low / self.step).round();
        (0..=count)
            .map(|tick| (first + f64::from(tick)) * self.step + 0.0)
            .collect()
    }

    /// How far up a value lies.
    pub fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    pub fn nearest_to_zero(&self) -> f64 {
        0.0_f64.clamp(self.low, self.high)
    }
}

/// The next of 1, 2, 2.5 and 5 times a power of ten.
fn round_up(step: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(step.max(1e-299))));
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A number of a scale for people: `1,500`, `20k`, `1.5M`, `0.25`.
pub fn shown(number: f64, step: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
    let size = number.abs();
    if size >= 1e15 || (size > 0.0 && step < 1e-6) {
        return format!("{number:.1e}");
    }
    let unit = UNITS
        .into_iter()
        .find(|(unit, _)| size >= unit * if *unit < 1e6 { 10.0 } else { 1.0 });
    let (unit, letter) = unit.unwrap_or((1.0, ""));
    let (number, step) = (number / unit, step / unit);
    let digits = (0..8).find(|digits| {
        let scaled = step * libm::pow(10.0, f64::from(*digits));
        (scaled - scaled.round()).abs() < 1e-6
    });
    let text = format!("{number:.*}", digits.unwrap_or(8) as usize);
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("−", whole));
    let grouped = crate::digits::grouped(whole.parse().unwrap_or(0));
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{rest}{letter}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scales_have_round_numbers() {
        let ticks = |values: &[f64], from_zero| {
            let scale = Scale::of(values.iter().copied(), from_zero, 5);
            scale
                .ticks()
                .into_iter()
                .map(|tick| shown(tick, scale.step))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(ticks(&[3.0, 97.0], true), "0 20 40 60 80 100");
        assert_eq!(ticks(&[120.0, 4_800.0], true), "0 1,000 2,000 3,000 4,000 5,000");
        assert_eq!(ticks(&[1_200_000.0, 2_900_000.0], true), "0 1M 2M 3M");
        assert_eq!(ticks(&[42_000.0], true), "0 10k 20k 30k 40k 50k");
        assert_eq!(ticks(&[0.21, 0.24], false), "0.21 0.22 0.23 0.24");
        assert_eq!(ticks(&[-3.0, 5.0], true), "−4 −2 0 2 4 6");
        assert_eq!(ticks(&[7.0], false), "2 4 6 8 10 12");
        assert_eq!(ticks(&[], false), "0 0.2 0.4 0.6 0.8 1");
    }

    proptest! {
        #[test]
        fn all_values_lie_on_their_scale(values in proptest::collection::vec(-1e9_f64..1e9, 1..20), from_zero: bool) {
            let scale = Scale::of(values.iter().copied(), from_zero, 5);
            let slack = scale.step * 1e-6;
            prop_assert!(values.iter().all(|value| *value >= scale.low - slack && *value <= scale.high + slack), "{scale:?}");
            prop_assert!((2..=15).contains(&scale.ticks().len()), "{scale:?}");
        }
    }
}
