//! Growing pauses for those who guess passwords: for the user who is guessed at, and for the address that guesses.
//!
//! A try is counted before the password is looked at, behind preconditions, so a thousand at once are a thousand tries
//! on whatever node. While a pause lasts nothing is checked, not even the right password. Rows are bounded: known users
//! have one each, all addresses share a fixed number by a salted hash, which nobody can aim at. So do all other names, but
//! each is counted by itself there: were one paused for the tries at another, it would be told from one that somebody has.
//! An address of IPv6 is its network of 64 bits, since one machine has as many addresses as it likes. Tries from where a user
//! has logged in before are counted apart ([`familiar`]): strangers who guess at a name keep its owner out only elsewhere.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::familiar;
use super::rows::{Found, hash_of};
use crate::io::chance::Chance;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Durability, Store, StoreError};

/// Wrong passwords without a pause: of one user, and of one address, behind which many people may sit.
pub const FREE_OF_USER: u32 = 5;
pub const FREE_OF_ADDRESS: u32 = 30;

/// The first pause; it doubles with each further try, up to the longest.
const PAUSE_MS: u64 = 1000;
pub const PAUSE_MAX_MS: u64 = 15 * 60 * 1000;

/// After so long without a try everything is forgotten.
const FORGET_MS: i64 = 24 * 60 * 60 * 1000;

/// Rows that all unknown names share, and all addresses.
const UNKNOWN_ROWS: u64 = 16_384;
const ADDRESS_ROWS: u64 = 4096;

/// Names that one row counts; the one that was tried longest ago makes room. As many as can be tried within the longest
/// pause, two at a time, do not fill a row.
const NAMES_MAX: usize = 16;

const CONFLICTS_MAX: u32 = 10_000;

/// Tries, and when the last one was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tries {
    count: u32,
    last_ms: i64,
    /// Whether somebody has been told of the pause.
    #[serde(default)]
    told: bool,
}

/// Who is tried, and from where.
pub struct Tried<'a> {
    pub user: &'a str,
    pub is_known: bool,
    pub from: &'a str,
}

/// A pause that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub left_ms: u64,
    pub guesses: u32,
    /// Nobody has been refused for it yet.
    pub is_news: bool,
}

impl Tries {
    /// How long nobody may try.
    fn pause_ms(self, free: u32) -> u64 {
        match self.count.checked_sub(free) {
            None => 0,
            Some(over) => PAUSE_MS.saturating_mul(1 << over.min(20)).min(PAUSE_MAX_MS),
        }
    }

    /// What is left of the pause. A clock that was set back makes none longer.
    fn left_ms(self, free: u32, now_ms: i64) -> u64 {
        let passed_ms = (now_ms - self.last_ms).max(0) as u64;
        self.pause_ms(free).saturating_sub(passed_ms)
    }

    /// As they count at `now_ms`. A last one that lies ahead was written before the clock was set back: a pause that waited
    /// for that moment would last as long as the step was wide.
    fn at(self, now_ms: i64) -> Tries {
        match now_ms - self.last_ms {
            passed_ms if passed_ms >= FORGET_MS => Tries::default(),
            0.. => self,
            _ => Tries {
                last_ms: now_ms,
                told: false,
                ..self
            },
        }
    }
}

/// The tries at names that share a row, each with a hash of the name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Names(Vec<(u64, u32, i64, bool)>);

impl Names {
    fn of(&self, name: u64) -> Tries {
        let found = self.0.iter().find(|(hash, ..)| *hash == name);
        found.map_or_else(Tries::default, |(_, count, last_ms, told)| Tries {
            count: *count,
            last_ms: *last_ms,
            told: *told,
        })
    }

    fn put(&mut self, name: u64, tries: &Tries) {
        self.0.retain(|(hash, ..)| *hash != name);
        if self.0.len() >= NAMES_MAX {
            // The longest ago stands first.
            self.0.remove(0);
        }
        self.0.push((name, tries.count, tries.last_ms, tries.told));
    }
}

/// What counts the tries of somebody.
struct Counter {
    row: String,
    /// Among the names that share the row.
    name: Option<u64>,
    /// Wrong passwords without a pause.
    free: u32,
}

/// A counter as it was read.
enum Count {
    Own(Found<Tries>),
    Among(Found<Names>, u64),
}

impl Counter {
    fn read(&self, store: &dyn Store) -> Result<Count, StoreError> {
        Ok(match self.name {
            None => Count::Own(Found::read(store, Space::Guess, &self.row)?),
            Some(name) => Count::Among(Found::read(store, Space::Guess, &self.row)?, name),
        })
    }
}

impl Count {
    fn tries(&self) -> Option<Tries> {
        match self {
            Count::Own(found) => found.value,
            Count::Among(found, name) => found.value.as_ref().map(|names| names.of(*name)),
        }
    }

    fn put(&self, batch: &mut Batch, tries: &Tries) {
        match self {
            Count::Own(found) => found.put(batch, tries),
            Count::Among(found, name) => {
                let mut names = found.value.clone().unwrap_or_default();
                names.put(*name, tries);
                found.put(batch, &names);
            }
        }
    }
}

/// Counts a try, or says how long to wait for the next.
pub(super) fn begin(
    store: &dyn Store,
    chance: &dyn Chance,
    now_ms: i64,
    tried: &Tried<'_>,
) -> Result<Result<(), Pause>, StoreError> {
    let counters = counters(store, &salt(store, chance)?, now_ms, tried)?;
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        let mut refused: Option<(Pause, Count, Tries)> = None;
        for counter in &counters {
            let found = counter.read(store)?;
            let tries = found.tries().unwrap_or_default().at(now_ms);
            let left_ms = tries.left_ms(counter.free, now_ms);
            let counted = Tries {
                count: tries.count.saturating_add(1),
                last_ms: now_ms,
                told: false,
            };
            found.put(&mut batch, &counted);
            let pause = Pause {
                left_ms,
                guesses: tries.count,
                is_news: !tries.told,
            };
            if left_ms > 0 && refused.as_ref().is_none_or(|(longest, ..)| longest.left_ms < left_ms) {
                refused = Some((pause, found, Tries { told: true, ..tries }));
            }
        }
        // Whoever is refused is not counted: the pause would never end.
        let pause = refused.map(|(pause, found, told)| {
            batch = Batch::new();
            found.put(&mut batch, &told);
            pause
        });
        if let Some(pause) = pause.filter(|pause| !pause.is_news) {
            return Ok(Err(pause));
        }
        match store.commit(batch, Durability::Soon) {
            Ok(_) => return Ok(pause.map_or(Ok(()), Err)),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The password was right: nothing is held against the user any more, and not this try against the address. Whoever has
/// one right password cannot wipe out the wrong ones for others.
pub(super) fn succeeded(store: &dyn Store, now_ms: i64, tried: &Tried<'_>) -> Result<(), StoreError> {
    let own = user_row(tried.user);
    take_back(store, now_ms, tried, |row, tries| match row.starts_with(&own) {
        true => Tries::default(),
        false => one_less(tries),
    })?;
    let salt = stored_salt(store)?.unwrap_or_default();
    familiar::note(
        store,
        tried.user,
        number(&salt, "network", &network(tried.from)),
        now_ms,
    )
}

/// Nobody has looked at the password: whoever is told to come again has not guessed.
pub(super) fn unchecked(store: &dyn Store, now_ms: i64, tried: &Tried<'_>) -> Result<(), StoreError> {
    take_back(store, now_ms, tried, |_, tries| one_less(tries))
}

fn one_less(tries: Tries) -> Tries {
    Tries {
        count: tries.count.saturating_sub(1),
        told: false,
        ..tries
    }
}

fn take_back(
    store: &dyn Store,
    now_ms: i64,
    tried: &Tried<'_>,
    left: impl Fn(&str, Tries) -> Tries,
) -> Result<(), StoreError> {
    let salt = stored_salt(store)?.unwrap_or_default();
    for counter in counters(store, &salt, now_ms, tried)? {
        let mut conflicts = 0;
        loop {
            let found = counter.read(store)?;
            let Some(tries) = found.tries() else { break };
            let mut batch = Batch::new();
            found.put(&mut batch, &left(&counter.row, tries));
            match store.commit(batch, Durability::Soon) {
                Ok(_) => break,
                Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Fills `batch` with: nothing is held against `user`.
pub(super) fn forget(store: &dyn Store, batch: &mut Batch, user: &str) -> Result<(), StoreError> {
    batch.delete(keys::named(Space::Guess, &[&user_row(user)]));
    familiar::forget(store, user, batch)
}

fn user_row(user: &str) -> String {
    format!("user {user}")
}

/// `text` as a number that only whoever knows the salt can reckon.
fn number(salt: &str, kind: &str, text: &str) -> u64 {
    let hash = hash_of(kind, &format!("{salt}\0{text}"));
    u64::from_str_radix(&hash[..16], 16).expect("sixteen hexadecimal digits")
}

/// What counts this try.
fn counters(store: &dyn Store, salt: &str, now_ms: i64, tried: &Tried<'_>) -> Result<[Counter; 2], StoreError> {
    let number = |kind: &str, text: &str| number(salt, kind, text);
    let network = network(tried.from);
    let own = match tried.is_known {
        true => familiar::counter(store, tried.user, number("network", &network), now_ms)?,
        false => None,
    };
    // Whoever has many networks can have every row of strangers paused, but none of these.
    let addresses = if own.is_some() { "home" } else { "address" };
    let address = Counter {
        row: format!("{addresses} {}", number("address", &network) % ADDRESS_ROWS),
        name: None,
        free: FREE_OF_ADDRESS,
    };
    let user = match tried.is_known {
        true => Counter {
            row: own.unwrap_or_else(|| user_row(tried.user)),
            name: None,
            free: FREE_OF_USER,
        },
        false => Counter {
            row: format!("names {}", number("unknown", tried.user) % UNKNOWN_ROWS),
            name: Some(number("name", tried.user)),
            free: FREE_OF_USER,
        },
    };
    Ok([user, address])
}

/// What is held to account for an address.
fn network(from: &str) -> String {
    match from.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => hex::encode(&address.octets()[..8]),
        },
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => from.chars().take(100).collect(),
    }
}

fn stored_salt(store: &dyn Store) -> Result<Option<String>, StoreError> {
    Ok(Found::read(store, Space::Guess, "salt")?.value)
}

/// What keeps others from choosing names or addresses that share a row.
fn salt(store: &dyn Store, chance: &dyn Chance) -> Result<String, StoreError> {
    loop {
        if let Some(salt) = stored_salt(store)? {
            return Ok(salt);
        }
        let mut batch = Batch::new();
        let found: Found<String> = Found::read(store, Space::Guess, "salt")?;
        if found.value.is_none() {
            found.put(&mut batch, &format!("{:032x}", chance.wide_bits()));
        }
        match store.commit(batch, Durability::Now) {
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::chance::SeededChance;
    use crate::store::engine::Engine;

    struct Door(Engine, SeededChance);

    impl Door {
        fn new() -> Door {
            Door(Engine::in_memory().unwrap(), SeededChance::new(3))
        }

        fn begin(&self, tried: &Tried<'_>, now_ms: i64) -> Result<(), Pause> {
            begin(&self.0, &self.1, now_ms, tried).unwrap()
        }
    }

    /// Somebody who comes from the address with that number.
    fn tried<'a>(user: &'a str, is_known: bool, from: &'a str) -> Tried<'a> {
        Tried { user, is_known, from }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_pause_longer_than_it_was() {
        let door = Door::new();
        let ann = tried("ann", true, "192.0.2.1");
        let ahead_ms = 30 * FORGET_MS;
        for _ in 0..FREE_OF_USER {
            door.begin(&ann, ahead_ms).unwrap();
        }
        assert!(door.begin(&ann, ahead_ms).is_err());
        let pause = door.begin(&ann, 0).unwrap_err();
        assert_eq!(pause.left_ms, PAUSE_MS);
        door.begin(&ann, PAUSE_MS as i64).expect("it lasts as long as it says");
    }

    #[test]
    fn tries_at_other_names_do_not_tell_a_name_that_nobody_has_from_one_that_somebody_has() {
        let door = Door::new();
        let begin = |name: &str, is_known: bool, number: u32| {
            let from = format!("2001:db8:{:x}:{:x}::1", number >> 16, number & 0xffff);
            door.begin(&tried(name, is_known, &from), 0)
        };
        // Spread over so many networks that none of them is paused.
        let mut number = 0;
        for name in 0..8_000 {
            for _ in 0..3 {
                number += 1;
                begin(&format!("name{name}"), false, number).expect("nobody has tried it more often");
            }
        }
        for name in 0..500 {
            number += 1;
            let answered = begin(&format!("fresh{name}"), false, number);
            assert_eq!(answered, Ok(()), "and so is a name that somebody has");
        }
        for name in 0..NAMES_MAX as u32 {
            for _ in 0..FREE_OF_USER {
                number += 1;
                begin(&format!("paused{name}"), false, number).unwrap();
            }
            number += 1;
            assert!(begin(&format!("paused{name}"), false, number).is_err(), "{name}");
        }
    }

    #[test]
    fn names_that_share_a_row_make_room_in_the_order_in_which_they_were_tried() {
        let mut names = Names::default();
        let tries = Tries {
            count: 1,
            last_ms: 5,
            told: true,
        };
        (0..NAMES_MAX as u64).for_each(|name| names.put(name, &tries));
        names.put(0, &tries);
        names.put(99, &tries);
        assert_eq!(names.0.len(), NAMES_MAX);
        assert_eq!(
            (names.of(0), names.of(1), names.of(99)),
            (tries, Tries::default(), tries)
        );
    }

    #[test]
    fn whoever_was_not_looked_at_has_not_guessed() {
        let door = Door::new();
        let ann = tried("ann", true, "192.0.2.1");
        for _ in 0..10 * FREE_OF_ADDRESS {
            door.begin(&ann, 0).expect("none of them counts");
            unchecked(&door.0, 0, &ann).unwrap();
        }
    }

    #[test]
    fn after_a_day_without_a_try_all_of_it_is_forgotten() {
        let door = Door::new();
        let ann = tried("ann", true, "192.0.2.1");
        for round in 0..3 {
            let now_ms = round * (FORGET_MS + 1);
            for number in 0..FREE_OF_USER {
                assert_eq!(door.begin(&ann, now_ms), Ok(()), "{round}, {number}");
            }
            assert!(door.begin(&ann, now_ms).is_err(), "{round}");
        }
    }

    #[test]
    fn of_many_tries_at_once_as_many_are_free_as_of_many_in_a_row() {
        let door = Door::new();
        let free = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for number in 0..16 {
                let (door, free) = (&door, &free);
                scope.spawn(move || {
                    let from = format!("192.0.2.{number}");
                    for name in 0..50 {
                        let begun = door.begin(&tried(&format!("name{name}"), true, &from), 0);
                        free.fetch_add(u32::from(begun.is_ok()), std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(free.into_inner() <= 50 * FREE_OF_USER);
    }
}
