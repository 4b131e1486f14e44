//! Somebody who is known, for as long as one request or command takes.

use std::fmt;

use super::denied::Denied;
use super::role::{Role, Scope};
use super::rows::is_same;
use crate::journal::audit::{Actor, Via};

/// How a caller has shown who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// Of the same machine and the same user of its system.
    Local,
    Token {
        id: String,
    },
    /// A cookie, which a browser sends by itself: a change needs the token of the session beside it.
    Session {
        /// The hash under which its row lies.
        id: String,
        csrf: String,
    },
}

/// Without what makes a change by cookie pass.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Local => f.write_str("Local"),
            Proof::Token { id } => write!(f, "Token({id})"),
            Proof::Session { id, .. } => write!(f, "Session({id})"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user: String,
    pub org: Option<String>,
    /// What the user may, narrowed by the token.
    pub role: Role,
    pub scope: Scope,
    pub via: Via,
    pub corr: String,
    pub proof: Proof,
}

impl Caller {
    pub(super) fn new(user: String, org: Option<String>, role: Role, proof: Proof) -> Caller {
        Caller {
            user,
            org,
            role,
            scope: Scope::whole(),
            via: Via::Http,
            corr: String::new(),
            proof,
        }
    }

    /// Whoever sits at this machine: the rights of the store's files are theirs.
    pub fn local(user: impl Into<String>, via: Via, corr: impl Into<String>) -> Caller {
        Caller {
            via,
            corr: corr.into(),
            ..Caller::new(user.into(), None, Role::Admin, Proof::Local)
        }
    }

    /// The same with the correlation id of the request.
    pub fn with_corr(self, corr: impl Into<String>) -> Caller {
        Caller {
            corr: corr.into(),
            ..self
        }
    }

    /// As the audit log names them.
    pub fn actor(&self) -> Actor {
        Actor {
            org: self.org.clone(),
            ..Actor::new(&self.user, self.via, &self.corr)
        }
    }

    /// Refuses who may less than `role`.
    pub fn needs(&self, role: Role) -> Result<(), Denied> {
        match () {
            () if self.role >= role => Ok(()),
            () if self.scope.role() < role => Err(Denied::Scope {
                scope: self.scope.to_string(),
                role,
            }),
            () => Err(Denied::Role {
                has: self.role,
                needs: role,
            }),
        }
    }

    /// Refuses whose token is for other playbooks.
    pub fn needs_playbook(&self, playbook: &str) -> Result<(), Denied> {
        match self.scope.is_of_playbook(playbook) {
            true => Ok(()),
            false => Err(Denied::Playbook {
                playbook: playbook.chars().take(80).collect(),
            }),
        }
    }

    /// Refuses what the token's playbooks do not bound: whoever is held to some may not reach what belongs to none.
    pub fn needs_no_playbook(&self) -> Result<(), Denied> {
        match self.scope.playbooks.is_empty() {
            true => Ok(()),
            false => Err(Denied::Playbook {
                playbook: "(all)".to_owned(),
            }),
        }
    }

    /// Refuses a change by cookie that did not come from a page of this host: `token` is what the request carries beside
    /// the cookie, `origin` and `host` are its headers. Whoever shows a token of their own needs none of this.
    pub fn check_csrf(&self, token: Option<&str>, origin: Option<&str>, host: Option<&str>) -> Result<(), Denied> {
        let Proof::Session { csrf, .. } = &self.proof else {
            return Ok(());
        };
        if origin.is_some_and(|origin| !is_same_origin(origin, host)) {
            return Err(Denied::Csrf("its Origin is another site's"));
        }
        match token {
            Some(token) if is_same(token.as_bytes(), csrf.as_bytes()) => Ok(()),
            Some(_) => Err(Denied::Csrf("its X-CSRF-Token is not that of the session")),
            None => Err(Denied::Csrf("it has no X-CSRF-Token")),
        }
    }
}

/// Whether `origin`, as a browser sends it, is what the request was sent to.
pub fn is_same_origin(origin: &str, host: Option<&str>) -> bool {
    let authority = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_cookie() -> Caller {
        let (id, csrf) = ("row".to_owned(), "right".to_owned());
        Caller::new("ann".to_owned(), None, Role::Admin, Proof::Session { id, csrf })
    }

    #[test]
    fn a_change_by_cookie_needs_the_sessions_token_and_its_own_origin() {
        let caller = by_cookie();
        let host = Some("host.example:7070");
        assert!(caller.check_csrf(Some("right"), None, host).is_ok());
        assert!(
            caller
                .check_csrf(Some("right"), Some("https://HOST.example:7070"), host)
                .is_ok()
        );
        for (token, origin, host) in [
            (None, None, host),
            (Some(""), None, host),
            (Some("wrong"), None, host),
            (Some("right"), Some("https://evil.example"), host),
            (Some("right"), Some("https://host.example:7070.evil.example"), host),
            (Some("right"), Some("null"), host),
            (Some("right"), Some("https://host.example:7070"), None),
        ] {
            let denied = caller.check_csrf(token, origin, host);
            assert!(matches!(denied, Err(Denied::Csrf(_))), "{token:?} {origin:?} {host:?}");
        }
    }

    #[test]
    fn what_makes_a_change_pass_is_in_no_debugging_text() {
        assert!(!format!("{:?}", by_cookie()).contains("right"));
    }

    #[test]
    fn a_token_of_ones_own_needs_no_other() {
        let proof = Proof::Token { id: "a".to_owned() };
        let caller = Caller::new("ann".to_owned(), None, Role::Admin, proof);
        assert!(caller.check_csrf(None, Some("https://evil.example"), None).is_ok());
    }
}
