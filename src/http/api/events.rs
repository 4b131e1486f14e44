//! Events: saying that something has happened, and being told what happens.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{body, list_of, map, realm, text};
use crate::http::answer::{Answer, Refusal};
use crate::http::news;
use crate::http::request::Request;
use crate::http::routes::{Gives, Group, Kind, Param, REALM, Route};
use crate::http::server::Server;
use crate::journal::event;
use crate::store::Durability;
use crate::value::Value;

pub const GROUP: Group = Group {
    name: "events",
    says: "Saying that something has happened, and being told what happens.",
    routes: ROUTES,
    schemas,
};

const ABOUT: Param = Param {
    name: "about",
    says: "only news of this kind",
    kind: Kind::OneOf(news::KINDS),
};

const LAST: Param = Param {
    name: "last_event_id",
    says: "what came after this is told first, as by the header `Last-Event-ID`, which browsers send by themselves",
    kind: Kind::Text { chars_max: 64 },
};

const ROUTES: &[Route] = &[
    Route {
        says: "What happens, as it happens, as server-sent events: runs, incidents, ticks, versions, events. Each carries the \
               thing as it is now, and an id from which to go on. `gap` says that more has happened than is remembered: ask \
               the lists then.",
        query: &[ABOUT, LAST],
        gives: Gives::Stream,
        refuses: &[(400, "EVENT_ID_INVALID"), (503, "STREAMS_FULL")],
        ..Route::get("/api/v1/events", "events.stream", stream)
    },
    Route {
        says: "Says that something has happened, for runs that wait for it and playbooks that it starts.",
        query: &[REALM],
        body: Some("Event"),
        gives: Gives::Data(202, "Emitted"),
        refuses: &[(413, "STORE_TOO_LARGE")],
        ..Route::post("/api/v1/events", "events.emit", emit)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    vec![
        (
            "Event",
            body(
                json!({
                    "name": {"type": "string", "minLength": 1, "maxLength": event::NAME_BYTES_MAX},
                    "data": {"description": "what it carries"},
                }),
                &["name"],
            ),
        ),
        (
            "Emitted",
            map(json!({"name": text(), "realm": text(), "woken": list_of(text())})),
        ),
    ]
}

#[derive(Deserialize)]
struct Happened {
    name: String,
    #[serde(default)]
    data: Json,
}

fn emit(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Happened { name, data } = request.body()?;
    let data = server.masks().mask(Value::from_json(data));
    let (ground, realm) = (server.ground(), realm(server, request));
    let runs = event::emit_for(
        &ground,
        realm,
        &name,
        &data,
        server.now_ms(),
        Durability::Now,
        Some(&request.corr),
    )?;
    for run in &runs {
        server.ready.tell(*run);
    }
    server.ready.stir();
    let woken: Vec<String> = runs.iter().map(ToString::to_string).collect();
    Ok(Answer::data(json!({"name": name, "realm": realm.to_string(), "woken": woken})).status(202))
}

fn stream(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let last = request.header("last-event-id").or(request.query("last_event_id"));
    let after = match last {
        None | Some("") => None,
        Some(last) => Some(last.parse().map_err(|()| {
            let message = "the last id is none that this server has given";
            Refusal::new(400, "EVENT_ID_INVALID", message)
        })?),
    };
    let known = request.caller.known.as_ref().map(|known| &known.proof);
    let stream = server.news.listen(&*server.store, after, request.query("about"), known);
    Ok(Answer::stream(stream))
}
