//! Growing pauses for those who guess passwords: for the user who is guessed at, and for the address that guesses.
//!
//! A try is counted before the password is looked at, behind preconditions, so a thousand at once are a thousand tries
//! on whatever node. While a pause lasts nothing is checked, not even the right password. Rows are bounded: known users
//! have one each, all other names and addresses share a fixed number by a salted hash, which nobody can aim at. An
//! address of IPv6 is its network of 64 bits, since one machine has as many addresses as it likes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

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
const UNKNOWN_ROWS: u64 = 1024;
const ADDRESS_ROWS: u64 = 4096;

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

    fn at(self, now_ms: i64) -> Tries {
        match now_ms - self.last_ms >= FORGET_MS {
            true => Tries::default(),
            false => self,
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
    let names = names(&salt(store, chance)?, tried);
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        let mut refused: Option<(Pause, Found<Tries>, Tries)> = None;
        for (name, free) in &names {
            let found: Found<Tries> = Found::read(store, Space::Guess, name)?;
            let tries = found.value.unwrap_or_default().at(now_ms);
            let left_ms = tries.left_ms(*free, now_ms);
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
    let salt = stored_salt(store)?.unwrap_or_default();
    for (name, _) in names(&salt, tried) {
        let mut batch = Batch::new();
        let found: Found<Tries> = Found::read(store, Space::Guess, &name)?;
        let Some(tries) = found.value else { continue };
        let is_user = name == user_row(tried.user);
        let left = Tries {
            count: if is_user { 0 } else { tries.count.saturating_sub(1) },
            last_ms: now_ms,
            told: false,
        };
        found.put(&mut batch, &left);
        match store.commit(batch, Durability::Soon) {
            // Somebody else tries at the same time; their count stands.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `batch` with: nothing is held against `user`.
pub(super) fn forget(batch: &mut Batch, user: &str) {
    batch.delete(keys::named(Space::Guess, &[&user_row(user)]));
}

fn user_row(user: &str) -> String {
    format!("user {user}")
}

/// The rows that count this try, each with what is free.
fn names(salt: &str, tried: &Tried<'_>) -> [(String, u32); 2] {
    let shared = |kind: &str, text: &str, rows: u64| {
        let hash = hash_of(kind, &format!("{salt}\0{text}"));
        let number = u64::from_str_radix(&hash[..15], 16).expect("fifteen hexadecimal digits");
        format!("{kind} {}", number % rows)
    };
    let user = match tried.is_known {
        true => user_row(tried.user),
        false => shared("unknown", tried.user, UNKNOWN_ROWS),
    };
    let address = shared("address", &network(tried.from), ADDRESS_ROWS);
    [(user, FREE_OF_USER), (address, FREE_OF_ADDRESS)]
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
