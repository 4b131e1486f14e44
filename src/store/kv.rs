//! Key-value pairs that may expire.
//!
//! Functions over a transaction: reads see what is committed, changes go to its batch. An expired pair is gone at the
//! millisecond of its expiry, judged by the transaction's time; its row stays until it is written again or retention
//! comes by.

use super::keys::{self, Place};
use super::large::{content_of, damaged, load_bytes, store_bytes};
use super::{Row, StoreError, Tx};
use crate::value::Value;

/// The longest key, in bytes.
pub const KV_KEY_BYTES_MAX: usize = 512;

/// The largest value, encoded.
pub const KV_VALUE_BYTES_MAX: usize = 16 << 20;

/// The most pairs that one listing returns.
pub const KV_LIST_MAX: usize = 10_000;

/// How many rows a listing reads at a time.
const LIST_CHUNK: usize = 256;

const FORM: u8 = 1;
/// The form and the expiry.
pub(crate) const HEAD_BYTES: usize = 1 + 8;
const NEVER: i64 = i64::MAX;

/// The value under `key`, unless it has expired.
pub fn get(tx: &mut Tx<'_>, key: &str) -> Result<Option<Value>, StoreError> {
    Ok(read(tx, key)?.1.map(|pair| pair.value))
}

/// Stores `value` under `key`, for good or for so many milliseconds, in place of what was there.
pub fn put(tx: &mut Tx<'_>, key: &str, value: &Value, lasts_ms: Option<i64>) -> Result<(), StoreError> {
    check_key(key)?;
    let expires_ms = match lasts_ms {
        None => NEVER,
        Some(ms) if ms > 0 => tx.now_ms.saturating_add(ms),
        Some(ms) => {
            let reason = format!("{key:?} would last {ms} ms; at least 1 is needed");
            return Err(StoreError::BadQuery { reason });
        }
    };
    write(
        tx,
        key,
        &Pair {
            value: value.clone(),
            expires_ms,
        },
    )
}

/// Forgets `key`; returns whether it was there.
pub fn remove(tx: &mut Tx<'_>, key: &str) -> Result<bool, StoreError> {
    let (row, pair) = read(tx, key)?;
    let at = keys::kv(tx.realm, key);
    tx.unchanged(&at, row.as_ref());
    if row.is_some() {
        tx.batch.delete(at);
    }
    Ok(pair.is_some())
}

/// Adds `by` to the whole number under `key`, which is 0 when there is none; returns the sum. Of several at once each
/// counts. An expiry stays as it was.
pub fn increment(tx: &mut Tx<'_>, key: &str, by: i64) -> Result<i64, StoreError> {
    let (row, pair) = read(tx, key)?;
    let pair = pair.unwrap_or(Pair {
        value: Value::Int(0),
        expires_ms: NEVER,
    });
    let Value::Int(value) = pair.value else {
        return Err(StoreError::NotANumber {
            key: key.to_owned(),
            kind: pair.value.kind(),
        });
    };
    let Some(sum) = value.checked_add(by) else {
        return Err(StoreError::Overflow {
            key: key.to_owned(),
            value,
            by,
        });
    };
    tx.unchanged(&keys::kv(tx.realm, key), row.as_ref());
    write(
        tx,
        key,
        &Pair {
            value: Value::Int(sum),
            expires_ms: pair.expires_ms,
        },
    )?;
    Ok(sum)
}

/// The first `limit` pairs whose keys begin with `prefix`, in key order.
pub fn list(tx: &mut Tx<'_>, prefix: &str, limit: usize) -> Result<Vec<(String, Value)>, StoreError> {
    if limit > KV_LIST_MAX {
        let reason = format!("the limit is {limit}; at most {KV_LIST_MAX} are allowed");
        return Err(StoreError::BadQuery { reason });
    }
    let (mut low, high) = keys::prefix_range(keys::kv_prefix(tx.realm, prefix));
    let mut pairs = Vec::new();
    loop {
        let rows = tx.scan((low, high.clone()), LIST_CHUNK, false)?;
        let is_last = rows.len() < LIST_CHUNK;
        let Some((last, _)) = rows.last() else { return Ok(pairs) };
        low = std::ops::Bound::Excluded(last.clone());
        for (at, row) in rows {
            if pairs.len() == limit {
                return Ok(pairs);
            }
            let Some(Place::Kv { key, .. }) = keys::parse(&at) else {
                return Err(damaged(keys::describe(&at), "its key is unknown"));
            };
            if let Some(pair) = decode(tx, &at, &row)? {
                pairs.push((key, pair.value));
            }
        }
        if is_last {
            return Ok(pairs);
        }
    }
}

/// How far a copy has come.
#[derive(Debug, Default)]
pub struct Copying {
    after: Option<Vec<u8>>,
    pub copied: u64,
    /// Pairs that are there already, and stay as they are.
    pub kept: u64,
}

/// Looks at up to `most` pairs in the realm of `from`, and copies those that have not expired to that of `to`, each with
/// its expiry; what is there already stays unless the copy `replaces` it. Returns whether all were looked at.
pub fn copy_some(
    from: &mut Tx<'_>,
    to: &mut Tx<'_>,
    replaces: bool,
    most: usize,
    copying: &mut Copying,
) -> Result<bool, StoreError> {
    let (low, high) = keys::prefix_range(keys::kv_prefix(from.realm, ""));
    let low = copying.after.take().map_or(low, std::ops::Bound::Excluded);
    let rows = from.scan((low, high), most, false)?;
    for (at, row) in &rows {
        let Some(Place::Kv { key, .. }) = keys::parse(at) else {
            return Err(damaged(keys::describe(at), "its key is unknown"));
        };
        // Read as a whole, so that nothing damaged is carried on.
        if decode(from, at, row)?.is_none() {
            continue;
        }
        let (there, pair) = read(to, &key)?;
        if pair.is_some() && !replaces {
            copying.kept += 1;
            continue;
        }
        let target = keys::kv(to.realm, &key);
        to.unchanged(&target, there.as_ref());
        to.batch.contents.extend(content_of(&row.value[HEAD_BYTES..]));
        to.batch.put(target, row.value.clone());
        copying.copied += 1;
    }
    copying.after = rows.last().map(|(key, _)| key.clone());
    Ok(rows.len() < most)
}

struct Pair {
    value: Value,
    expires_ms: i64,
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::BadName {
            what: "key",
            name: String::new(),
            rule: "it is empty",
        });
    }
    StoreError::check_size("the key", key.len(), KV_KEY_BYTES_MAX)
}

/// The row of `key`, and its pair unless that has expired.
/// Whether the pair in this row had expired at `now_ms`: it is gone for every reader.
pub fn has_expired(row: &[u8], now_ms: i64) -> bool {
    let expiry = row.strip_prefix(&[FORM]).and_then(|rest| rest.first_chunk::<8>());
    expiry.is_some_and(|expiry| i64::from_be_bytes(*expiry) <= now_ms)
}

fn read(tx: &mut Tx<'_>, key: &str) -> Result<(Option<Row>, Option<Pair>), StoreError> {
    check_key(key)?;
    let at = keys::kv(tx.realm, key);
    let Some(row) = tx.get(&at)? else {
        return Ok((None, None));
    };
    let pair = decode(tx, &at, &row)?;
    Ok((Some(row), pair))
}

fn decode(tx: &Tx<'_>, at: &[u8], row: &Row) -> Result<Option<Pair>, StoreError> {
    let name = || keys::describe(at);
    let expiry = row
        .value
        .strip_prefix(&[FORM])
        .and_then(|rest| rest.split_first_chunk::<8>());
    let Some((expiry, held)) = expiry else {
        return Err(damaged(name(), "its form is unknown"));
    };
    let expires_ms = i64::from_be_bytes(*expiry);
    if expires_ms <= tx.now_ms {
        return Ok(None);
    }
    let bytes = load_bytes(&*tx.ground.content, held, name)?;
    let value = Value::from_bytes(&bytes).map_err(|error| damaged(name(), &error.to_string()))?;
    Ok(Some(Pair { value, expires_ms }))
}

fn write(tx: &mut Tx<'_>, key: &str, pair: &Pair) -> Result<(), StoreError> {
    let bytes = pair.value.to_bytes();
    StoreError::check_size(&format!("the value of {key:?}"), bytes.len(), KV_VALUE_BYTES_MAX)?;
    let held = store_bytes(&*tx.ground.content, &mut tx.batch, &bytes)?;
    let row = [&[FORM], pair.expires_ms.to_be_bytes().as_slice(), &held].concat();
    tx.batch.put(keys::kv(tx.realm, key), row);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::engine::Engine;
    use crate::store::large::INLINE_BYTES_MAX;
    use crate::store::test_ground::{ground, ground_on, transact};
    use crate::store::{Durability, Realm};

    #[test]
    fn a_pair_is_gone_at_the_millisecond_of_its_expiry() {
        let ground = ground(&[]);
        transact(&ground, 1000, |tx| put(tx, "token", &"a".into(), Some(500))).unwrap();
        assert_eq!(
            transact(&ground, 1499, |tx| get(tx, "token")).unwrap(),
            Some("a".into())
        );
        assert_eq!(transact(&ground, 1500, |tx| get(tx, "token")).unwrap(), None);
        assert_eq!(transact(&ground, 1500, |tx| list(tx, "", 10)).unwrap(), []);
        assert!(!transact(&ground, 1500, |tx| remove(tx, "token")).unwrap());
        assert!(transact(&ground, 0, |tx| put(tx, "token", &"a".into(), Some(0))).is_err());
        transact(&ground, 1, |tx| put(tx, "for ever", &"a".into(), Some(i64::MAX))).unwrap();
        assert_eq!(
            transact(&ground, i64::MAX - 1, |tx| get(tx, "for ever")).unwrap(),
            Some("a".into())
        );
    }

    #[test]
    fn what_was_put_is_listed_by_prefix_and_removed_once() {
        let ground = ground(&[]);
        for n in 0..600 {
            transact(&ground, 0, |tx| put(tx, &format!("seen/{n:03}"), &n.into(), None)).unwrap();
        }
        transact(&ground, 0, |tx| put(tx, "see", &Value::Unit, None)).unwrap();
        let all = transact(&ground, 0, |tx| list(tx, "seen/", 1000)).unwrap();
        let expected: Vec<_> = (0..600).map(|n| (format!("seen/{n:03}"), Value::Int(n))).collect();
        assert_eq!(all, expected);
        assert_eq!(
            transact(&ground, 0, |tx| list(tx, "seen/", 300)).unwrap(),
            expected[..300]
        );
        assert!(transact(&ground, 0, |tx| remove(tx, "seen/000")).unwrap());
        assert!(!transact(&ground, 0, |tx| remove(tx, "seen/000")).unwrap());
        assert_eq!(transact(&ground, 0, |tx| get(tx, "seen/000")).unwrap(), None);
    }

    #[test]
    fn increments_that_race_all_count() {
        let ground = ground_on(Arc::new(Engine::in_memory().unwrap()), &[]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut done = 0;
                    while done < 50 {
                        match transact(&ground, 0, |tx| increment(tx, "clips", 2)) {
                            Ok(_) => done += 1,
                            Err(error) => assert_eq!(error.code(), "STORE_CONFLICT"),
                        }
                    }
                });
            }
        });
        assert_eq!(transact(&ground, 0, |tx| get(tx, "clips")).unwrap(), Some(400.into()));
    }

    #[test]
    fn an_increment_keeps_the_expiry_and_begins_anew_after_it() {
        let ground = ground(&[]);
        transact(&ground, 0, |tx| put(tx, "n", &5.into(), Some(100))).unwrap();
        assert_eq!(transact(&ground, 50, |tx| increment(tx, "n", -1)).unwrap(), 4);
        assert_eq!(transact(&ground, 100, |tx| increment(tx, "n", 1)).unwrap(), 1);
    }

    #[test]
    fn what_is_no_number_or_goes_beyond_64_bits_is_refused() {
        let ground = ground(&[]);
        transact(&ground, 0, |tx| put(tx, "text", &"5".into(), None)).unwrap();
        transact(&ground, 0, |tx| put(tx, "most", &i64::MAX.into(), None)).unwrap();
        let told = |key: &str| {
            transact(&ground, 0, |tx| increment(tx, key, 1))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            told("text"),
            "\"text\" holds string, not a whole number; only whole numbers can be incremented"
        );
        assert_eq!(
            told("most"),
            "\"most\" holds 9223372036854775807, and adding 1 would go beyond 64 bits"
        );
        assert_eq!(told(""), "\"\" is no key: it is empty");
        assert_eq!(told(&"k".repeat(513)), "the key has 513 bytes; at most 512 are allowed");
    }

    #[test]
    fn a_large_value_is_filed_and_the_realms_do_not_mix() {
        let ground = ground(&[]);
        let large = Value::from("x".repeat(INLINE_BYTES_MAX));
        let mut tx = Tx::new(&ground, Realm::Dry, 0);
        put(&mut tx, "clip", &large, None).unwrap();
        assert_eq!(tx.batch.contents.len(), 1);
        assert!(tx.batch.puts[0].1.len() < 100);
        let commit = ground.store.commit(tx.batch, Durability::Soon).unwrap();
        let mut tx = Tx::new(&ground, Realm::Dry, 0);
        assert_eq!(get(&mut tx, "clip").unwrap(), Some(large));
        assert_eq!(tx.seen, commit);
        assert_eq!(transact(&ground, 0, |tx| get(tx, "clip")).unwrap(), None);
    }
}
