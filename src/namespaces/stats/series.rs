//! Numbers in order. Pure; every number is finite.

use super::describe::{mean, sum};

/// The mean of each number and those before it, at most `window` in all.
pub fn moving_average(numbers: &[f64], window: usize) -> Vec<f64> {
    // Running sums with what they lose, so that a large number leaves no trace when it has left the window.
    let (mut running, mut lost) = (0.0, 0.0);
    let mut add = |number: f64| {
        let next: f64 = running + number;
        lost += if f64::abs(running) >= number.abs() {
            (running - next) + number
        } else {
            (number - next) + running
        };
        running = next;
        running + lost
    };
    let mut averages = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let mut total = add(*number);
        if let Some(left) = at.checked_sub(window) {
            total = add(-numbers[left]);
        }
        averages.push(total / (at + 1).min(window) as f64);
    }
    averages
}

pub fn ema(numbers: &[f64], alpha: f64) -> Vec<f64> {
    let next = |last: &mut Option<f64>, number: &f64| {
        let smooth = last.map_or(*number, |last| alpha * number + (1.0 - alpha) * last);
        *last = Some(smooth);
        Some(smooth)
    };
    numbers.iter().scan(None, next).collect()
}

/// Pearson's coefficient; `None` when one of the two does not move.
pub fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |f: &dyn Fn(f64, f64) -> f64| {
        let products: Vec<f64> = a.iter().zip(b).map(|(a, b)| f(a - mean_a, b - mean_b)).collect();
        sum(&products)
    };
    let (together, spread_a, spread_b) = (product(&|a, b| a * b), product(&|a, _| a * a), product(&|_, b| b * b));
    if spread_a == 0.0 || spread_b == 0.0 {
        return None;
    }
    let squared = spread_a * spread_b;
    // The product of the two may be too large or too small for a number; of each root on its own it is not.
    let spread = if squared.is_normal() {
        squared.sqrt()
    } else {
        spread_a.sqrt() * spread_b.sqrt()
    };
    Some((together / spread).clamp(-1.0, 1.0))
}

/// A straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub slope: f64,
    pub intercept: f64,
    pub r2: f64,
}

impl Line {
    pub fn at(self, place: f64) -> f64 {
        self.intercept + self.slope * place
    }
}

/// Least squares over the places 0, 1, 2, …
pub fn trend(numbers: &[f64]) -> Line {
    let middle = (numbers.len() as f64 - 1.0) / 2.0;
    let mean = mean(numbers);
    let places = || (0..numbers.len()).map(|place| place as f64 - middle);
    let products: Vec<f64> = places().zip(numbers).map(|(x, y)| x * (y - mean)).collect();
    let squares: Vec<f64> = places().map(|x| x * x).collect();
    let around: Vec<f64> = numbers.iter().map(|y| (y - mean) * (y - mean)).collect();
    let (together, spread, movement) = (sum(&products), sum(&squares), sum(&around));
    let slope = together / spread;
    Line {
        slope,
        intercept: mean - slope * middle,
        r2: if movement == 0.0 {
            1.0
        } else {
            (slope * together / movement).clamp(0.0, 1.0)
        },
    }
}

/// In percent of the first.
pub fn change(from: f64, to: f64) -> Option<f64> {
    (from != 0.0).then(|| (to - from) / from.abs() * 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_that_has_left_the_window_leaves_no_trace() {
        assert_eq!(moving_average(&[1e16, 1.0, 2.0, 3.0], 2), [1e16, 5e15, 1.5, 2.5]);
        assert_eq!(moving_average(&[1.0, 3.0], 10), [1.0, 2.0]);
    }

    /// Anscombe's first quartet, whose figures are in every textbook.
    #[test]
    fn the_textbooks_figures_come_out() {
        let y = [4.26, 5.68, 7.24, 4.82, 6.95, 8.81, 8.04, 8.33, 10.84, 7.58, 9.96];
        let x: Vec<f64> = (4..15).map(f64::from).collect();
        let line = trend(&y);
        assert!((line.slope - 0.500_090_909).abs() < 1e-9, "{line:?}");
        assert!((line.at(-4.0) - 3.000_090_909).abs() < 1e-9, "{line:?}");
        assert!((correlation(&x, &y).unwrap() - 0.816_420_516_345).abs() < 1e-9);
        assert!((line.r2 - 0.666_542_459_508).abs() < 1e-9, "{line:?}");
        assert_eq!(correlation(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(
            trend(&[5.0, 5.0]),
            Line {
                slope: 0.0,
                intercept: 5.0,
                r2: 1.0
            }
        );
        assert_eq!((change(-50.0, 50.0), change(0.0, 1.0)), (Some(200.0), None));
    }

    proptest! {
        #[test]
        fn a_moving_average_is_that_of_a_naive_loop(numbers in proptest::collection::vec(-1e3_f64..1e3, 0..40), window in 1_usize..10) {
            for (at, average) in moving_average(&numbers, window).into_iter().enumerate() {
                let part = &numbers[(at + 1).saturating_sub(window)..=at];
                prop_assert!((average - part.iter().sum::<f64>() / part.len() as f64).abs() < 1e-9);
            }
        }
    }
}
