//! What became of deliveries, counted by playbook; and how often the log tells of those that were refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the log tells of what one webhook refuses, whoever sends however much.
const TELLS_EVERY: Duration = Duration::from_secs(10);

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Taken,
    Repeated,
    Challenged,
    Forged,
    Late,
    NoId,
    /// Another body came under its id.
    Other,
    /// It could not be verified.
    Unready,
}

impl Fate {
    pub const ALL: [Fate; 8] = [
        Fate::Taken,
        Fate::Repeated,
        Fate::Challenged,
        Fate::Forged,
        Fate::Late,
        Fate::NoId,
        Fate::Other,
        Fate::Unready,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Taken => "taken",
            Fate::Repeated => "repeated",
            Fate::Challenged => "challenged",
            Fate::Forged => "forged",
            Fate::Late => "late",
            Fate::NoId => "no_id",
            Fate::Other => "id_reused",
            Fate::Unready => "unready",
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Told {
    counts: [u64; Fate::ALL.len()],
    /// When the log told of it, and how often it has not since.
    at: Option<Duration>,
    untold: u64,
}

/// By playbook: there are as many as have a webhook, or had one.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<String, Told>>);

impl Tally {
    pub fn count(&self, playbook: &str, fate: Fate) {
        let mut all = self.lock();
        // Made once; the name is not copied for each delivery.
        if !all.contains_key(playbook) {
            all.insert(playbook.to_owned(), Told::default());
        }
        if let Some(told) = all.get_mut(playbook) {
            told.counts[fate as usize] += 1;
        }
    }

    /// Whether the log may tell of a refusal now, and of how many it did not since it did last.
    pub fn may_tell(&self, playbook: &str, now: Duration) -> Option<u64> {
        let mut all = self.lock();
        let told = all.entry(playbook.to_owned()).or_default();
        if told.at.is_some_and(|at| now.saturating_sub(at) < TELLS_EVERY) {
            told.untold += 1;
            return None;
        }
        told.at = Some(now);
        Some(std::mem::take(&mut told.untold))
    }

    /// How many there were of each fate, by playbook.
    pub fn all(&self) -> Vec<(String, [u64; Fate::ALL.len()])> {
        let all = self.lock();
        all.iter()
            .map(|(playbook, told)| (playbook.clone(), told.counts))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_forgeries_is_counted_and_told_of_now_and_then() {
        let tally = Tally::default();
        let told: Vec<Option<u64>> = (0..30)
            .map(|second| tally.may_tell("a", Duration::from_secs(second)))
            .collect();
        assert_eq!(told.iter().flatten().collect::<Vec<_>>(), [&0, &9, &9]);
        assert_eq!(tally.may_tell("b", Duration::ZERO), Some(0));
        for fate in Fate::ALL {
            tally.count("a", fate);
        }
        tally.count("a", Fate::Forged);
        let (_, counts) = tally.all().swap_remove(0);
        assert_eq!(counts, [1, 1, 1, 2, 1, 1, 1, 1]);
    }
}
