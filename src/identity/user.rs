//! Users: a name, a role, perhaps an organisation, perhaps a password.
//!
//! A user is never deleted, since the audit log names them: they are revoked, which ends their sessions and their
//! tokens in the same commit.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::denied::IdentityError;
use super::organisation;
use super::role::Role;
use super::rows::{self, Found};
use super::session;
use super::token;
use crate::journal::audit::Act;
use crate::store::keys::Space;
use crate::store::{Batch, Store, StoreError};

/// How many there may be.
pub const USERS_MAX: usize = 10_000;

const NAME_BYTES_MAX: usize = 64;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// As it is typed, in small letters; also the id.
    pub name: String,
    pub role: Role,
    #[serde(default)]
    pub org: Option<String>,
    /// As argon2id made it; without one nobody logs in, and tokens work all the same.
    #[serde(default)]
    pub password: Option<String>,
    pub created_ms: i64,
    #[serde(default)]
    pub revoked_ms: Option<i64>,
    /// The password is that of a backup, and lets nobody in until somebody has said that it still should.
    #[serde(default)]
    pub held: bool,
    /// The hashes of the sessions that are open, the oldest first.
    #[serde(default)]
    pub sessions: Vec<String>,
    /// The ids of the tokens.
    #[serde(default)]
    pub tokens: Vec<String>,
}

/// Without the password's hash and those of sessions: whoever has them can guess as fast as they like.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("org", &self.org)
            .field("has_password", &self.password.is_some())
            .field("created_ms", &self.created_ms)
            .field("revoked_ms", &self.revoked_ms)
            .field("held", &self.held)
            .field("sessions", &self.sessions.len())
            .field("tokens", &self.tokens)
            .finish()
    }
}

/// Whether `text` can be the name of a user or an organisation.
pub fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| is_plain(byte) || b"._-@".contains(&byte);
    text.len() <= NAME_BYTES_MAX && text.bytes().next().is_some_and(is_plain) && text.bytes().all(fits)
}

pub(super) fn check_name(name: &str) -> Result<(), IdentityError> {
    match is_name(name) {
        true => Ok(()),
        false => Err(IdentityError::Name {
            name: name.chars().take(80).collect(),
        }),
    }
}

pub(super) fn read(store: &dyn Store, name: &str) -> Result<Found<User>, StoreError> {
    Found::read(store, Space::User, name)
}

pub fn get(store: &dyn Store, name: &str) -> Result<Option<User>, StoreError> {
    Ok(read(store, name)?.value)
}

/// The user of that name, as somebody wants to change it.
fn existing(found: &Found<User>, name: &str) -> Result<User, IdentityError> {
    found.value.clone().ok_or_else(|| not_found(name))
}

pub(super) fn not_found(name: &str) -> IdentityError {
    IdentityError::NotFound {
        what: "user",
        name: name.chars().take(80).collect(),
    }
}

/// All of them, by name.
pub fn list(store: &dyn Store) -> Result<Vec<User>, StoreError> {
    rows::all(store, Space::User)
}

/// A new user. `password` is hashed already.
pub struct New<'a> {
    pub name: &'a str,
    pub role: Role,
    pub org: Option<&'a str>,
    pub password: Option<&'a str>,
}

/// The act of adding `new`.
pub fn add_act(new: &New<'_>) -> Act {
    Act::new("user.add", new.name)
        .with("role", new.role.code())
        .with("org", new.org)
        .with("has_password", new.password.is_some())
}

/// Adds a user. The store is one that signs.
pub fn add(store: &dyn Store, new: &New<'_>, now_ms: i64) -> Result<User, IdentityError> {
    check_name(new.name)?;
    rows::change(store, |batch| {
        let found = read(store, new.name)?;
        if found.value.is_some() {
            return Err(IdentityError::Exists {
                what: "the user",
                name: new.name.to_owned(),
            });
        }
        if list(store)?.len() >= USERS_MAX {
            return Err(IdentityError::Full {
                what: "users",
                max: USERS_MAX,
            });
        }
        if let Some(org) = new.org {
            organisation::require(store, org, batch)?;
        }
        let user = User {
            name: new.name.to_owned(),
            role: new.role,
            org: new.org.map(str::to_owned),
            password: new.password.map(str::to_owned),
            created_ms: now_ms,
            revoked_ms: None,
            held: false,
            sessions: Vec::new(),
            tokens: Vec::new(),
        };
        found.put(batch, &user);
        Ok(user)
    })
}

/// Changes a user who is not revoked.
fn change(
    store: &dyn Store,
    name: &str,
    alter: impl Fn(&mut User, &mut Batch) -> Result<(), IdentityError>,
) -> Result<User, IdentityError> {
    rows::change(store, |batch| {
        let found = read(store, name)?;
        let mut user = existing(&found, name)?;
        if user.revoked_ms.is_some() {
            return Err(IdentityError::UserRevoked(user.name));
        }
        alter(&mut user, batch)?;
        found.put(batch, &user);
        Ok(user)
    })
}

/// Who counts as an admin, where one must be left.
pub type IsAdmin<'a> = &'a dyn Fn(&User) -> bool;

/// Demands that somebody beside `user` be an admin when `batch` is committed. Two who take each other's role away at once
/// are refused one after the other.
fn keep_an_admin(
    store: &dyn Store,
    user: &User,
    now_ms: i64,
    is_admin: IsAdmin<'_>,
    batch: &mut Batch,
) -> Result<(), IdentityError> {
    for other in list(store)? {
        if other.name == user.name || other.revoked_ms.is_some() || !is_admin(&other) {
            continue;
        }
        // A password that waits for somebody's word since a restore lets nobody in.
        let has_password = other.password.is_some() && !other.held;
        if !has_password && !token::lets_an_admin_in(store, &other.tokens, now_ms, batch)? {
            continue;
        }
        let found = read(store, &other.name)?;
        match found.value.as_ref() == Some(&other) {
            true => found.unchanged(batch),
            // Somebody has just changed it: this commit finds out, and it is looked anew.
            false => found.stale(batch),
        }
        return Ok(());
    }
    Err(IdentityError::LastAdmin(user.name.clone()))
}

/// Gives a user another role, another organisation (`Some(None)`: none), or both. With `is_admin` the last admin stays one.
pub fn change_to(
    store: &dyn Store,
    name: &str,
    role: Option<Role>,
    org: Option<Option<&str>>,
    now_ms: i64,
    is_admin: IsAdmin<'_>,
) -> Result<User, IdentityError> {
    change(store, name, |user, batch| {
        let after = User {
            role: role.unwrap_or(user.role),
            ..user.clone()
        };
        if is_admin(user) && !is_admin(&after) {
            keep_an_admin(store, user, now_ms, is_admin, batch)?;
        }
        if let Some(Some(org)) = org {
            organisation::require(store, org, batch)?;
        }
        if let Some(org) = org {
            user.org = org.map(str::to_owned);
        }
        user.role = role.unwrap_or(user.role);
        Ok(())
    })
}

/// Gives a user another role. It counts from the next request on.
pub fn set_role(store: &dyn Store, name: &str, role: Role) -> Result<User, IdentityError> {
    change(store, name, |user, _| {
        user.role = role;
        Ok(())
    })
}

/// Makes a user a member of an organisation, or of none.
pub fn set_org(store: &dyn Store, name: &str, org: Option<&str>) -> Result<User, IdentityError> {
    change(store, name, |user, batch| {
        if let Some(org) = org {
            organisation::require(store, org, batch)?;
        }
        user.org = org.map(str::to_owned);
        Ok(())
    })
}

/// Gives a user another password, hashed already, and ends their sessions: somebody else may have had the old one.
pub fn set_password(store: &dyn Store, name: &str, hashed: &str) -> Result<User, IdentityError> {
    change(store, name, |user, batch| {
        user.password = Some(hashed.to_owned());
        user.held = false;
        session::close_all(user, batch);
        Ok(super::guess::forget(store, batch, &user.name)?)
    })
}

/// Ends what a user may: sessions at once, tokens as well, which are asked for their user each time.
pub fn revoke(store: &dyn Store, name: &str, now_ms: i64) -> Result<User, IdentityError> {
    revoke_but(store, name, now_ms, &|_| false)
}

/// The same, but for the last of those who are admins.
pub fn revoke_but(store: &dyn Store, name: &str, now_ms: i64, is_admin: IsAdmin<'_>) -> Result<User, IdentityError> {
    change(store, name, |user, batch| {
        if is_admin(user) {
            keep_an_admin(store, user, now_ms, is_admin, batch)?;
        }
        user.revoked_ms = Some(now_ms);
        user.password = None;
        session::close_all(user, batch);
        Ok(())
    })
}

/// Lets a user try again at once who was locked out by guesses.
pub fn unlock(store: &dyn Store, name: &str) -> Result<User, IdentityError> {
    change(store, name, |user, batch| {
        Ok(super::guess::forget(store, batch, &user.name)?)
    })
}
