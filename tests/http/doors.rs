//! Routes that are not in the table, and what becomes of handlers that are slow or break.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use host::http::routes::{Doors, Found, Handler, Needs, Takes};
use host::http::{Answer, Refusal, Request, Role, Server};
use serde_json::{Map, Value, json};

use crate::client::ask;
use crate::inside::Inside;

struct Hooks;

type Handle = fn(&Server, &Request) -> Result<Answer, Refusal>;

fn found(name: &str, needs: Needs, body: Takes, handle: Handle) -> Found {
    Found {
        quota: None,
        playbook: None,
        name: Arc::from(name),
        needs,
        query: None,
        body,
        params: BTreeMap::from([("hook".to_owned(), name.to_owned())]),
        handle: Handler::Made(Arc::new(handle)),
    }
}

impl Doors for Hooks {
    fn at(&self, _: &Server, path: &str) -> Vec<(Method, Found)> {
        let echo: Handle = |_, request| {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let told = json!({"body": text, "hook": request.param("hook"), "q": request.query("q")});
            Ok(Answer::data(told).status(201).header("x-hook", "yes"))
        };
        match path {
            "/hooks/echo" => vec![
                (Method::POST, found("echo", Needs::Nobody, Takes::Bytes(Some(10)), echo)),
                (
                    Method::GET,
                    found("look", Needs::Role(Role::Admin), Takes::Nothing, echo),
                ),
            ],
            "/hooks/slow" => vec![(
                Method::GET,
                found("slow", Needs::Nobody, Takes::Nothing, |_, _| {
                    std::thread::sleep(Duration::from_secs(5));
                    Ok(Answer::text("late"))
                }),
            )],
            "/hooks/breaks" => vec![(
                Method::GET,
                found("breaks", Needs::Nobody, Takes::Nothing, |_, _| panic!("broken")),
            )],
            _ => Vec::new(),
        }
    }

    fn paths(&self, _: &Server) -> Map<String, Value> {
        let mut paths = Map::new();
        paths.insert(
            "/hooks/echo".to_owned(),
            json!({"post": {"operationId": "echo", "responses": {}}}),
        );
        paths
    }
}

#[test]
fn what_is_live_can_add_routes_that_take_bytes_as_they_are() {
    let host = Inside::with(&[], Some(Arc::new(Hooks)));
    let post = |body: &str| {
        ask(
            host.address,
            "POST",
            "/hooks/echo?q=1",
            &[("content-type", "x/y")],
            body,
        )
    };
    let told = post("{not json");
    assert_eq!((told.status, told.headers["x-hook"].as_str()), (201, "yes"));
    assert_eq!(told.data(), json!({"body": "{not json", "hook": "echo", "q": "1"}));
    post("eleven byte").is(413, "BODY_TOO_LARGE");
    host.get("/hooks/echo").is(403, "ROLE_MISSING");
    ask(host.address, "GET", "/hooks/echo", &[], "").is(401, "UNAUTHENTICATED");
    let refused = ask(host.address, "PUT", "/hooks/echo", &[], "");
    refused.is(405, "METHOD_NOT_ALLOWED");
    assert_eq!(refused.headers["allow"], "POST, GET, HEAD, OPTIONS");
    host.get("/hooks/none").is(404, "NOT_FOUND");
    assert!(host.get("/openapi.json").json()["paths"]["/hooks/echo"]["post"].is_object());
}

#[test]
fn a_handler_that_breaks_or_takes_too_long_is_told_of_and_the_server_goes_on() {
    let host = Inside::with(&[], Some(Arc::new(Hooks)));
    host.get("/hooks/breaks").is(500, "INTERNAL");
    let slow = host.get("/hooks/slow");
    slow.is(503, "REQUEST_TIMEOUT");
    assert!(slow.headers.contains_key("retry-after"));
    assert_eq!(host.get("/status").status, 200);
}
