//! Every route of the document, asked so that it does what it is there for; and whether the answers are what it says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use host::http::routes::{self, Gives, Route};
use host::identity::Role;
use host::identity::role::Grant;
use host::testing::HttpStub;
use serde_json::{Value, json};

use crate::asking::{Answer, PASSWORD, Project, Server, scope};

const FILES: &[(&str, &str)] = &[
    (
        "playbooks/adds.rhai",
        "const PLAYBOOK = #{ title: \"Adds\", inputs: #{ n: #{ type: \"int\", required: true, help: \"a number\" } } };\n\
         kv::put(\"n\", input.n); input.n + 1",
    ),
    (
        "playbooks/asks.rhai",
        "run::ask(\"ok?\", #{ choices: [\"yes\", \"no\"] }).answer",
    ),
    ("playbooks/waits.rhai", "run::wait_event(\"go\").n"),
    ("playbooks/edited.rhai", "kv::put(\"n\", 1); 4"),
    (
        "playbooks/daily/publish.rhai",
        "const PLAYBOOK = #{ schedule: \"0 7 * * *\", timezone: \"Europe/Berlin\" };\n1",
    ),
    (
        "playbooks/writes.rhai",
        "const PLAYBOOK = #{ uses: [\"acme\"] };\nacme::post(\"/posts\", #{}).status",
    ),
    (
        "playbooks/clip.rhai",
        "const PLAYBOOK = #{ http: #{ method: \"GET\", path: \"/clips/{id}\" }, inputs: #{ id: #{ type: \"int\", required: true } } };\n\
         #{ id: input.id }",
    ),
];

struct Walk {
    server: Server,
    bearer: String,
    document: Value,
    done: BTreeSet<String>,
}

impl Walk {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let headers = [("authorization", self.bearer.as_str())];
        self.server.ask(method, path, &headers, body)
    }

    /// What the route `name` answers where all goes well, which is what the document says.
    #[track_caller]
    fn well(&mut self, name: &str, places: &[&str], query: &str, body: Option<Value>) -> Value {
        let route = routes::all().find(|route| route.name == name).expect("a route");
        let answer = self.ask(route.verb.method().as_str(), &path(route, places, query), body.as_ref());
        let expected = match route.gives {
            Gives::Data(status, _) => status,
            Gives::Nothing => 204,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{name}: {answer:?}");
        self.fits(route.path, route.verb.method().as_str(), &answer);
        self.done.insert(name.to_owned());
        let mut body = answer.body;
        body["data"].take()
    }

    /// Fails unless the document knows of such an answer.
    #[track_caller]
    fn fits(&self, path: &str, method: &str, answer: &Answer) {
        let operation = &self.document["paths"][path][method.to_ascii_lowercase()];
        let described = &operation["responses"][answer.status.to_string()];
        assert!(
            described.is_object(),
            "{method} {path} does not say that it answers {}",
            answer.status
        );
        for header in described["headers"].as_object().into_iter().flatten() {
            assert!(answer.header(header.0).is_some(), "{method} {path}: no {}", header.0);
        }
        let kind = answer.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().expect("a kind").to_owned();
        let content = &described["content"][&kind];
        assert!(
            content.is_object(),
            "{method} {path} does not say that it gives {kind:?}: {described}"
        );
        if kind != "application/json" {
            return;
        }
        let mut schema = content["schema"].clone();
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let faults: Vec<String> = validator
            .iter_errors(&answer.body)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{method} {path}: {faults:?} in {}", answer.body);
    }

    /// The run when it has come so far.
    fn run_when(&self, run: &str, status: &str) -> Value {
        let give_up_at = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.ask("GET", &format!("/api/v1/runs/{run}"), None);
            if answer.body["data"]["status"] == status {
                return answer.body["data"].clone();
            }
            assert!(Instant::now() < give_up_at, "{answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn start(&mut self, playbook: &str, input: Value) -> String {
        let run = self.well(
            "runs.start",
            &[],
            "",
            Some(json!({"playbook": playbook, "input": input})),
        );
        run["run_id"].as_str().expect("an id").to_owned()
    }

    /// One that waits for an event which never comes.
    fn waiting(&mut self) -> String {
        let run = self.start("waits", json!({}));
        self.run_when(&run, "suspended");
        run
    }
}

fn path(route: &Route, places: &[&str], query: &str) -> String {
    let names = routes::places(route.path);
    let path = names.zip(places).fold(route.path.to_owned(), |path, (name, place)| {
        path.replace(&format!("{{{name}}}"), place)
    });
    assert!(!path.contains('{'), "{path} lacks a place");
    format!("{path}{query}")
}

/// A server with a store in which something has happened already, live, with a provider that cuts its first answer.
fn served(stub: &HttpStub) -> Walk {
    stub.on("POST", "/posts").once().cut();
    stub.on("POST", "/posts").once().cut();
    stub.on("POST", "/posts").json(201, json!({}));
    let provider = stub.host();
    let project = Project::new();
    project.write(
        "host.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[serve]\nreload = \"guarded\"\n[http]\nhosts = [\"{provider}\"]\n\
             [gate]\nbackoff_base = \"1ms\"\n[providers.acme]\nbase_url = \"http://{provider}\"\nsettle = \"0s\"\n\
             timeout = \"1s\"\non_unknown = \"ask\"\nauth = {{ header = \"X-Key\", secret = \"ACME_TOKEN\" }}\n"
        ),
    );
    project.write(
        ".env",
        "DRY_RUN=false\nACME_ENABLED=true\nACME_TOKEN=tok-9f8e7d6c5b4a\n",
    );
    for (file, text) in FILES {
        project.write(file, text);
    }
    project.user("root", Role::Admin);
    project.user("ann", Role::Admin);
    let bearer = format!("Bearer {}", project.token("root", scope(Grant::Admin), None));
    let server = project.serve();
    let document = server
        .ask("GET", "/openapi.json", &[("authorization", &bearer)], None)
        .body;
    Walk {
        server,
        bearer,
        document,
        done: BTreeSet::new(),
    }
}

fn runs(walk: &mut Walk, stub: &HttpStub) {
    let added = walk.start("adds", json!({"n": 41}));
    assert_eq!(walk.run_when(&added, "succeeded")["outcome"], 42);
    for (name, query) in [("runs.get", ""), ("runs.journal", "?limit=1"), ("runs.why", "")] {
        walk.well(name, &[&added], query, None);
    }
    assert_eq!(
        walk.well("runs.list", &[], "?playbook=adds", None)["items"][0]["run_id"],
        added.as_str()
    );
    let again = walk.well("runs.retry", &[&added], "", Some(json!({"again": [1.0]})));
    assert_ne!(again["run_id"], added.as_str());
    let waits = walk.waiting();
    let resumed = walk.well("runs.resume", &[&waits], "", None);
    assert_eq!(resumed["run_id"], waits.as_str());
    walk.run_when(&waits, "suspended");
    let emitted = walk.well("events.emit", &[], "", Some(json!({"name": "go", "data": {"n": 5.5}})));
    assert_eq!(emitted["woken"], json!([waits]));
    assert_eq!(walk.run_when(&waits, "succeeded")["outcome"], 5.5);
    let ended = walk.waiting();
    assert_eq!(walk.well("runs.cancel", &[&ended], "", None)["status"], "cancelled");
    let asks = walk.start("asks", json!({}));
    walk.run_when(&asks, "suspended");
    assert_eq!(
        walk.well("questions.list", &[], "", None)["items"][0]["run_id"],
        asks.as_str()
    );
    walk.well("questions.answer", &[&asks], "", Some(json!({"answer": "yes"})));
    assert_eq!(walk.run_when(&asks, "succeeded")["outcome"], "yes");
    let doubt = walk.start("writes", json!({}));
    walk.run_when(&doubt, "needs_attention");
    let resume = format!("/api/v1/runs/{doubt}/resume");
    let refused = walk.ask("POST", &resume, None);
    assert_eq!((refused.status, refused.code()), (409, "STEP_IN_DOUBT"));
    let why = walk.well("runs.why", &[&doubt], "", None);
    assert_eq!(why["in_doubt"][0]["step"], 1, "{why}");
    let decision = json!({"step": 1, "landed": true, "value": {"status": 299}, "reason": "it is on the wall"});
    walk.well("writes.resolve", &[&doubt], "", Some(decision.clone()));
    let again = walk.ask("POST", &format!("/api/v1/runs/{doubt}/resolve"), Some(&decision));
    assert_eq!((again.status, again.code()), (409, "NOT_IN_DOUBT"));
    walk.well("runs.resume", &[&doubt], "", None);
    assert_eq!(walk.run_when(&doubt, "succeeded")["outcome"], 299);
    let sent_again = walk.start("writes", json!({}));
    walk.run_when(&sent_again, "needs_attention");
    let decision = json!({"step": 1, "landed": false, "reason": "it is not on the wall"});
    walk.well("writes.resolve", &[&sent_again], "", Some(decision));
    walk.well("runs.resume", &[&sent_again], "", None);
    assert_eq!(walk.run_when(&sent_again, "succeeded")["outcome"], 201);
    assert_eq!(stub.count("POST", "/posts"), 3, "what landed was not sent again");
    let over = walk.ask("POST", &resume, None);
    assert_eq!((over.status, over.code()), (409, "RUN_OVER"));
}

fn incidents(walk: &mut Walk) {
    let [one, two] = [walk.waiting(), walk.waiting()];
    let opened = walk.well(
        "incidents.open",
        &[],
        "",
        Some(json!({"runs": [one], "title": "it waits"})),
    );
    let id = opened["incident_id"].as_str().expect("an id").to_owned();
    let mut change = |name: &str, body: Value| walk.well(&format!("incidents.{name}"), &[&id], "", Some(body));
    assert_eq!(
        change("pin", json!({"runs": [two]}))["run_ids"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(change("unpin", json!({"runs": [one]}))["run_ids"], json!([two]));
    assert_eq!(
        change("note", json!({"text": "nobody emits it"}))["notes"][0]["by"],
        "root"
    );
    let assigned = change("assign", json!({"owner": "ben", "eta_ms": 4_102_444_800_000_i64}));
    assert_eq!(
        (&assigned["owner"], &assigned["eta"]),
        (&json!("ben"), &json!("2100-01-01T00:00:00.000Z"))
    );
    assert_eq!(change("escalate", json!({"why": "ben is away"}))["level"], "L2");
    assert_eq!(change("escalate", json!({"to": "L1"}))["level"], "L1");
    assert_eq!(change("close", json!({"reason": "it was emitted"}))["state"], "closed");
    walk.well("incidents.get", &[&id], "", None);
    assert_eq!(
        walk.well("incidents.list", &[], "?state=closed", None)["items"][0]["incident_id"],
        id.as_str()
    );
    for (verb, body, status, code) in [
        ("close", json!({}), 409, "INCIDENT_CLOSED"),
        ("escalate", json!({}), 409, "INCIDENT_CLOSED"),
        ("unpin", json!({"runs": [one]}), 409, "INCIDENT_NOT_PINNED"),
        ("pin", json!({"runs": ["01ZZZZ"]}), 404, "RUN_NOT_FOUND"),
        ("note", json!({"text": " "}), 422, "INCIDENT_EMPTY"),
        (
            "assign",
            json!({"owner": "ben", "eta_ms": i64::MAX}),
            422,
            "BODY_INVALID",
        ),
        ("escalate", json!({"to": "L9"}), 422, "BODY_INVALID"),
        ("pin", json!({"runs": []}), 422, "BODY_INVALID"),
    ] {
        let refused = walk.ask("POST", &format!("/api/v1/incidents/{id}/{verb}"), Some(&body));
        assert_eq!((refused.status, refused.code()), (status, code), "{verb} {body}");
        walk.fits(&format!("/api/v1/incidents/{{incident}}/{verb}"), "POST", &refused);
    }
}

fn queues(walk: &mut Walk) {
    let push = |n: u64| json!({"payload": {"n": n}, "attempts": 1.0});
    let first = walk.well("queues.push", &["mail"], "", Some(push(1)))["id"]
        .as_u64()
        .expect("a number");
    walk.well("queues.push", &["mail"], "", Some(push(2)));
    let number = first.to_string();
    assert_eq!(
        walk.well("queues.job", &["mail", &number], "", None)["payload"],
        json!({"n": 1})
    );
    assert_eq!(
        walk.well("queues.jobs", &["mail"], "?state=ready", None)["items"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    walk.well("queues.list", &[], "", None);
    walk.well("queues.pause", &["mail"], "", Some(json!({"why": "holidays"})));
    walk.well("queues.resume", &["mail"], "", None);
    assert_eq!(walk.well("queues.remove", &["mail", &number], "", None)["id"], first);
    assert_eq!(
        walk.ask("GET", &format!("/api/v1/queues/mail/jobs/{first}"), None)
            .code(),
        "JOB_NOT_FOUND"
    );
    assert_eq!(walk.well("queues.get", &["mail"], "", None)["ready"], 1);
    let later = json!({"payload": 3, "delay_ms": 3_600_000});
    walk.well("queues.push", &["mail"], "", Some(later));
    assert_eq!(
        walk.well("queues.drain", &["mail"], "", Some(json!({})))["removed"],
        2,
        "also what is not due yet"
    );
    assert_eq!(walk.well("queues.get", &["mail"], "", None)["ready"], 0);
    // A playbook takes one and gives it up for good.
    for n in 0..3 {
        walk.well("queues.push", &["dead"], "", Some(push(n)));
    }
    walk.server.project.write(
        "playbooks/dies.rhai",
        "const PLAYBOOK = #{ queue: \"dead\", inputs: #{ n: #{ type: \"int\" } } };\nthrow \"no\"",
    );
    let give_up_at = Instant::now() + Duration::from_secs(40);
    while walk.well("queues.get", &["dead"], "", None)["dead"] != 3 {
        assert!(Instant::now() < give_up_at, "no job dies");
        std::thread::sleep(Duration::from_millis(100));
    }
    walk.well("queues.pause", &["dead"], "", Some(json!({})));
    let dead = walk.well("queues.jobs", &["dead"], "?state=dead&limit=1", None);
    let number = dead["items"][0]["id"].to_string();
    assert_eq!(
        walk.well("queues.retry", &["dead", &number], "", None)["state"],
        "ready"
    );
    assert_eq!(walk.well("queues.retry_dead", &["dead"], "", None)["retried"], 2);
    assert_eq!(
        walk.well("queues.drain", &["dead"], "", Some(json!({"dead": true})))["removed"],
        0
    );
}

fn versions(walk: &mut Walk) {
    let run = walk.start("edited", json!({}));
    walk.run_when(&run, "succeeded");
    let mut save = |text: &str| {
        let before = walk.well("versions.list", &[], "?limit=1", None)["items"][0]["version"].clone();
        walk.server.project.write("playbooks/edited.rhai", text);
        let give_up_at = Instant::now() + Duration::from_secs(40);
        loop {
            let last = walk.well("versions.list", &[], "?limit=1", None)["items"][0].clone();
            if last["version"] != before && last["state"] == "held" {
                return last["version"].to_string();
            }
            assert!(Instant::now() < give_up_at, "{last}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let (discarded, accepted) = (save("kv::put(\"n\", 1); 5"), save("kv::put(\"n\", 1); 6"));
    let refused = walk.ask("POST", &format!("/api/v1/versions/{discarded}/accept"), None);
    assert_eq!(
        (refused.status, refused.code()),
        (409, "VERSION_NOT_HELD"),
        "a later save took its place"
    );
    walk.well("versions.accept", &[&accepted], "", None);
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while walk.well("versions.get", &[&accepted], "", None)["state"] != "live" {
        assert!(Instant::now() < give_up_at, "it does not go live");
        std::thread::sleep(Duration::from_millis(50));
    }
    let back = walk.well("versions.rollback", &["1"], "", Some(json!({"playbook": "edited"})));
    assert_eq!(back["changes"][0]["path"], "playbooks/edited.rhai", "{back}");
    let file = walk.server.project.path().join("playbooks/edited.rhai");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "kv::put(\"n\", 1); 4");
    let mut save = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        let give_up_at = Instant::now() + Duration::from_secs(40);
        loop {
            let last = walk.well("versions.list", &[], "?limit=1", None)["items"][0].clone();
            if last["state"] == "held" && last["changes"].as_array().is_some_and(|changes| !changes.is_empty()) {
                return last["version"].to_string();
            }
            assert!(Instant::now() < give_up_at, "{last}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let last = save("kv::put(\"n\", 1); 9");
    assert_eq!(walk.well("versions.discard", &[&last], "", None)["state"], "discarded");
    let lost = walk.ask("POST", "/api/v1/versions/4711/rollback", Some(&json!({})));
    assert_eq!((lost.status, lost.code()), (404, "VERSION_NOT_FOUND"));
}

fn people(walk: &mut Walk) {
    let body = json!({"name": "ben", "role": "viewer", "password": PASSWORD});
    walk.well("users.add", &[], "", Some(body));
    walk.well("users.list", &[], "", None);
    walk.well("users.change", &["ben"], "", Some(json!({"role": "operator"})));
    walk.well(
        "users.password",
        &["ben"],
        "",
        Some(json!({"password": "another horse battery"})),
    );
    walk.well("users.unlock", &["ben"], "", None);
    let made = walk.well("tokens.add", &[], "", Some(json!({"user": "ben", "days": 1.0})));
    walk.well("tokens.list", &[], "?user=ben", None);
    walk.well("tokens.revoke", &[made["id"].as_str().expect("an id")], "", None);
    walk.well("users.revoke", &["ben"], "", None);
    let session = walk.well(
        "session.open",
        &[],
        "",
        Some(json!({"name": "ann", "password": PASSWORD})),
    );
    assert_eq!(session["user"], "ann");
    walk.well("session.show", &[], "", None);
    walk.well("session.close", &[], "", None);
    walk.well("audit.list", &[], "?limit=5", None);
    assert_eq!(walk.well("audit.verify", &[], "", None)["sound"], true);
}

#[test]
fn every_route_of_the_document_does_what_it_says() {
    let stub = HttpStub::start();
    let mut walk = served(&stub);
    let books = walk.well("playbooks.list", &[], "", None);
    let names: Vec<&str> = books["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|book| book["playbook"].as_str())
        .collect();
    assert!(names.is_sorted() && names.contains(&"daily/publish"), "{names:?}");
    let daily = walk.well("playbooks.get", &["daily%2Fpublish"], "", None);
    assert_eq!(
        daily["next"]["schedule"],
        daily["next"]["schedule"].as_str().expect("a schedule")
    );
    assert_eq!((&daily["mode"], &daily["paused"]), (&json!("live"), &Value::Null));
    let adds = walk.well("playbooks.get", &["adds"], "", None);
    assert_eq!(
        (&adds["inputs"]["n"]["type"], &adds["inputs"]["n"]["required"]),
        (&json!("int"), &json!(true))
    );
    walk.well(
        "pauses.pause",
        &[],
        "",
        Some(json!({"playbook": "daily/publish", "why": "w"})),
    );
    let paused = walk.well("playbooks.get", &["daily%2Fpublish"], "", None);
    assert_eq!(
        (&paused["paused"]["why"], &paused["next"]["paused"]),
        (&json!("w"), &json!(true)),
        "{paused}"
    );
    walk.well("pauses.list", &[], "", None);
    walk.well("pauses.resume", &[], "", Some(json!({"playbook": "daily/publish"})));
    assert_eq!(
        walk.ask("GET", "/api/v1/playbooks/dialy", None).code(),
        "PLAYBOOK_NOT_FOUND"
    );
    runs(&mut walk, &stub);
    incidents(&mut walk);
    queues(&mut walk);
    versions(&mut walk);
    people(&mut walk);
    for name in [
        "healthz",
        "readyz",
        "status",
        "openapi",
        "metrics",
        "monitor",
        "events.stream",
        "ticks.list",
    ] {
        walk.well(name, &[], "", None);
    }
    let planned = walk.well("ticks.planned", &[], "", None);
    assert_eq!(planned["items"][0]["playbook"], "daily/publish");
    let clip = walk.ask("GET", "/clips/7", None);
    walk.fits("/clips/{id}", "GET", &clip);
    assert_eq!((clip.status, &clip.body["data"]), (200, &json!({"id": 7})));
    let paths = walk.document["paths"].as_object().expect("paths").iter();
    let described = paths.flat_map(|(_, methods)| methods.as_object().into_iter().flatten());
    let described: BTreeSet<&str> = described
        .filter_map(|(_, operation)| operation["operationId"].as_str())
        .collect();
    let clip = walk.document["paths"]["/clips/{id}"]["get"]["operationId"]
        .as_str()
        .expect("an id");
    let missed: Vec<&&str> = described
        .iter()
        .filter(|name| **name != clip && !walk.done.contains(**name))
        .collect();
    assert!(missed.is_empty(), "nobody asked {missed:?}");
    assert_eq!(described.len(), routes::all().count() + 1);
}
