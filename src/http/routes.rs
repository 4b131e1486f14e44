//! The table of routes, as data. The router, the OpenAPI document and the checks of what comes in have no other source.
//!
//! A route is a line in its group's `ROUTES`, a group a line in [`GROUPS`]. What a playbook adds while the host serves comes
//! through [`Doors`], which is asked when nothing in the table has the path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::api;
use super::caller::Role;
use super::request::Request;
use super::server::Server;
use crate::identity::quota::Quota;

/// Every group, in the order of the document.
pub const GROUPS: &[Group] = &[
    api::health::GROUP,
    api::telemetry::GROUP,
    api::playbooks::GROUP,
    api::runs::GROUP,
    api::questions::GROUP,
    api::ticks::GROUP,
    api::queues::GROUP,
    api::incidents::GROUP,
    api::versions::GROUP,
    api::events::GROUP,
    api::pauses::GROUP,
    api::session::GROUP,
    api::users::GROUP,
    api::tokens::GROUP,
    api::audit::GROUP,
];

/// Routes that show how the server is: they have threads of their own.
pub const WATCHING: [&str; 3] = ["status", "metrics", "monitor"];

/// Routes about one thing.
pub struct Group {
    pub name: &'static str,
    pub says: &'static str,
    pub routes: &'static [Route],
    /// What its bodies and answers look like, by name.
    pub schemas: fn() -> Vec<(&'static str, Value)>,
}

/// What answers a request. It may block; it runs on one of a bounded number of threads.
pub type Handle = fn(&Server, &Request) -> Result<Answer, Refusal>;

/// One line of the table.
pub struct Route {
    pub verb: Verb,
    /// Places in it are `{name}`: see [`PLACES`].
    pub path: &'static str,
    /// Known everywhere by this: `runs.list`.
    pub name: &'static str,
    pub says: &'static str,
    pub needs: Needs,
    pub query: &'static [Param],
    /// The schema of the body, by name.
    pub body: Option<&'static str>,
    pub gives: Gives,
    /// Codes with which it is refused, beside those that every route has.
    pub refuses: &'static [(u16, &'static str)],
    pub handle: Handle,
}

impl Route {
    /// A route that anybody may ask and that takes nothing, to be completed.
    pub const fn get(path: &'static str, name: &'static str, handle: Handle) -> Route {
        Route {
            verb: Verb::Get,
            path,
            name,
            says: "",
            needs: Needs::Role(Role::Viewer),
            query: &[],
            body: None,
            gives: Gives::Nothing,
            refuses: &[],
            handle,
        }
    }

    /// A change, for operators.
    pub const fn post(path: &'static str, name: &'static str, handle: Handle) -> Route {
        Route {
            verb: Verb::Post,
            needs: Needs::Role(Role::Operator),
            ..Route::get(path, name, handle)
        }
    }
}

/// What is done to what lies under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        }
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Whoever looks whether the server lives, under whatever name: it says nothing else.
    Probe,
    Nobody,
    Role(Role),
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// In the envelope, with this status and the schema of this name.
    Data(u16, &'static str),
    /// In the envelope: `items` of this schema, and where the `next` page begins.
    Page(&'static str),
    /// The bytes of this kind, without the envelope.
    Bytes(&'static str),
    /// The schema, without the envelope, as JSON.
    Json(&'static str),
    /// What happens, as it happens.
    Stream,
    Nothing,
}

/// A value of the query.
pub struct Param {
    pub name: &'static str,
    pub says: &'static str,
    pub kind: Kind,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text { chars_max: usize },
    Whole { least: i64, most: i64 },
    OneOf(&'static [&'static str]),
    Flag,
}

impl Kind {
    /// Why `text` is none.
    pub fn check(&self, text: &str) -> Result<(), String> {
        match self {
            Kind::Text { chars_max } => match text.chars().count() {
                0 => Err("is empty".to_owned()),
                chars if chars > *chars_max => Err(format!("has {chars} characters; 1 to {chars_max} are allowed")),
                _ => Ok(()),
            },
            Kind::Whole { least, most } => match text.parse::<i64>() {
                Ok(number) if (*least..=*most).contains(&number) => Ok(()),
                _ => Err(format!("is no whole number from {least} to {most}")),
            },
            Kind::OneOf(names) if names.contains(&text) => Ok(()),
            Kind::OneOf(names) => Err(format!("is none of {}", names.join(", "))),
            Kind::Flag if matches!(text, "true" | "false") => Ok(()),
            Kind::Flag => Err("is neither true nor false".to_owned()),
        }
    }

    pub fn schema(&self) -> Value {
        match self {
            Kind::Text { chars_max } => json!({
                "type": "string", "minLength": 1, "maxLength": chars_max, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
            }),
            Kind::Whole { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
            Kind::OneOf(names) => json!({"type": "string", "enum": names}),
            Kind::Flag => json!({"type": "boolean"}),
        }
    }
}

/// Where the next page begins: `next` of the last one.
pub const CURSOR: Param = Param {
    name: "cursor",
    says: "where the page begins: `next` of the page before",
    kind: Kind::Text { chars_max: 1024 },
};

/// How much of it.
pub const LIMIT: Param = Param {
    name: "limit",
    says: "how many at most; 50 when it is not said",
    kind: Kind::Whole { least: 1, most: 200 },
};

/// Which body of data.
pub const REALM: Param = Param {
    name: "realm",
    says: "the data of live runs or that of dry ones; that of the server's own mode when it is not said",
    kind: Kind::OneOf(&["live", "dry"]),
};

/// What can stand in the places of paths.
pub const PLACES: &[Param] = &[
    Param {
        name: "playbook",
        says: "the name of a playbook",
        kind: Kind::Text { chars_max: 500 },
    },
    Param {
        name: "run",
        says: "the id of a run, or its beginning if no other begins so",
        kind: Kind::Text { chars_max: 64 },
    },
    Param {
        name: "queue",
        says: "the name of a queue",
        kind: Kind::Text { chars_max: 200 },
    },
    Param {
        name: "job",
        says: "the number of a job",
        kind: Kind::Whole {
            least: 0,
            most: i64::MAX,
        },
    },
    Param {
        name: "incident",
        says: "the id of an incident, or its beginning if no other begins so",
        kind: Kind::Text { chars_max: 64 },
    },
    Param {
        name: "version",
        says: "the number of a version",
        kind: Kind::Whole {
            least: 1,
            most: 1_000_000_000,
        },
    },
    Param {
        name: "user",
        says: "the name of a user",
        kind: Kind::Text { chars_max: 64 },
    },
    Param {
        name: "token",
        says: "the id of a token: the part between its two underscores",
        kind: Kind::Text { chars_max: 64 },
    },
];

/// What has the path of a request and fits its method.
#[derive(Clone)]
pub struct Found {
    /// Known by this in figures and logs.
    pub name: Arc<str>,
    pub needs: Needs,
    /// Values that the query may have; `None`: its own handler looks.
    pub query: Option<&'static [Param]>,
    pub body: Takes,
    /// Of places in the path; those of the table are filled in by the router.
    pub params: BTreeMap<String, String>,
    /// So many calls of a user, and of an organisation; `None`: as many as come.
    pub quota: Option<Quota>,
    /// The playbook that it is about, for tokens that are held to some; those of the table say it in other ways.
    pub playbook: Option<Arc<str>>,
    pub handle: Handler,
}

/// What becomes of the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It has none, or it is not read.
    Nothing,
    /// JSON of the schema of this name.
    Json(&'static str),
    /// Whatever it is, up to so many bytes; `None`: as many as `[server] body_chars_max` says.
    Bytes(Option<u64>),
}

/// A handler that was made for its route.
pub type Made = dyn Fn(&Server, &Request) -> Result<Answer, Refusal> + Send + Sync;

#[derive(Clone)]
pub enum Handler {
    Fixed(Handle),
    Made(Arc<Made>),
    /// Made for this request.
    Run(Arc<dyn Runs>),
}

/// A handler that carries out something that may take long: who asks is told something else then.
pub trait Runs: Send + Sync {
    fn answer(&self, server: &Server, request: &Request) -> Result<Answer, Refusal>;

    /// How long it is waited for.
    fn within(&self, server: &Server) -> Duration;

    /// Whether it has begun with what may take long, and is bounded by something else than the places of requests.
    fn has_begun(&self) -> bool;

    /// What is told when it has begun and not come to its end by then.
    fn late(&self, server: &Server) -> Result<Answer, Refusal>;
}

impl Handler {
    pub fn answer(&self, server: &Server, request: &Request) -> Result<Answer, Refusal> {
        match self {
            Handler::Fixed(handle) => handle(server, request),
            Handler::Made(handle) => handle(server, request),
            Handler::Run(run) => run.answer(server, request),
        }
    }
}

impl Found {
    /// As the table has it.
    pub fn fixed(route: &'static Route) -> Found {
        Found {
            name: Arc::from(route.name),
            needs: route.needs,
            query: Some(route.query),
            body: route.body.map_or(Takes::Nothing, Takes::Json),
            params: BTreeMap::new(),
            quota: None,
            playbook: None,
            handle: Handler::Fixed(route.handle),
        }
    }
}

/// Routes that are not in the table, since they come and go with what is live. Both are asked while others wait, so
/// they look at what is in memory and at nothing else.
pub trait Doors: Send + Sync {
    /// Everything that answers at `path`, by method; nothing where there is no such path.
    fn at(&self, server: &Server, path: &str) -> Vec<(Method, Found)>;

    /// Its paths for the OpenAPI document.
    fn paths(&self, server: &Server) -> serde_json::Map<String, Value>;
}

/// Every line of the table.
pub fn all() -> impl Iterator<Item = &'static Route> {
    GROUPS.iter().flat_map(|group| group.routes)
}

/// The names of the places in `path`.
pub fn places(path: &str) -> impl Iterator<Item = &str> {
    let places = path.split('{').skip(1);
    places.filter_map(|rest| rest.split('}').next())
}
