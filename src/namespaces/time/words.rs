//! Lengths of time for people. Pure, and in English: what a playbook says elsewhere is its own matter.

const UNITS: [(&str, &str, u64); 5] = [
    ("day", "d", 86_400_000),
    ("hour", "h", 3_600_000),
    ("minute", "min", 60_000),
    ("second", "s", 1_000),
    ("millisecond", "ms", 1),
];

/// The two largest units of a length: `1 h 30 min`.
pub fn length(ms: u64) -> String {
    let Some(first) = UNITS.iter().position(|(.., size)| ms >= *size) else {
        return "0 s".to_owned();
    };
    let (_, short, size) = UNITS[first];
    let mut words = format!("{} {short}", ms / size);
    // Milliseconds beside seconds tell nobody anything.
    if let Some((_, short, less)) = UNITS.get(first + 1).filter(|(.., less)| *less > 1) {
        let rest = ms % size / less;
        if rest > 0 {
            words.push_str(&format!(" {rest} {short}"));
        }
    }
    words
}

/// How far a time lies from another, in its largest unit: `3 days ago`, `in 2 hours`, `now`.
pub fn distance(ms: i64) -> String {
    let size_of = |name: &str| {
        UNITS
            .iter()
            .find(|(known, ..)| *known == name)
            .map_or(1, |(.., size)| *size)
    };
    let far = ms.unsigned_abs();
    let longer = [
        ("year", 365 * size_of("day")),
        ("month", 30 * size_of("day")),
        ("week", 7 * size_of("day")),
    ];
    let units = longer
        .into_iter()
        .chain(UNITS[..4].iter().map(|(name, _, size)| (*name, *size)));
    let Some((name, size)) = units.into_iter().find(|(_, size)| far >= *size) else {
        return "now".to_owned();
    };
    let count = far / size;
    let plural = if count == 1 { "" } else { "s" };
    if ms < 0 {
        format!("{count} {name}{plural} ago")
    } else {
        format!("in {count} {name}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_two_largest_units() {
        for (ms, words) in [
            (0, "0 s"),
            (250, "250 ms"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (5_400_000, "1 h 30 min"),
            (86_400_000 + 59_000, "1 d"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(length(ms), words);
        }
    }

    #[test]
    fn distances_say_which_way() {
        for (ms, words) in [
            (0, "now"),
            (-999, "now"),
            (1_000, "in 1 second"),
            (-7_200_000, "2 hours ago"),
            (8 * 86_400_000, "in 1 week"),
            (-61 * 86_400_000, "2 months ago"),
            (800 * 86_400_000, "in 2 years"),
            (i64::MIN, "292471208 years ago"),
        ] {
            assert_eq!(distance(ms), words);
        }
    }
}
