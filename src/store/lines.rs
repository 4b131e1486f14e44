//! What playbooks say on the pages of a server: one line under each name, until it expires.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::keys::{self, Place, Space};
use super::{Realm, Store, StoreError, Tx};

/// Lines of a realm.
pub const LINES_MAX: usize = 200;

/// Rows that are read: those that have expired may not be cleared away yet.
const ROWS_MAX: usize = 2 * LINES_MAX;

pub const NAME_BYTES_MAX: usize = 60;
pub const TEXT_CHARS_MAX: usize = 200;

/// How long a line stays when nothing is said of that, and at most.
pub const LASTS_MS: i64 = 24 * 3_600_000;
pub const LASTS_MS_MAX: i64 = 30 * 24 * 3_600_000;

/// How much a line wants to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    #[default]
    Info,
    Good,
    Warn,
    Bad,
}

impl Level {
    pub const ALL: [(&'static str, Level); 4] = [
        ("info", Level::Info),
        ("good", Level::Good),
        ("warn", Level::Warn),
        ("bad", Level::Bad),
    ];

    pub fn as_str(self) -> &'static str {
        let word = Level::ALL.iter().find(|(_, level)| *level == self);
        word.expect("every level is in the list").0
    }
}

/// A line as its row holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub text: String,
    pub level: Level,
    /// `Some(false)`: as long as it stands, the server is not ready.
    pub ready: Option<bool>,
    /// Who said it.
    pub playbook: String,
    pub at_ms: i64,
    pub expires_ms: i64,
}

fn key(realm: Realm, name: &str) -> Vec<u8> {
    keys::named(Space::Line, &[&realm.to_string(), name])
}

/// Puts `line` under `name`, in place of what was there.
pub fn put(tx: &mut Tx<'_>, name: &str, line: &Line) -> Result<(), StoreError> {
    let key = key(tx.realm, name);
    let before = tx.get(&key)?;
    if before.is_none() {
        make_room(tx)?;
    }
    tx.unchanged(&key, before.as_ref());
    tx.batch
        .put(key, rmp_serde::to_vec_named(line).expect("it is plain data"));
    Ok(())
}

/// Forgets what expired, where there are many; refused when all that is there still stands.
fn make_room(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let (realm, now_ms) = (tx.realm, tx.now_ms);
    let rows = tx.scan(range(realm), ROWS_MAX, false)?;
    if rows.len() < LINES_MAX {
        return Ok(());
    }
    let mut left = rows.len();
    for (key, row) in rows {
        if read(&row.value)?.expires_ms <= now_ms {
            tx.batch.delete(key);
            left -= 1;
        }
    }
    if left < LINES_MAX {
        return Ok(());
    }
    let reason = format!("there are {LINES_MAX} lines; clear some, or say several things in one");
    Err(StoreError::Refused {
        code: "LINE_LIMIT",
        reason,
    })
}

/// Takes the line under `name` away; whether there was one.
pub fn remove(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    let key = key(tx.realm, name);
    let before = tx.get(&key)?;
    tx.unchanged(&key, before.as_ref());
    let stands = match &before {
        Some(row) => read(&row.value)?.expires_ms > tx.now_ms,
        None => false,
    };
    if before.is_some() {
        tx.batch.delete(key);
    }
    Ok(stands)
}

/// The lines of `realm` that have not expired, by name.
pub fn standing(store: &dyn Store, realm: Realm, now_ms: i64) -> Result<Vec<(String, Line)>, StoreError> {
    let mut found = Vec::new();
    for (key, row) in store.scan(range(realm), ROWS_MAX, false)? {
        let line = read(&row.value)?;
        if let Some(Place::Named { names, .. }) = keys::parse(&key)
            && let Some(name) = names.into_iter().nth(1)
            && line.expires_ms > now_ms
        {
            found.push((name, line));
        }
    }
    Ok(found)
}

fn range(realm: Realm) -> super::KeyRange {
    keys::prefix_range(keys::named(Space::Line, &[&realm.to_string()]))
}

fn read(value: &[u8]) -> Result<Line, StoreError> {
    rmp_serde::from_slice(value).map_err(|error| StoreError::corrupt(Path::new("line"), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_ground::{ground, transact};

    fn line(text: &str, expires_ms: i64) -> Line {
        Line {
            text: text.to_owned(),
            level: Level::Info,
            ready: None,
            playbook: "p".to_owned(),
            at_ms: 0,
            expires_ms,
        }
    }

    #[test]
    fn a_line_stands_until_it_expires_is_replaced_or_taken_away() {
        let ground = ground(&[]);
        let put = |at, name: &str, expires_ms| transact(&ground, at, |tx| put(tx, name, &line(name, expires_ms)));
        put(0, "a", 10).unwrap();
        put(0, "b", 100).unwrap();
        let realm = transact(&ground, 0, |tx| Ok(tx.realm)).unwrap();
        let names = |now_ms| {
            let standing = standing(&*ground.store, realm, now_ms).unwrap();
            standing.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(9), ["a", "b"]);
        assert_eq!(names(10), ["b"]);
        assert!(!transact(&ground, 10, |tx| remove(tx, "a")).unwrap(), "it had expired");
        assert!(transact(&ground, 10, |tx| remove(tx, "b")).unwrap());
        assert_eq!(names(10), Vec::<String>::new());
        let other = if realm == Realm::Dry { Realm::Live } else { Realm::Dry };
        assert!(standing(&*ground.store, other, 0).unwrap().is_empty());
    }

    #[test]
    fn there_are_so_many_and_those_that_have_expired_make_room() {
        let ground = ground(&[]);
        let put = |at, name: &str| transact(&ground, at, |tx| put(tx, name, &line(name, 1_000)));
        for number in 0..LINES_MAX {
            put(0, &format!("{number:03}")).unwrap();
        }
        assert_eq!(put(0, "more").unwrap_err().code(), "LINE_LIMIT");
        put(0, "007").unwrap();
        put(1_000, "more").unwrap();
    }
}
