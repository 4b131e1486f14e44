//! What is to be said of one array of numbers. Pure; every number is finite.

/// The compensated sum (Neumaier 1974).
pub fn sum(numbers: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for number in numbers {
        let next = sum + number;
        lost += if sum.abs() >= number.abs() {
            (sum - next) + number
        } else {
            (number - next) + sum
        };
        sum = next;
    }
    // Beyond the largest number, what was lost is no number either.
    if sum.is_finite() { sum + lost } else { sum }
}

pub fn mean(numbers: &[f64]) -> f64 {
    sum(numbers) / numbers.len() as f64
}

/// Of a sample: n − 1.
pub fn stddev(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    let squares: Vec<f64> = numbers.iter().map(|number| (number - mean) * (number - mean)).collect();
    (sum(&squares) / (numbers.len() as f64 - 1.0)).sqrt()
}

pub fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers
}

/// Linear between neighbours, at place (n − 1) × percent ÷ 100.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * percent / 100.0;
    let below = place.floor();
    let (low, high) = (sorted[below as usize], sorted[place.ceil() as usize]);
    let share = place - below;
    // Not `low + (high - low) * share`, whose difference may be too large for a number.
    if share == 0.0 {
        low
    } else {
        low * (1.0 - share) + high * share
    }
}

/// Where the first number stands before which no other `comes`.
pub fn place_of(numbers: &[f64], comes: impl Fn(f64, f64) -> bool) -> usize {
    let before = |best: usize, place: usize| {
        if comes(numbers[place], numbers[best]) {
            place
        } else {
            best
        }
    };
    (0..numbers.len()).fold(0, before)
}

/// One range of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub count: usize,
}

/// Ranges of equal width from the least to the greatest.
pub fn histogram(numbers: &[f64], bins: usize) -> Vec<Bin> {
    let least = numbers[place_of(numbers, |a, b| a < b)];
    let greatest = numbers[place_of(numbers, |a, b| a > b)];
    let bins = if least == greatest { 1 } else { bins };
    let edge = |bin: usize| {
        let share = bin as f64 / bins as f64;
        if bin == bins {
            greatest
        } else {
            least * (1.0 - share) + greatest * share
        }
    };
    let edges: Vec<f64> = (0..=bins).map(edge).collect();
    let mut counts = vec![0; bins];
    for number in numbers {
        // The edges decide, not a division that rounds otherwise.
        let bin = edges.partition_point(|edge| edge <= number).saturating_sub(1);
        counts[bin.min(bins - 1)] += 1;
    }
    let bin = |(count, edges): (usize, &[f64])| Bin {
        from: edges[0],
        to: edges[1],
        count,
    };
    counts.into_iter().zip(edges.windows(2)).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_numbers_are_not_lost_beside_large_ones() {
        assert_eq!(sum(&[1e16, 1.0, -1e16]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
    }

    /// The figures of R: `quantile(c(1, 2, 4, 8), c(.1, .5, .9))` and `sd(c(1, 2, 4, 8))`.
    #[test]
    fn percentiles_and_spread_are_those_of_r() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(percentile(&sorted, 10.0), 1.3);
        close(percentile(&sorted, 50.0), 3.0);
        close(percentile(&sorted, 90.0), 6.8);
        close(stddev(&sorted), 3.095_695_936_834_452);
        assert_eq!(percentile(&[7.0], 33.0), 7.0);
        assert_eq!(percentile(&[-f64::MAX, f64::MAX], 50.0), 0.0);
    }

    #[test]
    fn numbers_on_an_edge_count_once() {
        let bins = histogram(&[0.0, 1.0, 2.0, 3.0], 3);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [1, 1, 2]);
        assert_eq!(
            histogram(&[5.0, 5.0], 10),
            [Bin {
                from: 5.0,
                to: 5.0,
                count: 2
            }]
        );
    }

    proptest! {
        #[test]
        fn every_number_is_in_one_bin_and_percentiles_rise(numbers in proptest::collection::vec(-1e6_f64..1e6, 1..50), bins in 1_usize..20) {
            let found = histogram(&numbers, bins);
            prop_assert_eq!(found.iter().map(|bin| bin.count).sum::<usize>(), numbers.len());
            for bin in &found {
                let inside = numbers.iter().filter(|number| **number >= bin.from && **number < bin.to).count();
                prop_assert!(bin.count >= inside);
            }
            let sorted = sorted(numbers.clone());
            let percents: Vec<f64> = (0..=20).map(|step| percentile(&sorted, f64::from(step) * 5.0)).collect();
            prop_assert!(percents.windows(2).all(|two| two[0] <= two[1] + 1e-6));
            prop_assert!((sum(&numbers) - numbers.iter().sum::<f64>()).abs() < 1e-6);
        }
    }
}
