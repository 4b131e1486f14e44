//! Who may log in, and what they may.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use crate::http::answer::{Answer, Refusal};
use crate::http::caller::Role;
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, LIMIT, Needs, Route, Verb};
use crate::http::server::Server;
use crate::identity::Wanted;
use crate::identity::user::{self, User};
use crate::journal::audit::{Act, Signed};
use crate::store::Store;

pub const GROUP: Group = Group {
    name: "users",
    says: "Who may log in, and what they may.",
    routes: ROUTES,
    schemas,
};

const ADMIN: Needs = Needs::Role(Role::Admin);
const ONE: &str = "/api/v1/users/{user}";
const REFUSES: &[(u16, &str)] = &[(404, "NAME_UNKNOWN"), (409, "USER_REVOKED")];
const REFUSES_LAST: &[(u16, &str)] = &[(404, "NAME_UNKNOWN"), (409, "USER_REVOKED"), (409, "LAST_ADMIN")];

const ROUTES: &[Route] = &[
    Route {
        says: "Users, by name.",
        needs: ADMIN,
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("User"),
        ..Route::get("/api/v1/users", "users.list", list)
    },
    Route {
        says: "Adds a user; without a password, for programs that use tokens.",
        needs: ADMIN,
        body: Some("UserNew"),
        gives: Gives::Data(201, "User"),
        refuses: &[
            (404, "NAME_UNKNOWN"),
            (409, "NAME_TAKEN"),
            (409, "IDENTITY_FULL"),
            (422, "NAME_INVALID"),
            (422, "PASSWORD_WEAK"),
            (503, "LOGIN_BUSY"),
        ],
        ..Route::post("/api/v1/users", "users.add", add)
    },
    Route {
        says: "Gives a user another role or organisation; it counts from the next request on. The last admin stays one.",
        verb: Verb::Patch,
        needs: ADMIN,
        body: Some("UserChange"),
        gives: Gives::Data(200, "User"),
        refuses: REFUSES_LAST,
        ..Route::post(ONE, "users.change", change)
    },
    Route {
        says: "Gives a user another password, and ends their sessions.",
        verb: Verb::Put,
        needs: ADMIN,
        body: Some("UserPassword"),
        gives: Gives::Data(200, "User"),
        refuses: &[
            (404, "NAME_UNKNOWN"),
            (409, "USER_REVOKED"),
            (422, "PASSWORD_WEAK"),
            (503, "LOGIN_BUSY"),
        ],
        ..Route::post("/api/v1/users/{user}/password", "users.password", password)
    },
    Route {
        says: "Lets a user try again at once who was locked out by wrong passwords.",
        needs: ADMIN,
        gives: Gives::Data(200, "User"),
        refuses: REFUSES,
        ..Route::post("/api/v1/users/{user}/unlock", "users.unlock", unlock)
    },
    Route {
        says: "Takes everything from a user, but not from the last admin: sessions and tokens end at once, and the name \
               stays taken.",
        verb: Verb::Delete,
        needs: ADMIN,
        gives: Gives::Data(200, "User"),
        refuses: REFUSES_LAST,
        ..Route::post(ONE, "users.revoke", revoke)
    },
];

fn schemas() -> Vec<(&'static str, Value)> {
    let role = || json!({"type": "string", "enum": Role::ALL.map(Role::code)});
    let name = || json!({"type": "string", "minLength": 1, "maxLength": 64});
    let password = || json!({"type": "string", "minLength": 1, "maxLength": 512});
    let counted = || json!({"type": "integer", "minimum": 0});
    vec![
        (
            "User",
            body(
                json!({
                    "name": name(), "role": role(), "org": {"type": ["string", "null"]},
                    "has_password": {"type": "boolean"}, "created_ms": {"type": "integer"},
                    "revoked_ms": {"type": ["integer", "null"]}, "sessions": counted(), "tokens": counted(),
                }),
                &[
                    "name",
                    "role",
                    "org",
                    "has_password",
                    "created_ms",
                    "revoked_ms",
                    "sessions",
                    "tokens",
                ],
            ),
        ),
        (
            "UserNew",
            body(
                json!({"name": name(), "role": role(), "org": {"type": ["string", "null"], "maxLength": 64}, "password": password()}),
                &["name"],
            ),
        ),
        (
            "UserChange",
            body(
                json!({"role": role(), "org": {"type": ["string", "null"], "maxLength": 64, "description": "null: of none"}}),
                &[],
            ),
        ),
        ("UserPassword", body(json!({"password": password()}), &["password"])),
    ]
}

fn shown(server: &Server, user: &User) -> Value {
    json!({
        "name": user.name,
        "role": server.identity.role_of(user),
        "org": user.org,
        "has_password": user.password.is_some(),
        "created_ms": user.created_ms,
        "revoked_ms": user.revoked_ms,
        "sessions": user.sessions.len(),
        "tokens": user.tokens.len(),
    })
}

/// The store, with whoever asks held to account for its first change.
pub(super) fn signed(server: &Server, request: &Request, act: Act) -> Signed {
    let masks = server.masks();
    let act = act.masked(&|text| masks.mask_text(text));
    Signed::new(server.store.clone(), request.caller.actor(), act, server.now_ms())
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let mut users = user::list(&*server.store)?;
    users.retain(|user| after.as_ref().is_none_or(|after| user.name > *after));
    let next = page::cut(&mut users, page::limit(request), |user| user.name.clone());
    let items = users.iter().map(|user| shown(server, user));
    Ok(page::answer(request, items.collect(), next))
}

#[derive(Deserialize)]
struct New {
    name: String,
    #[serde(default)]
    role: Role,
    org: Option<String>,
    password: Option<String>,
}

fn add(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let New {
        name,
        role,
        org,
        password,
    } = request.body()?;
    let wanted = Wanted {
        name: &name,
        role,
        org: org.as_deref(),
        password: password.as_deref(),
    };
    let sign = |act| Ok::<Arc<dyn Store>, Refusal>(Arc::new(signed(server, request, act)));
    let user = server.identity.add(&wanted, server.now_ms(), sign)?;
    Ok(Answer::data(shown(server, &user)).status(201))
}

#[derive(Deserialize)]
struct Change {
    role: Option<Role>,
    #[serde(default, deserialize_with = "said")]
    org: Option<Option<String>>,
}

/// Tells what was said to be nothing from what was not said.
fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

fn change(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Change { role, org } = request.body()?;
    let name = request.param("user");
    let mut act = Act::new("user.change", name);
    if let Some(role) = role {
        act = act.with("role", role.code());
    }
    if let Some(org) = &org {
        act = act.with("org", org.as_deref().unwrap_or("(none)"));
    }
    let user = user::change_to(
        &signed(server, request, act),
        name,
        role,
        org.as_ref().map(Option::as_deref),
        server.now_ms(),
        &|user| server.identity.role_of(user) == Role::Admin,
    )?;
    Ok(Answer::data(shown(server, &user)))
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

fn password(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Password { password } = request.body()?;
    let name = request.param("user");
    let hashed = server.identity.passwords.hash(name, &password)?;
    let user = user::set_password(&signed(server, request, Act::new("user.password", name)), name, &hashed)?;
    Ok(Answer::data(shown(server, &user)))
}

fn unlock(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let name = request.param("user");
    let user = user::unlock(&signed(server, request, Act::new("user.unlock", name)), name)?;
    Ok(Answer::data(shown(server, &user)))
}

fn revoke(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let name = request.param("user");
    let store = signed(server, request, Act::new("user.revoke", name));
    let is_admin = |user: &User| server.identity.role_of(user) == Role::Admin;
    let user = user::revoke_but(&store, name, server.now_ms(), &is_admin)?;
    Ok(Answer::data(shown(server, &user)))
}
