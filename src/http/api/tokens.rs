//! What programs show to be let in.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use super::users::signed;
use crate::http::answer::{Answer, Refusal};
use crate::http::caller::Role;
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Needs, Param, Route, Verb};
use crate::http::server::Server;
use crate::identity::Scope;
use crate::identity::role::Grant;
use crate::identity::token::{self, DAYS_MAX};
use crate::journal::audit::Act;

pub const GROUP: Group = Group {
    name: "tokens",
    says: "What programs show to be let in.",
    routes: ROUTES,
    schemas,
};

const ADMIN: Needs = Needs::Role(Role::Admin);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How long a token works that is not said to work longer.
const DAYS_PRESET: u32 = 90;

const ROUTES: &[Route] = &[
    Route {
        says: "Tokens, without what makes them work.",
        needs: ADMIN,
        query: &[
            CURSOR,
            LIMIT,
            Param {
                name: "user",
                says: "only those of this user",
                kind: Kind::Text { chars_max: 64 },
            },
        ],
        gives: Gives::Page("Token"),
        ..Route::get("/api/v1/tokens", "tokens.list", list)
    },
    Route {
        says: "Makes a token for a user; this is the only answer that shows it.",
        needs: ADMIN,
        body: Some("TokenNew"),
        gives: Gives::Data(201, "TokenMade"),
        refuses: &[
            (404, "NAME_UNKNOWN"),
            (409, "USER_REVOKED"),
            (409, "IDENTITY_FULL"),
            (422, "TOKEN_INVALID"),
        ],
        ..Route::post("/api/v1/tokens", "tokens.add", add)
    },
    Route {
        says: "Ends a token, from the next request on.",
        verb: Verb::Delete,
        needs: ADMIN,
        gives: Gives::Data(200, "Token"),
        refuses: &[(404, "NAME_UNKNOWN")],
        ..Route::post("/api/v1/tokens/{token}", "tokens.revoke", revoke)
    },
];

const FIELDS: &[&str] = &[
    "id",
    "user",
    "label",
    "scope",
    "playbooks",
    "state",
    "created_ms",
    "expires_ms",
    "revoked_ms",
    "used_ms",
];

fn schemas() -> Vec<(&'static str, Value)> {
    let moment_or_null = || json!({"type": ["integer", "null"]});
    let scope = || json!({"type": "string", "enum": Grant::ALL.map(Grant::as_str)});
    let playbooks =
        || json!({"type": "array", "maxItems": 50, "items": {"type": "string", "minLength": 1, "maxLength": 500}});
    let token = || {
        json!({
            "id": {"type": "string"}, "user": {"type": "string"}, "label": {"type": "string"},
            "scope": scope(), "playbooks": playbooks(),
            "state": {"type": "string", "enum": ["live", "expired", "revoked"]},
            "created_ms": {"type": "integer"}, "expires_ms": moment_or_null(), "revoked_ms": moment_or_null(),
            "used_ms": moment_or_null(),
        })
    };
    let mut made = token();
    made["token"] = json!({"type": "string", "description": "sent as `Authorization: Bearer …`"});
    vec![
        ("Token", body(token(), FIELDS)),
        ("TokenMade", body(made, &[FIELDS, &["token"]].concat())),
        (
            "TokenNew",
            body(
                json!({
                    "user": {"type": "string", "minLength": 1, "maxLength": 64},
                    "scope": scope(), "playbooks": playbooks(),
                    "days": {"type": ["integer", "null"], "minimum": 1, "maximum": DAYS_MAX,
                        "description": "how long it works; 90 when it is not said, null until it is revoked"},
                    "label": {"type": "string", "maxLength": 100},
                }),
                &["user"],
            ),
        ),
    ]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let user = request.query("user");
    let mut tokens = token::list(&*server.store)?;
    tokens.retain(|token| {
        after.as_ref().is_none_or(|after| token.id > *after) && user.is_none_or(|user| user == token.user)
    });
    let next = page::cut(&mut tokens, page::limit(request), |token| token.id.clone());
    let now_ms = server.now_ms();
    let items = tokens.iter().map(|token| token.shown(now_ms));
    Ok(page::answer(request, items.collect(), next))
}

#[derive(Deserialize)]
struct New {
    user: String,
    scope: Option<Grant>,
    #[serde(default)]
    playbooks: BTreeSet<String>,
    #[serde(default = "preset")]
    days: Option<u32>,
    #[serde(default)]
    label: String,
}

fn preset() -> Option<u32> {
    Some(DAYS_PRESET)
}

fn add(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let new: New = request.body()?;
    let now_ms = server.now_ms();
    let scope = Scope {
        grant: new.scope.unwrap_or(Grant::Read),
        playbooks: new.playbooks,
    };
    let user = new.user.to_lowercase();
    let id = token::new_id(&*server.app.chance);
    let expires_ms = new.days.map(|days| now_ms.saturating_add(i64::from(days) * DAY_MS));
    let act = Act::new("token.add", &id)
        .with("user", user.clone())
        .with("scope", scope.to_string())
        .with("label", new.label.clone())
        .with("expires_ms", expires_ms);
    let new = token::New {
        id: &id,
        user: &user,
        label: &new.label,
        scope,
        expires_ms,
    };
    let (token, text) = token::add(&signed(server, request, act), &*server.app.chance, &new, now_ms)?;
    let mut made = token.shown(now_ms);
    made["token"] = json!(text);
    Ok(Answer::data(made).status(201))
}

fn revoke(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let (id, now_ms) = (request.param("token"), server.now_ms());
    let token = token::revoke(&signed(server, request, Act::new("token.revoke", id)), id, now_ms)?;
    Ok(Answer::data(token.shown(now_ms)))
}
