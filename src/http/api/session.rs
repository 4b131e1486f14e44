//! Logging in and out, and who one is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use crate::http::answer::{Answer, Refusal};
use crate::http::caller::{Role, session_cookie};
use crate::http::request::Request;
use crate::http::routes::{Gives, Group, Needs, Route, Verb};
use crate::http::server::Server;
use crate::identity::Proof;
use crate::identity::session::set_cookie;

pub const GROUP: Group = Group {
    name: "session",
    says: "Logging in and out with a browser, and who one is.",
    routes: ROUTES,
    schemas,
};

const PATH: &str = "/api/v1/session";

const ROUTES: &[Route] = &[
    Route {
        says: "Opens a session: answers with its cookie, and with `csrf`, which goes with every change as `X-CSRF-Token`.",
        needs: Needs::Nobody,
        body: Some("Login"),
        gives: Gives::Data(201, "Session"),
        refuses: &[
            (401, "LOGIN_FAILED"),
            (403, "CSRF_FAILED"),
            (403, "ACCESS_HELD"),
            (429, "LOGIN_LOCKED"),
            (503, "LOGIN_BUSY"),
        ],
        ..Route::post(PATH, "session.open", open)
    },
    Route {
        says: "Who one is, and what one may.",
        gives: Gives::Data(200, "Whoami"),
        ..Route::get(PATH, "session.show", show)
    },
    Route {
        says: "Ends the session of the cookie.",
        verb: Verb::Delete,
        needs: Needs::Role(Role::Viewer),
        gives: Gives::Data(200, "Closed"),
        ..Route::post(PATH, "session.close", close)
    },
];

fn schemas() -> Vec<(&'static str, Value)> {
    let role = || json!({"type": "string", "enum": Role::ALL.map(Role::code)});
    let text_or_null = || json!({"type": ["string", "null"]});
    vec![
        (
            "Login",
            body(
                json!({
                    "name": {"type": "string", "minLength": 1, "maxLength": 64},
                    "password": {"type": "string", "minLength": 1, "maxLength": 512},
                }),
                &["name", "password"],
            ),
        ),
        (
            "Session",
            body(
                json!({
                    "user": {"type": "string"}, "org": text_or_null(), "role": role(),
                    "csrf": {"type": "string"},
                    "created_ms": {"type": "integer"}, "expires_ms": {"type": "integer"},
                }),
                &["user", "org", "role", "csrf", "created_ms", "expires_ms"],
            ),
        ),
        (
            "Whoami",
            body(
                json!({
                    "user": text_or_null(), "org": text_or_null(), "role": role(),
                    "via": {"type": "string", "enum": ["nothing", "session", "token"]},
                    "scope": text_or_null(),
                    "csrf": text_or_null(),
                }),
                &["user", "org", "role", "via", "scope", "csrf"],
            ),
        ),
        ("Closed", body(json!({"closed": {"type": "boolean"}}), &["closed"])),
    ]
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

fn open(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    // A page of another site must not log its reader in as somebody else.
    request.page().check_is_ours()?;
    let Login { name, password } = request.body()?;
    let (now_ms, from) = (server.now_ms(), request.peer.ip().to_string());
    let (store, corr) = (&*server.store, &request.corr);
    let (session, secret) = server.identity.login(store, now_ms, &name, &password, &from, corr)?;
    let answer = Answer::data(session).status(201);
    Ok(answer.header("set-cookie", &set_cookie(Some(&secret), request.is_secure)))
}

fn show(_: &Server, request: &Request) -> Result<Answer, Refusal> {
    let caller = &request.caller;
    let (via, scope, csrf) = match caller.known.as_ref().map(|known| (&known.proof, &known.scope)) {
        Some((Proof::Session { csrf, .. }, _)) => ("session", None, Some(csrf.clone())),
        Some((Proof::Token { .. }, scope)) => ("token", Some(scope.to_string()), None),
        _ => ("nothing", None, None),
    };
    Ok(Answer::data(json!({
        "user": caller.known.as_ref().map(|known| &known.user),
        "org": caller.known.as_ref().and_then(|known| known.org.as_ref()),
        "role": caller.role,
        "via": via,
        "scope": scope,
        "csrf": csrf,
    }))
    .header("cache-control", "no-store"))
}

fn close(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let closed = match (&request.caller.known, session_cookie(request)) {
        (Some(known), Some(secret)) if matches!(known.proof, Proof::Session { .. }) => {
            server
                .identity
                .logout(&*server.store, server.now_ms(), &secret, &request.corr)?
        }
        _ => false,
    };
    let answer = Answer::data(json!({ "closed": closed }));
    Ok(answer.header("set-cookie", &set_cookie(None, request.is_secure)))
}
