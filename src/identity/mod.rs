//! Who somebody is, and what they may do: users, organisations, tokens, sessions.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`role`] | viewer, operator, admin, and what a token may be narrowed to |
//! | [`caller`] | somebody who is known, for as long as one request or command takes |
//! | [`denied`] | why somebody is not let in, or may not |
//! | [`user`], [`organisation`], [`token`] | rows that people change |
//! | [`session`] | what a browser holds after a login, and what keeps others from using it |
//! | [`password`] | argon2id, a few at a time |
//! | [`guess`] | growing pauses for those who guess |
//! | [`familiar`] | where a user has logged in from, and whom no stranger keeps out there |
//! | [`quota`] | so many calls a minute, for a user and an organisation |
//! | [`restored`] | who is let in after a restore |
//!
//! Everything is a row, changed behind preconditions: two nodes cannot disagree about who is let in. Secrets are stored
//! hashed: passwords with argon2id, tokens and sessions, which hold 256 bits of chance, with SHA-256.
//!
//! *Invariant:* nothing here tells a stranger whether a user exists, by its answer or by the time it takes. No stranger is
//! who sits where the user logs in from ([`familiar`]).

pub mod caller;
pub mod denied;
mod familiar;
pub mod guess;
pub mod organisation;
pub mod password;
pub mod quota;
pub mod restored;
pub mod role;
mod rows;
pub mod session;
#[cfg(test)]
mod tests;
pub mod token;
pub mod user;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::io::chance::Chance;
use crate::journal::audit::{self, Act, Actor, Via};
use crate::store::{Batch, Durability, Store, StoreError};

pub use caller::{Caller, Page, Proof};
pub use denied::{Denied, IdentityError};
pub use organisation::Organisation;
pub use role::{Role, Scope};
pub use session::Session;
pub use token::Token;
pub use user::User;

/// The variable that names users who are admins whatever their rows say, and its preset.
pub const ADMIN_USERS: &str = "ADMIN_USERS";
const ADMIN_PRESET: &str = "admin";

/// What somebody shows to be let in.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// Of the header `Authorization: Bearer …`.
    Bearer(&'a str),
    /// The value of the session's cookie.
    Cookie(&'a str),
}

/// A user as somebody wants one. The password is as it was typed.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub role: Role,
    pub org: Option<&'a str>,
    pub password: Option<&'a str>,
}

/// Lets people in.
pub struct Identity {
    admins: RwLock<Admins>,
    pub passwords: password::Passwords,
    chance: Arc<dyn Chance>,
}

/// Who is an admin by `ADMIN_USERS`, and of which edition of the settings that is.
#[derive(Default)]
struct Admins {
    edition: u64,
    names: BTreeSet<String>,
}

/// The names that `ADMIN_USERS` says, with commas between them.
fn admins(says: Option<&str>) -> BTreeSet<String> {
    let names = says.unwrap_or(ADMIN_PRESET).split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_lowercase).collect()
}

impl Identity {
    /// `admin_users` is what `ADMIN_USERS` says.
    pub fn new(admin_users: Option<&str>, chance: Arc<dyn Chance>) -> Identity {
        let names = admins(admin_users);
        Identity {
            admins: RwLock::new(Admins { edition: 0, names }),
            passwords: password::Passwords::new(chance.clone()),
            chance,
        }
    }

    /// From here on `admin_users` counts, which edition `edition` of the settings says; the same edition says the same.
    pub fn follow(&self, edition: u64, admin_users: Option<&str>) {
        let is_known = |admins: &Admins| admins.edition == edition;
        if is_known(&self.admins.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let names = admins(admin_users);
        *self.admins.write().unwrap_or_else(PoisonError::into_inner) = Admins { edition, names };
    }

    /// The role of `user`: what the row says, or more where `ADMIN_USERS` says so.
    pub fn role_of(&self, user: &User) -> Role {
        let admins = self.admins.read().unwrap_or_else(PoisonError::into_inner);
        match admins.names.contains(&user.name) {
            true => Role::Admin,
            false => user.role,
        }
    }

    /// Adds a user: the name in small letters, the password hashed. `sign` gives the store in which whoever does it is held
    /// to account for the act.
    pub fn add<E: From<IdentityError>>(
        &self,
        wanted: &Wanted<'_>,
        now_ms: i64,
        sign: impl FnOnce(Act) -> Result<Arc<dyn Store>, E>,
    ) -> Result<User, E> {
        let name = wanted.name.to_lowercase();
        let hash = |password: &str| self.passwords.hash(&name, password);
        let hashed = wanted.password.map(hash).transpose()?;
        let new = user::New {
            name: &name,
            role: wanted.role,
            org: wanted.org,
            password: hashed.as_deref(),
        };
        let store = sign(user::add_act(&new))?;
        Ok(user::add(&*store, &new, now_ms)?)
    }

    /// Who presents this. A session or token that is used is noted now and then, not each time.
    pub fn authenticate(&self, store: &dyn Store, now_ms: i64, presented: Presented<'_>) -> Result<Caller, Denied> {
        match presented {
            Presented::Bearer(text) => {
                let (token, user) = token::authenticate(store, now_ms, text)?;
                let role = self.role_of(&user).min(token.scope.role());
                let caller = Caller::new(user.name, user.org, role, Proof::Token { id: token.id });
                Ok(Caller {
                    scope: token.scope,
                    ..caller
                })
            }
            Presented::Cookie(secret) => {
                let (session, user) = session::authenticate(store, now_ms, secret)?;
                let role = self.role_of(&user);
                let id = session::id_of(secret);
                let proof = Proof::Session { id, csrf: session.csrf };
                Ok(Caller::new(user.name, user.org, role, proof))
            }
        }
    }

    /// Opens a session for whoever knows the password; gives it, and the secret of its cookie. `from` is the address
    /// that the request came from, `corr` its correlation id.
    pub fn login(
        &self,
        store: &dyn Store,
        now_ms: i64,
        name: &str,
        password: &str,
        from: &str,
        corr: &str,
    ) -> Result<(Session, String), Denied> {
        let name = name.trim().to_lowercase();
        let found = match user::is_name(&name) {
            true => user::get(store, &name)?.filter(|user| user.revoked_ms.is_none()),
            false => None,
        };
        let tried = guess::Tried {
            user: &name,
            is_known: found.is_some(),
            from,
        };
        // Counted before the password is looked at: a thousand at once are a thousand, and not one.
        if let Err(pause) = guess::begin(store, &*self.chance, now_ms, &tried)? {
            return Err(self.locked(store, now_ms, &tried, pause, corr)?);
        }
        let hashed = found.as_ref().and_then(|user| user.password.as_deref());
        // Also without a user: it takes as long.
        let is_right = match self.passwords.is_right(password, hashed) {
            Ok(is_right) => is_right,
            Err(busy) => {
                guess::unchecked(store, now_ms, &tried)?;
                return Err(busy.into());
            }
        };
        let Some(user) = found.filter(|_| is_right) else {
            return Err(Denied::LoginFailed);
        };
        if user.held {
            return Err(Denied::Held);
        }
        let secret = session::new_secret(&*self.chance);
        let actor = Actor {
            org: user.org.clone(),
            ..Actor::new(&user.name, Via::Http, corr)
        };
        let act = Act::new("session.open", &user.name).with("from", from);
        let opened = session::open(store, now_ms, &user, &secret, |batch| {
            audit::commit(store, batch, Durability::Now, &actor, &act, now_ms)
        })?;
        let session = Session {
            role: self.role_of(&user),
            ..opened
        };
        guess::succeeded(store, now_ms, &tried)?;
        Ok((session, secret))
    }

    /// What somebody is told who guessed too often. The first refusal of each pause is an act.
    fn locked(
        &self,
        store: &dyn Store,
        now_ms: i64,
        tried: &guess::Tried<'_>,
        pause: guess::Pause,
        corr: &str,
    ) -> Result<Denied, StoreError> {
        if pause.is_news {
            let actor = Actor::new("(nobody)", Via::Http, corr);
            // What a stranger types may be a password in the wrong place.
            let target = if tried.is_known { tried.user } else { "(unknown)" };
            let act = Act::new("login.locked", target)
                .with("from", tried.from)
                .with("guesses", pause.guesses);
            audit::record(store, Durability::Soon, &actor, &act, now_ms)?;
        }
        Ok(Denied::LoginLocked {
            retry_after_ms: pause.left_ms,
        })
    }

    /// Ends the session of this cookie; gives whether there was one.
    pub fn logout(&self, store: &dyn Store, now_ms: i64, secret: &str, corr: &str) -> Result<bool, Denied> {
        session::close(store, secret, |batch: Batch, user: &str| {
            let actor = Actor::new(user, Via::Http, corr);
            audit::commit(
                store,
                batch,
                Durability::Now,
                &actor,
                &Act::new("session.close", user),
                now_ms,
            )
        })
    }
}

/// Whether `proof` still lets anybody in. It counts as no use of it.
pub fn still(store: &dyn Store, now_ms: i64, proof: &Proof) -> Result<bool, StoreError> {
    match proof {
        Proof::Local => Ok(true),
        Proof::Token { id } => token::still(store, now_ms, id),
        Proof::Session { id, .. } => session::still(store, now_ms, id),
    }
}

/// Whether there is anybody to let in: a user with a password or a live token. Without one, nothing may listen wider
/// than this machine.
pub fn has_anybody(store: &dyn Store, now_ms: i64) -> Result<bool, StoreError> {
    let users = user::list(store)?;
    let mut live = users.iter().filter(|user| user.revoked_ms.is_none());
    let tokens = token::list(store)?;
    Ok(live.any(|user| {
        // Those of whom a restore has to be told still are somebody.
        let can_come = [token::State::Live, token::State::Held];
        let is_live = |token: &Token| token.user == user.name && can_come.contains(&token.state(now_ms));
        user.password.is_some() || tokens.iter().any(is_live)
    }))
}
