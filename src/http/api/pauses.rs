//! What starts nothing by itself until somebody resumes it.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::playbooks::unknown;
use super::{body, map, moment_ms, text, text_or_null};
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, LIMIT, Route};
use crate::http::server::Server;
use crate::journal::epoch::Epoch;
use crate::store::Batch;
use crate::store::ticks::pause::{self, ALL, Pause};
use crate::store::ticks::{Pauses, Resumed};

pub const GROUP: Group = Group {
    name: "pauses",
    says: "Playbooks that nothing starts by itself, until somebody resumes them.",
    routes: ROUTES,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        says: "What is paused, by name.",
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("Pause"),
        ..Route::get("/api/v1/pauses", "pauses.list", list)
    },
    Route {
        says: "Pauses a playbook, or everything: no trigger starts a run; runs under way go on.",
        body: Some("PauseStart"),
        gives: Gives::Data(200, "Pause"),
        refuses: &[(404, "PLAYBOOK_NOT_FOUND")],
        ..Route::post("/api/v1/pauses", "pauses.pause", pause)
    },
    Route {
        says: "Ends the pause of a playbook, or that of everything.",
        body: Some("PauseEnd"),
        gives: Gives::Data(200, "Pause"),
        refuses: &[(409, "NOT_PAUSED"), (409, "RESTORE_HELD")],
        ..Route::post("/api/v1/pauses/resume", "pauses.resume", resume)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    let name =
        json!({"type": "string", "minLength": 1, "maxLength": 500, "description": "everything when it is not said"});
    vec![
        (
            "Pause",
            map(json!({"playbook": text_or_null(), "since_ms": moment_ms(), "by": text_or_null(), "why": text()})),
        ),
        (
            "PauseStart",
            body(
                json!({"playbook": name, "why": {"type": "string", "maxLength": 1000}}),
                &[],
            ),
        ),
        (
            "PauseEnd",
            body(
                json!({
                    "playbook": name,
                    "missed": {"type": "string", "enum": ["all", "latest", "none"],
                        "description": "which ticks of that time are caught up; none when it is not said"},
                }),
                &[],
            ),
        ),
    ]
}

pub(super) fn shown(name: &str, pause: &Pause) -> Json {
    json!({
        "playbook": (name != ALL).then_some(name),
        "since_ms": pause.since_ms,
        "by": pause.by,
        "why": pause.why,
    })
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let mut found: Vec<(String, Pause)> = Pauses::load(&*server.store)?.on.into_iter().collect();
    found.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let next = page::cut(&mut found, page::limit(request), |(name, _)| name.clone());
    let items = found.iter().map(|(name, pause)| shown(name, pause));
    Ok(page::answer(request, items.collect(), next))
}

#[derive(Deserialize)]
struct Start {
    playbook: Option<String>,
    #[serde(default)]
    why: String,
}

fn pause(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Start { playbook, why } = request.body()?;
    let edition = server.edition();
    if let Some(playbook) = playbook.as_ref().filter(|name| !edition.playbooks.contains_key(*name)) {
        return Err(unknown(&edition, playbook));
    }
    let name = playbook.unwrap_or_else(|| ALL.to_owned());
    if let Some(earlier) = Pauses::load(&*server.store)?.on.get(&name) {
        return Ok(Answer::data(shown(&name, earlier)));
    }
    let user = &request.caller.user;
    let pause = Pause {
        since_ms: server.now_ms(),
        by: (!user.is_empty()).then(|| user.clone()),
        why: server.masks().mask_text(why),
    };
    let mut batch = Batch::new();
    pause::pause(&mut batch, &name, &pause);
    server.commit(batch)?;
    Ok(Answer::data(shown(&name, &pause)))
}

#[derive(Deserialize)]
struct End {
    playbook: Option<String>,
    #[serde(default)]
    missed: Resumed,
}

fn resume(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let End { playbook, missed } = request.body()?;
    let name = playbook.unwrap_or_else(|| ALL.to_owned());
    let pauses = Pauses::load(&*server.store)?;
    let Some(paused) = pauses.on.get(&name) else {
        let message = match name.as_str() {
            ALL => "everything is not paused as a whole".to_owned(),
            name => format!("{name:?} is not paused"),
        };
        return Err(Refusal::new(409, "NOT_PAUSED", message));
    };
    if name == ALL && Epoch::read(&*server.store)?.frozen {
        let message =
            "everything is held since the store was restored, and not only paused: `host restore` releases it";
        return Err(Refusal::new(409, "RESTORE_HELD", message));
    }
    let mut batch = Batch::new();
    pause::resume(&mut batch, &name, server.now_ms(), missed);
    server.commit(batch)?;
    Ok(Answer::data(shown(&name, paused)))
}
