//! `Idempotency-Key`: a request that comes again is answered as it was the first time, and carried out once.
//!
//! The row that remembers a key names the run, and is written in the batch that makes it: there is never one without the
//! other. What is answered again is what came of that run, so nothing is lost when the host ends in between: the run is
//! finished by the next one. Each new row takes a few with it whose time is over.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::index::Door;
use crate::http::answer::Refusal;
use crate::http::request::Request;
use crate::id::RunId;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Precondition, Store, StoreError};

/// How long a key is remembered.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

const KEY_BYTES_MAX: usize = 200;

/// Rows whose time is over that go when one comes.
const SWEPT: usize = 4;

/// Rows by their key, and keys by the time until which they are kept.
const BY_KEY: &str = "key";
const BY_TIME: &str = "until";

/// A key, and what was asked under it.
pub(super) struct Once {
    /// Of who asked, where, and the key.
    name: String,
    asked: String,
}

#[derive(Serialize, Deserialize)]
struct Known {
    run: RunId,
    asked: String,
    until_ms: i64,
}

impl Once {
    /// The key of `request`, where it has one that counts: what only reads may be read again.
    pub fn of(door: &Door, request: &Request) -> Result<Option<Once>, Refusal> {
        let mut keys = request.headers.get_all("idempotency-key").iter();
        let Some(key) = keys.next() else {
            return Ok(None);
        };
        let is_plain = |key: &&str| {
            (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| (0x21..0x7f).contains(&byte))
        };
        let key = key.to_str().ok().filter(is_plain).filter(|_| keys.next().is_none());
        let Some(key) = key else {
            let message =
                format!("the `Idempotency-Key` must be 1 to {KEY_BYTES_MAX} visible characters of ASCII, once");
            return Err(Refusal::new(400, "IDEMPOTENCY_KEY", message));
        };
        if door.method == Method::GET {
            return Ok(None);
        }
        let caller = &request.caller;
        // What was only tried in a dry run is not done when it is asked live.
        let route = format!(
            "{} {} {}",
            door.method,
            door.route.path,
            door.realm.map(|realm| realm.to_string()).unwrap_or_default()
        );
        let mut query = request.query.clone();
        query.sort();
        let query = serde_json::to_vec(&(&request.path, &query)).expect("texts are plain data");
        Ok(Some(Once {
            name: digest([
                caller.org.as_bytes(),
                caller.user.as_bytes(),
                route.as_bytes(),
                key.as_bytes(),
            ]),
            asked: digest([&query, &request.body]),
        }))
    }

    /// The run that was made under this key; without one, what `batch` needs so that it is `run`.
    pub fn look(
        &self,
        store: &dyn Store,
        batch: &mut Batch,
        run: RunId,
        now_ms: i64,
    ) -> Result<Option<RunId>, Refusal> {
        let key = keys::named(Space::Idempotency, &[BY_KEY, &self.name]);
        let row = store.get(&key)?;
        let known = row
            .as_ref()
            .and_then(|row| rmp_serde::from_slice::<Known>(&row.value).ok());
        if let Some(known) = known.as_ref().filter(|known| known.until_ms > now_ms) {
            if known.asked != self.asked {
                let message = "something else was asked under this `Idempotency-Key`; take another one";
                return Err(Refusal::new(422, "IDEMPOTENCY_MISMATCH", message));
            }
            return Ok(Some(known.run));
        }
        sweep(store, batch, &key, now_ms)?;
        let precondition = row.map_or(Precondition::Absent, |row| Precondition::At(row.version));
        batch.require(key.clone(), precondition);
        let known = Known {
            run,
            asked: self.asked.clone(),
            until_ms: now_ms + KEPT_MS,
        };
        let time = keys::named(Space::Idempotency, &[BY_TIME, &moment(known.until_ms), &self.name]);
        batch.put(time, Vec::new());
        batch.put(key, rmp_serde::to_vec_named(&known).expect("a row is plain data"));
        Ok(None)
    }
}

/// Adds to `batch` that some rows go whose time is over; `own` is about to be written.
fn sweep(store: &dyn Store, batch: &mut Batch, own: &[u8], now_ms: i64) -> Result<(), StoreError> {
    let all = keys::prefix_range(keys::named(Space::Idempotency, &[BY_TIME]));
    for (time, _) in store.scan(all, SWEPT, false)? {
        let Some(keys::Place::Named { names, .. }) = keys::parse(&time) else {
            continue;
        };
        let [_, until, name] = names.as_slice() else { continue };
        if *until > moment(now_ms) {
            break;
        }
        let key = keys::named(Space::Idempotency, &[BY_KEY, name]);
        batch.delete(time);
        if key != own
            && let Some(row) = store.get(&key)?
        {
            // Under the same key something may have been asked anew meanwhile.
            let known: Option<Known> = rmp_serde::from_slice(&row.value).ok();
            if known.is_none_or(|known| known.until_ms <= now_ms) {
                batch.require(key.clone(), Precondition::At(row.version));
                batch.delete(key);
            }
        }
    }
    Ok(())
}

/// In the order of time as a text.
fn moment(unix_ms: i64) -> String {
    format!("{:016x}", unix_ms.max(0))
}

/// The run of a key is not kept any more: nobody can say what came of it.
pub(super) fn gone() -> Refusal {
    let message = "this was carried out before, and what came of it is not kept any more";
    Refusal::new(409, "IDEMPOTENCY_GONE", message)
}

/// Of `parts`, each told from the next.
fn digest<const N: usize>(parts: [&[u8]; N]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
