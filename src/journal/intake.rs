//! What services sent: each taken in once, on record before anything is done with it.
//!
//! Three rows are made of a delivery, in one batch: the record, its body as it came, and that it waits for a run. Beside
//! them stand the ids by which it is known when it comes again. Whoever makes a run of it takes the third away in the batch
//! of the run, so none is made twice and none is forgotten, however the host ends. All of it goes after [`KEPT_MS`]; each
//! that comes takes a few with it whose time is over.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{ContentHash, RunId};
use crate::store::keys::{self, Place, Space};
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, Precondition, Row, Store, StoreError, large};

/// How long deliveries are known: longer than any service sends again, and than any window of time.
pub const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// What begins an id.
const PREFIX: &str = "W-";

/// The digits of an id that people are shown.
const SHORT_CHARS: usize = 12;

/// Those whose time is over that go when one comes.
const SWEPT: usize = 4;

/// How often it is tried again when somebody else was quicker.
const CONFLICTS_MAX: u32 = 64;

/// The most runs of one that are remembered.
const RUNS_MAX: usize = 50;

const RECORD: &str = "in";
const BODY: &str = "body";
const WAITS: &str = "waits";
const SEEN: &str = "seen";

/// The record of one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    pub id: String,
    pub path: String,
    /// Whose path it was.
    pub playbook: String,
    /// By which the sender tells it from others; of those that say none, the digest of the body.
    pub sent_id: String,
    /// SHA-256 of the body.
    pub digest: String,
    pub bytes: u64,
    pub at_ms: i64,
    /// When it was sent, where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_ms: Option<i64>,
    /// Those that the playbook is told of.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The request's.
    pub corr: String,
    /// The names under which it is known when it comes again.
    #[serde(default)]
    pub seen: Vec<String>,
    /// The runs that were made of it, the first first.
    #[serde(default)]
    pub runs: Vec<RunId>,
    /// Why no run was made of it, where that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: String,
    pub message: String,
}

/// What has come, before it is taken in.
pub struct Arrival<'a> {
    pub path: &'a str,
    pub playbook: &'a str,
    pub sent_id: &'a str,
    /// Whether another id with the same body is the same delivery.
    pub by_body: bool,
    pub sent_ms: Option<i64>,
    pub headers: BTreeMap<String, String>,
    pub body: &'a [u8],
    pub corr: &'a str,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// With this commit.
    New { id: String, commit: CommitNo },
    /// It had come before, and was on record with this commit.
    Repeated { id: String, commit: CommitNo },
    /// Another body had come under its id.
    Other { id: String },
}

/// A delivery by one of its names.
#[derive(Serialize, Deserialize)]
struct Seen {
    id: String,
    digest: String,
}

/// That a run is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Who wants one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

fn key(what: &str, names: &[&str]) -> Vec<u8> {
    let names: Vec<&str> = std::iter::once(what).chain(names.iter().copied()).collect();
    keys::named(Space::Webhook, &names)
}

fn all(what: &str, names: &[&str]) -> crate::store::KeyRange {
    keys::prefix_range(key(what, names))
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(row).expect("it is plain data")
}

fn decode<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(row).map_err(|error| StoreError::Corrupt {
        path: "what a service sent".into(),
        reason: error.to_string(),
    })
}

/// When what has this id came.
fn born_ms(id: &str) -> Option<i64> {
    Some(id.strip_prefix(PREFIX)?.parse::<RunId>().ok()?.born_ms())
}

fn is_over(id: &str, now_ms: i64) -> bool {
    born_ms(id).is_none_or(|born_ms| born_ms + KEPT_MS <= now_ms)
}

/// SHA-256 in digits.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Arrival<'_> {
    /// Takes it in, unless it has been: visible, and not on disk yet. `chance` is drawn for the id.
    pub fn take(&self, ground: &Ground, now_ms: i64, chance: u128) -> Result<Taken, StoreError> {
        let id = format!("{PREFIX}{}", RunId::new(now_ms, chance));
        let digest = digest(self.body);
        let mut seen = vec![self::digest(format!("id {}", self.sent_id).as_bytes())];
        seen.extend(self.by_body.then(|| self::digest(format!("body {digest}").as_bytes())));
        let mut conflicts = 0;
        loop {
            let mut batch = Batch::new();
            if let Some(before) = self.before(&*ground.store, &mut batch, &seen, &digest, now_ms)? {
                return Ok(before);
            }
            for name in &seen {
                let row = Seen {
                    id: id.clone(),
                    digest: digest.clone(),
                };
                batch.put(key(SEEN, &[self.path, name]), encode(&row));
            }
            let held = large::store_bytes(&*ground.content, &mut batch, self.body)?;
            batch.put(key(BODY, &[&id]), held);
            batch.put(key(WAITS, &[self.path, &id]), encode(&Waits::default()));
            batch.put(
                key(RECORD, &[&id]),
                encode(&self.record(&id, &digest, seen.clone(), now_ms)),
            );
            // Others may want to take away the same ones.
            if conflicts == 0 {
                sweep(&*ground.store, &mut batch, now_ms)?;
            }
            match ground.store.commit(batch, Durability::Soon) {
                Ok(commit) => return Ok(Taken::New { id, commit }),
                Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn record(&self, id: &str, digest: &str, seen: Vec<String>, now_ms: i64) -> Intake {
        Intake {
            id: id.to_owned(),
            path: self.path.to_owned(),
            playbook: self.playbook.to_owned(),
            sent_id: self.sent_id.to_owned(),
            digest: digest.to_owned(),
            bytes: self.body.len() as u64,
            at_ms: now_ms,
            sent_ms: self.sent_ms,
            headers: self.headers.clone(),
            corr: self.corr.to_owned(),
            seen,
            runs: Vec::new(),
            refused: None,
        }
    }

    /// What came before under one of these names; else `batch` demands that nothing does until it is applied.
    fn before(
        &self,
        store: &dyn Store,
        batch: &mut Batch,
        seen: &[String],
        digest: &str,
        now_ms: i64,
    ) -> Result<Option<Taken>, StoreError> {
        for name in seen {
            let key = key(SEEN, &[self.path, name]);
            let Some(row) = store.get(&key)? else {
                batch.require(key, Precondition::Absent);
                continue;
            };
            let before: Seen = decode(&row.value)?;
            if is_over(&before.id, now_ms) {
                batch.require(key, Precondition::At(row.version));
                continue;
            }
            return Ok(Some(match before.digest == digest {
                true => Taken::Repeated {
                    id: before.id,
                    commit: row.version,
                },
                false => Taken::Other { id: before.id },
            }));
        }
        Ok(None)
    }
}

/// Adds to `batch` that the oldest go, where their time is over.
fn sweep(store: &dyn Store, batch: &mut Batch, now_ms: i64) -> Result<(), StoreError> {
    let mut old: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    store.visit(all(RECORD, &[]), &mut |key, row, _| {
        let is_old = matches!(keys::parse(key), Some(Place::Named { names, .. })
            if names.get(1).is_some_and(|id| is_over(id, now_ms)));
        if is_old {
            old.push((key.to_vec(), row.to_vec()));
        }
        match is_old && old.len() < SWEPT {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    for (record, row) in old {
        batch.delete(record);
        let Ok(intake) = decode::<Intake>(&row) else { continue };
        batch.delete(key(BODY, &[&intake.id]));
        batch.delete(key(WAITS, &[&intake.path, &intake.id]));
        for name in &intake.seen {
            let key = key(SEEN, &[&intake.path, name]);
            // Under the same name something may have come anew: it is being written just now, was, or is before this is.
            let Some(row) = store.get(&key)? else { continue };
            let is_its_own = decode::<Seen>(&row.value).is_ok_and(|seen| seen.id == intake.id);
            if is_its_own && !batch.puts.iter().any(|(put, _)| *put == key) {
                batch.require(key.clone(), Precondition::At(row.version));
                batch.delete(key);
            }
        }
    }
    Ok(())
}

/// Whether the time of a row of these names is over.
pub fn has_expired(names: &[String], row: &[u8], now_ms: i64) -> bool {
    match names {
        [what, id] if what == RECORD || what == BODY => is_over(id, now_ms),
        [what, _, id] if what == WAITS => is_over(id, now_ms),
        [what, ..] if what == SEEN => decode::<Seen>(row).is_ok_and(|seen| is_over(&seen.id, now_ms)),
        _ => false,
    }
}

/// The file that a row of these names has its bytes in.
pub fn content_of_row(names: &[String], row: &[u8]) -> Option<ContentHash> {
    match names {
        [what, _] if what == BODY => large::content_of(row),
        _ => None,
    }
}

impl Intake {
    pub fn get(store: &dyn Store, id: &str) -> Result<Option<(Intake, Row)>, StoreError> {
        let Some(row) = store.get(&key(RECORD, &[id]))? else {
            return Ok(None);
        };
        Ok(Some((decode(&row.value)?, row)))
    }

    /// Those whose id begins so, with `W-` or without; at most `limit`.
    pub fn find(store: &dyn Store, prefix: &str, limit: usize) -> Result<Vec<Intake>, StoreError> {
        let prefix = prefix.to_ascii_uppercase();
        let digits = prefix.strip_prefix(PREFIX).unwrap_or(&prefix);
        let mut begin = key(RECORD, &[&format!("{PREFIX}{digits}")]);
        // Without the bytes that end a text in a key.
        let end_bytes = key(RECORD, &[""]).len() - key(RECORD, &[]).len();
        begin.truncate(begin.len() - end_bytes);
        let rows = store.scan(keys::prefix_range(begin), limit, false)?;
        rows.iter().map(|(_, row)| decode(&row.value)).collect()
    }

    /// The last ones, the latest first, at most `limit`, of those that `is_meant`.
    pub fn list(
        store: &dyn Store,
        limit: usize,
        is_meant: impl Fn(&Intake) -> bool,
    ) -> Result<Vec<Intake>, StoreError> {
        const AT_ONCE: usize = 256;
        let (mut range, mut found) = (all(RECORD, &[]), Vec::new());
        loop {
            let rows = store.scan(range.clone(), AT_ONCE, true)?;
            for (_, row) in &rows {
                let intake: Intake = decode(&row.value)?;
                if is_meant(&intake) {
                    found.push(intake);
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
            match rows.into_iter().nth(AT_ONCE - 1) {
                Some((last, _)) => range.1 = std::ops::Bound::Excluded(last),
                None => return Ok(found),
            }
        }
    }

    pub fn short(&self) -> &str {
        self.id.get(..SHORT_CHARS).unwrap_or(&self.id)
    }

    /// What was sent, as it came.
    pub fn body(&self, ground: &Ground) -> Result<Vec<u8>, StoreError> {
        match ground.store.get(&key(BODY, &[&self.id]))? {
            Some(row) => large::load_bytes(&*ground.content, &row.value, || format!("the body of {}", self.id)),
            None => Err(StoreError::Corrupt {
                path: format!("the body of {}", self.id).into(),
                reason: "its row is missing".to_owned(),
            }),
        }
    }

    /// Whether a run is to be made of it, and who wants that.
    pub fn waits(&self, store: &dyn Store) -> Result<Option<Waits>, StoreError> {
        let row = store.get(&key(WAITS, &[&self.path, &self.id]))?;
        row.map(|row| decode(&row.value)).transpose()
    }

    /// Fills `batch` with: one run more is to be made of it; on the condition that none is yet, of which this would be no more.
    pub fn again(&self, batch: &mut Batch, by: Option<String>) {
        let at = key(WAITS, &[&self.path, &self.id]);
        batch.require(at.clone(), Precondition::Absent);
        batch.put(at, encode(&Waits { by }));
    }

    /// Fills `batch` with what has come of it: a run, or why there is none; on the condition that it still waits so.
    pub fn done(mut self, batch: &mut Batch, record: &Row, waits: &Row, came: Result<RunId, Refused>) {
        match came {
            Ok(run) => {
                self.refused = None;
                self.runs.push(run);
                if self.runs.len() > RUNS_MAX {
                    self.runs.remove(1);
                }
            }
            Err(refused) => self.refused = Some(refused),
        }
        let at = key(RECORD, &[&self.id]);
        batch.require(at.clone(), Precondition::At(record.version));
        batch.put(at, encode(&self));
        let at = key(WAITS, &[&self.path, &self.id]);
        batch.require(at.clone(), Precondition::At(waits.version));
        batch.delete(at);
    }
}

/// Those of `path` that wait for a run, the oldest first: ids, with the rows that say so.
pub fn waiting(store: &dyn Store, path: &str, limit: usize) -> Result<Vec<(String, Row)>, StoreError> {
    let rows = store.scan(all(WAITS, &[path]), limit, false)?;
    let named = rows.into_iter().filter_map(|(key, row)| match keys::parse(&key) {
        Some(Place::Named { names, .. }) => Some((names.into_iter().nth(2)?, row)),
        _ => None,
    });
    Ok(named.collect())
}

/// Takes away that what has no record waits.
pub fn forget(batch: &mut Batch, path: &str, id: &str) {
    batch.delete(key(WAITS, &[path, id]));
}

impl Waits {
    pub fn read(row: &Row) -> Result<Waits, StoreError> {
        decode(&row.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_ground::ground;

    const NOW_MS: i64 = 1_763_683_200_000;

    fn arrival<'a>(sent_id: &'a str, body: &'a [u8]) -> Arrival<'a> {
        Arrival {
            path: "/hooks/a",
            playbook: "a",
            sent_id,
            by_body: false,
            sent_ms: None,
            headers: BTreeMap::new(),
            body,
            corr: "c",
        }
    }

    fn id_of(taken: Taken) -> String {
        match taken {
            Taken::New { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_comes_again_is_known_by_its_id_and_where_that_is_not_signed_by_its_body() {
        let ground = ground(&[]);
        let first = id_of(arrival("1", b"x").take(&ground, NOW_MS, 1).unwrap());
        let again = arrival("1", b"x").take(&ground, NOW_MS + 1, 2).unwrap();
        assert!(matches!(again, Taken::Repeated { id, .. } if id == first));
        let other = arrival("1", b"y").take(&ground, NOW_MS + 1, 3).unwrap();
        assert_eq!(other, Taken::Other { id: first.clone() });
        id_of(arrival("2", b"x").take(&ground, NOW_MS, 4).unwrap());
        let by_body = |sent_id, body| Arrival {
            by_body: true,
            ..arrival(sent_id, body)
        };
        let third = id_of(by_body("3", b"z").take(&ground, NOW_MS, 5).unwrap());
        let again = by_body("4", b"z").take(&ground, NOW_MS, 6).unwrap();
        assert!(matches!(again, Taken::Repeated { id, .. } if id == third));
        let elsewhere = Arrival {
            path: "/hooks/b",
            ..arrival("1", b"y")
        };
        id_of(elsewhere.take(&ground, NOW_MS, 7).unwrap());
    }

    #[test]
    fn a_large_body_comes_back_and_its_row_names_the_file() {
        let ground = ground(&[]);
        let body = vec![7; large::INLINE_BYTES_MAX + 1];
        let id = id_of(arrival("1", &body).take(&ground, NOW_MS, 1).unwrap());
        let (intake, _) = Intake::get(&*ground.store, &id).unwrap().unwrap();
        assert_eq!(
            (intake.body(&ground).unwrap(), intake.bytes),
            (body.clone(), body.len() as u64)
        );
        let row = ground.store.get(&key(BODY, &[&id])).unwrap().unwrap();
        let names = [BODY.to_owned(), id];
        assert_eq!(content_of_row(&names, &row.value), Some(ContentHash::of(&body)));
    }

    #[test]
    fn after_its_time_all_of_it_goes_and_it_may_come_anew() {
        let ground = ground(&[]);
        for number in 0..3 {
            id_of(
                arrival(&number.to_string(), b"x")
                    .take(&ground, NOW_MS + number, number as u128)
                    .unwrap(),
            );
        }
        let rows = || {
            ground
                .store
                .scan(keys::prefix_range(keys::named(Space::Webhook, &[])), 100, false)
                .unwrap()
        };
        assert_eq!(rows().len(), 12);
        let later_ms = NOW_MS + KEPT_MS + 1;
        let known = rows().into_iter().filter(|(key, row)| match keys::parse(key) {
            Some(Place::Named { names, .. }) => !has_expired(&names, &row.value, later_ms),
            _ => true,
        });
        assert_eq!(known.count(), 4, "the last has a moment left");
        id_of(arrival("0", b"y").take(&ground, later_ms, 9).unwrap());
        assert_eq!(rows().len(), 8, "two are gone, one is left, one is new");
        assert!(matches!(
            arrival("0", b"y").take(&ground, later_ms, 9).unwrap(),
            Taken::Repeated { .. }
        ));
    }

    #[test]
    fn one_is_found_by_the_beginning_of_its_id() {
        let ground = ground(&[]);
        let id = id_of(arrival("1", b"x").take(&ground, NOW_MS, 1).unwrap());
        for prefix in [&id, &id[..5], &id[2..9].to_ascii_lowercase()] {
            assert_eq!(Intake::find(&*ground.store, prefix, 5).unwrap().len(), 1, "{prefix}");
        }
        assert!(Intake::find(&*ground.store, "W-9", 5).unwrap().is_empty());
        assert_eq!(waiting(&*ground.store, "/hooks/a", 5).unwrap()[0].0, id);
        let listed = Intake::list(&*ground.store, 5, |intake| intake.path == "/hooks/a").unwrap();
        assert_eq!(listed.len(), 1);
    }

    /// A store in which something happens before its next commit.
    struct Hasty {
        store: std::sync::Arc<dyn Store>,
        before: std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>,
    }

    impl Store for Hasty {
        fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
            self.store.get(key)
        }

        fn scan(
            &self,
            range: crate::store::KeyRange,
            limit: usize,
            reverse: bool,
        ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
            self.store.scan(range, limit, reverse)
        }

        fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
            let before = self.before.lock().expect("no panic").take();
            before.into_iter().for_each(|before| before());
            self.store.commit(batch, durability)
        }

        fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
            self.store.wait_durable(commit)
        }

        fn stats(&self) -> crate::store::StoreStats {
            self.store.stats()
        }
    }

    fn hasty(ground: &Ground, before: impl FnOnce(&Ground) + Send + 'static) -> Ground {
        let inner = ground.clone();
        let before: Box<dyn FnOnce() + Send> = Box::new(move || before(&inner));
        Ground {
            store: std::sync::Arc::new(Hasty {
                store: ground.store.clone(),
                before: std::sync::Mutex::new(Some(before)),
            }),
            ..ground.clone()
        }
    }

    #[test]
    fn what_comes_twice_at_the_same_moment_is_one() {
        for now_ms in [NOW_MS, NOW_MS + KEPT_MS + 1] {
            let ground = ground(&[]);
            // In the second round it came before, and is not known any more.
            if now_ms > NOW_MS {
                id_of(arrival("1", b"x").take(&ground, NOW_MS, 1).unwrap());
            }
            let quicker = hasty(&ground, move |ground| {
                id_of(arrival("1", b"x").take(ground, now_ms, 2).unwrap());
            });
            let taken = arrival("1", b"x").take(&quicker, now_ms, 3).unwrap();
            assert!(matches!(taken, Taken::Repeated { .. }), "{taken:?}");
        }
    }

    #[test]
    fn a_run_is_made_of_what_still_waits_as_it_was_seen_to_and_only_once() {
        let ground = ground(&[]);
        let id = id_of(arrival("1", b"x").take(&ground, NOW_MS, 1).unwrap());
        let seen = || {
            let (intake, record) = Intake::get(&*ground.store, &id).unwrap().unwrap();
            let waits = waiting(&*ground.store, "/hooks/a", 5).unwrap();
            (intake, record, waits.into_iter().next().map(|(_, row)| row))
        };
        let done = |(intake, record, waits): (Intake, Row, Option<Row>), number: u128| {
            let mut batch = Batch::new();
            intake.done(&mut batch, &record, &waits.unwrap(), Ok(RunId::new(1, number)));
            ground.store.commit(batch, Durability::Soon)
        };
        let (first, second) = (seen(), seen());
        done(first, 1).unwrap();
        assert!(matches!(done(second, 2), Err(StoreError::Conflict { .. })));
        let again = |by: &str| {
            let mut batch = Batch::new();
            seen().0.again(&mut batch, Some(by.to_owned()));
            ground.store.commit(batch, Durability::Soon)
        };
        again("ann").unwrap();
        assert!(
            matches!(again("bob"), Err(StoreError::Conflict { .. })),
            "two were promised, and one would be made"
        );
        let (intake, record, waits) = seen();
        done((intake.clone(), record.clone(), waits.clone()), 3).unwrap();
        assert_eq!(seen().0.runs.len(), 2);
        // Of each of the two rows: it must be the one that was seen.
        again("ann").unwrap();
        let (_, now, anew) = seen();
        let stale = [(record, anew), (now, waits)];
        for (record, waits) in stale {
            assert!(matches!(
                done((intake.clone(), record, waits), 4),
                Err(StoreError::Conflict { .. })
            ));
        }
    }

    /// Whoever swept took away the name of what had come anew in between, and the same came a third time and was taken in.
    #[test]
    fn what_comes_anew_while_the_old_is_swept_away_is_known_when_it_comes_again() {
        let ground = ground(&[]);
        let old = id_of(arrival("1", b"x").take(&ground, NOW_MS, 1).unwrap());
        let later_ms = NOW_MS + KEPT_MS + 1;
        let sweeping = hasty(&ground, move |ground| {
            id_of(arrival("1", b"x").take(ground, later_ms, 2).unwrap());
        });
        id_of(arrival("2", b"y").take(&sweeping, later_ms, 3).unwrap());
        assert!(Intake::get(&*ground.store, &old).unwrap().is_none());
        let again = arrival("1", b"x").take(&ground, later_ms + 1, 4).unwrap();
        assert!(matches!(again, Taken::Repeated { .. }), "{again:?}");
    }
}
