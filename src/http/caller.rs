//! Who asks, and what they may do.

use super::answer::Refusal;
use super::request::Request;
use super::server::Server;

/// What somebody may do; each may also do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Starts, cancels, answers, pauses.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    pub fn code(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

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
        }
    }
}

/// Says who asks. It may read the store; it sees the head of a request and never its body.
pub type Doorkeeper = Box<dyn Fn(&Server, &Request) -> Result<Caller, Refusal> + Send + Sync>;

/// While there are no users and no tokens: nobody, or a viewer where `[server] open_reads` says so.
pub fn authenticate(server: &Server, request: &Request) -> Result<Caller, Refusal> {
    let nobody = Caller::nobody(&request.corr);
    match server.limits.open_reads && request.peer.ip().is_loopback() {
        true => Ok(Caller {
            role: Some(Role::Viewer),
            ..nobody
        }),
        false => Ok(nobody),
    }
}
