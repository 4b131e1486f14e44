//! Sessions: what a browser holds after a login.
//!
//! The cookie is 256 bits of chance, new at each login, so nobody can have planted it; the row is found by its hash. The
//! token against forged requests follows from the same secret, so a page of another site, which sends the cookie and
//! cannot read it, does not know it. A session ends when it was idle for too long, when it is too old, when its user logs
//! out, gets another password or is revoked: the user's row lists the sessions, and a login is conditional on that row.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::denied::Denied;
use super::role::Role;
use super::rows::{self, Found, SECRET_CHARS, encode, hash_of};
use super::user::{self, User};
use crate::io::chance::Chance;
use crate::store::keys::{self, Space};
use crate::store::{Batch, CommitNo, Precondition, Store, StoreError};

/// How long a session lives that nobody uses, and how long at most.
pub const IDLE_MS: i64 = 8 * 60 * 60 * 1000;
pub const LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Open sessions of one user; the oldest makes room.
pub const PER_USER_MAX: usize = 10;

/// How coarsely the last use is noted.
const USED_EVERY_MS: i64 = 5 * 60 * 1000;

const CONFLICTS_MAX: u32 = 1000;

/// The cookie's name; behind TLS with the prefix that binds it to this very host.
pub const COOKIE: &str = "host_session";
pub const COOKIE_SECURE: &str = "__Host-host_session";

/// A session, as whoever has it may see it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    pub user: String,
    pub org: Option<String>,
    pub role: Role,
    /// To be sent as `X-CSRF-Token` with every change.
    pub csrf: String,
    pub created_ms: i64,
    /// When it ends in any case.
    pub expires_ms: i64,
}

/// Without what makes a change by cookie pass.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} as {}, since {})", self.user, self.role, self.created_ms)
    }
}

/// A session in the store, under the hash of its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    user: String,
    created_ms: i64,
    used_ms: i64,
}

impl Stored {
    fn is_over(&self, now_ms: i64) -> bool {
        now_ms - self.used_ms >= IDLE_MS || now_ms - self.created_ms >= LIFE_MS
    }
}

pub(super) fn new_secret(chance: &dyn Chance) -> String {
    rows::new_secret(chance)
}

/// Under which hash the session of `secret` lies.
pub(super) fn id_of(secret: &str) -> String {
    hash_of("session", secret)
}

fn key(hash: &str) -> Vec<u8> {
    keys::named(Space::Session, &[hash])
}

fn shown(stored: &Stored, user: &User, secret: &str) -> Session {
    Session {
        user: user.name.clone(),
        org: user.org.clone(),
        role: user.role,
        csrf: hash_of("csrf", secret),
        created_ms: stored.created_ms,
        expires_ms: stored.created_ms + LIFE_MS,
    }
}

/// Opens a session for `user`, whose password was right. `commit` makes the change, and signs it.
pub(super) fn open(
    store: &dyn Store,
    now_ms: i64,
    user: &User,
    secret: &str,
    commit: impl Fn(Batch) -> Result<CommitNo, StoreError>,
) -> Result<Session, Denied> {
    let hash = hash_of("session", secret);
    let stored = Stored {
        user: user.name.clone(),
        created_ms: now_ms,
        used_ms: now_ms,
    };
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        let found = user::read(store, &user.name)?;
        let mut owner = found.value.clone().ok_or(Denied::LoginFailed)?;
        // The password was changed, or its user revoked, while it was being checked.
        if owner.password != user.password || owner.revoked_ms.is_some() {
            return Err(Denied::LoginFailed);
        }
        forget_over(store, &mut owner, now_ms, &mut batch)?;
        while owner.sessions.len() >= PER_USER_MAX {
            batch.delete(key(&owner.sessions.remove(0)));
        }
        owner.sessions.push(hash.clone());
        found.put(&mut batch, &owner);
        batch.require(key(&hash), Precondition::Absent);
        batch.put(key(&hash), encode(&stored));
        match commit(batch) {
            Ok(_) => return Ok(shown(&stored, &owner, secret)),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn forget_over(store: &dyn Store, owner: &mut User, now_ms: i64, batch: &mut Batch) -> Result<(), StoreError> {
    let mut open = Vec::new();
    for hash in std::mem::take(&mut owner.sessions) {
        let found: Found<Stored> = Found::read(store, Space::Session, &hash)?;
        match found.value {
            Some(stored) if !stored.is_over(now_ms) => open.push(hash),
            _ => batch.delete(key(&hash)),
        }
    }
    owner.sessions = open;
    Ok(())
}

/// The session and the user of this cookie.
pub(super) fn authenticate(store: &dyn Store, now_ms: i64, secret: &str) -> Result<(Session, User), Denied> {
    if secret.len() != SECRET_CHARS {
        return Err(Denied::Unauthenticated);
    }
    let hash = hash_of("session", secret);
    let found: Found<Stored> = Found::read(store, Space::Session, &hash)?;
    let Some(stored) = &found.value else {
        // One that has ended, or that never was: whoever made it up learns nothing.
        return Err(Denied::Unauthenticated);
    };
    if stored.is_over(now_ms) {
        return Err(Denied::SessionExpired);
    }
    let user = user::get(store, &stored.user)?.filter(|user| user.revoked_ms.is_none());
    let user = user.filter(|user| user.sessions.contains(&hash));
    let user = user.ok_or(Denied::SessionExpired)?;
    if !(0..USED_EVERY_MS).contains(&(now_ms - stored.used_ms)) {
        let mut batch = Batch::new();
        let used = Stored {
            used_ms: now_ms,
            ..stored.clone()
        };
        found.put(&mut batch, &used);
        rows::note(store, batch);
    }
    Ok((shown(stored, &user, secret), user))
}

/// Whether the session is open, and its user still comes in by it. This counts as no use of it.
pub(super) fn still(store: &dyn Store, now_ms: i64, id: &str) -> Result<bool, StoreError> {
    let found: Found<Stored> = Found::read(store, Space::Session, id)?;
    let Some(stored) = found.value.filter(|stored| !stored.is_over(now_ms)) else {
        return Ok(false);
    };
    let user = user::get(store, &stored.user)?.filter(|user| user.revoked_ms.is_none());
    Ok(user.is_some_and(|user| user.sessions.iter().any(|open| open == id)))
}

/// Ends the session of this cookie. `commit` makes the change, and signs it.
pub(super) fn close(
    store: &dyn Store,
    secret: &str,
    commit: impl Fn(Batch, &str) -> Result<CommitNo, StoreError>,
) -> Result<bool, Denied> {
    let hash = hash_of("session", secret);
    let mut conflicts = 0;
    loop {
        let found: Found<Stored> = Found::read(store, Space::Session, &hash)?;
        let Some(stored) = &found.value else {
            return Ok(false);
        };
        let mut batch = Batch::new();
        let owner = user::read(store, &stored.user)?;
        if let Some(mut user) = owner.value.clone() {
            user.sessions.retain(|open| *open != hash);
            owner.put(&mut batch, &user);
        }
        batch.delete(key(&hash));
        match commit(batch, &stored.user) {
            Ok(_) => return Ok(true),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Fills `batch` with the end of all sessions of `user`, whose row goes into the same batch.
pub(super) fn close_all(user: &mut User, batch: &mut Batch) {
    for hash in user.sessions.drain(..) {
        batch.delete(key(&hash));
    }
}

/// The header that gives a browser its session, or takes it away.
pub fn set_cookie(secret: Option<&str>, is_secure: bool) -> String {
    let (name, secure) = match is_secure {
        true => (COOKIE_SECURE, "; Secure"),
        false => (COOKIE, ""),
    };
    let (value, age) = match secret {
        Some(secret) => (secret, LIFE_MS / 1000),
        None => ("", 0),
    };
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// The session's cookie in a `Cookie` header. Two of them are none: somebody has planted one.
pub fn find_cookie(header: &str, is_secure: bool) -> Option<&str> {
    let name = if is_secure { COOKIE_SECURE } else { COOKIE };
    let mut values = header.split(';').filter_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
