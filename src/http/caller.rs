//! Who asks, and how they have shown it.

use axum::http::header::{AUTHORIZATION, COOKIE};

use std::sync::Arc;

use super::answer::Refusal;
use super::request::Request;
use super::server::Server;
use crate::identity::session::find_cookie;
use crate::identity::{self, Presented, Proof, token};
use crate::journal::audit;

pub use crate::identity::Role;

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Not at all: `[server] open_reads`, or a route that anybody may ask.
    Nothing,
    Session,
    Token,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Empty for somebody who did not say.
    pub user: String,
    pub org: String,
    /// `None`: may only ask what anybody may.
    pub role: Option<Role>,
    pub via: Via,
    /// The correlation id of what is asked.
    pub corr: String,
    /// As the store knows them.
    pub known: Option<identity::Caller>,
}

impl Caller {
    /// Somebody of whom nothing is known.
    pub fn nobody(corr: &str) -> Caller {
        Caller {
            user: String::new(),
            org: String::new(),
            role: None,
            via: Via::Nothing,
            corr: corr.to_owned(),
            known: None,
        }
    }

    /// As the audit log names them.
    pub fn actor(&self) -> audit::Actor {
        match &self.known {
            Some(known) => known.actor(),
            None if self.user.is_empty() => audit::Actor::new("(nobody)", audit::Via::Http, &self.corr),
            None => audit::Actor::new(&self.user, audit::Via::Http, &self.corr),
        }
    }
}

impl From<identity::Caller> for Caller {
    fn from(known: identity::Caller) -> Caller {
        let via = match known.proof {
            Proof::Token { .. } => Via::Token,
            Proof::Session { .. } => Via::Session,
            Proof::Local => Via::Nothing,
        };
        Caller {
            user: known.user.clone(),
            org: known.org.clone().unwrap_or_default(),
            role: Some(known.role),
            via,
            corr: known.corr.clone(),
            known: Some(known),
        }
    }
}

/// Says who asks. It may read the store; it sees the head of a request and never its body.
pub type Doorkeeper = Arc<dyn Fn(&Server, &Request) -> Result<Caller, Refusal> + Send + Sync>;

/// Whoever the token or the cookie says; without either nobody, or who reads as a viewer where `[server] open_reads` says so.
pub fn authenticate(server: &Server, request: &Request) -> Result<Caller, Refusal> {
    refuse_in_address(request)?;
    let edition = server.edition();
    let admin_users = edition.app.config.env.get(identity::ADMIN_USERS);
    server.identity.follow(edition.number, admin_users);
    let cookies = cookies(request);
    let cookie = find_cookie(&cookies, request.is_secure);
    let presented = match (bearer(request)?, cookie) {
        // A program that sends a token means it, whatever cookies it has collected.
        (Some(token), _) => Some(Presented::Bearer(token)),
        (None, cookie) => cookie.map(Presented::Cookie),
    };
    if let Some(presented) = presented {
        let known = server
            .identity
            .authenticate(&*server.store, server.now_ms(), presented)?;
        return Ok(known.with_corr(&request.corr).into());
    }
    let nobody = Caller::nobody(&request.corr);
    // A page of any site can have a browser on this machine send something: it is no reader, and nothing is changed.
    let is_reader = request.is_local && !request.is_change() && !request.page().is_foreign();
    match server.limits.open_reads && is_reader {
        true => Ok(Caller {
            role: Some(Role::Viewer),
            ..nobody
        }),
        false => Ok(nobody),
    }
}

/// The cookie of the session that came with a request.
pub fn session_cookie(request: &Request) -> Option<String> {
    let cookies = cookies(request);
    find_cookie(&cookies, request.is_secure).map(str::to_owned)
}

fn cookies(request: &Request) -> String {
    let headers = request.headers.get_all(COOKIE).iter();
    let texts: Vec<&str> = headers.filter_map(|header| header.to_str().ok()).collect();
    texts.join("; ")
}

/// The token of the one `Authorization` header, if there is one. What is something else is refused, and not taken for
/// nothing: whoever sent it believes to be known by it.
fn bearer(request: &Request) -> Result<Option<&str>, Refusal> {
    let mut headers = request.headers.get_all(AUTHORIZATION).iter();
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    let token = header.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match (token, headers.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(Refusal::unauthenticated()),
    }
}

/// Addresses end up in logs, histories and the `Referer` of other pages: a token there is refused, though it be right.
pub(super) fn refuse_in_address(request: &Request) -> Result<(), Refusal> {
    let is_named = |name: &str| ["access_token", "authorization"].contains(&name.to_ascii_lowercase().as_str());
    let in_query = request
        .query
        .iter()
        .any(|(name, value)| is_named(name) || token::is_in(name) || token::is_in(value));
    match in_query || request.params.values().any(|value| token::is_in(value)) {
        false => Ok(()),
        true => {
            let message = "a token stands in the address, where logs keep it: send it as `Authorization: Bearer …`, \
                           and revoke this one";
            Err(Refusal::new(400, "TOKEN_IN_ADDRESS", message))
        }
    }
}
