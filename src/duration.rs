//! Lengths of time as people write and read them: `90s`, `45m`, `2h`, `1d12h`, `250ms`.

use std::time::Duration;

/// The text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no length of time: write for instance \"250ms\", \"90s\", \"45m\", \"2h\" or \"1d12h\", up to 3650 days"
)]
pub struct BadDuration(String);

const DAY_MS: u64 = 86_400_000;
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];
const MAX_MS: u64 = 3650 * DAY_MS;

/// Reads a length of time.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.chars().take(40).collect());
    let mut rest = text.trim();
    let mut total_ms = 0u64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(bad)?;
        let letters = rest[digits..]
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len() - digits);
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit = rest[digits..digits + letters].trim();
        let (_, unit_ms) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        total_ms = number
            .checked_mul(unit_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .ok_or_else(bad)?;
        rest = &rest[digits + letters..];
    }
    if total_ms > MAX_MS {
        return Err(bad());
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes milliseconds for people: `3 ms`, `2.4 s`, `1 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub fn for_people(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        3_600_000..DAY_MS => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d {} h", ms / DAY_MS, ms / 3_600_000 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_nonsense_is_refused() {
        assert_eq!(parse("1d12h"), Ok(Duration::from_secs(36 * 3600)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1 h"), Ok(Duration::from_secs(3600)));
        for nonsense in [
            "",
            "h",
            "5",
            "5y",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615d",
            "3651d",
            "1é",
        ] {
            assert!(parse(nonsense).is_err(), "{nonsense}");
        }
    }
}
