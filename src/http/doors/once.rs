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
use crate::http::places::address_of;
use crate::http::request::Request;
use crate::id::RunId;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Precondition, Store, StoreError};

/// How long a key is remembered.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

const KEY_BYTES_MAX: usize = 200;

/// Keys so long are not hit upon: who sends the same is the same, or was told it.
const KNOWN_BY_KEY_BYTES: usize = 20;

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
        // Of those whom nobody knows, two may take the same short key, and neither is to have the other's answer.
        let user = match caller.user.is_empty() && key.len() < KNOWN_BY_KEY_BYTES {
            true => format!("\n{}", address_of(request.peer.ip())),
            false => caller.user.clone(),
        };
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
            name: digest([caller.org.as_bytes(), user.as_bytes(), route.as_bytes(), key.as_bytes()]),
            asked: digest([&query, &request.body]),
        }))
    }

    /// The run that was made under this key; without one, what `batch` needs so that it is `run`. With `sweeps` it takes a few
    /// rows along whose time is over: others may want the same ones, so not when they were quicker already.
    pub fn look(
        &self,
        store: &dyn Store,
        batch: &mut Batch,
        run: RunId,
        now_ms: i64,
        sweeps: bool,
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
        if sweeps {
            sweep(store, batch, &key, now_ms)?;
        }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::http::caller::Caller;
    use crate::store::test_ground::ground;
    use crate::store::{Durability, Realm};

    const NOW_MS: i64 = 1_763_683_200_000;

    fn request(key: &str) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_str(key).expect("a value"));
        Request {
            method: Method::POST,
            path: "/clips/1".to_owned(),
            params: Default::default(),
            query: vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())],
            headers,
            body: "{}".into(),
            corr: "c".to_owned(),
            caller: Caller {
                user: "ann".to_owned(),
                org: "one".to_owned(),
                ..Caller::nobody("c")
            },
            peer: SocketAddr::from(([192, 0, 2, 1], 7)),
            is_secure: false,
            is_local: false,
        }
    }

    fn door(method: Method, path: &str, realm: Realm) -> Door {
        Door::test(method, path, realm)
    }

    fn once(request: &Request) -> Once {
        let door = door(Method::POST, "/clips/{id}", Realm::Live);
        let once = Once::of(&door, request).expect("a key");
        once.expect("it counts")
    }

    fn with(change: impl FnOnce(&mut Request)) -> Once {
        let mut request = request("k");
        change(&mut request);
        once(&request)
    }

    #[test]
    fn a_key_is_of_one_caller_one_route_and_one_body_of_data_and_counts_for_one_request() {
        let plain = once(&request("k"));
        let again = with(|request| request.query.reverse());
        assert_eq!((&again.name, &again.asked), (&plain.name, &plain.asked));
        let another = [
            with(|request| request.caller.user = "bob".to_owned()),
            with(|request| request.caller.org = "two".to_owned()),
            once(&request("l")),
        ];
        assert!(another.iter().all(|one| one.name != plain.name));
        for (method, path, realm) in [
            (Method::PUT, "/clips/{id}", Realm::Live),
            (Method::POST, "/clips/{other}", Realm::Live),
            (Method::POST, "/clips/{id}", Realm::Dry),
        ] {
            let other = Once::of(&door(method, path, realm), &request("k"));
            assert_ne!(
                other.expect("a key").expect("it counts").name,
                plain.name,
                "{path} {realm}"
            );
        }
        let changed = [
            with(|request| request.path = "/clips/2".to_owned()),
            with(|request| request.query[0].1 = "2".to_owned()),
            with(|request| request.body = "[]".into()),
        ];
        for other in changed {
            assert_eq!(other.name, plain.name);
            assert_ne!(other.asked, plain.asked);
        }
        let reads = Once::of(&door(Method::GET, "/clips/{id}", Realm::Live), &request("k"));
        assert!(reads.expect("a key").is_none(), "what only reads may be read again");
    }

    /// All whom nobody knows were one: whoever took "1" had the answer of the first who did, or kept them from theirs.
    #[test]
    fn of_those_whom_nobody_knows_a_short_key_is_that_of_an_address_and_a_long_one_goes_along() {
        let stranger = |key: &str, peer: &str| {
            let mut request = request(key);
            request.caller = Caller::nobody("c");
            request.peer = SocketAddr::new(peer.parse().expect("an address"), 7);
            once(&request).name
        };
        let one = stranger("k", "192.0.2.1");
        assert_eq!(one, stranger("k", "::ffff:192.0.2.1"));
        assert_ne!(one, stranger("k", "192.0.2.2"));
        assert_eq!(stranger("k", "2001:db8::1"), stranger("k", "2001:db8::2"));
        let named = with(|request| {
            request.caller = Caller {
                user: "192.0.2.1".to_owned(),
                ..Caller::nobody("c")
            }
        });
        assert_ne!(one, named.name);
        let long = "k".repeat(KNOWN_BY_KEY_BYTES);
        assert_eq!(stranger(&long, "192.0.2.1"), stranger(&long, "192.0.2.2"));
        let short = &long[1..];
        assert_ne!(stranger(short, "192.0.2.1"), stranger(short, "192.0.2.2"));
    }

    #[test]
    fn a_key_is_known_for_a_day_and_each_new_one_takes_a_few_old_ones_along() {
        let store = ground(&[]).store;
        let look = |key: &str, now_ms: i64, sweeps: bool, number: u128| {
            let mut batch = Batch::new();
            let run = RunId::new(now_ms, number);
            let known = once(&request(key)).look(&*store, &mut batch, run, now_ms, sweeps);
            let known = known.expect("the same request");
            if known.is_none() {
                store.commit(batch, Durability::Soon).expect("a commit");
            }
            (known, run)
        };
        let rows = || {
            let all = keys::prefix_range(keys::named(Space::Idempotency, &[]));
            store.scan(all, 100, false).expect("rows").len()
        };
        let (_, first) = look("k-0", NOW_MS, true, 0);
        for number in 1..6 {
            look(&format!("k-{number}"), NOW_MS + 1, true, number);
        }
        assert_eq!(rows(), 12);
        assert_eq!(look("k-0", NOW_MS + KEPT_MS - 1, true, 9).0, Some(first));
        assert_eq!(rows(), 12, "what was known leaves all as it is");
        assert_eq!(look("m-0", NOW_MS + KEPT_MS, true, 10).0, None);
        assert_eq!(rows(), 12, "one goes, one comes, and the others have a moment left");
        let (known, anew) = look("k-1", NOW_MS + KEPT_MS + 1, false, 11);
        assert_eq!((known, rows()), (None, 13), "it is anew, and its old time still stands");
        look("m-1", NOW_MS + KEPT_MS + 1, true, 12);
        assert_eq!(
            rows(),
            13 + 2 - 1 - 3 * 2,
            "what came anew stays, the time that it had before goes"
        );
        assert_eq!(look("k-1", NOW_MS + KEPT_MS + 2, true, 13).0, Some(anew));
    }
}
