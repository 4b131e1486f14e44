//! Who did what, and whether the record of it is as it was written.

use serde_json::{Value, json};

use super::body;
use crate::http::answer::{Answer, Refusal};
use crate::http::caller::Role;
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Needs, Param, Route};
use crate::http::server::Server;
use crate::journal::audit::look::{self, Wanted};
use crate::journal::audit::verify::verify;

pub const GROUP: Group = Group {
    name: "audit",
    says: "Who did what: one chain, in which each act holds the hash of the one before.",
    routes: ROUTES,
    schemas,
};

/// Acts that are looked through for one page.
const LOOKED_MAX: usize = 100_000;

const fn filter(name: &'static str, says: &'static str) -> Param {
    Param {
        name,
        says,
        kind: Kind::Text { chars_max: 300 },
    }
}

const ROUTES: &[Route] = &[
    Route {
        says: "Acts, the latest first.",
        needs: Needs::Role(Role::Admin),
        query: &[
            CURSOR,
            LIMIT,
            filter("who", "only what this user did"),
            filter(
                "what",
                "only these acts: `user.add`, or `run.` for all that is done to runs",
            ),
            filter("target", "only what was done to this"),
        ],
        gives: Gives::Page("Act"),
        ..Route::get("/api/v1/audit", "audit.list", list)
    },
    Route {
        says: "Whether every act is as it was written.",
        needs: Needs::Role(Role::Admin),
        gives: Gives::Data(200, "Verdict"),
        ..Route::get("/api/v1/audit/verify", "audit.verify", verified)
    },
];

fn schemas() -> Vec<(&'static str, Value)> {
    let (text, number) = (
        || json!({"type": "string"}),
        || json!({"type": "integer", "minimum": 0}),
    );
    let fault = body(json!({"number": number(), "reason": text()}), &["number", "reason"]);
    vec![
        (
            "Act",
            body(
                json!({
                    "number": number(), "at": text(), "at_ms": {"type": "integer"}, "who": text(), "org": text(),
                    "via": {"type": "string", "enum": ["cli", "socket", "http", "host"]},
                    "what": text(), "target": text(), "details": {"type": "object"}, "corr": text(), "prev": text(),
                }),
                &["number", "at", "at_ms", "who", "via", "what", "target", "corr", "prev"],
            ),
        ),
        (
            "Verdict",
            body(
                json!({
                    "sound": {"type": "boolean"}, "acts": number(), "first": {"type": ["integer", "null"]},
                    "head": {"type": ["string", "null"], "description": "number and hash of the last act"},
                    "faults": {"type": "array", "items": fault},
                }),
                &["sound", "acts", "first", "head", "faults"],
            ),
        ),
    ]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let text = |name: &str| request.query(name).map(str::to_owned);
    let limit = page::limit(request);
    let wanted = Wanted {
        who: text("who"),
        what: text("what"),
        target: text("target"),
        since_ms: None,
        before: page::place(request)?.and_then(|place| place.parse().ok()),
    };
    let mut looked = look::last_from(&*server.store, &wanted, limit + 1, LOOKED_MAX)?;
    let next = page::cut(&mut looked.entries, limit, |entry| entry.number.to_string());
    // A page may be short, or empty, while there is more to look through.
    let next = next.or(looked.stopped_at.map(|number| number.to_string()));
    let items = looked.entries.iter().map(|entry| json!(entry)).collect();
    Ok(page::answer(request, items, next))
}

fn verified(server: &Server, _: &Request) -> Result<Answer, Refusal> {
    let verdict = verify(&*server.store, None)?;
    Ok(Answer::data(json!({
        "sound": verdict.is_sound(),
        "acts": verdict.acts,
        "first": verdict.first,
        "head": verdict.head.as_ref().map(ToString::to_string),
        "faults": verdict.faults,
    })))
}
