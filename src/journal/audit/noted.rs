//! Ends of the chain that were noted outside of the store: against those who can write the store's file, nothing else helps.
//!
//! A line of such a file is a moment and a head: `2026-11-22T13:00:41.000Z 1204:7f3a…`. Lines are only added; one that a
//! crash cut off says so. A chain that
//! was cut off or written anew does not hold what was noted; one that a restore cut off says so itself, in an act that names
//! the last act of the backup.

use std::fmt;
use std::str::FromStr;

use super::look::{self, Wanted};
use super::{AuditError, Entry, Head, checkpoint, hash, row_key};
use crate::store::Store;

/// The act by which a backup becomes the store. `kept_to` among its details is the last act of the backup.
pub const RESTORED: &str = "store.restore";

/// How a line ends that was cut off and is followed by others.
pub const CUT: &str = " (cut off)\n";

/// Restores, and acts looked through for them.
const RESTORES_MAX: usize = 100;
const LOOKED_MAX: usize = 1_000_000;

/// A head, and when it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub at_ms: i64,
    pub head: Head,
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = chrono::DateTime::from_timestamp_millis(self.at_ms).unwrap_or_default();
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        write!(f, "{at} {}", self.head)
    }
}

impl FromStr for Noted {
    type Err = String;

    fn from_str(line: &str) -> Result<Noted, String> {
        let shown = || line.chars().take(90).collect::<String>();
        let form = || {
            format!(
                "{:?} is no moment and head, such as 2026-11-22T13:00:41.000Z 17:4f2a…",
                shown()
            )
        };
        let (at, head) = line.trim().split_once(' ').ok_or_else(form)?;
        let at = chrono::DateTime::parse_from_rfc3339(at).map_err(|_| form())?;
        Ok(Noted {
            at_ms: at.timestamp_millis(),
            head: head.trim().parse()?,
        })
    }
}

/// What a file says. A last line that was cut off counts as not written.
pub fn read(text: &str) -> Result<Vec<Noted>, String> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let is_whole = |line: &&str| !line.trim().is_empty() && !line.ends_with(CUT.trim_end());
    let lines = whole.lines().filter(is_whole);
    lines.map(str::parse).collect()
}

/// Whether the chain still holds what was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Yes,
    /// No, and the act with this number says that a restore cut it off.
    CutByRestore(u64),
    No,
}

pub fn holds(store: &dyn Store, noted: &Noted) -> Result<Holds, AuditError> {
    Ok(holds_each(store, std::slice::from_ref(noted))?[0])
}

/// The same for many: restores are looked for once, and only when something is missing.
pub fn holds_each(store: &dyn Store, noted: &[Noted]) -> Result<Vec<Holds>, AuditError> {
    let mut restores: Option<Vec<Entry>> = None;
    let mut found = Vec::with_capacity(noted.len());
    for noted in noted {
        if is_there(store, &noted.head)? {
            found.push(Holds::Yes);
            continue;
        }
        let restores = match &mut restores {
            Some(restores) => restores,
            none => none.insert(last_restores(store)?),
        };
        let cuts_off = |restore: &&Entry| {
            let kept_to = restore.details.get("kept_to").and_then(serde_json::Value::as_u64);
            restore.at_ms >= noted.at_ms && kept_to.is_some_and(|kept_to| kept_to < noted.head.number)
        };
        found.push(match restores.iter().find(cuts_off) {
            Some(restore) => Holds::CutByRestore(restore.number),
            None => Holds::No,
        });
    }
    Ok(found)
}

fn is_there(store: &dyn Store, head: &Head) -> Result<bool, AuditError> {
    Ok(match store.get(&row_key(head.number))? {
        Some(row) => hash(&row.value) == head.hash,
        // Taken away as too old.
        None => checkpoint(store)?.is_some_and(|begin| begin.up_to.number > head.number || begin.up_to == *head),
    })
}

/// The latest first.
fn last_restores(store: &dyn Store) -> Result<Vec<Entry>, AuditError> {
    let wanted = Wanted {
        what: Some(RESTORED.to_owned()),
        ..Wanted::default()
    };
    look::last(store, &wanted, RESTORES_MAX, LOOKED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::audit::{Act, Actor, Via, head, record};
    use crate::store::engine::Engine;
    use crate::store::{Batch, Durability};

    fn acts(store: &dyn Store, what: &str, count: u64, at_ms: i64) {
        let ann = Actor::new("ann", Via::Cli, "c");
        for _ in 0..count {
            record(store, Durability::Soon, &ann, &Act::new(what, "a"), at_ms).unwrap();
        }
    }

    fn noted(store: &dyn Store, at_ms: i64) -> Noted {
        let head = head(store).unwrap().unwrap();
        Noted { at_ms, head }
    }

    #[test]
    fn lines_are_read_as_they_are_written_and_half_a_line_is_none() {
        let store = Engine::in_memory().unwrap();
        acts(&store, "kv.set", 3, 5);
        let first = noted(&store, 1_763_683_241_007);
        acts(&store, "kv.set", 1, 6);
        let second = noted(&store, 1_763_683_242_000);
        let text = format!("{first}\n{second}\n{}", &second.to_string()[..40]);
        assert_eq!(read(&text).unwrap(), [first, second]);
        assert!(read("nonsense\n").is_err());
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_was_noted_is_held_until_the_chain_is_cut_off_or_another() {
        let store = Engine::in_memory().unwrap();
        acts(&store, "kv.set", 5, 0);
        let end = noted(&store, 10);
        acts(&store, "kv.set", 5, 20);
        assert_eq!(holds(&store, &end).unwrap(), Holds::Yes);
        let other = Engine::in_memory().unwrap();
        acts(&other, "kv.get", 10, 0);
        assert_eq!(holds(&other, &end).unwrap(), Holds::No);
        let shorter = Engine::in_memory().unwrap();
        acts(&shorter, "kv.set", 4, 0);
        assert_eq!(holds(&shorter, &end).unwrap(), Holds::No);
        assert_eq!(holds(&Engine::in_memory().unwrap(), &end).unwrap(), Holds::No);
    }

    #[test]
    fn what_was_noted_and_has_gone_by_age_is_no_fault() {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        let store = Engine::in_memory().unwrap();
        let mut all = Vec::new();
        for day in 0..4 {
            acts(&store, "kv.set", 1, day * DAY_MS);
            all.push(noted(&store, day * DAY_MS));
        }
        let ann = Actor::new("ann", Via::Cli, "c");
        let now_ms = (crate::journal::audit::KEPT_DAYS_MIN as i64 + 2) * DAY_MS;
        let pruned = crate::journal::audit::prune::prune(&store, &ann, crate::journal::audit::KEPT_DAYS_MIN, now_ms);
        assert_eq!(pruned.unwrap(), 2);
        assert_eq!(holds_each(&store, &all).unwrap(), [Holds::Yes; 4]);
        let mut other = all.swap_remove(1);
        other.head.hash = "a".repeat(64);
        assert_eq!(holds(&store, &other).unwrap(), Holds::No, "the last that went is known");
    }

    #[test]
    fn a_restore_explains_what_was_noted_before_it_and_cut_off_by_it_and_nothing_else() {
        let store = Engine::in_memory().unwrap();
        acts(&store, "kv.set", 3, 0);
        let before = Noted {
            at_ms: 10,
            head: Head {
                number: 7,
                hash: "a".repeat(64),
            },
        };
        let ann = Actor::new("ann", Via::Cli, "c");
        let act = Act::new(RESTORED, "a.backup").with("kept_to", 3);
        crate::journal::audit::commit(&store, Batch::new(), Durability::Soon, &ann, &act, 20).unwrap();
        assert_eq!(holds(&store, &before).unwrap(), Holds::CutByRestore(4));
        let later = Noted {
            at_ms: 21,
            ..before.clone()
        };
        assert_eq!(
            holds(&store, &later).unwrap(),
            Holds::No,
            "it was noted after the restore"
        );
        let kept = Noted {
            head: Head {
                number: 3,
                ..before.head
            },
            ..before
        };
        assert_eq!(holds(&store, &kept).unwrap(), Holds::No, "the backup held it");
    }
}
