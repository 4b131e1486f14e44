//! Tokens for programs: `host_<id>_<secret>`, shown once, stored hashed.
//!
//! The id is public: it names the token in lists, in the audit log and in messages. A token gives what its scope says,
//! and never more than its user may at the moment.

use serde::{Deserialize, Serialize};

use super::denied::{Denied, IdentityError};
use super::role::{Role, Scope};
use super::rows::{self, Found, SECRET_CHARS, hash_of, is_same, new_secret};
use super::user::{self, User};
use crate::io::chance::Chance;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Store, StoreError};

/// How a token begins, so that a search for leaked ones finds it.
pub const PREFIX: &str = "host_";

/// Live tokens of one user.
pub const PER_USER_MAX: usize = 100;

/// Playbooks that one token names.
const PLAYBOOKS_MAX: usize = 50;

const LABEL_CHARS_MAX: usize = 100;

/// The longest that a token lives.
pub const DAYS_MAX: u32 = 3650;

const ID_CHARS: usize = 16;

/// How many letters a token has.
pub const CHARS: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS;

/// How coarsely the last use is noted, so that a request need not write.
const USED_EVERY_MS: i64 = 10 * 60 * 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub user: String,
    /// What it is for, in its owner's words.
    #[serde(default)]
    pub label: String,
    pub scope: Scope,
    hash: String,
    pub created_ms: i64,
    #[serde(default)]
    pub expires_ms: Option<i64>,
    #[serde(default)]
    pub revoked_ms: Option<i64>,
    /// Within ten minutes.
    #[serde(default)]
    pub used_ms: Option<i64>,
    /// It is of a backup, and lets nobody in until somebody has said that it still should.
    #[serde(default)]
    pub held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Live,
    /// Since a restore, until somebody has said that it still lets somebody in.
    Held,
    Expired,
    Revoked,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Held => "held",
            State::Expired => "expired",
            State::Revoked => "revoked",
        }
    }
}

impl Token {
    /// As commands and the API show it: without what makes it work.
    pub fn shown(&self, now_ms: i64) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "user": self.user,
            "label": self.label,
            "scope": self.scope.grant,
            "playbooks": self.scope.playbooks,
            "state": self.state(now_ms).as_str(),
            "created_ms": self.created_ms,
            "expires_ms": self.expires_ms,
            "revoked_ms": self.revoked_ms,
            "used_ms": self.used_ms,
        })
    }

    /// What it is by itself; its user may be revoked as well.
    pub fn state(&self, now_ms: i64) -> State {
        match (self.revoked_ms, self.expires_ms) {
            (Some(_), _) => State::Revoked,
            (None, Some(expires_ms)) if now_ms >= expires_ms => State::Expired,
            _ if self.held => State::Held,
            _ => State::Live,
        }
    }
}

/// An id for a new token.
pub fn new_id(chance: &dyn Chance) -> String {
    format!("{:016x}", chance.bits())
}

/// A new token.
pub struct New<'a> {
    pub id: &'a str,
    pub user: &'a str,
    pub label: &'a str,
    pub scope: Scope,
    pub expires_ms: Option<i64>,
}

/// Makes a token; gives it and, this once, its text. The store is one that signs.
pub fn add(
    store: &dyn Store,
    chance: &dyn Chance,
    new: &New<'_>,
    now_ms: i64,
) -> Result<(Token, String), IdentityError> {
    let names = new.scope.playbooks.len();
    if names > PLAYBOOKS_MAX {
        let text = format!("the token names {names} playbooks; at most {PLAYBOOKS_MAX} are allowed");
        return Err(IdentityError::Token(text));
    }
    if new.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
        return Err(IdentityError::Token("the token would have expired already".to_owned()));
    }
    let id = new.id.to_owned();
    let secret = new_secret(chance);
    let token = rows::change(store, |batch| {
        let found = user::read(store, new.user)?;
        let Some(mut owner) = found.value.clone() else {
            return Err(user::not_found(new.user));
        };
        if owner.revoked_ms.is_some() {
            return Err(IdentityError::UserRevoked(owner.name));
        }
        if owner.tokens.len() >= PER_USER_MAX {
            owner.tokens = without_dead(store, owner.tokens, now_ms, batch)?;
        }
        if owner.tokens.len() >= PER_USER_MAX {
            return Err(IdentityError::Full {
                what: "live tokens of this user",
                max: PER_USER_MAX,
            });
        }
        let token = Token {
            id: id.clone(),
            user: owner.name.clone(),
            label: new.label.chars().take(LABEL_CHARS_MAX).collect(),
            scope: new.scope.clone(),
            hash: hash_of("token", &secret),
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            revoked_ms: None,
            used_ms: None,
            held: false,
        };
        owner.tokens.push(token.id.clone());
        found.put(batch, &owner);
        let own: Found<Token> = Found::read(store, Space::Token, &id)?;
        if own.value.is_some() {
            return Err(IdentityError::Exists {
                what: "the token",
                name: id.clone(),
            });
        }
        own.put(batch, &token);
        Ok(token)
    })?;
    let text = format!("{PREFIX}{id}_{secret}");
    Ok((token, text))
}

/// Those of `ids` that are live; the rows of the others go.
fn without_dead(
    store: &dyn Store,
    ids: Vec<String>,
    now_ms: i64,
    batch: &mut Batch,
) -> Result<Vec<String>, StoreError> {
    let mut live = Vec::new();
    for id in ids {
        let found: Found<Token> = Found::read(store, Space::Token, &id)?;
        match found.value.as_ref().map(|token| token.state(now_ms)) {
            Some(State::Live | State::Held) => live.push(id),
            _ => batch.delete(keys::named(Space::Token, &[&id])),
        }
    }
    Ok(live)
}

pub fn get(store: &dyn Store, id: &str) -> Result<Option<Token>, StoreError> {
    Ok(Found::read(store, Space::Token, id)?.value)
}

/// All of them, by id.
pub fn list(store: &dyn Store) -> Result<Vec<Token>, StoreError> {
    rows::all(store, Space::Token)
}

/// Ends a token, from the next request on.
pub fn revoke(store: &dyn Store, id: &str, now_ms: i64) -> Result<Token, IdentityError> {
    rows::change(store, |batch| {
        let found: Found<Token> = Found::read(store, Space::Token, id)?;
        let Some(mut token) = found.value.clone() else {
            return Err(IdentityError::NotFound {
                what: "token",
                name: id.chars().take(40).collect(),
            });
        };
        token.revoked_ms.get_or_insert(now_ms);
        found.put(batch, &token);
        Ok(token)
    })
}

/// Whether one of `ids` lets its user do what admins do, also when `batch` is committed.
pub(super) fn lets_an_admin_in(
    store: &dyn Store,
    ids: &[String],
    now_ms: i64,
    batch: &mut Batch,
) -> Result<bool, StoreError> {
    for id in ids {
        let found: Found<Token> = Found::read(store, Space::Token, id)?;
        let is_wide = |token: &Token| token.scope.role() == Role::Admin && token.scope.playbooks.is_empty();
        let lets_in = |token: &Token| token.state(now_ms) == State::Live && is_wide(token);
        if found.value.as_ref().is_some_and(lets_in) {
            found.unchanged(batch);
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the token still lets its user in.
pub(super) fn still(store: &dyn Store, now_ms: i64, id: &str) -> Result<bool, StoreError> {
    let Some(token) = get(store, id)?.filter(|token| token.state(now_ms) == State::Live) else {
        return Ok(false);
    };
    Ok(user::get(store, &token.user)?.is_some_and(|user| user.revoked_ms.is_none()))
}

/// The token and the user that `text` stands for.
pub(super) fn authenticate(store: &dyn Store, now_ms: i64, text: &str) -> Result<(Token, User), Denied> {
    let (id, secret) = parts(text).ok_or(Denied::Unauthenticated)?;
    let found: Found<Token> = Found::read(store, Space::Token, id)?;
    let Some(token) = &found.value else {
        return Err(Denied::Unauthenticated);
    };
    let hash = hash_of("token", secret);
    if !is_same(hash.as_bytes(), token.hash.as_bytes()) {
        return Err(Denied::Unauthenticated);
    }
    // From here on they have shown that it was theirs, and may know what became of it.
    let id = || token.id.clone();
    match token.state(now_ms) {
        State::Expired => return Err(Denied::TokenExpired { id: id() }),
        State::Revoked => return Err(Denied::TokenRevoked { id: id() }),
        State::Held => return Err(Denied::Held),
        State::Live => {}
    }
    let user = user::get(store, &token.user)?.filter(|user| user.revoked_ms.is_none());
    let user = user.ok_or_else(|| Denied::TokenRevoked { id: id() })?;
    note_use(store, &found, token, now_ms);
    Ok((token.clone(), user))
}

/// Whether a token stands somewhere in `text`.
pub fn is_in(text: &str) -> bool {
    let begins = text.match_indices(PREFIX);
    let is_one = |(at, _)| text.get(at..at + CHARS).is_some_and(|text| parts(text).is_some());
    begins.into_iter().any(is_one)
}

/// `host_<id>_<secret>`
fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let is_id = id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && secret.len() == SECRET_CHARS).then_some((id, secret))
}

fn note_use(store: &dyn Store, found: &Found<Token>, token: &Token, now_ms: i64) {
    let is_noted = |used_ms: i64| (0..USED_EVERY_MS).contains(&(now_ms - used_ms));
    if token.used_ms.is_some_and(is_noted) {
        return;
    }
    let mut batch = Batch::new();
    let used = Token {
        used_ms: Some(now_ms),
        ..token.clone()
    };
    found.put(&mut batch, &used);
    rows::note(store, batch);
}
