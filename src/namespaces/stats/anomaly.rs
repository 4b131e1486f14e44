//! Whether a number is unusual after those before it. Pure.
//!
//! By median and median distance, which a few outliers in the history do not move: a week with one viral clip does not
//! make the next one look usual.

use super::describe::{mean, percentile, sorted};

/// What counts as unusual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    pub threshold: f64,
    pub direction: Direction,
    pub least: usize,
}

impl Default for Expectation {
    fn default() -> Expectation {
        Expectation {
            threshold: 3.5,
            direction: Direction::Both,
            least: 5,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Both,
    Above,
    Below,
}

impl Direction {
    pub const CHOICES: [(&'static str, Direction); 3] = [
        ("both", Direction::Both),
        ("above", Direction::Above),
        ("below", Direction::Below),
    ];
}

#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub is_anomaly: bool,
    /// `None` with too little history.
    pub usual: Option<Usual>,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    pub score: f64,
    pub expected: f64,
    pub low: f64,
    pub high: f64,
}

/// The share of a normal distribution's standard deviation that its median distance is.
const MAD_SHARE: f64 = 0.6745;
/// What makes its mean distance a standard deviation: √(π ÷ 2).
const MEAN_DISTANCE_FACTOR: f64 = 1.2533;

pub fn judge(value: f64, history: Vec<f64>, expectation: &Expectation) -> Judgement {
    let count = history.len();
    if count < expectation.least {
        return Judgement {
            is_anomaly: false,
            usual: None,
            why: format!(
                "there are {count} numbers of history, and at least {} are needed to tell",
                expectation.least
            ),
        };
    }
    let history = sorted(history);
    let expected = percentile(&history, 50.0);
    let distances: Vec<f64> = history.iter().map(|number| (number - expected).abs()).collect();
    let mean_distance = mean(&distances);
    let deviation = match percentile(&sorted(distances), 50.0) {
        0.0 => mean_distance * MEAN_DISTANCE_FACTOR,
        distance => distance / MAD_SHARE,
    };
    let off = value - expected;
    let score = match (off == 0.0, deviation == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY.copysign(off),
        (false, false) => off / deviation,
    };
    let is_beyond = score.abs() > expectation.threshold;
    let is_anomaly = is_beyond
        && match expectation.direction {
            Direction::Both => true,
            Direction::Above => off > 0.0,
            Direction::Below => off < 0.0,
        };
    let reach = expectation.threshold * deviation;
    let (low, high) = (expected - reach, expected + reach);
    let shown = |number: f64| Shown(number).to_string();
    let usual = format!(
        "{} to {} is usual after {count} numbers around {}",
        shown(low),
        shown(high),
        shown(expected)
    );
    let side = if off < 0.0 { "below" } else { "above" };
    let why = match (is_beyond, is_anomaly) {
        (false, _) => format!("{} is as expected: {usual}", shown(value)),
        (true, true) => format!("{} is unusual: it is {side} what is expected; {usual}", shown(value)),
        (true, false) => format!(
            "{} is {side} what is expected, which does not count here; {usual}",
            shown(value)
        ),
    };
    Judgement {
        is_anomaly,
        usual: Some(Usual {
            score,
            expected,
            low,
            high,
        }),
        why,
    }
}

/// A number for people: as many digits as matter.
struct Shown(f64);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = match self.0.abs() {
            size if size >= 100.0 || size == 0.0 => 0,
            size if size >= 1.0 => 2,
            _ => 4,
        };
        let text = format!("{:.digits$}", self.0);
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(value: f64, history: &[f64]) -> Judgement {
        judge(value, history.to_vec(), &Expectation::default())
    }

    #[test]
    fn one_outlier_in_the_history_hides_no_other() {
        let history = [500.0, 510.0, 490.0, 505.0, 495.0, 90_000.0, 500.0];
        let judgement = judged(2_000.0, &history);
        assert!(judgement.is_anomaly, "{judgement:?}");
        assert_eq!(
            judgement.why,
            "2000 is unusual: it is above what is expected; 474 to 526 is usual after 7 numbers around 500"
        );
        assert!(!judged(510.0, &history).is_anomaly);
        let usual = judged(510.0, &history).usual.expect("enough history");
        assert!((usual.score - 0.6745 * 10.0 / 5.0).abs() < 1e-12, "{usual:?}");
    }

    #[test]
    fn a_history_that_hardly_moves_is_judged_by_its_mean_distance() {
        let history = [5.0, 5.0, 5.0, 5.0, 5.0, 9.0];
        let usual = judged(5.5, &history).usual.expect("enough history");
        assert!(
            (usual.score - 0.5 / (4.0 / 6.0 * MEAN_DISTANCE_FACTOR)).abs() < 1e-12,
            "{usual:?}"
        );
        let same = judged(5.1, &[5.0; 5]);
        assert!(same.is_anomaly);
        assert_eq!(same.usual.expect("enough history").score, f64::INFINITY);
        assert_eq!(
            judged(5.0, &[5.0; 5]).why,
            "5 is as expected: 5 to 5 is usual after 5 numbers around 5"
        );
    }

    #[test]
    fn little_history_and_the_other_direction_are_no_anomaly_and_say_why() {
        let judgement = judged(9.0, &[1.0; 4]);
        assert_eq!((judgement.is_anomaly, judgement.usual), (false, None));
        assert_eq!(
            judgement.why,
            "there are 4 numbers of history, and at least 5 are needed to tell"
        );
        let above = Expectation {
            direction: Direction::Above,
            ..Expectation::default()
        };
        let judgement = judge(1.0, vec![9.0; 5], &above);
        assert!(!judgement.is_anomaly, "{judgement:?}");
        assert!(judge(10.0, vec![9.0; 5], &above).is_anomaly);
        let below = Expectation {
            direction: Direction::Below,
            ..Expectation::default()
        };
        let judgement = judge(9.0, vec![1.0; 5], &below);
        assert_eq!(
            (judgement.is_anomaly, judgement.why.as_str()),
            (
                false,
                "9 is above what is expected, which does not count here; 1 to 1 is usual after 5 numbers around 1"
            )
        );
    }
}
