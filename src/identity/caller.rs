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
        let token = match &self.proof {
            Proof::Token { id } => Some(id.clone()),
            Proof::Local | Proof::Session { .. } => None,
        };
        Actor {
            org: self.org.clone(),
            token,
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

    /// Refuses a change by cookie that did not come from a page of this host. Whoever shows a token of their own needs none
    /// of this.
    pub fn check_csrf(&self, page: &Page<'_>) -> Result<(), Denied> {
        let Proof::Session { csrf, .. } = &self.proof else {
            return Ok(());
        };
        page.check_is_ours()?;
        match page.token {
            Some(token) if is_same(token.as_bytes(), csrf.as_bytes()) => Ok(()),
            Some(_) => Err(Denied::Csrf("its X-CSRF-Token is not that of the session")),
            None => Err(Denied::Csrf("it has no X-CSRF-Token")),
        }
    }
}

/// What a request says of the page that sent it, by its headers. Programs say nothing of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// `X-CSRF-Token`
    pub token: Option<&'a str>,
    /// `Origin`
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`, in which browsers say whose page it is.
    pub site: Option<&'a str>,
    /// `Host`: whom it asks.
    pub host: Option<&'a str>,
    /// It came through TLS.
    pub is_secure: bool,
}

impl Page<'_> {
    /// Refuses a page of another site, as far as the browser tells.
    pub fn check_is_ours(&self) -> Result<(), Denied> {
        match self.origin {
            Some(origin) if !self.is_same_origin(origin) => Err(Denied::Csrf("its Origin is another site's")),
            _ if self.is_foreign() => Err(Denied::Csrf("its Sec-Fetch-Site says that another site sent it")),
            _ => Ok(()),
        }
    }

    /// Whether the browser says that a page of another site, or of a neighbour of this one, sent it.
    pub fn is_foreign(&self) -> bool {
        self.site
            .is_some_and(|site| !matches!(site.trim(), "same-origin" | "none"))
    }

    /// Whether `origin` is what the request was sent to. Behind TLS no page without it speaks for this host: anybody on the
    /// way can write one.
    fn is_same_origin(&self, origin: &str) -> bool {
        let plain = || origin.strip_prefix("http://").filter(|_| !self.is_secure);
        let authority = origin.strip_prefix("https://").or_else(plain);
        matches!((authority, self.host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
    }
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
        let check = |token: Option<&'static str>, origin: Option<&'static str>, host: Option<&'static str>| {
            caller.check_csrf(&Page {
                token,
                origin,
                host,
                ..Page::default()
            })
        };
        assert!(check(Some("right"), None, host).is_ok());
        assert!(check(Some("right"), Some("https://HOST.example:7070"), host).is_ok());
        for (token, origin, host) in [
            (None, None, host),
            (Some(""), None, host),
            (Some("wrong"), None, host),
            (Some("right"), Some("https://evil.example"), host),
            (Some("right"), Some("https://host.example:7070.evil.example"), host),
            (Some("right"), Some("null"), host),
            (Some("right"), Some("https://host.example:7070"), None),
        ] {
            let denied = check(token, origin, host);
            assert!(matches!(denied, Err(Denied::Csrf(_))), "{token:?} {origin:?} {host:?}");
        }
    }

    #[test]
    fn a_page_that_the_browser_calls_foreign_or_that_came_without_tls_is_not_ours() {
        let page = Page {
            token: Some("right"),
            host: Some("host.example"),
            ..Page::default()
        };
        for (site, is_ours) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("something new", false),
        ] {
            let page = Page {
                site: Some(site),
                ..page
            };
            assert_eq!(by_cookie().check_csrf(&page).is_ok(), is_ours, "{site}");
        }
        for (origin, is_secure, is_ours) in [
            ("http://host.example", false, true),
            ("https://host.example", false, true),
            ("https://host.example", true, true),
            ("http://host.example", true, false),
        ] {
            let page = Page {
                origin: Some(origin),
                is_secure,
                ..page
            };
            assert_eq!(by_cookie().check_csrf(&page).is_ok(), is_ours, "{origin} {is_secure}");
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
        let page = Page {
            origin: Some("https://evil.example"),
            site: Some("cross-site"),
            ..Page::default()
        };
        assert!(caller.check_csrf(&page).is_ok());
    }
}
