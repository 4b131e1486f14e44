//! Who is let in after a restore.
//!
//! A backup holds tokens and users that were revoked after it was made, passwords that were changed since, and sessions that
//! have ended. None of them may come back to life unseen: with the restore every session ends, and every password and token
//! of the backup is *held* until somebody at the machine says that it still counts, or never again. What is made after the
//! restore is not held.

use serde::Serialize;

use super::denied::IdentityError;
use super::role::Role;
use super::rows::{self, Found};
use super::token::{State, Token};
use super::user::{self, User};
use crate::journal::audit::Act;
use crate::store::keys::{self, Space};
use crate::store::{Batch, Store, StoreError};

/// Rows read at a time.
const ROWS_AT_ONCE: usize = 1000;

/// What waits for somebody's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    pub users: Vec<HeldUser>,
    pub tokens: Vec<HeldToken>,
}

/// A user whose password is that of the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldUser {
    pub name: String,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldToken {
    pub id: String,
    pub user: String,
    pub scope: String,
    pub label: String,
    pub created_ms: i64,
    pub used_ms: Option<i64>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Passwords and tokens of the backup let people in again.
    Keep,
    /// Tokens are revoked, and users need another password.
    Revoke,
}

impl Access {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    fn user(&mut self, user: &User) {
        let (name, role) = (user.name.clone(), user.role);
        self.users.push(HeldUser { name, role });
    }

    fn token(&mut self, token: &Token) {
        self.tokens.push(HeldToken {
            id: token.id.clone(),
            user: token.user.clone(),
            scope: token.scope.to_string(),
            label: token.label.clone(),
            created_ms: token.created_ms,
            used_ms: token.used_ms,
        });
    }

    /// The act of saying `word` of it.
    pub fn act(&self, word: Word) -> Act {
        let what = match word {
            Word::Keep => "access.keep",
            Word::Revoke => "access.revoke",
        };
        Act::new(what, "(restored)")
            .with("users", self.users.len())
            .with("tokens", self.tokens.len())
    }
}

/// Fills `batch` with: every session has ended, and nothing of the backup lets anybody in.
pub fn hold(store: &dyn Store, now_ms: i64, batch: &mut Batch) -> Result<Access, StoreError> {
    let mut access = Access::default();
    for user in user::list(store)? {
        let found = user::read(store, &user.name)?;
        let held = User {
            held: user.revoked_ms.is_none() && user.password.is_some(),
            sessions: Vec::new(),
            ..user
        };
        if held.held {
            access.user(&held);
        }
        found.put(batch, &held);
    }
    for token in rows::all::<Token>(store, Space::Token)? {
        if matches!(token.state(now_ms), State::Live | State::Held) {
            let found: Found<Token> = Found::read(store, Space::Token, &token.id)?;
            let mut held = token;
            held.held = true;
            access.token(&held);
            found.put(batch, &held);
        }
    }
    let (mut low, high) = keys::prefix_range(keys::named(Space::Session, &[]));
    loop {
        let sessions = store.scan((low, high.clone()), ROWS_AT_ONCE, false)?;
        for (key, _) in &sessions {
            batch.delete(key.clone());
        }
        match sessions.into_iter().nth(ROWS_AT_ONCE - 1) {
            Some((last, _)) => low = std::ops::Bound::Excluded(last),
            None => return Ok(access),
        }
    }
}

/// What waits for somebody's word.
pub fn held(store: &dyn Store, now_ms: i64) -> Result<Access, StoreError> {
    let mut access = Access::default();
    user::list(store)?
        .iter()
        .filter(|user| user.held && user.revoked_ms.is_none())
        .for_each(|user| access.user(user));
    rows::all::<Token>(store, Space::Token)?
        .iter()
        .filter(|token| token.state(now_ms) == State::Held)
        .for_each(|token| access.token(token));
    Ok(access)
}

/// Says `word` of all that is held. The store is one that signs.
pub fn say(store: &dyn Store, word: Word, now_ms: i64) -> Result<Access, IdentityError> {
    rows::change(store, |batch| {
        let access = held(store, now_ms)?;
        for held in &access.users {
            let found = user::read(store, &held.name)?;
            let Some(user) = found.value.clone() else { continue };
            let password = user.password.clone().filter(|_| word == Word::Keep);
            let said = User {
                held: false,
                password,
                ..user
            };
            found.put(batch, &said);
        }
        for held in &access.tokens {
            let found: Found<Token> = Found::read(store, Space::Token, &held.id)?;
            let Some(mut token) = found.value.clone() else { continue };
            token.held = false;
            token.revoked_ms = token.revoked_ms.or((word == Word::Revoke).then_some(now_ms));
            found.put(batch, &token);
        }
        Ok(access)
    })
}
