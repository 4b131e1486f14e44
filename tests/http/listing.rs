//! Lists by the page, the document of all routes, and whether answers are what it says.

use std::collections::BTreeSet;

use host::http::routes::{self, Gives, Needs, Verb};
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::client::Response;
use crate::inside::Inside;

#[test]
fn pages_follow_one_another_without_a_gap_and_cursors_cannot_be_made() {
    let server = Binary::with("", &[("playbooks/one.rhai", "1"), ("playbooks/two.rhai", "2")]);
    for at in 0..7 {
        server.host(&["run", if at % 2 == 0 { "one" } else { "two" }]);
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/runs?limit=3".to_owned();
    let mut cursors = Vec::new();
    loop {
        let page = server.get(&path).data();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 3);
        seen.extend(
            items
                .iter()
                .map(|run| run["run_id"].as_str().expect("an id").to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => {
                path = format!("/api/v1/runs?limit=3&cursor={next}");
                cursors.push(next.to_owned());
            }
            None => break,
        }
    }
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), unique.len(), cursors.len()), (7, 7, 2));
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first: {seen:?}");
    let filtered = server.get("/api/v1/runs?playbook=two&limit=2").data();
    assert_eq!(filtered["items"].as_array().expect("items").len(), 2);
    let cursor = &cursors[0];
    let mut changed = cursor.clone().into_bytes();
    changed[14] = if changed[14] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("text");
    let other = filtered["next"].as_str().expect("more");
    for bad in [
        format!("/api/v1/runs?cursor={changed}"),
        format!("/api/v1/runs?playbook=one&cursor={cursor}"),
        format!("/api/v1/runs?playbook=one&cursor={other}"),
        format!("/api/v1/incidents?cursor={cursor}"),
        format!("/api/v1/runs?cursor={}", &cursor[..10]),
        "/api/v1/runs?cursor=AAAA".to_owned(),
        "/api/v1/runs?cursor=!!!".to_owned(),
    ] {
        server.get(&bad).is(400, "CURSOR_INVALID");
    }
    assert_eq!(server.get(&format!("/api/v1/runs?limit=1&cursor={cursor}")).status, 200);
}

#[test]
fn the_document_has_every_route_and_every_schema_that_it_names() {
    let server = Binary::start("");
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for route in routes::all() {
        let method = route.verb.method().as_str().to_ascii_lowercase();
        let operation = &document["paths"][route.path][&method];
        assert_eq!(operation["operationId"], route.name, "{}", route.path);
        assert!(names.insert(route.name), "{} is there twice", route.name);
        assert!(!route.says.is_empty() && operation["summary"] == route.says);
        let places: Vec<&str> = routes::places(route.path).collect();
        let described = operation["parameters"].as_array().expect("parameters").iter();
        let described: Vec<&str> = described
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(places, described);
        assert_eq!(
            operation["security"] == json!([]),
            !matches!(route.needs, Needs::Role(_))
        );
    }
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let named: usize = routes::GROUPS.iter().map(|group| (group.schemas)().len()).sum();
    assert_eq!(
        schemas.len(),
        named + 1,
        "two groups have a schema of one name, or one of them hides `Error`"
    );
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().expect("a name");
        assert!(schemas.contains_key(name), "{name} is nowhere described");
    }
    for name in schemas.keys() {
        assert!(text.contains(&format!("schemas/{name}\"")), "{name} is used nowhere");
    }
}

/// Fails unless `response` is what the document says of the route.
#[track_caller]
fn fits(document: &Value, path: &str, method: &str, response: &Response) {
    let described = &document["paths"][path][method]["responses"][response.status.to_string()];
    assert!(
        described.is_object(),
        "{method} {path} does not say that it answers {}",
        response.status
    );
    let mut schema = described["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{method} {path}: {described}");
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let json = response.json();
    let faults: Vec<String> = validator
        .iter_errors(&json)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{method} {path}: {faults:?} in {json}");
}

#[test]
fn answers_are_what_the_document_says() {
    let host = Inside::start(&[
        ("playbooks/asks.rhai", "run::ask(\"ok?\", #{})"),
        ("playbooks/fails.rhai", "kv::put(\"a\", 1); throw \"no\""),
        (
            "playbooks/daily.rhai",
            "const PLAYBOOK = #{ schedule: \"0 7 * * *\", timezone: \"Europe/Berlin\" };\n1",
        ),
    ]);
    let start = |playbook: &str| {
        let run = host
            .post("/api/v1/runs", &json!({"playbook": playbook}).to_string())
            .data();
        run["run_id"].as_str().expect("an id").to_owned()
    };
    let (asks, fails) = (start("asks"), start("fails"));
    host.run_when(&asks, &["suspended"]);
    host.run_when(&fails, &["failed"]);
    host.post("/api/v1/queues/mail/jobs", r#"{"payload": [1]}"#);
    host.post("/api/v1/queues/mail/pause", "{}");
    host.post("/api/v1/pauses", r#"{"playbook": "asks"}"#);
    let document = host.get("/openapi.json").json();
    let mut asked = 0;
    for route in routes::all().filter(|route| route.verb == Verb::Get && route.gives != Gives::Stream) {
        let places = [
            ("run", fails.as_str()),
            ("queue", "mail"),
            ("incident", "01ZZ"),
            ("version", "1"),
            ("job", "1"),
            ("playbook", "daily"),
        ];
        let path = places.iter().fold(route.path.to_owned(), |path, (place, value)| {
            path.replace(&format!("{{{place}}}"), value)
        });
        let response = host.get(&path);
        asked += 1;
        if let Gives::Bytes(kind) = route.gives {
            let sent = response.headers["content-type"].as_str();
            assert!(response.status == 200 && sent.starts_with(kind), "{path}: {response:?}");
            continue;
        }
        fits(&document, route.path, "get", &response);
    }
    assert!(asked > 15, "{asked}");
    let list = |path: &str| {
        host.get(&format!("/api/v1/{path}")).data()["items"]
            .as_array()
            .expect("items")
            .len()
    };
    for (path, count) in [
        ("runs", 2),
        ("questions", 1),
        ("queues", 1),
        ("queues/mail/jobs", 1),
        ("versions", 1),
        ("pauses", 1),
        ("playbooks", 3),
        ("ticks/planned", 1),
    ] {
        assert_eq!(list(path), count, "{path}");
    }
    fits(&document, "/api/v1/runs/{run}", "get", &host.get("/api/v1/runs/01ZZZZ"));
    fits(&document, "/api/v1/runs", "get", &host.get("/api/v1/runs?limit=0"));
    for (path, place, body) in [
        ("/api/v1/runs", "", json!({"playbook": "fails"})),
        ("/api/v1/runs", "", json!({"playbook": 1})),
        ("/api/v1/runs/{run}/answer", asks.as_str(), json!({"answer": "yes"})),
        ("/api/v1/runs/{run}/cancel", fails.as_str(), json!({})),
        ("/api/v1/events", "", json!({"name": "go"})),
        ("/api/v1/queues/{queue}/jobs", "mail", json!({"payload": null})),
        ("/api/v1/queues/{queue}/resume", "mail", json!({})),
        ("/api/v1/pauses/resume", "", json!({"playbook": "asks"})),
        ("/api/v1/versions/{version}/accept", "1", json!({})),
    ] {
        let asked = routes::places(path).fold(path.to_owned(), |asked, name| {
            asked.replace(&format!("{{{name}}}"), place)
        });
        fits(&document, path, "post", &host.post(&asked, &body.to_string()));
    }
}
