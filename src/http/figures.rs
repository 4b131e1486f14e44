//! How often what was answered, and how long it took: for metrics and status.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Names of routes that are told apart; the rest is counted as one.
const NAMES_MAX: usize = 2000;

/// Upper ends of the buckets, in microseconds.
pub const BUCKETS_US: [u64; 11] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000,
];

#[derive(Default)]
pub struct Figures {
    answered: Mutex<BTreeMap<(Arc<str>, u16), Answered>>,
    connections: Arc<AtomicUsize>,
    turned_away: AtomicU64,
}

/// Answers of one route with one status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    pub count: u64,
    pub sum_us: u64,
    /// How many took up to each of [`BUCKETS_US`], and not up to the one before.
    pub buckets: [u64; BUCKETS_US.len()],
}

impl Figures {
    pub fn answered(&self, name: &Arc<str>, status: u16, took: Duration) {
        let took_us = took.as_micros() as u64;
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.clone(), status);
        let key = match answered.len() >= NAMES_MAX && !answered.contains_key(&key) {
            true => (Arc::from("others"), status),
            false => key,
        };
        let figures = answered.entry(key).or_default();
        figures.count += 1;
        figures.sum_us = figures.sum_us.saturating_add(took_us);
        if let Some(bucket) = BUCKETS_US.iter().position(|most| took_us <= *most) {
            figures.buckets[bucket] += 1;
        }
    }

    /// By route and status.
    pub fn all(&self) -> Vec<(Arc<str>, u16, Answered)> {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let all = answered.iter();
        all.map(|((name, status), figures)| (name.clone(), *status, *figures))
            .collect()
    }

    pub fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that found all places taken.
    pub fn turned_away_count(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Connections that are there.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// While what is returned lives, a connection is there.
    pub fn connected(&self) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.connections.clone())
    }
}

pub struct Connected(Arc<AtomicUsize>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_routes_and_statuses_there_are_no_more_are_told_apart() {
        let figures = Figures::default();
        for number in 0..NAMES_MAX + 50 {
            let name: Arc<str> = Arc::from(format!("route{number}"));
            figures.answered(&name, 200, Duration::from_millis(3));
        }
        let all = figures.all();
        assert_eq!(all.len(), NAMES_MAX + 1);
        let others = all.iter().find(|(name, ..)| &**name == "others").expect("the rest");
        assert_eq!((others.2.count, others.2.buckets[3]), (50, 50));
    }
}
