//! Acts as people read them: the last ones, or all in order, by who, what and to what.

use std::ops::Bound;

use super::{AuditError, Entry, row_key};
use crate::store::{Store, StoreError};

/// Rows read at a time.
pub(super) const ROWS_AT_ONCE: usize = 1000;

/// Which acts are meant.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub who: Option<String>,
    /// An act, or the beginning of several: `run.` for all that is done to runs.
    pub what: Option<String>,
    pub target: Option<String>,
    /// From this moment on.
    pub since_ms: Option<i64>,
    /// Only those with a smaller number: where the page before ended.
    pub before: Option<u64>,
}

impl Wanted {
    pub fn fits(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.who, &entry.who)
            && is(&self.target, &entry.target)
            && self.what.as_deref().is_none_or(|what| entry.what.starts_with(what))
            && self.since_ms.is_none_or(|since_ms| entry.at_ms >= since_ms)
    }
}

/// The act that `line` tells of.
pub fn read(line: &[u8]) -> Result<Entry, AuditError> {
    serde_json::from_slice(line).map_err(|error| AuditError::Form(error.to_string()))
}

/// The last acts that are meant, the latest first, `limit` at most; at most `looked_max` acts are looked at.
pub fn last(store: &dyn Store, wanted: &Wanted, limit: usize, looked_max: usize) -> Result<Vec<Entry>, AuditError> {
    Ok(last_from(store, wanted, limit, looked_max)?.entries)
}

/// What a look at the last acts found.
pub struct Looked {
    pub entries: Vec<Entry>,
    /// Where it went no further, though there are older acts: those with a smaller number were not looked at.
    pub stopped_at: Option<u64>,
}

/// The same, with where it stopped.
pub fn last_from(store: &dyn Store, wanted: &Wanted, limit: usize, looked_max: usize) -> Result<Looked, AuditError> {
    let mut found = Vec::new();
    let mut high = wanted.before.unwrap_or(u64::MAX);
    let mut looked = 0;
    let mut stopped_at = None;
    while found.len() < limit {
        let range = (Bound::Included(row_key(0)), Bound::Excluded(row_key(high)));
        let rows = store.scan(range, ROWS_AT_ONCE.min(looked_max - looked).max(1), true)?;
        let Some(lowest) = rows.last() else { break };
        if looked >= looked_max {
            stopped_at = Some(high);
            break;
        }
        looked += rows.len();
        high = read(&lowest.1.value)?.number;
        for (_, row) in &rows {
            let entry = read(&row.value)?;
            if wanted.fits(&entry) && found.len() < limit {
                found.push(entry);
            }
        }
    }
    Ok(Looked {
        entries: found,
        stopped_at,
    })
}

/// Shows every line from number `first` on, in order, as it is stored.
pub fn lines(
    store: &dyn Store,
    first: u64,
    show: &mut dyn FnMut(&[u8]) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut low = Bound::Included(row_key(first));
    loop {
        let rows = store.scan((low, Bound::Included(row_key(u64::MAX))), ROWS_AT_ONCE, false)?;
        for (_, row) in &rows {
            show(&row.value)?;
        }
        match rows.into_iter().nth(ROWS_AT_ONCE - 1) {
            Some((last, _)) => low = Bound::Excluded(last),
            None => return Ok(()),
        }
    }
}

/// The line of the first act that is kept.
pub(super) fn first(store: &dyn Store) -> Result<Option<Vec<u8>>, StoreError> {
    let range = (Bound::Included(row_key(0)), Bound::Included(row_key(u64::MAX)));
    let rows = store.scan(range, 1, false)?;
    Ok(rows.into_iter().next().map(|(_, row)| row.value))
}
