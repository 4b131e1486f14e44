//! Passwords: argon2id, a few at a time.
//!
//! Each check takes 19 MiB for some hundredths of a second, as OWASP recommends. So that a thousand wrong passwords at
//! once take neither the memory nor the threads of the host, two are checked at a time and six wait, which is half of the
//! threads that requests have by preset; whoever comes beyond that is told to come again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::denied::{Denied, IdentityError};
use crate::io::chance::Chance;

/// OWASP's recommendation: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Checked at once, and waiting for that.
const AT_ONCE_MAX: usize = 2;
const WAITING_MAX: usize = 6;

pub const CHARS_MIN: usize = 12;
pub const BYTES_MAX: usize = 512;

/// Fewer different characters than this are no password.
const DIFFERENT_MIN: usize = 5;

/// What is checked when there is no user: nobody's password. Not made when it is first needed, which would take longer.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgb3duIHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub struct Passwords {
    chance: Arc<dyn Chance>,
    slots: Mutex<Slots>,
    freed: Condvar,
}

#[derive(Default)]
struct Slots {
    running: usize,
    waiting: usize,
}

/// All slots are taken, and so are all places to wait.
#[derive(Debug)]
pub struct Busy;

impl From<Busy> for Denied {
    fn from(_: Busy) -> Denied {
        Denied::LoginBusy
    }
}

impl From<Busy> for IdentityError {
    fn from(_: Busy) -> IdentityError {
        IdentityError::Busy
    }
}

impl Passwords {
    pub fn new(chance: Arc<dyn Chance>) -> Passwords {
        Passwords {
            chance,
            slots: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// `password` as it is stored, if it is one that may be.
    pub fn hash(&self, name: &str, password: &str) -> Result<String, IdentityError> {
        check(name, password).map_err(IdentityError::Password)?;
        let _slot = self.slot()?;
        Ok(self.hashed(password))
    }

    /// Whether `password` is the one that is stored. Without one it takes as long, and is wrong.
    pub fn is_right(&self, password: &str, stored: Option<&str>) -> Result<bool, Busy> {
        let _slot = self.slot()?;
        let is_known = stored.is_some();
        let stored = stored.unwrap_or(NOBODYS);
        let Ok(parsed) = PasswordHash::new(stored) else {
            return Ok(false);
        };
        // No stored password is longer; a long one would only cost time.
        let password = password.as_bytes().get(..BYTES_MAX + 1).unwrap_or(password.as_bytes());
        let is_right = argon2().verify_password(password, &parsed).is_ok();
        Ok(is_right && is_known)
    }

    fn hashed(&self, password: &str) -> String {
        let salt = self.chance.wide_bits().to_be_bytes();
        let hash: PasswordHash = argon2()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .expect("the parameters, the salt and the length fit");
        hash.to_string()
    }

    fn slot(&self) -> Result<Slot<'_>, Busy> {
        let mut slots = self.lock();
        if slots.running >= AT_ONCE_MAX {
            if slots.waiting >= WAITING_MAX {
                return Err(Busy);
            }
            slots.waiting += 1;
            slots = self
                .freed
                .wait_while(slots, |slots| slots.running >= AT_ONCE_MAX)
                .unwrap_or_else(PoisonError::into_inner);
            slots.waiting -= 1;
        }
        slots.running += 1;
        Ok(Slot(self))
    }

    /// As if every place to be checked and to wait were taken, or none.
    #[cfg(test)]
    pub(super) fn take_every_place(&self, taken: bool) {
        let (running, waiting) = if taken { (AT_ONCE_MAX, WAITING_MAX) } else { (0, 0) };
        *self.lock() = Slots { running, waiting };
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to check one password.
struct Slot<'a>(&'a Passwords);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.freed.notify_one();
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Why `password` may not be that of `name`, if so. No rules about kinds of characters: they make people write `Passw0rd!`.
fn check(name: &str, password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if chars < CHARS_MIN {
        return Err(format!(
            "the password has {chars} characters; at least {CHARS_MIN} are needed"
        ));
    }
    if password.len() > BYTES_MAX {
        let bytes = password.len();
        return Err(format!(
            "the password has {bytes} bytes; at most {BYTES_MAX} are allowed"
        ));
    }
    let mut different: Vec<char> = password.to_lowercase().chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT_MIN {
        return Err(format!(
            "the password is made of {} different characters; use at least {DIFFERENT_MIN}",
            different.len()
        ));
    }
    if password.to_lowercase().replace(name, "").chars().count() < CHARS_MIN / 2 {
        return Err("the password is little more than the name; choose another".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::chance::SeededChance;
    use crate::io::clock::Clock as _;

    fn passwords() -> Passwords {
        Passwords::new(Arc::new(SeededChance::new(1)))
    }

    #[test]
    fn a_password_is_stored_as_argon2id_and_is_right_only_for_itself() {
        let passwords = passwords();
        let stored = passwords.hash("ann", "correct horse battery").expect("a good one");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(
            passwords
                .is_right("correct horse battery", Some(&stored))
                .expect("a slot")
        );
        assert!(
            !passwords
                .is_right("correct horse batterz", Some(&stored))
                .expect("a slot")
        );
        assert!(!passwords.is_right("", None).expect("a slot"));
        let again = passwords.hash("ann", "correct horse battery").expect("a good one");
        assert_ne!(stored, again, "each has a salt of its own");
    }

    #[test]
    fn nobodys_password_is_reckoned_like_everybodys() {
        let stored = passwords().hash("ann", "correct horse battery").expect("a good one");
        let costs = |text: &str| text.rsplitn(3, '$').last().expect("it has parts").to_owned();
        assert_eq!(costs(NOBODYS), costs(&stored));
        let parsed = PasswordHash::new(NOBODYS).expect("it can be read: else nothing would be reckoned");
        let known = PasswordHash::new(&stored).expect("it can be read");
        assert_eq!(parsed.hash.map(|hash| hash.len()), known.hash.map(|hash| hash.len()));
    }

    #[test]
    fn a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has() {
        let passwords = passwords();
        let stored = passwords.hash("ann", "correct horse battery").expect("a good one");
        let clock = crate::io::clock::SystemClock::new();
        let quickest = |stored: Option<&str>| {
            let tries = (0..4).map(|_| {
                let begun = clock.monotonic();
                assert!(!passwords.is_right("wrong", stored).expect("a slot"));
                clock.monotonic().saturating_sub(begun)
            });
            tries.min().expect("there were some")
        };
        let (known, unknown) = (quickest(Some(&stored)), quickest(None));
        assert!(unknown * 3 > known, "{unknown:?} and {known:?}");
    }

    #[test]
    fn a_short_simple_or_endless_password_is_refused() {
        for (name, password) in [
            ("ann", "eleven char"),
            ("ann", "aaaaaaaaaaaaaaaa"),
            ("administrator", "Administrator1"),
            ("ann", &"long".repeat(200)),
        ] {
            assert!(check(name, password).is_err(), "{password}");
        }
        assert!(check("ann", "twelve chars").is_ok());
    }

    #[test]
    fn beyond_those_that_wait_nobody_is_checked() {
        let passwords = passwords();
        let running: Vec<_> = (0..AT_ONCE_MAX).map(|_| passwords.slot().expect("a slot")).collect();
        std::thread::scope(|scope| {
            for _ in 0..WAITING_MAX {
                scope.spawn(|| drop(passwords.slot().expect("a place to wait")));
            }
            while passwords.lock().waiting < WAITING_MAX {
                std::thread::yield_now();
            }
            assert!(passwords.slot().is_err());
            drop(running);
        });
        assert!(passwords.slot().is_ok());
    }
}
