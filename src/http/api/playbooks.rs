//! Playbooks as new runs get them: what starts them, what they are told, when they start next.

use std::ops::Bound;

use serde_json::{Value as Json, json};

use super::{any, body, count, list_of, map, moment_or_null, text, text_or_null};
use crate::gate::mask::Masks;
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, LIMIT, Route};
use crate::http::server::Server;
use crate::report::ticks::next_json;
use crate::script::error::nearest;
use crate::script::inputs::{InputKind, InputSpec};
use crate::serve::Edition;
use crate::serve::edition::Listed;
use crate::store::StoreError;
use crate::store::ticks::pause::ALL;
use crate::store::ticks::{self, Pauses};
use crate::value::Value;

pub const GROUP: Group = Group {
    name: "playbooks",
    says: "Playbooks that are live: what starts them, and what they want to be told.",
    routes: ROUTES,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        says: "Playbooks that can be started, by name. Files that do not compile are not among them: their version says why.",
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("Playbook"),
        ..Route::get("/api/v1/playbooks", "playbooks.list", list)
    },
    Route {
        says: "One playbook. A name with a slash is written with `%2F`.",
        gives: Gives::Data(200, "Playbook"),
        refuses: &[(404, "PLAYBOOK_NOT_FOUND")],
        ..Route::get("/api/v1/playbooks/{playbook}", "playbooks.get", one)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    let kinds = [
        InputKind::String,
        InputKind::Int,
        InputKind::Float,
        InputKind::Bool,
        InputKind::Array,
        InputKind::Map,
    ];
    let input = map(json!({
        "type": {"type": "string", "enum": kinds.map(InputKind::as_str)}, "required": {"type": "boolean"},
        "default": any(), "help": text_or_null(), "choices": list_of(any()),
        "min": {"type": ["number", "null"]}, "max": {"type": ["number", "null"]},
    }));
    let next = body(
        json!({
            "playbook": text(), "schedule": text(), "written": text(), "planned": {"type": "string", "format": "date-time"},
            "due": moment_or_null(), "paused": {"type": "boolean"}, "waits_for": text_or_null(),
        }),
        &["playbook", "schedule", "planned"],
    );
    vec![(
        "Playbook",
        map(json!({
            "playbook": text(), "file": text(), "version": text(), "edition": count(),
            "title": text_or_null(), "description": text_or_null(),
            "uses": list_of(text()),
            "inputs": {"type": "object", "additionalProperties": input},
            "triggers": {"type": "object", "description": "what starts it by itself, as its header says it"},
            "mode": {"type": ["string", "null"], "enum": ["live", "dry", null],
                "description": "that of a run that begins now; null: it cannot begin, for a credential is missing"},
            "paused": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Pause"}]},
            "next": {"anyOf": [{"type": "null"}, next], "description": "the next tick of its schedules"},
        })),
    )]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (after, limit) = (page::place(request)?, page::limit(request));
    let edition = server.edition();
    let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let found = edition.playbooks.range::<String, _>(behind);
    let mut found: Vec<(&String, _)> = found.take(limit + 1).collect();
    let next = page::cut(&mut found, limit, |(name, _)| (*name).clone());
    let pauses = Pauses::load(&*server.store)?;
    let items: Result<Vec<Json>, StoreError> = found
        .into_iter()
        .map(|(name, listed)| shown(server, &edition, &pauses, name, listed))
        .collect();
    Ok(page::answer(request, items?, next))
}

fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (name, edition) = (request.param("playbook"), server.edition());
    let listed = edition.playbooks.get(name).ok_or_else(|| unknown(&edition, name))?;
    let pauses = Pauses::load(&*server.store)?;
    Ok(Answer::data(shown(server, &edition, &pauses, name, listed)?))
}

/// Nothing is live under that name.
pub(super) fn unknown(edition: &Edition, name: &str) -> Refusal {
    let message = match nearest(name, edition.playbooks.keys().map(String::as_str)) {
        Some(near) => format!("there is no playbook {name:?}; did you mean {near:?}?"),
        None => format!("there is no playbook {name:?}"),
    };
    Refusal::new(404, "PLAYBOOK_NOT_FOUND", message)
}

fn shown(server: &Server, edition: &Edition, pauses: &Pauses, name: &str, listed: &Listed) -> Result<Json, StoreError> {
    let (pinned, masks) = (&listed.pinned, &edition.app.masks);
    let header = &pinned.header;
    let planned = ticks::schedules(&*server.store, Some(name))?;
    let next = planned.iter().filter(|(_, ledger, _)| ledger.next.is_some());
    let next = next.min_by_key(|(_, ledger, _)| ledger.due_ms());
    let paused = [name, ALL]
        .into_iter()
        .find_map(|name| Some((name, pauses.on.get(name)?)));
    let inputs = header.inputs.iter();
    let inputs: serde_json::Map<String, Json> = inputs.map(|(name, spec)| (name.clone(), input(spec))).collect();
    Ok(masked(
        masks,
        json!({
            "playbook": name,
            "file": pinned.file,
            "version": pinned.version.to_string(),
            "edition": edition.number,
            "title": header.title,
            "description": header.description,
            "uses": header.uses,
            "inputs": inputs,
            "triggers": Value::Map(header.triggers.clone()).to_json(),
            // What is missing is said when it is started.
            "mode": edition.mode(listed).ok().map(|mode| if mode.live { "live" } else { "dry" }),
            "paused": paused.map(|(name, pause)| super::pauses::shown(name, pause)),
            "next": next.and_then(|(id, ledger, _)| next_json(id, ledger, pauses)),
        }),
    ))
}

/// A header is no place for a secret; one that stands there all the same is not repeated.
fn masked(masks: &Masks, shown: Json) -> Json {
    masks.mask(Value::from_json(shown)).to_json()
}

fn input(spec: &InputSpec) -> Json {
    json!({
        "type": spec.kind.as_str(),
        "required": spec.required,
        "default": spec.preset.as_ref().map(Value::to_json),
        "help": spec.help,
        "choices": spec.choices.iter().map(Value::to_json).collect::<Vec<_>>(),
        "min": spec.min,
        "max": spec.max,
    })
}
