//! How sure one can be of a mean or a share. Pure.
//!
//! The quantiles are found by halving: fifty steps on a function that only rises, the same on every platform.

use super::describe::{mean, stddev};

/// mean ± t × stddev ÷ √n, with Student's t.
pub fn of_mean(numbers: &[f64], level: f64) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = mean(numbers);
    let reach = student(0.5 + level / 2.0, count - 1.0) * stddev(numbers) / count.sqrt();
    (mean - reach, mean + reach)
}

/// Wilson's score interval (1927).
pub fn of_share(successes: f64, trials: f64, level: f64) -> (f64, f64) {
    let z = normal(0.5 + level / 2.0);
    let (share, z2) = (successes / trials, z * z);
    let middle = (share + z2 / (2.0 * trials)) / (1.0 + z2 / trials);
    let reach = z / (1.0 + z2 / trials) * (share * (1.0 - share) / trials + z2 / (4.0 * trials * trials)).sqrt();
    // At the ends the formula gives 0 and 1 but for a rounding.
    let low = if successes == 0.0 {
        0.0
    } else {
        (middle - reach).max(0.0)
    };
    let high = if successes == trials {
        1.0
    } else {
        (middle + reach).min(1.0)
    };
    (low, high)
}

/// The number below which a share of the standard normal distribution lies; from one half on.
fn normal(share: f64) -> f64 {
    let below = |z: f64| 0.5 * libm::erfc(-z / core::f64::consts::SQRT_2);
    invert(below, share, 40.0)
}

/// The same of Student's distribution.
fn student(share: f64, freedom: f64) -> f64 {
    let below = |t: f64| 1.0 - 0.5 * incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    // With one degree of freedom, tails are long: tan(π × 0.49995) is about 6,400.
    invert(below, share, 1e5)
}

/// Where a rising function has the value `wanted`, from 0 to `most`.
fn invert(function: impl Fn(f64) -> f64, wanted: f64, most: f64) -> f64 {
    let (mut low, mut high) = (0.0, most);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if function(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The regularised incomplete beta function (DLMF 8.17), by its continued fraction (DLMF 8.17.22).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let ln_front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    // The fraction converges quickly on this side of the peak, and by symmetry on the other.
    if x < (a + 1.0) / (a + b + 2.0) {
        libm::exp(ln_front) * fraction(x, a, b) / a
    } else {
        1.0 - libm::exp(ln_front) * fraction(1.0 - x, b, a) / b
    }
}

/// Evaluated as Lentz described.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let not_zero = |number: f64| if number.abs() < TINY { TINY } else { number };
    let mut c = 1.0;
    let mut d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = value;
        for term in [even, odd] {
            d = 1.0 / not_zero(1.0 + term * d);
            c = not_zero(1.0 + term / c);
            value *= c * d;
        }
        if (value - before).abs() < 1e-15 * value.abs() {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() < by, "{found} is not {wanted}");
    }

    /// From the tables in every textbook, and R's `qt` and `qnorm`.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        close(student(0.975, 1.0), 12.706_204_736, 1e-8);
        close(student(0.975, 4.0), 2.776_445_105, 1e-8);
        close(student(0.975, 30.0), 2.042_272_456, 1e-8);
        close(student(0.995, 10.0), 3.169_272_667, 1e-8);
        close(student(0.975, 9_999.0), 1.960_201_264, 1e-7);
        close(normal(0.975), 1.959_963_985, 1e-9);
        close(normal(0.5), 0.0, 1e-9);
    }

    /// 12 of 40 at 95 %, from the formula by hand.
    #[test]
    fn wilsons_interval_is_that_of_the_formula() {
        let (low, high) = of_share(12.0, 40.0, 0.95);
        close(low, 0.180_748_452, 1e-8);
        close(high, 0.454_300_188, 1e-8);
        assert_eq!(of_share(0.0, 10.0, 0.95).0, 0.0);
        assert_eq!(of_share(10.0, 10.0, 0.95).1, 1.0);
        close(of_share(0.0, 10.0, 0.95).1, 0.277_532_8, 1e-6);
    }

    #[test]
    fn a_mean_of_equal_numbers_is_certain() {
        assert_eq!(of_mean(&[3.0, 3.0, 3.0], 0.95), (3.0, 3.0));
        let (low, high) = of_mean(&[9.0, 10.0, 11.0, 10.0, 10.0], 0.95);
        close(low, 9.122_011, 1e-6);
        close(high, 10.877_989, 1e-6);
    }
}
