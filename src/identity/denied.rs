//! Why somebody is not let in or may not, and why a change to who may cannot be made.

use super::role::Role;
use crate::store::StoreError;

/// Why a request is refused. What a stranger could learn from is told alike.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Nothing was presented, or nothing that means anything here.
    #[error("nobody knows who you are: log in, or send a token as `Authorization: Bearer host_…`")]
    Unauthenticated,
    #[error("the name or the password is wrong")]
    LoginFailed,
    #[error("too many wrong passwords: try again in {} seconds", seconds(*retry_after_ms))]
    LoginLocked { retry_after_ms: u64 },
    #[error("too many passwords are being checked at once: try again in a second")]
    LoginBusy,
    #[error("the session is over: log in again")]
    SessionExpired,
    #[error("the token {id} has expired: make another with `host token add`")]
    TokenExpired { id: String },
    #[error("the token {id} was revoked")]
    TokenRevoked { id: String },
    /// The store was restored: what was revoked after the backup works in it as before.
    #[error(
        "the store was restored from a backup, and nobody has said yet whether this still lets anybody in: `host restore` lists what waits"
    )]
    Held,
    #[error("this needs the role {needs}, and yours is {has}")]
    Role { has: Role, needs: Role },
    #[error("this needs the role {role}, and the scope of the token is {scope}")]
    Scope { scope: String, role: Role },
    #[error("the token is not for {playbook:?}")]
    Playbook { playbook: String },
    #[error("the request changes something by cookie, and {0}")]
    Csrf(&'static str),
    #[error("Rate limit exceeded. Try again in {} seconds.", seconds(*retry_after_ms))]
    RateLimited {
        /// `per_user` or `per_org`.
        limit_type: &'static str,
        retry_after_ms: u64,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whole seconds, never too few.
fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000).max(1)
}

impl Denied {
    pub fn code(&self) -> &'static str {
        match self {
            Denied::Unauthenticated => "UNAUTHENTICATED",
            Denied::LoginFailed => "LOGIN_FAILED",
            Denied::LoginLocked { .. } => "LOGIN_LOCKED",
            Denied::LoginBusy => "LOGIN_BUSY",
            Denied::SessionExpired => "SESSION_EXPIRED",
            Denied::TokenExpired { .. } => "TOKEN_EXPIRED",
            Denied::TokenRevoked { .. } => "TOKEN_REVOKED",
            Denied::Held => "ACCESS_HELD",
            Denied::Role { .. } | Denied::Scope { .. } => "ROLE_MISSING",
            Denied::Playbook { .. } => "SCOPE_MISSING",
            Denied::Csrf(_) => "CSRF_FAILED",
            Denied::RateLimited { .. } => "RATE_LIMITED",
            Denied::Store(error) => error.code(),
        }
    }

    /// After how many seconds it makes sense to come again.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Denied::LoginLocked { retry_after_ms } | Denied::RateLimited { retry_after_ms, .. } => {
                Some(seconds(*retry_after_ms))
            }
            Denied::LoginBusy => Some(1),
            _ => None,
        }
    }
}

/// Why a user, an organisation or a token is not as somebody wanted it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("{what} {name:?} is there already")]
    Exists { what: &'static str, name: String },
    #[error("there is no {what} {name:?}")]
    NotFound { what: &'static str, name: String },
    #[error("{name:?} is no name: 1 to 64 of a-z, 0-9 and . _ - @ are allowed, a letter or digit first")]
    Name { name: String },
    #[error("{0:?} was revoked; `host user add` makes another user under another name")]
    UserRevoked(String),
    #[error(
        "{0:?} is the last admin, and nobody could take this back over HTTP; make another one first, or use `host user`"
    )]
    LastAdmin(String),
    #[error("{0}")]
    Password(String),
    #[error("{0}")]
    Token(String),
    #[error("there are {max} {what} already, which is the most")]
    Full { what: &'static str, max: usize },
    #[error("too many passwords are being checked at once: try again in a second")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityError {
    pub fn code(&self) -> &'static str {
        match self {
            IdentityError::Exists { .. } => "NAME_TAKEN",
            IdentityError::NotFound { .. } => "NAME_UNKNOWN",
            IdentityError::Name { .. } => "NAME_INVALID",
            IdentityError::UserRevoked(_) => "USER_REVOKED",
            IdentityError::LastAdmin(_) => "LAST_ADMIN",
            IdentityError::Password(_) => "PASSWORD_WEAK",
            IdentityError::Token(_) => "TOKEN_INVALID",
            IdentityError::Full { .. } => "IDENTITY_FULL",
            IdentityError::Busy => "LOGIN_BUSY",
            IdentityError::Store(error) => error.code(),
        }
    }
}
