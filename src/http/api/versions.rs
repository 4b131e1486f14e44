//! Sets of playbooks, prompts and settings that were live, held or broken.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{any, body, count, list_of, map, moment, person, text, text_or_null};
use crate::http::answer::{Answer, Refusal};
use crate::http::caller::Role;
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, LIMIT, Needs, Route};
use crate::http::server::Server;
use crate::journal::edition::{State, Version};
use crate::report::versions::{change_json, version_json};
use crate::serve;
use crate::serve::rollback::Wish;
use crate::serve::versions::decide;

/// Versions that are kept.
const LISTED_MAX: usize = 1000;

pub const GROUP: Group = Group {
    name: "versions",
    says: "Sets of playbooks, prompts and settings: what is live, and what was saved.",
    routes: ROUTES,
    schemas,
};

const VERSION: &[(u16, &str)] = &[(404, "VERSION_NOT_FOUND")];

const HELD: &[(u16, &str)] = &[(404, "VERSION_NOT_FOUND"), (409, "VERSION_NOT_HELD")];

const ROUTES: &[Route] = &[
    Route {
        says: "Versions, the last first.",
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("Version"),
        ..Route::get("/api/v1/versions", "versions.list", list)
    },
    Route {
        says: "One version: its files, and why it is not live where it is not.",
        gives: Gives::Data(200, "Version"),
        refuses: VERSION,
        ..Route::get("/api/v1/versions/{version}", "versions.get", one)
    },
    Route {
        says: "Lets a version go live that is held.",
        gives: Gives::Data(200, "Version"),
        refuses: HELD,
        ..Route::post("/api/v1/versions/{version}/accept", "versions.accept", accept)
    },
    Route {
        says: "Leaves what is live, instead of a version that is held.",
        gives: Gives::Data(200, "Version"),
        refuses: HELD,
        ..Route::post("/api/v1/versions/{version}/discard", "versions.discard", discard)
    },
    Route {
        says: "Writes the scripts and prompts of a version back to the disk, from where they go live. What lies there and is in \
               no version is kept as one first, or not touched.",
        needs: Needs::Role(Role::Admin),
        body: Some("Rollback"),
        gives: Gives::Data(200, "RolledBack"),
        refuses: &[
            (404, "VERSION_NOT_FOUND"),
            (404, "PLAYBOOK_NOT_FOUND"),
            (409, "VERSION_TOO_OLD"),
            (409, "VERSION_UNSAVED"),
        ],
        ..Route::post("/api/v1/versions/{version}/rollback", "versions.rollback", rollback)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    let change = || map(json!({"path": text(), "before": text_or_null(), "after": text_or_null()}));
    let version = (
        "Version",
        map(json!({
            "version": count(), "at": moment(), "state": text(), "by": text(), "base": {"type": ["integer", "null"]},
            "changes": list_of(change()), "faults": list_of(any()), "more_faults": count(),
            "why": text_or_null(), "effects": list_of(any()), "decided_by": text_or_null(),
        })),
    );
    vec![
        version,
        (
            "Rollback",
            body(
                json!({
                    "playbook": {"type": "string", "minLength": 1, "maxLength": 500,
                        "description": "only this one, with its modules and prompts"},
                    "force": {"type": "boolean", "description": "also over changes that are in no version; they become one first"},
                }),
                &[],
            ),
        ),
        (
            "RolledBack",
            map(json!({
                "to": count(), "changes": list_of(change()), "before": {"type": ["integer", "null"]},
                "other_settings": {"type": "boolean", "description": "host.toml differs from that version's, and stays"},
            })),
        ),
    ]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let before: Option<u64> = page::place(request)?.and_then(|place| place.parse().ok());
    let mut found = Version::latest(&*server.store, LISTED_MAX)?;
    found.retain(|version| before.is_none_or(|before| version.number < before));
    let next = page::cut(&mut found, page::limit(request), |version| version.number.to_string());
    Ok(page::answer(request, found.iter().map(version_json).collect(), next))
}

fn number(request: &Request) -> u64 {
    request.param("version").parse().unwrap_or(0)
}

fn one(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let version = Version::get(&*server.store, number(request))?;
    Ok(Answer::data(version_json(&version)))
}

fn accept(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    decided(server, request, State::Accepted)
}

fn discard(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    decided(server, request, State::Discarded)
}

fn decided(server: &Server, request: &Request, state: State) -> Result<Answer, Refusal> {
    let version = decide(&*server.store, number(request), state, &person(request))?;
    server.ready.stir();
    Ok(Answer::data(version_json(&version)))
}

#[derive(Deserialize)]
struct Back {
    playbook: Option<String>,
    #[serde(default)]
    force: bool,
}

fn rollback(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Back { playbook, force } = request.body()?;
    let wish = Wish {
        to: number(request),
        playbook: playbook.as_deref(),
        force,
        by: &person(request),
    };
    let done = serve::rollback::rollback(&server.app, &server.ground(), &wish)?;
    server.ready.stir();
    Ok(Answer::data(json!({
        "to": wish.to,
        "changes": done.changes.iter().map(change_json).collect::<Vec<_>>(),
        "before": done.before,
        "other_settings": done.has_other_settings,
    })))
}
