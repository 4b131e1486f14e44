//! Webhooks: what services send to start a playbook, signed.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`verify`] | whether it comes from whoever has the secret, and from just now |
//! | [`handshake`] | showing a service that the address is ours |
//! | [`tally`] | what became of deliveries, for metrics and a log that nobody can flood |
//!
//! The order is: size, signature over the bytes as they came, time, whether it came before, record on disk, answer. Nothing
//! is read from the store, and nothing of the body understood, before the signature is right. Runs are made of the records
//! by [`triggers::webhooks`](crate::triggers::webhooks).

pub mod handshake;
pub mod tally;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value as Json, json};

use self::tally::{Fate, Tally};
use self::verify::{Fault, Genuine};
use super::answer::{Answer, Refusal};
use super::request::Request;
use super::routes::{Found, Handler, Needs, Takes};
use super::server::Server;
use crate::config::Config;
use crate::journal::intake::{Arrival, Taken};
use crate::script::triggers::webhook::{Hook, Names, SECRET_ENDINGS, Says, Scheme};
use crate::serve::Edition;

/// The longest body: a run is told of all of it.
pub const BODY_BYTES_MAX: u64 = 256 << 10;

/// Shorter secrets are guessed.
const SECRET_CHARS_MIN: usize = 8;

/// The longest value of a header that is told.
const VALUE_CHARS_MAX: usize = 1000;

/// Headers that every playbook is told of.
const TELLS: [&str; 2] = ["content-type", "user-agent"];

/// A webhook of a playbook, complete.
pub struct Hooked {
    pub playbook: String,
    /// In figures and logs.
    name: Arc<str>,
    pub hook: Hook,
    /// Or why nothing can be verified.
    scheme: Result<Scheme, String>,
}

/// The variables of the environment that hold secrets of webhooks: those that host.toml names, and those whose names say so.
pub fn secrets(config: &Config) -> Vec<(String, String)> {
    let sections = config.file.webhooks.values();
    let named = sections.flat_map(|says| says.secret.iter().flat_map(Names::list).chain(&says.verify));
    let called_so = config.env.names().filter(|name| is_called_so(name));
    let names = named.map(String::as_str).chain(called_so);
    names
        .filter_map(|name| Some((name.to_owned(), config.env.get(name)?.to_owned())))
        .collect()
}

fn is_called_so(name: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Why nothing could ever be taken in by `hook`, with what host.toml says.
pub fn why_never(hook: &Hook, config: &Config) -> Option<String> {
    let scheme = match Scheme::resolve(&hook.says, &config.file.webhooks) {
        Ok(scheme) => scheme,
        Err(reason) => return Some(reason),
    };
    let sections = || config.file.webhooks.values();
    let is_declared = |name: &String| {
        let names = sections().flat_map(|says| says.secret.iter().flat_map(Names::list).chain(&says.verify));
        is_called_so(name) || names.into_iter().any(|declared| declared == name)
    };
    // Else a playbook could have any variable compared with what somebody sends, and no mask would know it.
    let strange = scheme
        .secrets
        .iter()
        .chain(&scheme.verify)
        .find(|name| !is_declared(name))?;
    Some(format!(
        "nothing says that {strange} is a secret: let its name end in {}, or name it in [webhooks.NAME] in host.toml",
        SECRET_ENDINGS.join(" or ")
    ))
}

/// The webhooks of `edition`, by path.
pub fn of(edition: &Edition) -> BTreeMap<String, Arc<Hooked>> {
    let sections: &BTreeMap<String, Says> = &edition.app.config.file.webhooks;
    let hooks = edition.playbooks.iter().filter_map(|(playbook, listed)| {
        let hook = listed.triggers.webhook.as_deref()?.clone();
        let hooked = Hooked {
            playbook: playbook.clone(),
            name: Arc::from(format!("webhook:{playbook}")),
            scheme: Scheme::resolve(&hook.says, sections),
            hook,
        };
        Some((hooked.hook.path.clone(), Arc::new(hooked)))
    });
    hooks.collect()
}

/// What answers at its path, by method.
pub fn doors(hooked: &Arc<Hooked>, tally: &Arc<Tally>, bytes_max: u64) -> Vec<(Method, Found)> {
    let found = |body: Takes, handle: fn(&Hooked, &Tally, &Server, &Request) -> Result<Answer, Refusal>| {
        let (hooked, tally) = (hooked.clone(), tally.clone());
        Found {
            name: hooked.name.clone(),
            needs: Needs::Nobody,
            query: None,
            body,
            params: BTreeMap::new(),
            quota: None,
            playbook: None,
            handle: Handler::Made(Arc::new(move |server, request| {
                handle(&hooked, &tally, server, request)
            })),
        }
    };
    let takes = Takes::Bytes(Some(bytes_max.min(BODY_BYTES_MAX)));
    let mut doors = vec![(Method::POST, found(takes, take))];
    if hooked.scheme.as_ref().is_ok_and(|scheme| scheme.verify.is_some()) {
        doors.push((Method::GET, found(Takes::Nothing, handshake::subscribe)));
    }
    doors
}

fn take(hooked: &Hooked, tally: &Tally, server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let edition = server.edition();
    let (scheme, secrets) = hooked.ready(&edition, tally, server)?;
    let now_ms = server.now_ms();
    let genuine = match verify::verify(scheme, &secrets, &request.headers, &request.body, now_ms) {
        Ok(genuine) => genuine,
        Err(fault) => return Err(refused(hooked, tally, server, &fault)),
    };
    if let Some(challenge) = handshake::challenge(scheme, &request.headers, &request.body) {
        tally.count(&hooked.playbook, Fate::Challenged);
        return challenge.map(Answer::text);
    }
    // A save may have come between the look at the path and this.
    let is_live = edition.playbooks.get(&hooked.playbook).is_some_and(|listed| {
        let hook = listed.triggers.webhook.as_deref();
        hook.is_some_and(|hook| hook.path == hooked.hook.path)
    });
    if !is_live {
        return Err(Refusal::not_found("there is nothing under this path"));
    }
    let Genuine { id, sent_ms } = genuine;
    let arrival = Arrival {
        path: &hooked.hook.path,
        playbook: &hooked.playbook,
        sent_id: &id,
        by_body: scheme.by_body,
        sent_ms,
        headers: told(hooked, scheme, &request.headers),
        body: &request.body,
        corr: &request.corr,
    };
    let (commit, fate) = match arrival.take(&server.ground(), now_ms, server.app.chance.wide_bits())? {
        Taken::New { commit, .. } => {
            server.ready.stir();
            (commit, Fate::Taken)
        }
        Taken::Repeated { commit, .. } => (commit, Fate::Repeated),
        Taken::Other { .. } => {
            tally.count(&hooked.playbook, Fate::Other);
            let message = "something else came under this id, and was taken in";
            return Err(Refusal::new(409, "WEBHOOK_ID_REUSED", message));
        }
    };
    // Also of one that came before: it may be in memory alone.
    server.store.wait_durable(commit)?;
    tally.count(&hooked.playbook, fate);
    Ok(hooked.answer())
}

impl Hooked {
    fn answer(&self) -> Answer {
        match self.hook.text.is_empty() {
            true => Answer::empty(self.hook.status),
            false => Answer::text(self.hook.text.clone()).status(self.hook.status),
        }
    }

    /// Its scheme, and the secrets that are set: without one nothing can be told from a forgery.
    fn ready(&self, edition: &Edition, tally: &Tally, server: &Server) -> Result<(&Scheme, Vec<String>), Refusal> {
        let why = match &self.scheme {
            Ok(scheme) => {
                let secrets = scheme.secrets.iter().filter_map(|name| edition.app.secrets.get(name));
                let secrets: Vec<String> = secrets
                    .map(|secret| secret.reveal().to_owned())
                    .filter(|secret| secret.len() >= SECRET_CHARS_MIN)
                    .collect();
                if !secrets.is_empty() {
                    return Ok((scheme, secrets));
                }
                format!(
                    "none of {} is set with at least {SECRET_CHARS_MIN} characters",
                    scheme.secrets.join(", ")
                )
            }
            Err(reason) => reason.clone(),
        };
        let playbook = &self.playbook;
        tally.count(playbook, Fate::Unready);
        if let Some(more) = tally.may_tell(playbook, server.app.clock.monotonic()) {
            tracing::error!(playbook, more, "a webhook takes nothing in: {why}");
        }
        let message = "this webhook cannot verify anything now; try again later";
        Err(Refusal::new(503, "WEBHOOK_UNREADY", message).header("retry-after", "300"))
    }
}

fn refused(hooked: &Hooked, tally: &Tally, server: &Server, fault: &Fault) -> Refusal {
    let playbook = &hooked.playbook;
    tally.count(playbook, fault.fate());
    if let Some(more) = tally.may_tell(playbook, server.app.clock.monotonic()) {
        let code = fault.code();
        tracing::warn!(playbook, code, more, "a webhook refused what was sent: {}", fault.why());
    }
    fault.refusal()
}

/// The headers that the playbook is told of.
fn told(hooked: &Hooked, scheme: &Scheme, headers: &HeaderMap) -> BTreeMap<String, String> {
    let names = scheme.tells.iter().chain(&hooked.hook.headers).map(String::as_str);
    let names = names.chain(TELLS).filter(|name| *name != scheme.header);
    let value = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        Some((name.to_owned(), text.chars().take(VALUE_CHARS_MAX).collect()))
    };
    names.filter_map(value).collect()
}

/// Its operations in the OpenAPI document.
pub fn described(hooked: &Hooked, title: Option<&str>) -> Map<String, Json> {
    let told_by = json!({"x-correlation-id": {
        "description": "the id under which logs tell of this request", "schema": {"type": "string"},
    }});
    let refused = |codes: &str| {
        json!({
            "description": codes,
            "headers": told_by,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    let text = json!({"text/plain": {"schema": {"type": "string"}}});
    let taken = |description: &str, has_text: bool| {
        let mut taken = json!({"description": description, "headers": told_by});
        if has_text {
            taken["content"] = text.clone();
        }
        taken
    };
    let common = [
        (421, "HOST_UNKNOWN"),
        (500, "INTERNAL"),
        (503, "SERVER_BUSY, WEBHOOK_UNREADY, REQUEST_TIMEOUT"),
    ];
    let responses = |own: &[(u16, &str)]| {
        let all = own.iter().chain(&common);
        let all = all.map(|(status, codes)| (status.to_string(), refused(codes)));
        all.collect::<Map<String, Json>>()
    };
    let summary = title.unwrap_or(&hooked.playbook);
    let mut post = responses(&[
        (
            400,
            "WEBHOOK_TIME, WEBHOOK_ID, BODY_CUT, QUERY_INVALID, TOKEN_IN_ADDRESS",
        ),
        (401, "WEBHOOK_SIGNATURE"),
        (404, "NOT_FOUND"),
        (408, "BODY_TIMEOUT"),
        (409, "WEBHOOK_ID_REUSED"),
        (413, "BODY_TOO_LARGE"),
    ]);
    post.insert(
        "200".to_owned(),
        taken("The address is ours, or what was sent is on disk.", true),
    );
    let is_quiet = hooked.hook.text.is_empty();
    post.insert(
        hooked.hook.status.to_string(),
        taken(
            "It is on disk, and a run is made of it.",
            !is_quiet || hooked.hook.status == 200,
        ),
    );
    let mut operations = Map::new();
    operations.insert(
        "post".to_owned(),
        json!({
            "operationId": format!("webhook.{}", hooked.playbook),
            "summary": summary,
            "tags": ["webhooks"],
            "security": [],
            "requestBody": {"required": false, "content": {"*/*": {"schema": {}}}},
            "responses": post,
        }),
    );
    if hooked.scheme.as_ref().is_ok_and(|scheme| scheme.verify.is_some()) {
        let mut get = responses(&[
            (400, "WEBHOOK_CHALLENGE, QUERY_INVALID, TOKEN_IN_ADDRESS"),
            (403, "WEBHOOK_VERIFY"),
        ]);
        get.insert("200".to_owned(), taken("The challenge.", true));
        let parameter =
            |name: &str| json!({"name": name, "in": "query", "required": true, "schema": {"type": "string"}});
        let parameters = ["hub.mode", "hub.verify_token", "hub.challenge"].map(parameter);
        operations.insert(
            "get".to_owned(),
            json!({
                "operationId": format!("webhook.{}.verify", hooked.playbook),
                "summary": "Shows that the address is ours",
                "tags": ["webhooks"],
                "security": [],
                "parameters": parameters,
                "responses": get,
            }),
        );
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_bounded_by_what_a_run_can_be_told_whatever_the_server_takes() {
        let says: Says = toml::from_str("secret = \"A\"").expect("it can be read");
        let hooked = Arc::new(Hooked {
            playbook: "p".to_owned(),
            name: Arc::from("webhook:p"),
            scheme: Scheme::resolve(&says, &BTreeMap::new()),
            hook: Hook {
                path: "/hooks/p".to_owned(),
                says,
                headers: Vec::new(),
                status: 200,
                text: String::new(),
            },
        });
        for (server, taken) in [(1 << 30, BODY_BYTES_MAX), (1000, 1000)] {
            let doors = doors(&hooked, &Arc::default(), server);
            assert_eq!(doors[0].1.body, Takes::Bytes(Some(taken)));
        }
    }
}
